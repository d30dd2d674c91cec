// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import SystemPackage

/// The standard input of a process in a container.
public struct ContainerInput: Sendable {
    enum Source: Sendable {
        case null, inherited, writer
        case bytes([UInt8])
        case descriptor(CInt)
    }

    let source: Source

    /// Empty: the process reads the end of file at once.
    public static let none = ContainerInput(source: .null)
    /// The caller's own standard input.
    public static let inherit = ContainerInput(source: .inherited)
    /// What the body of `withContainer` writes to `RunningContainer.standardInput`.
    public static let writer = ContainerInput(source: .writer)

    /// These bytes, then the end of file; bytes that the process does not read are dropped.
    public static func bytes(_ bytes: [UInt8]) -> ContainerInput {
        ContainerInput(source: .bytes(bytes))
    }

    /// This text in UTF-8, then the end of file.
    public static func text(_ text: String) -> ContainerInput { .bytes(Array(text.utf8)) }

    /// An open descriptor, which the caller has to close.
    public static func descriptor(_ descriptor: FileDescriptor) -> ContainerInput {
        ContainerInput(source: .descriptor(descriptor.rawValue))
    }
}
#endif
