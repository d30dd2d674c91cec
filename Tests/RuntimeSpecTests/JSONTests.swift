// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@Suite("JSON text")
struct JSONTests {
    @Test(
        "JSON values are read exactly",
        arguments: [
            ("null", JSONValue.null), ("true", .bool(true)), (" false ", .bool(false)),
            ("0", .integer(0)), ("-0", .integer(0)), ("-12", .integer(-12)),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .unsigned(9_223_372_036_854_775_808)),
            ("18446744073709551615", .unsigned(.max)),
            ("18446744073709551616", .double(18_446_744_073_709_551_616)),
            ("-9223372036854775809", .double(-9_223_372_036_854_775_808)),
            ("1.5", .double(1.5)), ("1e3", .double(1000)), ("-2.5E-1", .double(-0.25)),
            ("\"\"", .string("")), ("\"a b\"", .string("a b")), ("[]", .array([])),
            ("[1, [2]]", .array([.integer(1), .array([.integer(2)])])),
            ("{}", .object([:])),
            ("{\"a\":{\"b\":1}}", .object(["a": .object(["b": .integer(1)])])),
        ])
    func values(_ json: String, _ expected: JSONValue) throws {
        #expect(try JSONValue(json: bytes(json)) == expected)
    }

    @Test(
        "escapes in JSON texts are decoded",
        arguments: [
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9""#, "Aé"),
            (#""x\ud83d\ude00y""#, "x😀y"), (#""\uFFFF\u0000""#, "\u{FFFF}\u{0}"),
            ("\"grüße 🐋\"", "grüße 🐋"), (#""é\n🐋""#, "é\n🐋"),
        ])
    func escapes(_ json: String, _ expected: String) throws {
        #expect(try JSONValue(json: bytes(json)) == .string(expected))
    }

    @Test(
        "the position of a JSON error is a line and a column in bytes",
        arguments: [
            ("", 1, 1), ("{\n  \"a\": x}", 2, 8), ("[1,\n2,\n]", 3, 1), ("\"é\u{1}\"", 1, 4),
            ("{\"a\":1,}", 1, 8), ("[\"\\u12\"]", 1, 7), ("[\"\\udc00\"]", 1, 3),
            ("[\"\\ud800\\u0041\"]", 1, 3), ("-", 1, 2), ("1e", 1, 3), ("nul", 1, 1),
            ("[1 2]", 1, 4), ("\"abc", 1, 1), ("\"ab\\", 1, 5), ("1 1", 1, 3),
        ])
    func places(_ json: String, _ line: Int, _ column: Int) {
        let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(json: bytes(json)) }
        #expect(error?.line == line)
        #expect(error?.column == column)
    }

    @Test(
        "a text may have every character at every place, but a quote, a backslash or a control character",
        arguments: 0..<20)
    func characters(_ place: Int) throws {
        // Beside the character stand those with neighboring codes.
        let (before, after) = (Array(" !#[]\u{7F}".utf8), Array("]!\u{7F}#[".utf8))
        for code in UInt8(0)..<128 {
            let text =
                (0..<place).map { before[$0 % before.count] } + [code]
                + (place..<20).map { after[$0 % after.count] }
            let read = Result { try JSONValue(json: bytes("\"") + text + bytes("\"")) }
            switch code {
            case 0..<0x20, UInt8(ascii: "\""):
                let error = #expect(throws: JSONSyntaxError.self) { try read.get() }
                #expect(error?.column == place + (code < 0x20 ? 2 : 3), "\(code)")
            case UInt8(ascii: "\\"):
                let error = #expect(throws: JSONSyntaxError.self) { try read.get() }
                #expect(error?.column == place + 3)
            default:
                #expect(try read.get() == .string(String(decoding: text, as: UTF8.self)))
            }
        }
    }

    @Test(
        "invalid UTF-8 in JSON is refused",
        arguments: [[0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xFF]])
    func invalidUTF8(_ bad: [UInt8]) {
        for place in 0..<20 {
            let error = #expect(throws: JSONSyntaxError.self) {
                try JSONValue(
                    json: bytes("[\"" + String(repeating: "-", count: place)) + bad + bytes("\"]"))
            }
            #expect(error?.message == "found bytes that are not UTF-8")
            #expect(error?.column == place + 3)
        }
    }

    @Test(
        "the last value of a repeated JSON name counts, however many names there are",
        arguments: [2, 40])
    func repeatedNames(_ count: Int) throws {
        let members = (0..<count).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let value = try JSONValue(json: bytes("{\"k1\":\"first\",\(members)}"))
        guard case .object(let object) = value else {
            Issue.record("not an object")
            return
        }
        #expect(object.members.map(\.key) == (0..<count).map { "k\($0)" })
        #expect(object["k1"] == .integer(1))
    }

    @Test("JSON of 128 nesting levels is read, of 129 refused")
    func nesting() throws {
        func nested(_ depth: Int) -> [UInt8] {
            bytes(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        }
        _ = try JSONValue(json: nested(128))
        let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(json: nested(129)) }
        #expect(error?.message == "nested more than 128 deep")
        #expect(throws: JSONSyntaxError.self) {
            try JSONValue(json: bytes(String(repeating: "{\"a\":[", count: 1_000_000)))
        }
    }

    @Test("JSON arrays side by side do not count as deeper nesting")
    func siblings() throws {
        let json = "[" + Array(repeating: "[{}]", count: 200).joined(separator: ",") + "]"
        _ = try JSONValue(json: bytes(json))
    }

    @Test("compact JSON has no spaces")
    func compact() {
        let value = JSONValue.object([
            "a": .array([.integer(1), .double(0.5), .null]), "b": .object([:]), "c": .array([]),
            "d/<&>": .string("\"\\\u{1}\u{1F}\n\t\u{7F}é"), "e": .unsigned(.max), "f": .bool(false),
        ])
        #expect(
            text(value.encoded()) == """
                {"a":[1,0.5,null],"b":{},"c":[],"d/<&>":"\\"\\\\\\u0001\\u001f\\n\\t\\u007fé",\
                "e":18446744073709551615,"f":false}
                """)
    }

    @Test("pretty JSON has the layout of Go's MarshalIndent")
    func pretty() {
        let value = JSONValue.object([
            "a": .array([.integer(1), .object(["b": .null])]), "c": .object([:]), "d": .array([]),
        ])
        #expect(
            text(value.encoded(pretty: true)) == """
                {
                  "a": [
                    1,
                    {
                      "b": null
                    }
                  ],
                  "c": {},
                  "d": []
                }
                """)
    }

    @Test("a double that is not a finite number is written as null")
    func notFinite() {
        #expect(
            text(JSONValue.array([.double(.nan), .double(.infinity)]).encoded()) == "[null,null]")
    }

    @Test(
        "any bytes are read as JSON or refused, and what is read can be written and read again",
        arguments: 0..<40)
    func randomBytes(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let alphabet = bytes("{}[]\":,\\u0123456789abcdeftruensl.-+ \n\u{1}é🐋") + [0xFF, 0xC0, 0]
        let template = try Fixture.good("full").json
        for round in 0..<250 {
            var json: [UInt8]
            if round % 2 == 0 {
                let count = Int.random(in: 0...40, using: &random)
                json = (0..<count).compactMap { _ in alphabet.randomElement(using: &random) }
            } else {
                // A valid text with one to three wrong bytes gets much further into the reader.
                json = template
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let index = Int.random(in: 0..<json.count, using: &random)
                    json[index] = alphabet.randomElement(using: &random) ?? 0
                }
            }
            guard let value = try? JSONValue(json: json) else { continue }
            #expect(try JSONValue(json: value.encoded()) == value)
            guard let spec = try? Spec(json: json) else { continue }
            #expect(try Spec(json: spec.encoded.encoded()) == spec)
            try? spec.check()
        }
    }

    @Test("every truncated JSON text is refused")
    func truncated() throws {
        let json = try Fixture.good("minimal").json
        let end = try #require(json.lastIndex(of: UInt8(ascii: "}")))
        for count in 0..<end {
            #expect(throws: JSONSyntaxError.self) { try JSONValue(json: Array(json[0..<count])) }
        }
    }

    @Test("an object that is read up to a member has those before it, if it ends at all")
    func upTo() throws {
        let text = #"{"a": 1, "b": {"rest": 2}, "rest": [{"x": "]}"}, tru], "c": null} "# + "\n"
        let read = try JSONValue(json: Array(text.utf8), upTo: "rest")
        #expect(String(decoding: read.encoded(), as: UTF8.self) == #"{"a":1,"b":{"rest":2}}"#)
        let plain = #"{"a":1,"b":[{"rest":2}]}"#
        let whole = try JSONValue(json: Array(plain.utf8), upTo: "rest")
        #expect(String(decoding: whole.encoded(), as: UTF8.self) == plain)
    }

    @Test(
        "an object that is read up to a member must be right before it, and end with its bracket",
        arguments: [
            #"{"rest": [1, 2"#, #"{"rest": [1]"#, #"{"rest":"#, #"{"rest""#,
            #"{"a": tru, "rest": 1}"#,
        ])
    func upToWithoutEnd(_ text: String) {
        #expect(throws: JSONSyntaxError.self) {
            try JSONValue(json: Array(text.utf8), upTo: "rest")
        }
    }
}

/// A small random generator, so that a failing seed can be run again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
