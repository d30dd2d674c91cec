// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit
internal import SystemPackage

extension ContainerProcess {
    /// How the process ended, once it has; any number of tasks may wait for this.
    ///
    /// No thread is blocked: one thread waits for all descriptors of the program.
    /// - Throws: `CancellationError` if the task is cancelled first, which does not affect the
    ///   process; `systemCall`.
    public var termination: Termination {
        get async throws {
            while true {
                if let kept = keptTermination { return kept }
                _ = try await DescriptorPoller.shared.wait(
                    for: [(exitDescriptor.rawValue, .readable)])
                let termination = try await BlockingPool.ending.run { () throws(ContainerError) in
                    try self.waitIfEnded()
                }
                if let termination { return termination }
            }
        }
    }

    /// The same, but waits even if the task is cancelled.
    func terminationInAnyCase() async throws -> Termination {
        try await Task.detached { try await self.termination }.value
    }
}
#endif
