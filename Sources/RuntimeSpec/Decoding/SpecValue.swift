// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// A type that a field of the model may have.
protocol SpecValue {
    /// The type in a message: `a string`.
    static var noun: String { get }
    /// The plural for a message: `strings`.
    static var pluralNoun: String { get }
    /// Decodes a value; records a violation and returns nil if it cannot.
    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Self?
    /// The JSON form that `decode` takes back.
    func encode() -> JSONValue
    /// Searches a value of this type for fields that the specification does not have.
    static func findUnknownFields(in value: JSONValue, _ search: inout UnknownFieldSearch)
}

extension Bool: SpecValue {
    static var noun: String { "true or false" }
    static var pluralNoun: String { "booleans" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Bool? {
        guard case .bool(let found) = value else {
            context.mismatch(value, expected: noun)
            return nil
        }
        return found
    }

    func encode() -> JSONValue { .bool(self) }
}

extension String: SpecValue {
    static var noun: String { "a string" }
    static var pluralNoun: String { "strings" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> String? {
        guard case .string(let found) = value else {
            context.mismatch(value, expected: noun)
            return nil
        }
        // Every string is passed on to the kernel or to a program, where a NUL would cut it short.
        guard !found.utf8.contains(0) else {
            context.fail("\(quoted(found)) contains a NUL character")
            return nil
        }
        return found
    }

    func encode() -> JSONValue { .string(self) }
}

extension ByteText: SpecValue {
    static var noun: String { String.noun }
    static var pluralNoun: String { String.pluralNoun }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> ByteText? {
        String.decode(value, &context).map { ByteText($0) }
    }

    func encode() -> JSONValue { .string(description) }
}

extension Array: SpecValue where Element: SpecValue {
    static var noun: String { "an array of \(Element.pluralNoun)" }
    static var pluralNoun: String { "arrays of \(Element.pluralNoun)" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> [Element]? {
        guard case .array(let found) = value else {
            context.mismatch(value, expected: noun)
            return nil
        }
        var result: [Element] = []
        result.reserveCapacity(found.count)
        for (index, element) in found.enumerated() {
            context.enter(.index(index))
            if let decoded = Element.decode(element, &context) { result.append(decoded) }
            context.leave()
        }
        return result
    }

    func encode() -> JSONValue { .array(map { $0.encode() }) }
}

/// A map is written in the order of its keys, as Go does it.
extension Dictionary: SpecValue where Key == String, Value: SpecValue {
    static var noun: String { "an object of \(Value.pluralNoun)" }
    static var pluralNoun: String { "objects of \(Value.pluralNoun)" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> [String: Value]? {
        guard case .object(let found) = value else {
            context.mismatch(value, expected: noun)
            return nil
        }
        var result: [String: Value] = [:]
        result.reserveCapacity(found.members.count)
        for member in found.members {
            context.enter(.key(member.key))
            // Keys are checked by the same rules as strings.
            _ = String.decode(.string(member.key), &context)
            result[member.key] = Value.decode(member.value, &context)
            context.leave()
        }
        return result
    }

    func encode() -> JSONValue {
        var object = JSONObject()
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            object.append(key, value.encode())
        }
        return .object(object)
    }
}

extension SpecValue where Self: FixedWidthInteger {
    static var noun: String { "an integer" }
    static var pluralNoun: String { "integers" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Self? {
        let text: String
        switch value {
        case .integer(let found):
            if let result = Self(exactly: found) { return result }
            text = "\(found)"
        case .unsigned(let found):
            if let result = Self(exactly: found) { return result }
            text = "\(found)"
        case .double(let found):
            guard found.magnitude >= 0x1p63 else {
                context.fail("found \(found), expected \(noun)")
                return nil
            }
            text = "\(found)"
        default:
            context.mismatch(value, expected: noun)
            return nil
        }
        context.fail("\(text) is out of range (\(min)...\(max))")
        return nil
    }

    func encode() -> JSONValue {
        Int64(exactly: self).map(JSONValue.integer)
            ?? .unsigned(UInt64(truncatingIfNeeded: self))
    }
}

extension Int: SpecValue {}
extension Int32: SpecValue {}
extension Int64: SpecValue {}
extension UInt: SpecValue {}
extension UInt16: SpecValue {}
extension UInt32: SpecValue {}
extension UInt64: SpecValue {}

/// A closed list of words, written as the specification spells them.
protocol Vocabulary: SpecValue, RawRepresentable, CaseIterable where RawValue == String {}

extension Vocabulary {
    static var pluralNoun: String { "strings" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Self? {
        guard case .string(let found) = value else {
            context.mismatch(value, expected: String.noun)
            return nil
        }
        guard let word = Self(rawValue: found) else {
            let words = allCases.map(\.rawValue).joined(separator: ", ")
            context.fail("\(quoted(found)) is not \(noun) (\(words))")
            return nil
        }
        return word
    }

    func encode() -> JSONValue { .string(rawValue) }
}
