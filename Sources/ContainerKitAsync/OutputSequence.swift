// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

/// The output of a process in pieces as they arrive; for a single reader.
public struct OutputSequence: AsyncSequence, Sendable {
    /// A piece of the output.
    public typealias Element = [UInt8]

    let descriptor: HeldDescriptor

    /// Continues where the previous iterator stopped.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(descriptor: descriptor) }

    /// Iterates over the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let descriptor: HeldDescriptor

        /// The next piece; nil at the end.
        ///
        /// Output that is already available is returned even if the task is cancelled.
        /// - Throws: `CancellationError`, `systemCall`.
        public mutating func next() async throws -> [UInt8]? {
            while true {
                if let bytes = try readAvailable(descriptor) { return bytes.isEmpty ? nil : bytes }
                _ = try await DescriptorPoller.shared.wait(
                    for: [(descriptor.number, .readable)])
            }
        }
    }

    /// The lines without their newlines; a line longer than `limit` bytes is split.
    public func lines(limit: Int = 65536) -> Lines {
        Lines(pieces: self, limit: Swift.max(1, limit))
    }

    /// The output of a process, line by line.
    public struct Lines: AsyncSequence, Sendable {
        /// A line; bytes that are not UTF-8 are replaced.
        public typealias Element = String

        let pieces: OutputSequence
        let limit: Int

        /// Continues where the previous iterator stopped, without the rest of the piece that it had
        /// read.
        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(pieces: pieces.makeAsyncIterator(), limit: limit)
        }

        /// Iterates over the lines.
        public struct AsyncIterator: AsyncIteratorProtocol {
            var pieces: OutputSequence.AsyncIterator
            let limit: Int
            private var rest: ArraySlice<UInt8> = []
            private var isAtEnd = false

            init(pieces: OutputSequence.AsyncIterator, limit: Int) {
                self.pieces = pieces
                self.limit = limit
            }

            /// The next line; nil at the end.
            public mutating func next() async throws -> String? {
                while true {
                    let newline = rest.prefix(limit + 1).firstIndex(of: UInt8(ascii: "\n"))
                    if let newline { return take(rest[..<newline], droppingNext: 1) }
                    if rest.count >= limit { return take(rest.prefix(limit), droppingNext: 0) }
                    if isAtEnd { return rest.isEmpty ? nil : take(rest, droppingNext: 0) }
                    if let piece = try await pieces.next() { rest += piece } else { isAtEnd = true }
                }
            }

            private mutating func take(_ line: ArraySlice<UInt8>, droppingNext count: Int) -> String
            {
                rest = rest[(line.endIndex + count)...]
                return String(decoding: line, as: UTF8.self)
            }
        }
    }
}

extension OutputSequence {
    /// Reads to the end and keeps the first `limit` bytes; stops early if the task is cancelled.
    func collect(limit: Int) async -> CollectedOutput {
        var output = CollectedOutput()
        var pieces = makeAsyncIterator()
        while !Task.isCancelled, let piece = try? await pieces.next() {
            let room = limit - output.bytes.count
            output.bytes += piece.prefix(room)
            if piece.count > room { output.isTruncated = true }
        }
        if Task.isCancelled { output.isTruncated = true }
        return output
    }
}
#endif
