// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

/// A system call that the kernel refused: which one, with what, and why.
///
/// The description reads `openat2("/proc/kcore"): Permission denied`.
public struct SystemCallError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name of the call, as in its manual page.
    public let call: String
    /// The arguments that matter to a reader, ready to print.
    public let arguments: String
    /// What the kernel answered.
    public let errno: Errno

    /// Records a refused call.
    public init(_ call: String, _ arguments: String, errno: Errno) {
        self.call = call
        self.arguments = arguments
        self.errno = errno
    }

    /// The call with its arguments, then the errno in words.
    public var description: String {
        "\(call)(\(arguments)): \(errno.words)"
    }
}

extension Errno {
    /// The errno as a person reads it, in the lower-case form that engines search for.
    var words: String {
        ErrnoWords.text(for: rawValue)
    }
}
