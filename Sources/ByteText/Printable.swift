// SPDX-License-Identifier: Apache-2.0

/// Text for a terminal: output and names from an image must not be able to control the terminal.
package enum Printable {
    /// Whether a terminal may interpret the character, or change the order of the following text.
    package static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F: true
        // Line and paragraph separators, and controls of the writing direction.
        case 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The character as an escape of a quoted Go string.
    package static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default:
            let digits = String(scalar.value, radix: 16)
            let width = scalar.value < 0x80 ? 2 : 4
            let zeros = String(repeating: "0", count: max(0, width - digits.count))
            return (scalar.value < 0x80 ? "\\x" : "\\u") + zeros + digits
        }
    }

    /// The text with its control characters escaped.
    package static func text(_ text: String, keepingLines: Bool = false) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if !isControl(scalar) || keepingLines && (scalar == "\n" || scalar == "\t") {
                result.unicodeScalars.append(scalar)
            } else {
                result += escaped(scalar)
            }
        }
        return result
    }
}
