// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

/// Where a process of a container writes its standard output or its errors.
public struct ContainerOutput: Sendable {
    enum Outlet: Sendable {
        case null, inherited, sequence, combined
        case collected(limit: Int)
        case descriptor(CInt)
    }

    let outlet: Outlet

    /// Nowhere.
    public static let discarded = ContainerOutput(outlet: .null)
    /// The caller's own standard output, or errors.
    public static let inherit = ContainerOutput(outlet: .inherited)
    /// To the body, as it comes: `RunningContainer.standardOutput`, `standardError`.
    ///
    /// A process that writes faster than the body reads is held up. What the body leaves is dropped.
    public static let sequence = ContainerOutput(outlet: .sequence)
    /// Errors only: into the same as the output.
    public static let combined = ContainerOutput(outlet: .combined)

    /// Into the result, up to `limit` bytes; what comes after them is read and dropped.
    public static func collected(limit: Int) -> ContainerOutput {
        ContainerOutput(outlet: .collected(limit: max(0, limit)))
    }

    /// To an open descriptor, which stays the caller's.
    public static func descriptor(_ descriptor: FileDescriptor) -> ContainerOutput {
        ContainerOutput(outlet: .descriptor(descriptor.rawValue))
    }
}

/// What a process has written, as far as the limit allowed.
public struct CollectedOutput: Sendable, Hashable {
    /// The bytes.
    public var bytes: [UInt8]
    /// Whether there were more.
    public var isTruncated: Bool

    /// An output of its parts.
    public init(bytes: [UInt8] = [], isTruncated: Bool = false) {
        self.bytes = bytes
        self.isTruncated = isTruncated
    }

    /// The bytes as text; what is no UTF-8 is replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
