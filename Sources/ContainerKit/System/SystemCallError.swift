// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import SystemPackage

/// A refused system call: its name, arguments and errno.
///
/// The description reads `openat2("/proc/kcore"): Permission denied`.
public struct SystemCallError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name of the call, as in its manual page.
    public let call: String
    /// The arguments worth showing, as text.
    public let arguments: String
    /// The error that the kernel returned.
    public let errno: Errno

    /// An error for a refused call.
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
    /// The errno in words, in the lower-case form that engines search for.
    package var words: String {
        ErrnoWords.text(for: rawValue)
    }
}
#endif
