// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

/// What a process of a container reads from its standard input.
public struct ContainerInput: Sendable {
    enum Source: Sendable {
        case null, inherited, writer
        case bytes([UInt8])
        case descriptor(CInt)
    }

    let source: Source

    /// Nothing: its end is there at once.
    public static let none = ContainerInput(source: .null)
    /// The caller's own standard input.
    public static let inherit = ContainerInput(source: .inherited)
    /// What the body writes to `RunningContainer.standardInput`.
    public static let writer = ContainerInput(source: .writer)

    /// These bytes, then the end; what the process does not read is dropped.
    public static func bytes(_ bytes: [UInt8]) -> ContainerInput {
        ContainerInput(source: .bytes(bytes))
    }

    /// This text in UTF-8, then the end.
    public static func text(_ text: String) -> ContainerInput { .bytes(Array(text.utf8)) }

    /// An open descriptor, which stays the caller's.
    public static func descriptor(_ descriptor: FileDescriptor) -> ContainerInput {
        ContainerInput(source: .descriptor(descriptor.rawValue))
    }
}
