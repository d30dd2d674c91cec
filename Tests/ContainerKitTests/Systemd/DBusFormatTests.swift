// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

@Suite("The wire format of D-Bus")
struct DBusFormatTests {
    /// systemd 257's answer to Properties.Get of its version, recorded with strace.
    static let recordedReply =
        hex("6c 02 01 01 19 00 00 00 02 00 00 00 37 00 00 00")
        + hex("05 01 75 00 02 00 00 00 07 01 73 00 18 00 00 00")
        + Array("org.freedesktop.systemd1".utf8) + hex("00 00 00 00 00 00 00 00")
        + hex("08 01 67 00 01 76 00 00") + hex("01 73 00 00 10 00 00 00")
        + Array("257.13-1~deb13u1".utf8) + [0]

    /// An error from systemd 257.
    static let recordedError =
        hex("6c 03 01 01 21 00 00 00 01 00 00 00 67 00 00 00")
        + hex("05 01 75 00 01 00 00 00 04 01 73 00 23 00 00 00")
        + Array("org.freedesktop.systemd1.NoSuchUnit".utf8) + hex("00 00 00 00 00")
        + hex("07 01 73 00 18 00 00 00") + Array("org.freedesktop.systemd1".utf8)
        + hex("00 00 00 00 00 00 00 00") + hex("08 01 67 00 01 73 00 00")
        + hex("1c 00 00 00") + Array("Unit swr-z.scope not loaded.".utf8) + [0]

    static func hex(_ text: String) -> [UInt8] {
        text.split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }

    @Test("a D-Bus call is encoded in the bytes that systemd accepts")
    func encodesCall() {
        var call = DBusMessage(
            calling: "Get", of: "org.freedesktop.DBus.Properties", at: "/org/freedesktop/systemd1",
            [.string("org.freedesktop.systemd1.Manager"), .string("ControlGroup")])
        call.serial = 1
        // A message to systemd 257 recorded with strace; systemd answered it.
        let expected =
            Self.hex("6c 01 00 01 39 00 00 00 01 00 00 00 68 00 00 00")
            + Self.hex("01 01 6f 00 19 00 00 00") + Array("/org/freedesktop/systemd1".utf8)
            + Self.hex("00 00 00 00 00 00 00") + Self.hex("02 01 73 00 1f 00 00 00")
            + Array("org.freedesktop.DBus.Properties".utf8) + [0]
            + Self.hex("03 01 73 00 03 00 00 00 47 65 74 00 00 00 00 00")
            + Self.hex("08 01 67 00 02 73 73 00") + Self.hex("20 00 00 00")
            + Array("org.freedesktop.systemd1.Manager".utf8) + Self.hex("00 00 00 00")
            + Self.hex("0c 00 00 00") + Array("ControlGroup".utf8) + [0]
        #expect(call.encoded == expected)
    }

    @Test("an answer of systemd can be decoded")
    func decodesReply() throws {
        #expect(
            try DBusMessage.length(beginning: Self.recordedReply.prefix(16))
                == Self.recordedReply.count)
        let reply = try #require(try DBusMessage(decoding: Self.recordedReply[...]))
        #expect(reply.kind == .methodReturn)
        #expect(reply.replySerial == 2)
        #expect(try reply.arguments() == [.variant(.string("257.13-1~deb13u1"))])
    }

    @Test("an error of systemd can be decoded")
    func decodesError() throws {
        let error = try #require(try DBusMessage(decoding: Self.recordedError[...]))
        #expect(error.kind == .error)
        #expect(error.errorName == "org.freedesktop.systemd1.NoSuchUnit")
        #expect(try error.arguments() == [.string("Unit swr-z.scope not loaded.")])
    }

    @Test("D-Bus numbers in the other byte order can be decoded")
    func bigEndian() throws {
        var reader = DBusReader(
            Self.hex("00 00 01 02 00 00 00 00 00 00 00 00 00 00 00 05")[...], isLittleEndian: false)
        #expect(try reader.values(Array("ut".utf8)) == [.uint32(0x102), .uint64(5)])
    }

    @Test("D-Bus values survive encoding and decoding")
    func roundTrip() throws {
        var random = SplitMix(state: 1)
        for _ in 0..<2000 {
            let values = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                Self.value(depth: 0, &random)
            }
            var message = DBusMessage(.signal, values)
            message.serial = .random(in: 1 ... .max, using: &random)
            message.member = "Random"
            let bytes = message.encoded
            #expect(try DBusMessage.length(beginning: bytes.prefix(16)) == bytes.count)
            let read = try #require(try DBusMessage(decoding: bytes[...]))
            #expect(read == message)
            #expect(try read.arguments() == values)
        }
    }

    /// A value of any type; the elements of an array are equal, so that they have the same type.
    static func value(depth: Int, _ random: inout SplitMix) -> DBusValue {
        let text = String(repeating: "ä/a", count: Int.random(in: 0...5, using: &random))
        switch Int.random(in: 0..<(depth < 4 ? 16 : 12), using: &random) {
        case 0: return .byte(.random(in: 0 ... .max, using: &random))
        case 1: return .boolean(.random(using: &random))
        case 2: return .int16(.random(in: .min ... .max, using: &random))
        case 3: return .uint16(.random(in: 0 ... .max, using: &random))
        case 4: return .int32(.random(in: .min ... .max, using: &random))
        case 5: return .uint32(.random(in: 0 ... .max, using: &random))
        case 6: return .int64(.random(in: .min ... .max, using: &random))
        case 7: return .uint64(.random(in: 0 ... .max, using: &random))
        case 8: return .double(.random(in: -1e9...1e9, using: &random))
        case 9: return .string(text)
        case 10: return .objectPath("/" + text)
        case 11: return .signature("a{sv}")
        case 12: return .variant(value(depth: depth + 1, &random))
        case 13:
            let element = value(depth: depth + 1, &random)
            let count = Int.random(in: 0...3, using: &random)
            return .array(of: element.signature, Array(repeating: element, count: count))
        case 14:
            let entry = DBusValue.entry(
                key: .string(text), value: .variant(value(depth: depth + 1, &random)))
            return .array(of: "{sv}", [entry, entry])
        default:
            return .structure([
                value(depth: depth + 1, &random), value(depth: depth + 1, &random),
            ])
        }
    }

    @Test("a damaged D-Bus message is an error or another message, and never traps")
    func damaged() {
        var random = SplitMix(state: 2)
        var refused = 0
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? Self.recordedReply : Self.recordedError
            for _ in 0...Int.random(in: 0...3, using: &random) {
                let index = bytes.indices.randomElement(using: &random) ?? 0
                bytes[index] = .random(in: 0 ... .max, using: &random)
            }
            if round % 3 == 0 { bytes.removeLast(.random(in: 0...bytes.count, using: &random)) }
            if !Self.isReadable(bytes) { refused += 1 }
        }
        #expect(refused > 5000)
    }

    @Test("bytes that are no D-Bus message are refused")
    func noise() {
        var random = SplitMix(state: 3)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...200, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            if !bytes.isEmpty { bytes[0] = UInt8(ascii: "l") }
            #expect(!Self.isReadable(bytes))
        }
    }

    @Test("every truncated D-Bus message is refused")
    func truncated() {
        for count in Self.recordedReply.indices {
            #expect(!Self.isReadable(Array(Self.recordedReply.prefix(count))))
        }
    }

    private static func isReadable(_ bytes: [UInt8]) -> Bool {
        do throws(DBusFormatError) {
            let prefix = bytes.prefix(DBusMessage.prefixLength)
            guard try DBusMessage.length(beginning: prefix) == bytes.count,
                let message = try DBusMessage(decoding: bytes[...])
            else { return false }
            _ = try message.arguments()
            return true
        } catch {
            return false
        }
    }

    @Test(
        "D-Bus bodies with hostile contents are refused",
        arguments: [
            // An array longer than its message; one that ends inside an element.
            ("ay", "ff ff ff ff 00"), ("au", "05 00 00 00 01 00 00 00 01"),
            // A text longer than its message, one without its final NUL, one with a NUL inside.
            ("s", "ff ff ff 7f 61 00"), ("s", "01 00 00 00 61 62"), ("s", "02 00 00 00 61 00 00"),
            // A boolean of 2; a variant with two types, with none, with an unknown one.
            ("b", "02 00 00 00"), ("v", "02 79 79 00 01 01"), ("v", "00 00"), ("v", "01 7a 00 00"),
            // Types that end too early or are empty.
            ("a", ""), ("(", ""), ("()", ""), ("{s}", "00 00 00 00 00"), ("z", "00"),
        ])
    func hostile(signature: String, body: String) {
        var reader = DBusReader(Self.hex(body)[...], isLittleEndian: true)
        #expect(throws: DBusFormatError.self) { try reader.values(Array(signature.utf8)) }
    }

    @Test("endlessly nested D-Bus signatures are refused")
    func nesting() {
        // Variants in variants, and arrays in arrays.
        let variants: [UInt8] = (0..<5000).flatMap { _ in [1, UInt8(ascii: "v"), 0] }
        var reader = DBusReader(variants[...], isLittleEndian: true)
        #expect(throws: DBusFormatError.self) { try reader.values(Array("v".utf8)) }
        reader = DBusReader([UInt8](repeating: 0, count: 64)[...], isLittleEndian: true)
        let arrays = Array(String(repeating: "a", count: 5000).utf8) + [UInt8(ascii: "y")]
        #expect(throws: DBusFormatError.self) { try reader.values(arrays) }
    }

    @Test("a D-Bus message longer than any of systemd's is refused at once")
    func tooLong() {
        let prefix = Self.hex("6c 02 01 01 ff ff ff 07 02 00 00 00 00 00 00 00")
        #expect(throws: DBusFormatError.self) {
            try DBusMessage.length(beginning: prefix[...])
        }
    }
}

/// A generator that always gives the same numbers.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
