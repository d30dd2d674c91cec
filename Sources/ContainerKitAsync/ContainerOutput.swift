// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import SystemPackage

/// The standard output or standard error of a process in a container.
public struct ContainerOutput: Sendable {
    enum Outlet: Sendable {
        case null, inherited, sequence, combined
        case collected(limit: Int)
        case descriptor(CInt)
    }

    let outlet: Outlet

    /// Dropped: /dev/null.
    public static let discarded = ContainerOutput(outlet: .null)
    /// The caller's own standard output, or standard error.
    public static let inherit = ContainerOutput(outlet: .inherited)
    /// Read by the body, in `RunningContainer.standardOutput` or `standardError`.
    ///
    /// A process that writes faster than the body reads is blocked. What the body has not read when
    /// it returns is dropped.
    public static let sequence = ContainerOutput(outlet: .sequence)
    /// For standard error only: the same as standard output.
    public static let combined = ContainerOutput(outlet: .combined)

    /// Kept in the result, up to `limit` bytes; the rest is read and dropped.
    public static func collected(limit: Int) -> ContainerOutput {
        ContainerOutput(outlet: .collected(limit: max(0, limit)))
    }

    /// An open descriptor, which the caller has to close.
    public static func descriptor(_ descriptor: FileDescriptor) -> ContainerOutput {
        ContainerOutput(outlet: .descriptor(descriptor.rawValue))
    }
}

/// The output of a process, up to the limit.
public struct CollectedOutput: Sendable, Hashable {
    /// The bytes.
    public var bytes: [UInt8]
    /// Whether there were more bytes than the limit allows.
    public var isTruncated: Bool

    /// Makes an output from its parts.
    public init(bytes: [UInt8] = [], isTruncated: Bool = false) {
        self.bytes = bytes
        self.isTruncated = isTruncated
    }

    /// The bytes as text; bytes that are not UTF-8 are replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
#endif
