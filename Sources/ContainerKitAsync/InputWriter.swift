// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

/// Writes the standard input of a process.
public final class InputWriter: Sendable {
    private let descriptor: GuardedValue<HeldDescriptor?>

    init(_ descriptor: HeldDescriptor) {
        self.descriptor = GuardedValue(descriptor)
    }

    /// Writes all bytes, as fast as the process reads.
    ///
    /// - Throws: `notRunning` if nobody reads any more, `wrongState` after `close`, `systemCall`,
    ///   `CancellationError`.
    public func write(_ bytes: [UInt8]) async throws {
        guard let descriptor = descriptor.withLock({ $0 }) else {
            throw ContainerError(.wrongState, "the standard input is closed")
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            switch try writeAvailable(rest, to: descriptor) {
            case .written(let count): rest = rest.dropFirst(count)
            case .full:
                _ = try await DescriptorPoller.shared.wait(
                    for: [(descriptor.number, .writable)])
            case .unread:
                throw ContainerError(
                    .notRunning, "nobody reads the process's standard input any more")
            }
        }
    }

    /// Writes the whole text in UTF-8.
    ///
    /// - Throws: as for bytes.
    public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

    /// Closes the input; the process then reads the end of file.
    public func close() { descriptor.withLock { $0 = nil } }
}
#endif
