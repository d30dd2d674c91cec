// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// As many programs as may run at the same time, and those that wait for their turn, in order.
final class Slots: Sendable {
    /// As many as may wait do so already.
    struct Busy: Error {}

    /// How many programs there are, and were.
    struct Counts: Sendable {
        var running = 0
        var waiting = 0
        /// The most that were running together.
        var peak = 0
        var ended = 0
    }

    private struct Progress {
        var counts = Counts()
        var nextTicket = 0
        var queue: [(ticket: Int, continuation: CheckedContinuation<Void, any Error>)] = []

        mutating func begin() {
            counts.running += 1
            counts.peak = max(counts.peak, counts.running)
        }
    }

    private let runningLimit: Int
    private let waitingLimit: Int
    private let progress = Mutex(Progress())

    init(running: Int, waiting: Int) {
        runningLimit = running
        waitingLimit = waiting
    }

    var counts: Counts {
        progress.withLock { progress in
            var counts = progress.counts
            counts.waiting = progress.queue.count
            return counts
        }
    }

    /// Runs `body` when there is room.
    ///
    /// - Throws: `Busy`; `CancellationError` if the task is cancelled while it waits; what `body`
    ///   throws.
    func run<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        let ticket = progress.withLock { progress in
            progress.nextTicket += 1
            return progress.nextTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer = progress.withLock { progress -> Result<Void, any Error>? in
                    // A cancellation before this moment found nobody waiting.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if progress.counts.running < runningLimit {
                        progress.begin()
                        return .success(())
                    }
                    if progress.queue.count >= waitingLimit { return .failure(Busy()) }
                    progress.queue.append((ticket, continuation))
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            let waiting = progress.withLock { progress in
                progress.queue.firstIndex { $0.ticket == ticket }
                    .map { progress.queue.remove(at: $0).continuation }
            }
            waiting?.resume(throwing: CancellationError())
        }
    }

    private func leave() {
        let next = progress.withLock { progress -> CheckedContinuation<Void, any Error>? in
            progress.counts.running -= 1
            progress.counts.ended += 1
            guard !progress.queue.isEmpty else { return nil }
            // The slot passes on under the lock, so that nobody overtakes who waits.
            progress.begin()
            return progress.queue.removeFirst().continuation
        }
        next?.resume()
    }
}
