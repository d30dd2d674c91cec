// SPDX-License-Identifier: Apache-2.0

import CSeccomp
import Glibc
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The seccomp profile of a sandbox")
struct SandboxProfileTests {
    private static let allow: UInt32 = 0x7fff_0000
    private static let notPermitted: UInt32 = 0x0005_0001
    private static let noSuchCall: UInt32 = 0x0005_0026
    #if arch(arm64)
    private static let machine: UInt32 = 0xC000_00B7
    #else
    private static let machine: UInt32 = 0xC000_003E
    #endif

    private let filter: BPFInterpreter

    init() throws {
        filter = BPFInterpreter(try SeccompFilter(compiling: .sandbox()).program)
    }

    /// What becomes of a call; nil if this machine has none of that name.
    private func action(_ name: String, _ arguments: [UInt64] = []) throws -> UInt32? {
        guard
            let number = SystemCallNumbers.number(name, on: SystemCallNumbers.nativeArchitecture)
        else { return nil }
        return try filter.action(
            for: SystemCallRecord(
                number: number, architecture: Self.machine, arguments: arguments))
    }

    @Test("the sandbox profile allows the calls of its themes, whatever their arguments")
    func allowed() throws {
        let rules = Seccomp.sandboxThemes.flatMap(\.rules).filter { $0.action == .allow }
        for name in rules.filter({ $0.args == nil }).flatMap(\.names) {
            guard let action = try action(name, Array(repeating: .max, count: 6)) else { continue }
            #expect(action == Self.allow, "\(name)")
        }
        for name in ["read", "openat", "execve", "mmap", "futex", "ptrace", "clock_gettime"] {
            #expect(try action(name) == Self.allow, "\(name)")
        }
    }

    @Test(
        "the sandbox profile refuses calls beyond the container or into rare kernel code",
        arguments: [
            "mount umount2 pivot_root open_tree move_mount mount_setattr",
            "fsopen fsconfig fsmount fspick",
            "unshare setns", "add_key request_key keyctl", "open_by_handle_at pidfd_getfd",
            "init_module finit_module delete_module kexec_load kexec_file_load reboot",
            "settimeofday clock_settime clock_adjtime adjtimex", "bpf perf_event_open",
            "io_uring_setup io_uring_enter io_uring_register userfaultfd",
            "swapon swapoff acct quotactl quotactl_fd syslog vhangup nfsservctl",
            "iopl ioperm modify_ldt uselib ustat sysfs _sysctl lookup_dcookie",
            "fanotify_init fanotify_mark",
            "mbind set_mempolicy get_mempolicy move_pages migrate_pages",
        ])
    func refused(_ names: String) throws {
        for name in names.split(separator: " ").map(String.init) {
            guard let action = try action(name) else { continue }
            #expect(action == Self.notPermitted || action == Self.noSuchCall, "\(name)")
        }
    }

    @Test("the sandbox profile allows no call that no theme names")
    func nothingElse() throws {
        let named = Set(Seccomp.sandboxThemes.flatMap(\.rules).flatMap(\.names))
        for number in UInt32(0)..<1000 {
            let record = SystemCallRecord(number: number, architecture: Self.machine)
            guard try filter.action(for: record) == Self.allow else { continue }
            let text = try #require(
                seccomp_syscall_resolve_num_arch(
                    SystemCallNumbers.nativeArchitecture, Int32(number)))
            defer { free(text) }
            #expect(named.contains(String(cString: text)), "\(number)")
        }
    }

    @Test("the sandbox profile allows new threads and processes, no new namespaces, and no clone3")
    func clones() throws {
        let thread: UInt64 = 0x3d_0f00
        #expect(try action("clone", [thread]) == Self.allow)
        #expect(try action("clone", [17]) == Self.allow)
        for bit in [17, 25, 26, 27, 28, 29, 30] as [UInt64] {
            #expect(try action("clone", [17 | 1 << bit]) == Self.notPermitted)
        }
        #expect(try action("clone3") == Self.noSuchCall)
    }

    @Test("the sandbox profile allows sockets of the common families only")
    func sockets() throws {
        for family in [1, 2, 10, 16, 1 << 40 | 2] as [UInt64] {
            #expect(try action("socket", [family]) == Self.allow, "\(family)")
        }
        for family in [0, 3, 17, 29, 31, 38, 40, 44] as [UInt64] {
            #expect(try action("socket", [family]) == Self.notPermitted, "\(family)")
        }
    }

    @Test(
        "the sandbox profile refuses ioctl calls that inject terminal input, even with high bits"
    )
    func terminals() throws {
        for number in [0x5401, 0x5413, 0x5414, 0x541b, 0x8004_6e00, .max] as [UInt64] {
            #expect(try action("ioctl", [0, number]) == Self.allow)
        }
        for number in [0x5412, 0x541c, 1 << 32 | 0x5412, 1 << 63 | 0x541c] as [UInt64] {
            #expect(try action("ioctl", [0, number]) == Self.notPermitted)
        }
    }

    @Test("the sandbox profile does not let a program turn off address randomization")
    func personality() throws {
        for domain in [0, 8, 0xffff_ffff] as [UInt64] {
            #expect(try action("personality", [domain]) == Self.allow)
        }
        for domain in [0x4_0000, 0x2_0000, 0x40_0000, 0x4_0008] as [UInt64] {
            #expect(try action("personality", [domain]) == Self.notPermitted)
        }
    }

    @Test("the sandbox profile kills programs of another architecture")
    func otherMachine() throws {
        #expect(
            try filter.action(for: SystemCallRecord(number: 3, architecture: 0x4000_0003)) == 0)
    }
}
