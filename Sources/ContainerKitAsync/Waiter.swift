// SPDX-License-Identifier: Apache-2.0

#if os(Linux)

/// A task that waits for an event that happens once; the first outcome counts.
final class Waiter: Sendable {
    enum Outcome: Sendable { case ready, timedOut, cancelled }

    private enum Stage {
        case fresh
        case waiting(CheckedContinuation<Outcome, Never>)
        case over(Outcome)
    }

    private let stage = GuardedValue(Stage.fresh)

    func finish(_ outcome: Outcome) {
        let continuation = stage.withLock { stage -> CheckedContinuation<Outcome, Never>? in
            defer { if case .over = stage {} else { stage = .over(outcome) } }
            if case .waiting(let continuation) = stage { return continuation }
            return nil
        }
        continuation?.resume(returning: outcome)
    }

    /// Waits for the outcome; only one task may call this, and only once.
    func wait() async -> Outcome {
        await withCheckedContinuation { continuation in
            let outcome = stage.withLock { stage -> Outcome? in
                if case .over(let outcome) = stage { return outcome }
                stage = .waiting(continuation)
                return nil
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }
}
#endif
