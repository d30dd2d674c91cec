// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// What a process writes, in pieces as they come; for one reader.
public struct OutputSequence: AsyncSequence, Sendable {
    /// A piece.
    public typealias Element = [UInt8]

    let descriptor: HeldDescriptor

    /// Reads on where the last reader stopped.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(descriptor: descriptor) }

    /// The pieces.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let descriptor: HeldDescriptor

        /// The next piece; nil at the end.
        ///
        /// What is there already is given to a cancelled task, too.
        /// - Throws: `CancellationError`, `systemCall`.
        public mutating func next() async throws -> [UInt8]? {
            while true {
                if let bytes = try readAvailable(descriptor) { return bytes.isEmpty ? nil : bytes }
                _ = try await DescriptorPoller.shared.wait(
                    for: [(descriptor.number, .readable)])
            }
        }
    }

    /// The lines, without what ends them; one that is longer than `limit` bytes comes in parts.
    public func lines(limit: Int = 65536) -> Lines {
        Lines(pieces: self, limit: Swift.max(1, limit))
    }

    /// What a process writes, line by line.
    public struct Lines: AsyncSequence, Sendable {
        /// A line; what is no UTF-8 in it is replaced.
        public typealias Element = String

        let pieces: OutputSequence
        let limit: Int

        /// Reads on where the last reader stopped, but for what that had not used of its last piece.
        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(pieces: pieces.makeAsyncIterator(), limit: limit)
        }

        /// The lines.
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
    /// Reads to the end, and keeps the first bytes; a task that is cancelled stops where it is.
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
