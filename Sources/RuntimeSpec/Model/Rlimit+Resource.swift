// SPDX-License-Identifier: Apache-2.0

extension Rlimit {
    /// The resources that Linux limits, in the order of their numbers.
    ///
    /// Kernel: getrlimit(2); `include/uapi/asm-generic/resource.h`.
    static let resourceNames = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS",
        "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ]

    /// The number of the resource for prlimit(2) on x86-64 and AArch64; nil if it is not known.
    public var resourceNumber: Int32? {
        Self.resourceNames.firstIndex(of: type).map { Int32($0) }
    }
}
