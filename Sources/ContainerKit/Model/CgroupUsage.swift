// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// The part of the statistics that people watch, read from few files at one moment.
///
/// Unlike in `Statistics`, a value is nil if it is unknown: the container has no cgroup of the
/// controller, or the kernel does not count it.
public struct CgroupUsage: Equatable, Sendable {
    /// CPU time since the cgroup was made, in nanoseconds.
    public var cpuNanoseconds: UInt64?
    /// Memory in use without the page cache that has not been used lately, in bytes.
    public var memoryBytes: UInt64?
    /// The container's own limit of memory, in bytes; nil also if there is none.
    public var memoryLimitBytes: UInt64?
    /// Bytes read from block devices since the cgroup was made.
    public var readBytes: UInt64?
    /// Bytes written to block devices since the cgroup was made.
    public var writtenBytes: UInt64?
    /// Processes and threads, as `pids.max` limits them.
    public var pids: UInt64?
    /// The share of the last ten seconds in which a process waited for a CPU, in percent.
    ///
    /// Kernel: accounting/psi.rst, the `avg10` of `some`.
    public var cpuPressure: Double?
    /// The same for memory.
    public var memoryPressure: Double?
    /// The same for I/O.
    public var ioPressure: Double?

    /// The usage of a container of which nothing is known.
    public init() {}

    /// The use of memory in percent of the limit; nil without a limit.
    public var memoryPercent: Double? {
        guard let memoryBytes, let memoryLimitBytes, memoryLimitBytes > 0 else { return nil }
        return Double(memoryBytes) / Double(memoryLimitBytes) * 100
    }
}
#endif
