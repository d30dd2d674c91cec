// SPDX-License-Identifier: Apache-2.0

/// A capability of Linux.
///
/// The model keeps capabilities as written, because an unknown name is only worth a warning.
/// Kernel: capabilities(7).
public struct Capability: Hashable, Sendable, CustomStringConvertible {
    /// The kernel's number of the capability, which is also its bit in a set.
    public let number: UInt8

    /// All capabilities in the order of their numbers.
    public static let all = names.indices.map { Capability(number: UInt8($0)) }

    /// The capability of a name such as `CAP_KILL`; nil if it is not known.
    public init?(name: String) {
        guard let index = Self.names.firstIndex(of: name) else { return nil }
        number = UInt8(index)
    }

    private init(number: UInt8) {
        self.number = number
    }

    /// The name, such as `CAP_KILL`.
    public var description: String { Self.names[Int(number)] }

    private static let names = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
        "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
        "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
        "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
        "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE",
        "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
        "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]
}
