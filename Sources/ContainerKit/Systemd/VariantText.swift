// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// The error of an invalid text for a value.
struct VariantTextError: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Parses values in GVariant's text format: `'text'`, `true`, `7`, `uint64 7`, `@as []`, `[1, 2]`.
///
/// A number without a type is an int32, or a double if it has a point or an exponent. Source:
/// GVariant Text Format. Dictionaries and maybe types are not supported: no property has them.
struct VariantText {
    private var rest: ArraySlice<UInt8>

    /// Parses the whole of `text` as one value.
    static func value(of text: String) throws(VariantTextError) -> DBusValue {
        var reader = VariantText(rest: Array(text.utf8)[...])
        let value = try reader.value(nil, depth: 0)
        reader.skipSpace()
        guard reader.rest.isEmpty else {
            throw VariantTextError("more text follows the value")
        }
        return value
    }

    /// Parses a value; `type` is the required type, if it is known.
    private mutating func value(_ type: ArraySlice<UInt8>?, depth: Int) throws(VariantTextError)
        -> DBusValue
    {
        guard depth < 16 else { throw VariantTextError("it is nested too deeply") }
        skipSpace()
        guard let first = rest.first else { throw VariantTextError("it ends too early") }
        switch first {
        case UInt8(ascii: "@"): return try annotated(type, depth)
        case UInt8(ascii: "["): return try array(type, depth)
        case UInt8(ascii: "("): return try tuple(type, depth)
        case UInt8(ascii: "<"):
            rest.removeFirst()
            let value = try value(nil, depth: depth + 1)
            try expect(UInt8(ascii: ">"))
            return try checked(.variant(value), type)
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return try string(type)
        case UInt8(ascii: "b") where rest.dropFirst().first.map(Self.isQuote) == true:
            rest.removeFirst()
            return try checked(.bytes(try quoted() + [0]), type)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return try word(type, depth)
        default: return try number(type)
        }
    }

    // MARK: - Types

    private static let keywords = [
        "byte": "y", "boolean": "b", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u",
        "int64": "x", "uint64": "t", "double": "d", "string": "s", "objectpath": "o",
        "signature": "g",
    ]

    private mutating func annotated(_ type: ArraySlice<UInt8>?, _ depth: Int)
        throws(VariantTextError) -> DBusValue
    {
        rest.removeFirst()
        let length: Int
        do throws(DBusFormatError) {
            length = try DBusType.length(of: rest)
        } catch {
            throw VariantTextError("\(error)")
        }
        let given = rest.prefix(length)
        rest = rest.dropFirst(length)
        return try checked(try value(given, depth: depth + 1), type)
    }

    private mutating func word(_ type: ArraySlice<UInt8>?, _ depth: Int) throws(VariantTextError)
        -> DBusValue
    {
        let letters = rest.prefix {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
        let word = String(decoding: letters, as: UTF8.self)
        rest = rest.dropFirst(letters.count)
        switch word {
        case "true": return try checked(.boolean(true), type)
        case "false": return try checked(.boolean(false), type)
        default:
            guard let letter = Self.keywords[word] else {
                throw VariantTextError("\"\(word)\" is no value; a text stands in quotes")
            }
            return try checked(
                try value(Array(letter.utf8)[...], depth: depth + 1), type)
        }
    }

    private func checked(_ value: DBusValue, _ type: ArraySlice<UInt8>?) throws(VariantTextError)
        -> DBusValue
    {
        guard let type, !value.signature.utf8.elementsEqual(type) else { return value }
        throw VariantTextError(
            "a value of type \(value.signature) stands where one of type "
                + "\(String(decoding: type, as: UTF8.self)) must")
    }

    // MARK: - Containers

    private mutating func array(_ type: ArraySlice<UInt8>?, _ depth: Int)
        throws(VariantTextError) -> DBusValue
    {
        rest.removeFirst()
        if let type, type.first != UInt8(ascii: "a") {
            throw VariantTextError("an array stands where none may")
        }
        var element = type.map { $0.dropFirst() }
        var values: [DBusValue] = []
        skipSpace()
        while rest.first != UInt8(ascii: "]") {
            if !values.isEmpty { try expect(UInt8(ascii: ",")) }
            let value = try value(element, depth: depth + 1)
            element = element ?? Array(value.signature.utf8)[...]
            values.append(value)
            skipSpace()
        }
        rest.removeFirst()
        guard let element else {
            throw VariantTextError("an empty array needs its type, as in \"@as []\"")
        }
        return .array(of: String(decoding: element, as: UTF8.self), values)
    }

    private mutating func tuple(_ type: ArraySlice<UInt8>?, _ depth: Int)
        throws(VariantTextError) -> DBusValue
    {
        rest.removeFirst()
        var types = type.map { $0.dropFirst().dropLast() }
        var values: [DBusValue] = []
        skipSpace()
        while rest.first != UInt8(ascii: ")") {
            if !values.isEmpty { try expect(UInt8(ascii: ",")) }
            // A comma may follow a single member.
            skipSpace()
            if rest.first == UInt8(ascii: ")") { break }
            var member: ArraySlice<UInt8>?
            if let all = types {
                guard let length = try? DBusType.length(of: all) else {
                    throw VariantTextError("a tuple has too many members")
                }
                member = all.prefix(length)
                types = all.dropFirst(length)
            }
            values.append(try value(member, depth: depth + 1))
            skipSpace()
        }
        rest.removeFirst()
        guard !values.isEmpty else { throw VariantTextError("a tuple is empty") }
        return try checked(.structure(values), type)
    }

    // MARK: - Texts and numbers

    private mutating func string(_ type: ArraySlice<UInt8>?) throws(VariantTextError) -> DBusValue {
        let text = String(decoding: try quoted(), as: UTF8.self)
        switch type?.first {
        case UInt8(ascii: "o"): return .objectPath(text)
        case UInt8(ascii: "g"): return .signature(text)
        default: return try checked(.string(text), type)
        }
    }

    private mutating func quoted() throws(VariantTextError) -> [UInt8] {
        let quote = rest.removeFirst()
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == quote { return bytes }
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            guard let escaped = rest.popFirst() else { break }
            switch escaped {
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "u"): bytes += try character(digits: 4)
            case UInt8(ascii: "U"): bytes += try character(digits: 8)
            default: bytes.append(escaped)
            }
        }
        throw VariantTextError("a text has no closing quote")
    }

    private mutating func character(digits count: Int) throws(VariantTextError) -> [UInt8] {
        let digits = rest.prefix(count)
        rest = rest.dropFirst(count)
        guard digits.count == count,
            let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
            number != 0, let scalar = Unicode.Scalar(number)
        else { throw VariantTextError("an escape sequence stands for no character") }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func number(_ type: ArraySlice<UInt8>?) throws(VariantTextError) -> DBusValue {
        let word = rest.prefix { byte in
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: ")"), UInt8(ascii: ">"),
                UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"):
                false
            default: true
            }
        }
        let text = String(decoding: word, as: UTF8.self)
        rest = rest.dropFirst(word.count)
        let value: DBusValue?
        switch type?.first {
        case nil:
            value =
                Self.integer(text, Int32.self).map { .int32($0) }
                ?? (Self.isFraction(text) ? Double(text).map { .double($0) } : nil)
        case UInt8(ascii: "y"): value = Self.integer(text, UInt8.self).map { .byte($0) }
        case UInt8(ascii: "n"): value = Self.integer(text, Int16.self).map { .int16($0) }
        case UInt8(ascii: "q"): value = Self.integer(text, UInt16.self).map { .uint16($0) }
        case UInt8(ascii: "i"): value = Self.integer(text, Int32.self).map { .int32($0) }
        case UInt8(ascii: "u"): value = Self.integer(text, UInt32.self).map { .uint32($0) }
        case UInt8(ascii: "x"): value = Self.integer(text, Int64.self).map { .int64($0) }
        case UInt8(ascii: "t"): value = Self.integer(text, UInt64.self).map { .uint64($0) }
        case UInt8(ascii: "d"): value = Double(text).map { .double($0) }
        default: value = nil
        }
        guard let value else {
            let name = type.map { " of type \(String(decoding: $0, as: UTF8.self))" } ?? ""
            throw VariantTextError("\"\(text)\" is no number\(name)")
        }
        return value
    }

    /// Parses a decimal, hexadecimal (`0x`) or octal (`0`) number.
    private static func integer<Number: FixedWidthInteger>(_ text: String, _ type: Number.Type)
        -> Number?
    {
        var digits = text[...]
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = String(digits.removeFirst())
        }
        guard let first = digits.utf8.first,
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        else { return nil }
        if digits.begins(with: "0x") { return Number(sign + digits.dropFirst(2), radix: 16) }
        if digits.utf8.count > 1, first == UInt8(ascii: "0") {
            return Number(sign + digits.dropFirst(), radix: 8)
        }
        return Number(sign + digits)
    }

    private static func isFraction(_ text: String) -> Bool {
        let digits = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return digits && text.utf8.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == 0x65 }
    }

    // MARK: - Bytes

    private static func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"")
    }

    private mutating func skipSpace() {
        rest = rest.drop { $0 == 0x20 || (9...13).contains($0) }
    }

    private mutating func expect(_ byte: UInt8) throws(VariantTextError) {
        skipSpace()
        guard rest.popFirst() == byte else {
            throw VariantTextError("\"\(Character(Unicode.Scalar(byte)))\" is missing")
        }
    }
}
#endif
