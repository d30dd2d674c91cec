// SPDX-License-Identifier: Apache-2.0

extension String {
    /// Whether the first byte is a slash.
    ///
    /// `hasPrefix` compares characters, and a slash followed by a combining mark is another
    /// character.
    var isAbsolutePath: Bool { utf8.first == UInt8(ascii: "/") }
}
