// SPDX-License-Identifier: Apache-2.0

/// Walks the fields of a type, so that one list of fields serves both reading and writing.
protocol FieldVisitor {
    /// A field that must be there.
    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value)
    /// A field that may be absent; nil and empty are distinct.
    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?)
    /// A field whose absence means `absent`; a value equal to `absent` is not written.
    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value)
    /// A field that keeps its preset value when absent; it is always written.
    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value)
    /// A text that may be absent; an empty one counts as absent, as with Go's `omitempty`.
    mutating func text(_ key: String, _ value: inout String?)
    /// A word that may be absent; an empty one counts as absent.
    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?)
}

/// A type of the model that is written as a JSON object.
protocol SpecObject: SpecValue {
    /// A value to fill in while reading; never seen if a required field is missing.
    static var blank: Self { get }
    /// The section of the specification that describes the type.
    static var section: String { get }
    /// Passes every field to `visitor`, in the order of the Go type.
    mutating func visitFields(_ visitor: inout some FieldVisitor)
}

extension SpecObject {
    static var noun: String { "an object" }
    static var pluralNoun: String { "objects" }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Self? {
        decodeObject(value, &context)
    }

    /// Reads every field.
    static func decodeObject(_ value: JSONValue, _ context: inout DecodingContext) -> Self? {
        guard case .object(let object) = value else {
            context.mismatch(value, expected: noun)
            return nil
        }
        let outerSection = context.section
        // Swapped in and out, never copied: a second reference would copy its arrays.
        var reader = FieldReader(object)
        swap(&reader.context, &context)
        reader.context.section = section
        let violationCount = reader.context.violations.count
        var result = blank
        result.visitFields(&reader)
        swap(&reader.context, &context)
        context.section = outerSection
        guard reader.passedOver, let joined = object.joiningSpellings() else { return result }
        context.forgetViolations(after: violationCount)
        return decode(.object(joined), &context)
    }

    func encode() -> JSONValue {
        var copy = self
        var writer = FieldWriter()
        copy.visitFields(&writer)
        return .object(writer.object)
    }

    /// Hashes the JSON, which is the same for equal values.
    public func hash(into hasher: inout Hasher) { hasher.combine(encode()) }

    /// Reads a document of this type; `path` is where such an object belongs in config.json.
    static func decodeDocument(
        _ json: [UInt8], at path: String?
    ) throws(SpecDecodingError) -> Self {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(json: json)
        } catch {
            throw .syntax(error)
        }
        return try decodeDocument(value, at: path)
    }

    /// Decodes `value` as a document of this type.
    static func decodeDocument(
        _ value: JSONValue, at path: String?
    ) throws(SpecDecodingError) -> Self {
        var context = DecodingContext(section: section, startingAt: path)
        let result = decode(value, &context)
        if let errors = SpecErrors(context.violations) {
            throw .fields(errors.naming(value, in: path.map { "\($0)" } ?? .root))
        }
        // Without a violation there is always a result: `blank` is never used.
        return result ?? blank
    }
}

/// Fills fields from a JSON object; members that no field asks for are ignored.
struct FieldReader: FieldVisitor {
    var context = DecodingContext(section: "")
    private let object: JSONObject
    private var likely = 0
    private var foundCount = 0

    /// Whether the object has members that no field asked for.
    var passedOver: Bool { foundCount < object.members.count }

    init(_ object: JSONObject) {
        self.object = object
    }

    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value) {
        guard let found = member(key) else {
            context.enter(.key(key))
            context.fail("is missing")
            context.leave()
            return
        }
        if let decoded: Value = decode(found, key) { value = decoded }
    }

    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?) {
        guard let found = member(key) else { return }
        value = decode(found, key)
    }

    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value
    ) {
        guard let found = member(key), let decoded: Value = decode(found, key) else { return }
        value = decoded
    }

    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value) {
        if let found = member(key), let decoded: Value = decode(found, key) { value = decoded }
    }

    mutating func text(_ key: String, _ value: inout String?) {
        optional(key, &value)
        if value?.isEmpty == true { value = nil }
    }

    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?) {
        guard let found = member(key), found != .string("") else { return }
        value = decode(found, key)
    }

    /// The value of `key`, or nil if it is absent or `null`.
    private mutating func member(_ key: String) -> JSONValue? {
        // Most documents list their members in the order in which the fields ask for them.
        let members = object.members
        if likely < members.count, members[likely].key == key {
            likely += 1
        } else if let position = Self.position(of: key, in: members) {
            likely = position + 1
        } else {
            return nil
        }
        foundCount += 1
        if case .null = members[likely - 1].value { return nil }
        return members[likely - 1].value
    }

    /// The position of the member; an exact match wins over one that differs only in case.
    private static func position(of key: String, in members: [JSONObject.Member]) -> Int? {
        var other: Int?
        for (position, member) in members.enumerated() {
            if member.key == key { return position }
            if other == nil, member.key.isName(key) { other = position }
        }
        return other
    }

    private mutating func decode<Value: SpecValue>(_ found: JSONValue, _ key: String) -> Value? {
        context.enter(.key(key))
        defer { context.leave() }
        return Value.decode(found, &context)
    }
}

extension JSONObject {
    /// This object with members merged whose names differ only in case; nil if there are none.
    ///
    /// Go's decoder treats such names as one field: it merges objects and otherwise keeps the last
    /// value.
    fileprivate func joiningSpellings() -> JSONObject? {
        var joined: [Member] = []
        var places: [String: Int] = [:]
        for member in members {
            let name = member.key.smallLetters
            guard let first = places[name] else {
                places[name] = joined.count
                joined.append(member)
                continue
            }
            joined[first] = Member(
                key: joined[first].key, value: joined[first].value.overlaid(by: member.value))
        }
        return joined.count == members.count ? nil : JSONObject(members: joined)
    }
}

extension JSONValue {
    fileprivate func overlaid(by other: JSONValue) -> JSONValue {
        guard case .object(let own) = self, case .object(let later) = other else { return other }
        return .object(JSONObject(members: own.members + later.members))
    }
}

extension String {
    /// The name in lower case (ASCII only).
    fileprivate var smallLetters: String {
        String(
            decoding: utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Whether this equals `name` but for ASCII case; Go's decoder accepts such names.
    func isName(_ name: String) -> Bool {
        guard utf8.count == name.utf8.count else { return false }
        // Field names are letters only, and bit 0x20 is the case of an ASCII letter.
        return zip(utf8, name.utf8).allSatisfy { byte, letter in
            byte == letter || (byte ^ letter == 0x20 && byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a)
        }
    }
}

/// Gathers fields in a JSON object; absent ones are left out, empty ones are kept.
struct FieldWriter: FieldVisitor {
    private(set) var object = JSONObject()

    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value) {
        object.append(key, value.encode())
    }

    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?) {
        if let value { object.append(key, value.encode()) }
    }

    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value
    ) {
        if value != absent { object.append(key, value.encode()) }
    }

    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value) {
        required(key, &value)
    }

    mutating func text(_ key: String, _ value: inout String?) {
        optional(key, &value)
    }

    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?) {
        optional(key, &value)
    }
}
