// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// The members of a record, for one list of them that serves reading and writing.
///
/// Not the walker of the config's types (FieldVisitor): that tells each violation with its path, and its
/// generic code would be made once more in this module.
struct RecordFields {
    private let source: JSONObject?
    private var object = JSONObject()
    /// Whether all that was read was there, where it must be, and of the type that was written.
    private(set) var areWhole = true

    /// Writes.
    init() {
        source = nil
    }

    /// Reads; a member that is missing, or of another type, leaves its value as it was.
    init(of object: JSONObject) {
        source = object
    }

    var written: JSONValue { .object(object) }

    /// What is read is no record.
    mutating func refuse() {
        areWhole = false
    }

    /// What `read` makes of a member; nil where that is missing, or nothing is read.
    private mutating func member<Value>(
        _ name: String, isOptional: Bool, _ read: (JSONValue) -> Value?
    ) -> Value? {
        guard let source else { return nil }
        guard let value = source[name] else {
            if !isOptional { areWhole = false }
            return nil
        }
        let result = read(value)
        if result == nil { areWhole = false }
        return result
    }

    private mutating func write(_ name: String, _ value: @autoclosure () -> JSONValue) {
        if source == nil { object.append(name, value()) }
    }

    /// A text; one that is not always written may be missing.
    mutating func text(_ name: String, _ value: inout String, isWritten: Bool? = nil) {
        if isWritten ?? true { write(name, .string(value)) }
        if let text = member(name, isOptional: isWritten != nil, { $0.text }) { value = text }
    }

    mutating func number<Number: FixedWidthInteger>(
        _ name: String, _ value: inout Number, isOptional: Bool = false
    ) {
        write(name, .integer(Int64(value)))
        let number = member(name, isOptional: isOptional) { (value) -> Number? in
            if case .integer(let number) = value { Number(exactly: number) } else { nil }
        }
        if let number { value = number }
    }

    /// A flag that may be missing.
    mutating func flag(_ name: String, _ value: inout Bool, isWritten: Bool = true) {
        if isWritten { write(name, .bool(value)) }
        let flag = member(name, isOptional: true) { (value) -> Bool? in
            if case .bool(let flag) = value { flag } else { nil }
        }
        if let flag { value = flag }
    }

    /// Texts by their keys, in their order; all may be missing.
    mutating func texts(_ name: String, _ value: inout [String: String]) {
        if source == nil {
            var texts = JSONObject()
            for (key, text) in value.sorted(by: { $0.key < $1.key }) {
                texts.append(key, .string(text))
            }
            write(name, .object(texts))
        }
        let texts = member(name, isOptional: true) { (value) -> [String: String]? in
            guard case .object(let members) = value else { return nil }
            var texts: [String: String] = [:]
            for member in members.members {
                guard let text = member.value.text else { return nil }
                texts[member.key] = text
            }
            return texts
        }
        if let texts { value = texts }
    }

    /// Something that may be missing.
    mutating func value<Value>(
        _ name: String, _ value: inout Value?, _ read: (JSONValue) -> Value?,
        _ written: (Value) -> JSONValue
    ) {
        if let value { write(name, written(value)) }
        if let found = member(name, isOptional: true, read) { value = found }
    }

    /// Something that must be there.
    mutating func required<Value>(
        _ name: String, _ value: inout Value, _ read: (JSONValue) -> Value?,
        _ written: (Value) -> JSONValue
    ) {
        write(name, written(value))
        if let found = member(name, isOptional: false, read) { value = found }
    }

    /// A list, which may be missing, and is not written where it is empty.
    mutating func list<Element>(
        _ name: String, _ value: inout [Element], _ read: (JSONValue) -> Element?,
        _ written: (Element) -> JSONValue, isWritten: Bool? = nil
    ) {
        if isWritten ?? !value.isEmpty { write(name, .array(value.map(written))) }
        let list = member(name, isOptional: true) { (value) -> [Element]? in
            guard case .array(let items) = value else { return nil }
            let elements = items.compactMap(read)
            return elements.count == items.count ? elements : nil
        }
        if let list { value = list }
    }
}

extension JSONValue {
    /// The text, if it is one.
    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number, if it is one that tells a place in a list.
    var index: Int? {
        guard case .integer(let number) = self, number >= 0 else { return nil }
        return Int(exactly: number)
    }
}
