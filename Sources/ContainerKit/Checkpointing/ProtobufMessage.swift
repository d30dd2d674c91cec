// SPDX-License-Identifier: Apache-2.0

// The wire format of protocol buffers, as far as CRIU's messages need it: varints, and bytes with a
// length.
//
// Source: protobuf.dev, Encoding.

#if os(Linux)
/// A message that is being written.
///
/// Fields are written in the order in which they are added; nil fields are left out.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    /// The wire type of a field, in the lowest bits of its key.
    private enum WireType: UInt64 {
        case varint = 0
        case lengthDelimited = 2
    }

    private mutating func addVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func addKey(_ number: UInt64, _ type: WireType) {
        addVarint(number << 3 | type.rawValue)
    }

    /// A field of type int32, uint32 or of an enumeration; a negative number takes ten bytes.
    mutating func add(_ number: UInt64, integer value: Int?) {
        guard let value else { return }
        addKey(number, .varint)
        addVarint(UInt64(bitPattern: Int64(value)))
    }

    /// A field of the type bool.
    mutating func add(_ number: UInt64, _ value: Bool?) {
        add(number, integer: value.map { $0 ? 1 : 0 })
    }

    /// A field of the type string.
    mutating func add(_ number: UInt64, _ value: String?) {
        guard let value else { return }
        add(number, bytes: Array(value.utf8))
    }

    /// A nested message.
    mutating func add(_ number: UInt64, _ value: ProtobufWriter?) {
        guard let value else { return }
        add(number, bytes: value.bytes)
    }

    private mutating func add(_ number: UInt64, bytes value: [UInt8]) {
        addKey(number, .lengthDelimited)
        addVarint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }
}

/// The fields of a decoded message; if a field is repeated, the last one counts, as the format
/// demands.
struct ProtobufFields {
    /// The value of a field.
    private enum Value {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var fields: [(number: UInt64, value: Value)] = []

    /// Decodes a message; nil if it is malformed.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            guard let key = Self.takeVarint(&rest) else { return nil }
            let number = key >> 3
            switch key & 7 {
            case 0:
                guard let value = Self.takeVarint(&rest) else { return nil }
                fields.append((number, .number(value)))
            case 2:
                guard let length = Self.takeVarint(&rest), length <= UInt64(rest.count) else {
                    return nil
                }
                fields.append((number, .bytes(rest.prefix(Int(length)))))
                rest = rest.dropFirst(Int(length))
            case 1, 5:
                // Fixed 64-bit and 32-bit values, which none of our fields has.
                let length = key & 7 == 1 ? 8 : 4
                guard rest.count >= length else { return nil }
                rest = rest.dropFirst(length)
            default: return nil
            }
        }
    }

    private static func takeVarint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    private func value(_ number: UInt64) -> Value? {
        fields.last { $0.number == number }?.value
    }

    /// A field of the type int32; nil if there is none.
    func integer(_ number: UInt64) -> Int? {
        guard case .number(let value) = value(number) else { return nil }
        return Int(Int32(truncatingIfNeeded: value))
    }

    /// A field of the type bool; false if there is none.
    func flag(_ number: UInt64) -> Bool {
        guard case .number(let value) = value(number) else { return false }
        return value != 0
    }

    /// A field of the type string; invalid UTF-8 is repaired.
    func text(_ number: UInt64) -> String? {
        guard case .bytes(let bytes) = value(number) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A nested message; nil if it is missing or malformed.
    func message(_ number: UInt64) -> ProtobufFields? {
        guard case .bytes(let bytes) = value(number) else { return nil }
        return ProtobufFields(bytes)
    }
}
#endif
