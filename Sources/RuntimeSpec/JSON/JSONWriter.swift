// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// Gathers the text of JSON values.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private let pretty: Bool
    private var depth = 0

    /// A writer of compact text, or of text indented by two spaces.
    init(pretty: Bool) {
        self.pretty = pretty
    }

    /// Adds the text of `value`.
    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: add("null")
        case .bool(let value): add(value ? "true" : "false")
        case .integer(let value): bytes.append(decimal: Int(value))
        case .unsigned(let value): add("\(value)")
        case .double(let value): add(value.isFinite ? value.description : "null")
        case .string(let value): writeString(value)
        case .array(let elements): writeArray(elements)
        case .object(let object): writeObject(object)
        }
    }

    private mutating func writeArray(_ elements: [JSONValue]) {
        bytes.append(UInt8(ascii: "["))
        depth += 1
        for (index, element) in elements.enumerated() {
            startItem(isFirst: index == 0)
            write(element)
        }
        depth -= 1
        if !elements.isEmpty { startLine() }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func writeObject(_ object: JSONObject) {
        bytes.append(UInt8(ascii: "{"))
        depth += 1
        for (index, member) in object.members.enumerated() {
            startItem(isFirst: index == 0)
            writeString(member.key)
            add(pretty ? ": " : ":")
            write(member.value)
        }
        depth -= 1
        if !object.members.isEmpty { startLine() }
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func startItem(isFirst: Bool) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        startLine()
    }

    private mutating func startLine() {
        guard pretty else { return }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
    }

    private mutating func writeString(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        // Nearly all strings need no escapes and are added whole.
        guard Self.needsEscape(text.utf8.span) else {
            add(text)
            return bytes.append(UInt8(ascii: "\""))
        }
        var isAfterC2 = false
        for byte in text.utf8 {
            // DEL and the controls U+0080 to U+009F are escaped too: some terminals obey them.
            if isAfterC2, byte < 0xA0 {
                bytes.removeLast()
                add("\\u00" + hexadecimal(byte).lowercased())
                isAfterC2 = false
                continue
            }
            isAfterC2 = byte == 0xC2
            switch byte {
            case UInt8(ascii: "\""): add("\\\"")
            case UInt8(ascii: "\\"): add("\\\\")
            case 0x08: add("\\b")
            case 0x09: add("\\t")
            case 0x0A: add("\\n")
            case 0x0C: add("\\f")
            case 0x0D: add("\\r")
            case 0..<0x20, 0x7F: add("\\u00" + hexadecimal(byte).lowercased())
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ text: Span<UInt8>) -> Bool {
        for index in text.indices {
            switch text[index] {
            case 0..<0x20, 0x7F, 0xC2, UInt8(ascii: "\""), UInt8(ascii: "\\"): return true
            default: break
            }
        }
        return false
    }

    private mutating func add(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }
}
