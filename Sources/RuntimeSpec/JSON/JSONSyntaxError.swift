// SPDX-License-Identifier: Apache-2.0

/// The first place where a text is not JSON.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The line, counted from 1.
    public let line: Int
    /// The column in bytes of the line, counted from 1.
    public let column: Int
    /// What was found and what was expected there.
    public let message: String

    /// An error at byte `offset` of `bytes`.
    init(_ message: String, at offset: Int, in bytes: Span<UInt8>) {
        var line = 1
        var lineStart = 0
        for index in 0..<min(offset, bytes.count) where bytes[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        self.line = line
        self.column = offset - lineStart + 1
        self.message = message
    }

    /// The message for a text that is empty or blank, which has no place to point at.
    static let empty = "the file is empty"

    /// One line: `line 3, column 7: found "}", expected a value`, or `the file is empty`.
    public var description: String {
        message == Self.empty ? message : "line \(line), column \(column): \(message)"
    }
}
