// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// Reads or writes the members of a record, so that one list of them serves both.
///
/// This is not the config types' FieldVisitor, which reports each violation with its path, and
/// whose generic code would be compiled again for this module.
struct RecordFields {
    private let source: JSONObject?
    /// The place in `source` after the member that was read last.
    private var position = 0
    private var object = JSONObject()
    /// Whether all required members were present, and all members had the right type.
    private(set) var areWhole = true

    /// Writes members.
    init() {
        source = nil
    }

    /// Reads members; one that is missing or of a wrong type leaves its value unchanged.
    init(of object: JSONObject) {
        source = object
    }

    var written: JSONValue { .object(object) }

    /// Marks the object as no valid record.
    mutating func refuse() {
        areWhole = false
    }

    /// The result of `read` for a member; nil if it is missing, or if members are written.
    private mutating func member<Value>(
        _ name: String, isOptional: Bool, _ read: (JSONValue) -> Value?
    ) -> Value? {
        guard let source else { return nil }
        // Most members follow each other as they were written.
        let members = source.members
        let isNext = position < members.count && members[position].isNamed(name)
        guard let place = isNext ? position : source.lastIndex(of: name) else {
            if !isOptional { areWhole = false }
            return nil
        }
        position = place + 1
        let value = members[place].value
        let result = read(value)
        if result == nil { areWhole = false }
        return result
    }

    private mutating func write(_ name: String, _ value: @autoclosure () -> JSONValue) {
        if source == nil { object.append(name, value()) }
    }

    /// A text; if it is not always written, it may be missing.
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

    /// A flag, which may be missing.
    mutating func flag(_ name: String, _ value: inout Bool, isWritten: Bool = true) {
        if isWritten { write(name, .bool(value)) }
        let flag = member(name, isOptional: true) { (value) -> Bool? in
            if case .bool(let flag) = value { flag } else { nil }
        }
        if let flag { value = flag }
    }

    /// Texts by key, in the order of the keys; the member may be missing.
    mutating func texts(_ name: String, _ value: inout [String: String]) {
        if source == nil {
            var texts = JSONObject()
            if !value.isEmpty {
                for (key, text) in value.sorted(by: { $0.key < $1.key }) {
                    texts.append(key, .string(text))
                }
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

    /// A value that may be missing.
    mutating func value<Value>(
        _ name: String, _ value: inout Value?, _ read: (JSONValue) -> Value?,
        _ written: (Value) -> JSONValue
    ) {
        if let value { write(name, written(value)) }
        if let found = member(name, isOptional: true, read) { value = found }
    }

    /// A value that must be present.
    mutating func required<Value>(
        _ name: String, _ value: inout Value, _ read: (JSONValue) -> Value?,
        _ written: (Value) -> JSONValue
    ) {
        write(name, written(value))
        if let found = member(name, isOptional: false, read) { value = found }
    }

    /// A list, which may be missing and is not written if it is empty.
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
    /// The text; nil if the value is another type.
    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number as an index; nil if the value is not a non-negative integer.
    var index: Int? {
        guard case .integer(let number) = self, number >= 0 else { return nil }
        return Int(exactly: number)
    }
}
#endif
