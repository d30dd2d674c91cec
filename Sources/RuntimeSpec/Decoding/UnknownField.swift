// SPDX-License-Identifier: Apache-2.0

/// A member of an object that no field of the specification reads, or reads by another spelling.
package struct UnknownField: Equatable, Sendable {
    /// Where the member is.
    package let path: JSONPath
    /// Its name as written.
    package let name: String
    /// The fields of the object.
    package let knownNames: [String]
    /// The section of the specification for the object.
    package let section: String
    /// The field as which it is read although its letters differ in case.
    package let readAs: String?
}

/// Collects the unknown fields of a document.
///
/// A walk of its own: the decoder only counts how many members it has used.
struct UnknownFieldSearch {
    var found: [UnknownField] = []
    fileprivate var path = JSONPath.root

    /// The unknown fields of a config.
    static func fields(of document: JSONValue) -> [UnknownField] {
        var search = UnknownFieldSearch()
        Spec.findUnknownFields(in: document, &search)
        return search.found
    }

    fileprivate mutating func look<Value: SpecValue>(
        into value: JSONValue, as type: Value.Type, at path: JSONPath
    ) {
        let outer = self.path
        self.path = path
        Value.findUnknownFields(in: value, &self)
        self.path = outer
    }
}

extension SpecValue {
    static func findUnknownFields(in value: JSONValue, _ search: inout UnknownFieldSearch) {}
}

extension SpecObject {
    static func findUnknownFields(in value: JSONValue, _ search: inout UnknownFieldSearch) {
        guard case .object(let object) = value else { return }
        var lister = FieldLister(object, search)
        var fields = Self.blank
        fields.visitFields(&lister)
        search = lister.search
        for member in object.members where !lister.names.contains(member.key) {
            search.found.append(
                UnknownField(
                    path: search.path.appending(key: member.key), name: member.key,
                    knownNames: lister.names, section: section,
                    readAs: lister.names.first { member.key.isName($0) }))
        }
    }
}

extension Array where Element: SpecValue {
    static func findUnknownFields(in value: JSONValue, _ search: inout UnknownFieldSearch) {
        guard case .array(let elements) = value else { return }
        let path = search.path
        for (index, element) in elements.enumerated() {
            search.look(into: element, as: Element.self, at: path.appending(index: index))
        }
    }
}

extension Dictionary where Key == String, Value: SpecValue {
    static func findUnknownFields(in value: JSONValue, _ search: inout UnknownFieldSearch) {
        guard case .object(let object) = value else { return }
        let path = search.path
        for member in object.members {
            search.look(into: member.value, as: Value.self, at: path.appending(key: member.key))
        }
    }
}

/// Lists the fields of one type, and searches the values that a document has for them.
private struct FieldLister: FieldVisitor {
    private(set) var names: [String] = []
    private(set) var search: UnknownFieldSearch
    private let object: JSONObject

    init(_ object: JSONObject, _ search: UnknownFieldSearch) {
        self.object = object
        self.search = search
    }

    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value) {
        look(key, Value.self)
    }

    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?) {
        look(key, Value.self)
    }

    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value
    ) {
        look(key, Value.self)
    }

    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value) {
        look(key, Value.self)
    }

    mutating func text(_ key: String, _ value: inout String?) { names.append(key) }

    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?) {
        names.append(key)
    }

    private mutating func look<Value: SpecValue>(_ key: String, _ type: Value.Type) {
        names.append(key)
        for member in object.members where member.key.isName(key) {
            search.look(into: member.value, as: type, at: search.path.appending(key: key))
        }
    }
}
