// SPDX-License-Identifier: Apache-2.0

import CSeccomp
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Seccomp dispatch by architecture")
struct ArchitectureBranchTests {
    /// Branches whose filters end at once, each with a different action.
    private func interpreter(_ branches: [(architecture: UInt32, highestCall: UInt32?)])
        -> BPFInterpreter
    {
        let dispatch = ArchitectureDispatch(
            branches: branches.enumerated().map { index, branch in
                ArchitectureDispatch.Branch(
                    architecture: branch.architecture, highestCall: branch.highestCall,
                    program: FilterInstruction.end(UInt32(index) + 1).bytes)
            })
        return BPFInterpreter(dispatch.assembled())
    }

    private static let x86_64: UInt32 = 0xC000_003E
    private static let x32: UInt32 = 0x4000_003E
    private static let aarch64: UInt32 = 0xC000_00B7
    private static let missing: UInt32 = 0x0005_0026

    @Test(
        "x32 has the architecture number of x86_64, and is recognized by its call numbers",
        arguments: [
            ([(x86_64, nil), (x32, nil), (aarch64, nil)], x86_64, 5, 1),
            ([(x86_64, nil), (x32, nil), (aarch64, nil)], x86_64, 0x4000_0005, 2),
            ([(x86_64, nil), (x32, nil), (aarch64, nil)], aarch64, 0x4000_0005, 3),
            ([(x86_64, nil), (x32, nil), (aarch64, nil)], x32, 5, 0),
            ([(x86_64, 9), (x32, 0x4000_0007)], x86_64, 8, 1),
            ([(x86_64, 9), (x32, 0x4000_0007)], x86_64, 10, missing),
            ([(x86_64, 9), (x32, 0x4000_0007)], x86_64, 0x4000_0007, 2),
            ([(x86_64, 9), (x32, 0x4000_0007)], x86_64, 0x4000_0008, missing),
            ([(x86_64, 9)], x86_64, 0x4000_0008, 1),
            ([(aarch64, 9), (x32, 0x4000_0007)], x86_64, 5, 0),
            ([(aarch64, 9), (x32, 0x4000_0007)], x86_64, 0x4000_0005, 2),
            ([(aarch64, 9), (x32, 0x4000_0007)], x86_64, 0x4000_0008, missing),
            ([(aarch64, 9), (x32, 0x4000_0007)], aarch64, 9, 1),
            ([(aarch64, 9), (x32, 0x4000_0007)], aarch64, 10, missing),
        ] as [([(UInt32, UInt32?)], UInt32, UInt32, UInt32)])
    func branches(
        _ branches: [(UInt32, UInt32?)], _ machine: UInt32, _ number: UInt32, _ expected: UInt32
    ) throws {
        let call = SystemCallRecord(number: number, architecture: machine)
        let program = interpreter(branches.map { (architecture: $0.0, highestCall: $0.1) })
        #expect(try program.action(for: call) == expected)
    }
}

#if arch(x86_64)
@Suite("Filters of several architectures in one program")
struct ArchitectureDispatchTests {
    /// The filter that libseccomp itself generates for the same rules.
    private func combined(_ profile: Seccomp) throws -> [UInt8] {
        let context = try #require(seccomp_init(0x7fff_0000))
        defer { seccomp_release(context) }
        for architecture in profile.architectures ?? [] {
            seccomp_arch_add(context, try #require(architecture.libseccompToken))
        }
        for rule in profile.syscalls ?? [] {
            for name in rule.names {
                let conditions = (rule.args ?? []).map(\.libseccompCondition)
                let result = seccomp_rule_add_array(
                    context, rule.action.kernelValue(errno: 1),
                    try #require(SystemCallNumbers.native(name)), UInt32(conditions.count),
                    conditions)
                #expect(result == 0)
            }
        }
        let path = "/tmp/containerkit-dispatch-\(UInt64.random(in: 0...UInt64.max))"
        let file = try openFile(path, .readWrite | .create | .exclusive, mode: 0o600)
        defer { try? removeFile(path) }
        #expect(seccomp_export_bpf(context, file.number) == 0)
        return try readFile(path)
    }

    @Test(
        "a program with filters of several architectures decides as libseccomp's does",
        arguments: [
            [], [.x86_64, .x86], [.x86_64, .x86, .x32], [.x32], [.aarch64, .x86],
            [.arm, .aarch64, .riscv64],
        ] as [[Seccomp.Architecture]])
    func sameAsCombined(_ architectures: [Seccomp.Architecture]) throws {
        let profile = Seccomp(
            defaultAction: .allow, architectures: architectures,
            syscalls: [
                SeccompRule(names: ["getpid", "read", "openat2", "vm86"], action: .errno),
                SeccompRule(
                    names: ["socket", "ioctl"], action: .trap,
                    args: [SeccompArgument(index: 1, value: 0x1_0000_0002, op: .greater)]),
            ])
        let ours = BPFInterpreter(try SeccompFilter(compiling: profile).program)
        let theirs = BPFInterpreter(try combined(profile))
        let machines: [UInt32] = [
            0xC000_003E, 0x4000_0003, 0xC000_00B7, 0x4000_0028, 0xC000_00F3, 0x8000_0016, 0,
        ]
        let numbers = (UInt32(0)..<500).flatMap { [$0, $0 | 0x4000_0000] }
        for machine in machines {
            for number in numbers + [0x7fff_ffff, 0x8000_0000] {
                for argument: UInt64 in [0, 0x1_0000_0003] {
                    let call = SystemCallRecord(
                        number: number, architecture: machine, arguments: [0, argument])
                    let (ours, theirs) = (
                        try ours.action(for: call), try theirs.action(for: call)
                    )
                    try #require(ours == theirs, "call \(number) on \(machine)")
                }
            }
        }
    }
}
#endif
