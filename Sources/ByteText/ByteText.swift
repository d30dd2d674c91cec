// SPDX-License-Identifier: Apache-2.0

/// An argument or an environment variable of a program, as bytes.
///
/// To the kernel these are bytes without a NUL, in no encoding: a file name may be Latin-1. A
/// `String` would replace bytes that are not UTF-8.
public struct ByteText: Hashable, Sendable, ExpressibleByStringInterpolation,
    CustomStringConvertible
{
    /// The bytes.
    public let bytes: [UInt8]

    /// A text of the given bytes.
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

    /// The text for people: bytes that are not UTF-8 are replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The text as a string; nil if it is not valid UTF-8.
    public var utf8Text: String? {
        let text = description
        return text.utf8.elementsEqual(bytes) ? text : nil
    }

    /// Whether the first bytes are those of `prefix`.
    public func begins(with prefix: String) -> Bool { bytes.starts(with: prefix.utf8) }
}
