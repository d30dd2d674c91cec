// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// The end of a container's process.
public struct Termination: Equatable, Hashable, Sendable {
    /// How it ended.
    public var status: ExitStatus
    /// The number of the container's processes, also those of `exec`, that the OOM killer has
    /// killed since `create`.
    ///
    /// Nil if nothing counted them: without a memory controller, or if the cgroup was removed first
    /// (by systemd, which removes an empty scope, or by `delete`).
    public var outOfMemoryKills: UInt64?
    /// The resource usage of the process; nil if another part of the program took its exit status.
    public var usage: ResourceUsage?

    /// Makes a termination from its parts.
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
#endif
