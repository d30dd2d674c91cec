// SPDX-License-Identifier: Apache-2.0

extension String {
    /// Whether the first byte is a slash.
    ///
    /// `hasPrefix` compares characters, and a slash followed by a combining mark is another
    /// character.
    var isAbsolutePath: Bool { utf8.first == UInt8(ascii: "/") }

    /// Whether an ASCII character occurs, also beside what Swift joins with it to another character:
    /// a combining mark, or a carriage return before a line feed.
    func hasByte(_ character: Unicode.Scalar) -> Bool { utf8.contains(UInt8(ascii: character)) }
}
