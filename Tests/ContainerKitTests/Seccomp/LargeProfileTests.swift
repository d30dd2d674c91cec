// SPDX-License-Identifier: Apache-2.0

import CSeccomp
import RuntimeSpec
import Testing

@testable import ContainerKit

/// A profile of the size of Docker's default: a few hundred calls allowed, a dozen with conditions.
enum LargeProfile {
    /// Calls that an engine's default profile denies, or allows on conditions.
    private static let withheld: Set<String> = [
        "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "clone", "clone3",
        "create_module", "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen",
        "fspick", "get_kernel_syms", "get_mempolicy", "init_module", "io_uring_enter",
        "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load",
        "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount", "mount_setattr",
        "move_mount", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree",
        "perf_event_open", "personality", "pivot_root", "process_vm_readv",
        "process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd", "reboot",
        "request_key", "set_mempolicy", "setdomainname", "sethostname", "setns",
        "settimeofday", "socket", "stime", "swapoff", "swapon", "sysfs", "syslog", "umount",
        "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vhangup", "vm86", "vm86old",
    ]

    /// The calls of the native architecture that the profile allows, as libseccomp names them.
    static let allowedNames: [String] = (Int32(0)..<512).compactMap { number -> String? in
        let native = SystemCallNumbers.nativeArchitecture
        guard let name = seccomp_syscall_resolve_num_arch(native, number) else { return nil }
        defer { UnsafeMutableRawPointer(name).deallocate() }
        return String(cString: name)
    }.filter { !withheld.contains($0) }

    static var profile: Seccomp {
        let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0xffff_ffff]
        var rules = [SeccompRule(names: allowedNames, action: .allow)]
        rules += personalities.map { value in
            SeccompRule(
                names: ["personality"], action: .allow,
                args: [SeccompArgument(index: 0, value: value, op: .equal)])
        }
        rules += [
            SeccompRule(
                names: ["socket"], action: .allow,
                args: [SeccompArgument(index: 0, value: 40, op: .notEqual)]),
            SeccompRule(
                names: ["clone"], action: .allow,
                args: [
                    SeccompArgument(index: 0, value: 0x7e02_0000, valueTwo: 0, op: .maskedEqual)
                ]),
            SeccompRule(names: ["clone3"], action: .errno, errnoRet: 38),
        ]
        #if arch(arm64)
        let architectures: [Seccomp.Architecture] = [.aarch64, .arm]
        #else
        let architectures: [Seccomp.Architecture] = [.x86_64, .x86, .x32]
        #endif
        return Seccomp(
            defaultAction: .errno, defaultErrnoRet: 1, architectures: architectures,
            syscalls: rules)
    }
}

@Suite("A profile as large as an engine's default")
struct LargeProfileTests {
    private let native = SystemCallNumbers.nativeArchitecture

    @Test("the filter of a large profile gives each call its action, and fits the kernel's limit")
    func actions() throws {
        let filter = try SeccompFilter(compiling: LargeProfile.profile)
        let interpreter = BPFInterpreter(filter.program)
        func action(_ name: String, _ arguments: [UInt64] = []) throws -> UInt32 {
            let number = try #require(SystemCallNumbers.number(name, on: native))
            return try interpreter.action(
                for: SystemCallRecord(
                    number: number, architecture: native, arguments: arguments))
        }
        #expect(LargeProfile.allowedNames.count > 250)
        for name in LargeProfile.allowedNames {
            #expect(try action(name) == 0x7fff_0000, "\(name)")
        }
        #expect(try action("mount") == 0x0005_0001)
        #expect(try action("clone3") == 0x0005_0026)
        #expect(try action("clone", [0x11]) == 0x7fff_0000)
        #expect(try action("clone", [0x1000_0011]) == 0x0005_0001)
        #expect(try action("socket", [2]) == 0x7fff_0000)
        #expect(try action("socket", [40]) == 0x0005_0001)
        #expect(try action("personality", [0x20008]) == 0x7fff_0000)
        #expect(try action("personality", [0x20009]) == 0x0005_0001)
        #expect(filter.instructionCount < FilterInstruction.limitOfProgram)
    }

    @Test("a large filter is searched as a tree: a call runs at most a tenth of its instructions")
    func depth() throws {
        let filter = try SeccompFilter(compiling: LargeProfile.profile)
        let interpreter = BPFInterpreter(filter.program)
        let steps = try LargeProfile.allowedNames.map { name in
            let number = try #require(SystemCallNumbers.number(name, on: native))
            return try interpreter.stepCount(
                for: SystemCallRecord(number: number, architecture: native))
        }
        let longest = try #require(steps.max())
        #expect(longest * 10 < filter.instructionCount)
    }
}
