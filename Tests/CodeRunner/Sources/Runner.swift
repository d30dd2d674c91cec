// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitAsync
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Runs submissions, each in a container of its own.
final class Runner: Sendable {
    /// More output is read and dropped.
    private static let outputLimit = 64 << 10

    private let rootfs: FilePath
    private let store: ContainerStore
    private let limits: Limits
    let slots: Slots
    private let containerCount = Atomic(0)

    init(rootfs: FilePath, store: ContainerStore, limits: Limits, slots: Slots) {
        self.rootfs = rootfs
        self.store = store
        self.limits = limits
        self.slots = slots
    }

    /// Waits for a slot, and runs the program in it; if the task is cancelled, nothing stays.
    func run(_ submission: Submission) async throws -> Verdict {
        let limits = try limits.lowered(to: submission.limits)
        let spec = try sandbox(submission.interpreter + [submission.program], limits)
        let bundle = try ContainerBundle(rootfs: rootfs, spec: spec)
        return try await slots.run {
            let result = try await withContainer(
                bundle, id: newID(), in: store, input: .text(submission.input),
                output: .collected(limit: Self.outputLimit),
                error: .collected(limit: Self.outputLimit), timeout: .seconds(limits.seconds),
                // A program of others has nothing to tidy up.
                teardown: []
            ) { container in
                let began = ContinuousClock.now
                _ = try await container.termination
                return began.duration(to: .now)
            }
            return Verdict(result)
        }
    }

    /// An ID by which a person finds the service of a container.
    private func newID() -> String {
        let number = containerCount.add(1, ordering: .relaxed).newValue
        return "code-runner-\(getpid())-\(number)"
    }
}
