// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec

extension SeccompFilter {
    /// A filter compiled elsewhere: an array of this machine's `struct sock_filter`, in base64.
    ///
    /// Only its form is checked here; the kernel checks the program itself.
    init(base64 text: String) throws(SeccompError) {
        let field = JSONPath("annotations").appending(key: ConfigAnnotation.seccompProgram)
        guard let program = Base64.bytes(of: text) else {
            throw SeccompError(.invalid, field, "is not base64")
        }
        let size = FilterInstruction.sizeBytes
        let longest = FilterInstruction.limitOfProgram
        guard !program.isEmpty, program.count % size == 0, program.count / size <= longest else {
            throw SeccompError(
                .invalid, field,
                "\(program.count) bytes are no program of 1 to \(longest) instructions")
        }
        self.init(program: program, flags: .empty, unknownSystemCalls: [])
    }
}

/// Decodes base64.
///
/// Source: RFC 4648, section 4.
enum Base64 {
    /// The decoded bytes, skipping line breaks; nil if `text` is not base64.
    static func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count / 4 * 3)
        var bits: UInt32 = 0
        var digits = 0
        var padding = 0
        for character in text.utf8 where character != UInt8(ascii: "\n") {
            if character == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(of: character) else { return nil }
            bits = bits << 6 | value
            digits += 1
            if digits % 4 == 0 {
                bytes += [UInt8(bits >> 16 & 0xff), UInt8(bits >> 8 & 0xff), UInt8(bits & 0xff)]
            }
        }
        guard (digits + padding) % 4 == 0 else { return nil }
        // In the last group, the bits beyond whole bytes must be zero.
        switch (digits % 4, padding) {
        case (0, 0): return bytes
        case (2, 2) where bits & 0xf == 0: return bytes + [UInt8(bits >> 4 & 0xff)]
        case (3, 1) where bits & 0x3 == 0:
            return bytes + [UInt8(bits >> 10 & 0xff), UInt8(bits >> 2 & 0xff)]
        default: return nil
        }
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
#endif
