// SPDX-License-Identifier: Apache-2.0

/// A position in a JSON text that moves forward as values are read.
///
/// The text is passed to each function because a span cannot be stored in an escapable value.
struct JSONReader {
    /// How deep arrays and objects may be nested.
    static let nestingLimit = 128

    var index = 0
    private var depth = 0
    /// The name of the first member of the outermost object that is not read.
    private var end: String?

    /// Reads the only value of `bytes`; if it is an object, the members before `name`.
    static func read(_ bytes: Span<UInt8>, upTo name: String? = nil)
        throws(JSONSyntaxError) -> JSONValue
    {
        var reader = JSONReader()
        reader.end = name
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw reader.failure("found a byte order mark, expected a value", bytes)
        }
        reader.skipSpace(bytes)
        guard reader.index < bytes.count else {
            throw JSONSyntaxError(JSONSyntaxError.empty, at: 0, in: bytes)
        }
        let value = try reader.readValue(bytes)
        reader.skipSpace(bytes)
        guard reader.index == bytes.count else {
            throw reader.unexpected("the end of the text", bytes)
        }
        return value
    }

    private mutating func readValue(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> JSONValue {
        guard index < bytes.count else { throw unexpected("a value", bytes) }
        switch bytes[index] {
        case UInt8(ascii: "{"): return .object(try readObject(bytes))
        case UInt8(ascii: "["): return .array(try readArray(bytes))
        case UInt8(ascii: "\""): return .string(try readString(bytes))
        case UInt8(ascii: "t"):
            try readLiteral("true", bytes)
            return .bool(true)
        case UInt8(ascii: "f"):
            try readLiteral("false", bytes)
            return .bool(false)
        case UInt8(ascii: "n"):
            try readLiteral("null", bytes)
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try readNumber(bytes)
        default: throw unexpected("a value", bytes)
        }
    }

    private mutating func readObject(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> JSONObject {
        try enterNested(bytes)
        defer { depth -= 1 }
        if accept(UInt8(ascii: "}"), bytes) { return JSONObject() }
        var members: [JSONObject.Member] = []
        // Of most objects, the array then grows no more.
        members.reserveCapacity(4)
        while true {
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
                throw unexpected("a member name in double quotes", bytes)
            }
            let key = try readString(bytes)
            skipSpace(bytes)
            guard accept(UInt8(ascii: ":"), bytes) else { throw unexpected("\":\"", bytes) }
            if let end, depth == 1, key == end {
                try skipToEnd(bytes)
                break
            }
            members.append(JSONObject.Member(key: key, value: try readValue(bytes)))
            skipSpace(bytes)
            if accept(UInt8(ascii: "}"), bytes) { break }
            guard accept(UInt8(ascii: ","), bytes) else {
                throw unexpected("\",\" or \"}\"", bytes)
            }
        }
        return JSONObject(reading: members)
    }

    private mutating func readArray(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> [JSONValue] {
        try enterNested(bytes)
        defer { depth -= 1 }
        if accept(UInt8(ascii: "]"), bytes) { return [] }
        var elements: [JSONValue] = []
        while true {
            elements.append(try readValue(bytes))
            skipSpace(bytes)
            if accept(UInt8(ascii: "]"), bytes) { return elements }
            guard accept(UInt8(ascii: ","), bytes) else {
                throw unexpected("\",\" or \"]\"", bytes)
            }
        }
    }

    /// Steps to the end of the text, where at least the outermost object must end.
    private mutating func skipToEnd(_ bytes: Span<UInt8>) throws(JSONSyntaxError) {
        var last = bytes.count - 1
        while [0x20, 0x09, 0x0A, 0x0D].contains(bytes[last]) { last -= 1 }
        index = bytes.count
        guard bytes[last] == UInt8(ascii: "}") else { throw unexpected("\"}\"", bytes) }
    }

    /// Steps over an opening bracket and the space after it.
    private mutating func enterNested(_ bytes: Span<UInt8>) throws(JSONSyntaxError) {
        guard depth < Self.nestingLimit else {
            throw failure("nested more than \(Self.nestingLimit) deep", bytes)
        }
        depth += 1
        index += 1
        skipSpace(bytes)
    }

    /// Skips `byte` and the white space after it if `byte` comes next.
    ///
    /// White space may also follow the bracket that closes the outermost value, so this function
    /// serves every punctuation mark.
    private mutating func accept(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        skipSpace(bytes)
        return true
    }

    private mutating func readLiteral(
        _ literal: StaticString, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) {
        let start = index
        for expected in "\(literal)".utf8 {
            guard index < bytes.count, bytes[index] == expected else {
                index = start
                throw unexpected("a value", bytes)
            }
            index += 1
        }
    }

    private mutating func skipSpace(_ bytes: Span<UInt8>) {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    /// An error with `message` at the current position.
    func failure(_ message: String, _ bytes: Span<UInt8>) -> JSONSyntaxError {
        JSONSyntaxError(message, at: index, in: bytes)
    }

    /// An error that names the byte at the current position and what should be there.
    func unexpected(_ expected: String, _ bytes: Span<UInt8>) -> JSONSyntaxError {
        guard index < bytes.count else {
            return failure("found the end of the text, expected \(expected)", bytes)
        }
        let byte = bytes[index]
        let found =
            (0x21...0x7E).contains(byte)
            ? "\"\(Character(UnicodeScalar(byte)))\"" : "byte 0x\(hexadecimal(byte))"
        return failure("found \(found), expected \(expected)", bytes)
    }
}

/// Two upper-case hexadecimal digits.
func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "0" + digits : digits
}
