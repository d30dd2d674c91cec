// SPDX-License-Identifier: Apache-2.0

extension String {
    /// Whether the first byte is a slash.
    ///
    /// `hasPrefix` compares characters, and for it a slash with a combining mark behind it is another one.
    var isAbsolutePath: Bool { utf8.first == UInt8(ascii: "/") }
}
