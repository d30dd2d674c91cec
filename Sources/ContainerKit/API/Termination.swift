// SPDX-License-Identifier: Apache-2.0

/// The end of a container's process.
public struct Termination: Equatable, Hashable, Sendable {
    /// How it ended.
    public var status: ExitStatus
    /// How many processes of the container the kernel has killed for want of memory since `create`, as the
    /// cgroup counts them; those of `exec` too.
    ///
    /// Nil where nobody counts: without a controller for memory, or where the cgroup went before somebody asked
    /// (systemd removes an empty scope, and `delete` removes it).
    public var outOfMemoryKills: UInt64?
    /// What the process has used; nil where its status was somebody else's to take.
    public var usage: ResourceUsage?

    /// A termination of its parts.
    public init(
        status: ExitStatus, outOfMemoryKills: UInt64? = nil, usage: ResourceUsage? = nil
    ) {
        self.status = status
        self.outOfMemoryKills = outOfMemoryKills
        self.usage = usage
    }

    /// Whether the container is known to have run out of memory.
    public var ranOutOfMemory: Bool { (outOfMemoryKills ?? 0) > 0 }
}
