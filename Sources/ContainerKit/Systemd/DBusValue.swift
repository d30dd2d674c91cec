// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One value of a D-Bus message.
///
/// Source: D-Bus specification, Type System. File descriptors are not supported, since none are
/// sent.
indirect enum DBusValue: Equatable, Sendable {
    case byte(UInt8)
    case boolean(Bool)
    case int16(Int16)
    case uint16(UInt16)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case double(Double)
    case string(String)
    case objectPath(String)
    case signature(String)
    /// An array with its element type, which is needed if it is empty.
    case array(of: String, [DBusValue])
    case structure([DBusValue])
    /// An entry of an array that is a dictionary.
    case entry(key: DBusValue, value: DBusValue)
    case variant(DBusValue)

    /// The value's type in the protocol's letters.
    var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .array(let element, _): "a" + element
        case .structure(let members): "(" + members.map(\.signature).joined() + ")"
        case .entry(let key, let value): "{" + key.signature + value.signature + "}"
        case .variant: "v"
        }
    }

    /// An array of strings.
    static func strings(_ texts: [String]) -> DBusValue {
        .array(of: "s", texts.map(DBusValue.string))
    }

    /// An array of bytes.
    static func bytes(_ bytes: [UInt8]) -> DBusValue {
        .array(of: "y", bytes.map(DBusValue.byte))
    }

    /// The text of a string, object path or signature; nil for another type.
    var text: String? {
        switch self {
        case .string(let text), .objectPath(let text), .signature(let text): text
        default: nil
        }
    }
}

/// The error of bytes that are not a valid D-Bus message.
struct DBusFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Encodes values of a message, in little-endian order.
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    /// Pads to a multiple of `boundary`.
    mutating func align(to boundary: Int) {
        while bytes.count % boundary != 0 { bytes.append(0) }
    }

    mutating func append(_ value: DBusValue) {
        switch value {
        case .byte(let number): bytes.append(number)
        case .boolean(let flag): append(UInt32(flag ? 1 : 0), 4)
        case .int16(let number): append(UInt16(bitPattern: number), 2)
        case .uint16(let number): append(number, 2)
        case .int32(let number): append(UInt32(bitPattern: number), 4)
        case .uint32(let number): append(number, 4)
        case .int64(let number): append(UInt64(bitPattern: number), 8)
        case .uint64(let number): append(number, 8)
        case .double(let number): append(number.bitPattern, 8)
        case .string(let text), .objectPath(let text):
            append(UInt32(text.utf8.count), 4)
            bytes.append(contentsOf: text.utf8)
            bytes.append(0)
        case .signature(let text): append(signature: text)
        case .array(let element, let values): append(values, of: element)
        case .structure(let members):
            align(to: 8)
            for member in members { append(member) }
        case .entry(let key, let value):
            align(to: 8)
            append(key)
            append(value)
        case .variant(let value):
            append(signature: value.signature)
            append(value)
        }
    }

    private mutating func append(_ number: some FixedWidthInteger, _ size: Int) {
        align(to: size)
        let wide = UInt64(truncatingIfNeeded: number)
        for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: wide >> (index * 8))) }
    }

    private mutating func append(signature text: String) {
        bytes.append(UInt8(truncatingIfNeeded: text.utf8.count))
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    private mutating func append(_ values: [DBusValue], of element: String) {
        append(UInt32(0), 4)
        let place = bytes.count - 4
        align(to: DBusType.alignment(of: element.utf8.first ?? 0))
        let start = bytes.count
        for value in values { append(value) }
        // The length excludes the padding before the first element.
        let length = UInt32(bytes.count - start)
        for index in 0..<4 {
            bytes[place + index] = UInt8(truncatingIfNeeded: length >> (index * 8))
        }
    }
}

/// Types in the protocol's letters.
enum DBusType {
    /// The alignment of values of a type.
    static func alignment(of letter: UInt8) -> Int {
        switch letter {
        case UInt8(ascii: "n"), UInt8(ascii: "q"): 2
        case UInt8(ascii: "b"), UInt8(ascii: "i"), UInt8(ascii: "u"), UInt8(ascii: "s"),
            UInt8(ascii: "o"), UInt8(ascii: "a"), UInt8(ascii: "h"):
            4
        case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "d"), UInt8(ascii: "("),
            UInt8(ascii: "{"):
            8
        default: 1
        }
    }

    /// The number of letters of the first complete type in `signature`.
    ///
    /// - Parameters:
    ///   - signature: letters that begin with a type.
    ///   - depth: the nesting depth; the protocol allows 64 levels.
    /// - Returns: at least 1.
    /// - Throws: an error if the letters do not begin with a type.
    static func length(of signature: ArraySlice<UInt8>, depth: Int = 0) throws(DBusFormatError)
        -> Int
    {
        guard depth < 64, let letter = signature.first else {
            throw DBusFormatError("a signature ends too early or is nested too deeply")
        }
        let rest = signature.dropFirst()
        switch letter {
        case UInt8(ascii: "a"):
            return try 1 + length(of: rest, depth: depth + 1)
        case UInt8(ascii: "("), UInt8(ascii: "{"):
            let end = letter == UInt8(ascii: "(") ? UInt8(ascii: ")") : UInt8(ascii: "}")
            var members = rest
            while members.first != end {
                members = members.dropFirst(try length(of: members, depth: depth + 1))
            }
            let inner = rest.count - members.count
            guard inner > 0 else { throw DBusFormatError("a signature has an empty structure") }
            return inner + 2
        case UInt8(ascii: "y"), UInt8(ascii: "b"), UInt8(ascii: "n"), UInt8(ascii: "q"),
            UInt8(ascii: "i"), UInt8(ascii: "u"), UInt8(ascii: "x"), UInt8(ascii: "t"),
            UInt8(ascii: "d"), UInt8(ascii: "s"), UInt8(ascii: "o"), UInt8(ascii: "g"),
            UInt8(ascii: "v"), UInt8(ascii: "h"):
            return 1
        default:
            throw DBusFormatError("a signature has a letter that is no type (\(letter))")
        }
    }
}
#endif
