// SPDX-License-Identifier: Apache-2.0

/// A type of the model whose JSON object may have no other members than its fields.
///
/// For what is no part of the specification, which wants unknown members ignored.
protocol StrictSpecObject: SpecObject {}

extension StrictSpecObject {
    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Self? {
        let result = decodeObject(value, &context)
        guard case .object(let object) = value else { return result }
        var names = FieldNames()
        var blank = blank
        blank.visitFields(&names)
        for member in object.members where !names.all.contains(member.key) {
            context.enter(.key(member.key))
            context.fail("is unknown (known are: \(names.all.joined(separator: ", ")))")
            context.leave()
        }
        return result
    }
}

/// Gathers the names of the fields.
private struct FieldNames: FieldVisitor {
    private(set) var all: [String] = []

    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value) {
        all.append(key)
    }

    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?) {
        all.append(key)
    }

    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value
    ) {
        all.append(key)
    }

    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value) {
        all.append(key)
    }

    mutating func text(_ key: String, _ value: inout String?) {
        all.append(key)
    }

    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?) {
        all.append(key)
    }
}
