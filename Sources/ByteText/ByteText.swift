// SPDX-License-Identifier: Apache-2.0

/// An argument or a variable of a program, as its bytes.
///
/// To the kernel these are bytes without a NUL, in no encoding: a file's name may be Latin-1. A `String` would
/// put other bytes in the place of those that are no UTF-8.
public struct ByteText: Hashable, Sendable, ExpressibleByStringInterpolation,
    CustomStringConvertible
{
    /// The bytes.
    public let bytes: [UInt8]

    /// A text of these bytes.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A text in UTF-8.
    public init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// A text in UTF-8.
    public init(stringLiteral text: String) {
        self.init(text)
    }

    /// What a person reads: bytes that are no UTF-8 are replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The text in UTF-8; nil if it is none.
    public var utf8Text: String? {
        let text = description
        return text.utf8.elementsEqual(bytes) ? text : nil
    }

    /// Whether the first bytes are those of `prefix`.
    public func begins(with prefix: String) -> Bool { bytes.starts(with: prefix.utf8) }
}
