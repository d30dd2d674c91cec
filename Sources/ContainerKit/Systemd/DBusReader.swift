// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// Decodes values from bytes that another process has sent.
///
/// All input is checked: every length is compared with the bytes present, and nesting is limited.
/// So decoding always ends with a value or an error.
struct DBusReader {
    private let bytes: ArraySlice<UInt8>
    private let isLittleEndian: Bool
    /// The offset of the next value from the start of `bytes`.
    private var offset = 0

    init(_ bytes: ArraySlice<UInt8>, isLittleEndian: Bool) {
        self.bytes = bytes
        self.isLittleEndian = isLittleEndian
    }

    /// The number of remaining bytes.
    var remaining: Int { bytes.count - offset }

    /// Decodes the values of a whole signature.
    mutating func values(_ signature: [UInt8]) throws(DBusFormatError) -> [DBusValue] {
        var values: [DBusValue] = []
        var rest = signature[...]
        while !rest.isEmpty {
            let length = try DBusType.length(of: rest)
            values.append(try value(rest.prefix(length), depth: 0))
            rest = rest.dropFirst(length)
        }
        return values
    }

    /// Skips the padding to a multiple of `boundary`, counted from the start of the bytes.
    mutating func align(to boundary: Int) throws(DBusFormatError) {
        let target = (offset + boundary - 1) / boundary * boundary
        _ = try take(target - offset)
    }

    /// Decodes one value; `type` is one complete type.
    private mutating func value(_ type: ArraySlice<UInt8>, depth: Int) throws(DBusFormatError)
        -> DBusValue
    {
        guard depth < 64 else { throw DBusFormatError("values are nested too deeply") }
        guard let letter = type.first else { throw DBusFormatError("a type is missing") }
        switch letter {
        case UInt8(ascii: "y"): return .byte(UInt8(truncatingIfNeeded: try number(1)))
        case UInt8(ascii: "b"):
            let number = try number(4)
            guard number < 2 else { throw DBusFormatError("a boolean is \(number)") }
            return .boolean(number == 1)
        case UInt8(ascii: "n"): return .int16(Int16(truncatingIfNeeded: try number(2)))
        case UInt8(ascii: "q"): return .uint16(UInt16(truncatingIfNeeded: try number(2)))
        case UInt8(ascii: "i"): return .int32(Int32(truncatingIfNeeded: try number(4)))
        case UInt8(ascii: "u"), UInt8(ascii: "h"):
            return .uint32(UInt32(truncatingIfNeeded: try number(4)))
        case UInt8(ascii: "x"): return .int64(Int64(truncatingIfNeeded: try number(8)))
        case UInt8(ascii: "t"): return .uint64(try number(8))
        case UInt8(ascii: "d"): return .double(Double(bitPattern: try number(8)))
        case UInt8(ascii: "s"): return .string(try text(lengthBytes: 4))
        case UInt8(ascii: "o"): return .objectPath(try text(lengthBytes: 4))
        case UInt8(ascii: "g"): return .signature(try text(lengthBytes: 1))
        case UInt8(ascii: "v"): return .variant(try variant(depth: depth + 1))
        case UInt8(ascii: "a"): return try array(of: type.dropFirst(), depth: depth + 1)
        default: return try structure(type, depth: depth + 1)
        }
    }

    private mutating func variant(depth: Int) throws(DBusFormatError) -> DBusValue {
        let signature = Array(try text(lengthBytes: 1).utf8)
        guard try DBusType.length(of: signature[...]) == signature.count else {
            throw DBusFormatError("a variant has more than one type")
        }
        return try value(signature[...], depth: depth)
    }

    private mutating func array(of element: ArraySlice<UInt8>, depth: Int) throws(DBusFormatError)
        -> DBusValue
    {
        let length = Int(try number(4))
        try align(to: DBusType.alignment(of: element.first ?? 0))
        guard length <= remaining else {
            throw DBusFormatError("an array of \(length) bytes is longer than its message")
        }
        let end = offset + length
        var values: [DBusValue] = []
        // Every type takes at least one byte, so this loop ends.
        while offset < end { values.append(try value(element, depth: depth)) }
        guard offset == end else { throw DBusFormatError("an element crosses its array's end") }
        return .array(of: String(decoding: element, as: UTF8.self), values)
    }

    private mutating func structure(_ type: ArraySlice<UInt8>, depth: Int) throws(DBusFormatError)
        -> DBusValue
    {
        try align(to: 8)
        var members: [DBusValue] = []
        var rest = type.dropFirst().dropLast()
        while !rest.isEmpty {
            let length = try DBusType.length(of: rest)
            members.append(try value(rest.prefix(length), depth: depth))
            rest = rest.dropFirst(length)
        }
        guard type.first == UInt8(ascii: "{") else { return .structure(members) }
        guard members.count == 2 else {
            throw DBusFormatError("a dictionary's entry has \(members.count) members")
        }
        return .entry(key: members[0], value: members[1])
    }

    private mutating func text(lengthBytes: Int) throws(DBusFormatError) -> String {
        let length = Int(try number(lengthBytes))
        let content = try take(length)
        guard try take(1).first == 0, !content.contains(0) else {
            throw DBusFormatError("a text has no end, or one inside")
        }
        return String(decoding: content, as: UTF8.self)
    }

    private mutating func number(_ size: Int) throws(DBusFormatError) -> UInt64 {
        try align(to: size)
        var number: UInt64 = 0
        let digits = try take(size)
        for digit in isLittleEndian ? Array(digits.reversed()) : Array(digits) {
            number = number << 8 | UInt64(digit)
        }
        return number
    }

    private mutating func take(_ count: Int) throws(DBusFormatError) -> ArraySlice<UInt8> {
        guard count <= remaining else { throw DBusFormatError("a message ends inside a value") }
        let start = bytes.startIndex + offset
        offset += count
        return bytes[start..<(start + count)]
    }
}
#endif
