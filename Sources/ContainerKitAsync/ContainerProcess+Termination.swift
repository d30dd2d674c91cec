// SPDX-License-Identifier: Apache-2.0

public import ContainerKit
internal import SystemPackage

extension ContainerProcess {
    /// The end of the process, once it is there; any number of tasks may await it.
    ///
    /// No thread waits: one for all descriptors of the program tells when the time has come.
    /// - Throws: `CancellationError` when the task is cancelled before the end, which the process does not
    ///   notice; `systemCall`.
    public var termination: Termination {
        get async throws {
            while true {
                if let kept = keptTermination { return kept }
                _ = try await DescriptorPoller.shared.wait(
                    for: [(exitDescriptor.rawValue, .readable)])
                let told = try await BlockingPool.ending.run { () throws(ContainerError) in
                    try self.waitIfEnded()
                }
                if let told { return told }
            }
        }
    }

    /// The same, also for a task that is cancelled.
    func terminationInAnyCase() async throws -> Termination {
        try await Task.detached { try await self.termination }.value
    }
}
