// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Capabilities by number and as sets: linux/capability.h.

#if os(Linux)
/// The number of a capability.
///
/// Kernel: capabilities(7). Source: linux/capability.h.
public struct CapabilityNumber: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// The capability with this number, whether it has a name or not.
    public init(_ number: Int) {
        self.number = number
    }

    public static func spelling(of number: Int) -> String {
        names.indices.contains(number) ? names[number] : String(number)
    }

    /// The names in the order of their numbers.
    ///
    /// RuntimeSpec has them too, for every system; a test compares both.
    public static let names = [
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

/// A set of capabilities, one bit each.
///
/// Kernel: capset(2).
public struct CapabilityWord: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// The set with these bits.
    public init(_ mask: UInt64) {
        number = Int(bitPattern: UInt(mask))
    }

    public static func spelling(of number: Int) -> String {
        let held = (0..<64).filter { number >> $0 & 1 == 1 }
        return held.isEmpty
            ? "0" : held.map { CapabilityNumber.spelling(of: $0) }.joined(separator: "|")
    }
}
#endif
