// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

extension ControlWrite {
    /// What the kernel demands of this file's value, where its errno does not say it.
    ///
    /// Kernel: cpusets.rst, sched-bwc.rst, sched-rt-group.rst and memory.rst of
    /// admin-guide/cgroup-v1 and scheduler; cgroup-v2.rst.
    func hint(for errno: Errno) -> String? {
        switch (file, errno) {
        case ("cpuset.cpus", .outOfRange), ("cpuset.cpus", .invalidArgument),
            ("cpuset.cpus", .permissionDenied):
            "the host, or the cgroup above, lacks one of these CPUs"
        case ("cpuset.mems", .outOfRange), ("cpuset.mems", .invalidArgument),
            ("cpuset.mems", .permissionDenied):
            "the host, or the cgroup above, lacks one of these memory nodes"
        case ("cpu.cfs_quota_us", .invalidArgument), ("cpu.cfs_period_us", .invalidArgument),
            ("cpu.max", .invalidArgument):
            "in microseconds: a period from 1000 to 1000000, a quota from 1000 on, and no larger "
                + "share than the cgroup above has"
        case ("cpu.cfs_burst_us", .invalidArgument), ("cpu.max.burst", .invalidArgument):
            "a burst may not be larger than the quota"
        case ("cpu.rt_runtime_us", .invalidArgument), ("cpu.rt_period_us", .invalidArgument):
            "the real-time runtime may be no larger than its period, nor its share larger than what "
                + "the cgroup above has left"
        case ("memory.memsw.limit_in_bytes", .invalidArgument):
            "swap limits memory and swap together: it may not be below the memory limit"
        case ("memory.limit_in_bytes", .invalidArgument):
            "the limit of memory and swap together may not be below it: raise swap as well"
        case (_, .operationNotSupportedByDevice), (_, .noSuchAddressOrDevice):
            "the host has no block device with these numbers"
        default: nil
        }
    }
}
#endif
