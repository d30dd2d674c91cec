// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec

/// Names, texts and numbers from which changes are made.
struct Words: Sendable {
    /// The names of members and the texts of the corpus, as conformance/security/coverage lists them.
    let names: [String]

    static let texts = [
        "", "/", ".", "..", "../..", "/proc/self/fd/3", "/a//b/./c", "a:b:c", "a=b", "\u{0}", "\n",
        // What Swift joins to one character.
        "é", "e\u{301}", "../\u{301}", "x\u{600}/..", "a\r\nb",
        "\u{10FFFF}", "\u{85}", "18446744073709551616", "-1", "0x10", "rbind,ro",
        "size=64k", "[0]", "mounts[0]", "%s", "\\", "\"", String(repeating: "x", count: 300),
    ]

    static let numbers: [JSONValue] = [
        .integer(0), .integer(1), .integer(-1), .integer(7), .integer(255), .integer(4096),
        .integer(65535), .integer(65536), .integer(Int64(Int32.max)), .integer(Int64(Int32.min)),
        .integer(Int64(UInt32.max)), .integer(Int64(UInt32.max) + 1), .integer(.max),
        .integer(.min), .unsigned(UInt64(Int64.max) + 1), .unsigned(.max), .double(0.5),
        .double(1e308), .double(-0.0),
    ]

    static let others: [JSONValue] = [
        .null, .bool(true), .bool(false), .array([]), .object([:]), .array([.null]), .string(""),
    ]

    /// Reads the file that the environment names.
    init() {
        var names: [String] = []
        if let path = getenv("FUZZ_WORDS"), let file = fopen(path, "r") {
            var line = [CChar](repeating: 0, count: 4096)
            while fgets(&line, CInt(line.count), file) != nil {
                let text = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
                names.append(String(decoding: text, as: UTF8.self))
            }
            fclose(file)
        }
        self.names = names.isEmpty ? ["a"] : names
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt32) {
        state = UInt64(seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number below `limit`, which is above 0.
    mutating func roll(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[roll(elements.count)] }
}
