// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

/// Short names for the kernel's actions.
private enum Act {
    static let allow: UInt32 = 0x7fff_0000
    static let log: UInt32 = 0x7ffc_0000
    static let trap: UInt32 = 0x0003_0000
    static let killThread: UInt32 = 0
    static let killProcess: UInt32 = 0x8000_0000
    static func errno(_ number: UInt32) -> UInt32 { 0x0005_0000 | number }
    static func trace(_ number: UInt32) -> UInt32 { 0x7ff0_0000 | number }
}

private enum Machine {
    #if arch(arm64)
    static let native: UInt32 = 0xC000_00B7
    #else
    static let native: UInt32 = 0xC000_003E
    #endif
    static let i386: UInt32 = 0x4000_0003
}

@Suite("A seccomp profile becomes a filter")
struct SeccompFilterTests {
    private func number(_ name: String) throws -> UInt32 {
        try #require(SystemCallNumbers.number(name, on: SystemCallNumbers.nativeArchitecture))
    }

    private func action(
        _ filter: SeccompFilter, _ name: String, _ arguments: [UInt64] = [],
        on architecture: UInt32 = Machine.native
    ) throws -> UInt32 {
        try BPFInterpreter(filter.program).action(
            for: SystemCallRecord(
                number: number(name), architecture: architecture, arguments: arguments))
    }

    @Test(
        "every seccomp action becomes the kernel's value for it",
        arguments: [
            (Seccomp.Action.kill, nil, Act.killThread),
            (.killThread, nil, Act.killThread),
            (.killProcess, nil, Act.killProcess),
            (.trap, nil, Act.trap),
            (.errno, nil, Act.errno(1)),
            (.errno, 2, Act.errno(2)),
            (.errno, 0, Act.errno(0)),
            (.trace, nil, Act.trace(1)),
            (.trace, 77, Act.trace(77)),
            (.log, nil, Act.log),
        ] as [(Seccomp.Action, UInt?, UInt32)])
    func actions(_ given: Seccomp.Action, _ errno: UInt?, _ expected: UInt32) throws {
        let rule = SeccompRule(names: ["mkdirat"], action: given, errnoRet: errno)
        let filter = try SeccompFilter(
            compiling: Seccomp(defaultAction: .allow, syscalls: [rule]))
        #expect(try action(filter, "mkdirat") == expected)
        #expect(try action(filter, "getpid") == Act.allow)
    }

    @Test(
        "the default action has its own errno",
        arguments: [
            (nil, Act.errno(1)), (13, Act.errno(13)), (38, Act.errno(38)),
        ] as [(UInt?, UInt32)])
    func defaultErrno(_ errno: UInt?, _ expected: UInt32) throws {
        let profile = Seccomp(
            defaultAction: .errno, defaultErrnoRet: errno,
            syscalls: [SeccompRule(names: ["openat2"], action: .allow)])
        let filter = try SeccompFilter(compiling: profile)
        #expect(try action(filter, "getpid") == expected)
        #expect(try action(filter, "openat2") == Act.allow)
    }

    struct ComparisonCase: CustomTestStringConvertible, Sendable {
        var op: SeccompArgument.Operator
        var value: UInt64
        var valueTwo: UInt64 = 0
        var argument: UInt64
        var matches: Bool
        var testDescription: String { "\(op) \(value) \(valueTwo): \(argument)" }
    }

    /// A value with different halves, so that comparing only one half is detected.
    private static let wide: UInt64 = 0x1_0000_0005

    @Test(
        "a seccomp argument is compared over all 64 bits",
        arguments: [
            ComparisonCase(op: .equal, value: wide, argument: wide, matches: true),
            ComparisonCase(op: .equal, value: wide, argument: 5, matches: false),
            ComparisonCase(op: .notEqual, value: wide, argument: 5, matches: true),
            ComparisonCase(op: .notEqual, value: wide, argument: wide, matches: false),
            ComparisonCase(op: .less, value: wide, argument: wide - 1, matches: true),
            ComparisonCase(op: .less, value: wide, argument: wide, matches: false),
            ComparisonCase(op: .lessOrEqual, value: wide, argument: wide, matches: true),
            ComparisonCase(op: .lessOrEqual, value: wide, argument: wide + 1, matches: false),
            ComparisonCase(op: .greater, value: wide, argument: 0x2_0000_0000, matches: true),
            ComparisonCase(op: .greater, value: wide, argument: 0xffff_ffff, matches: false),
            ComparisonCase(op: .greaterOrEqual, value: wide, argument: wide, matches: true),
            ComparisonCase(op: .greaterOrEqual, value: wide, argument: wide - 1, matches: false),
            ComparisonCase(
                op: .maskedEqual, value: 0xf0, valueTwo: 0x20, argument: 0x2f, matches: true),
            ComparisonCase(
                op: .maskedEqual, value: 0xf0, valueTwo: 0x20, argument: 0x3f, matches: false),
        ])
    func comparisons(_ example: ComparisonCase) throws {
        let argument = SeccompArgument(
            index: 1, value: example.value, valueTwo: example.valueTwo, op: example.op)
        let rule = SeccompRule(names: ["personality"], action: .trap, args: [argument])
        let filter = try SeccompFilter(
            compiling: Seccomp(defaultAction: .allow, syscalls: [rule]))
        let outcome = try action(filter, "personality", [0, example.argument])
        #expect(outcome == (example.matches ? Act.trap : Act.allow))
    }

    @Test("conditions on different arguments must all hold")
    func conjunction() throws {
        let rule = SeccompRule(
            names: ["socket"], action: .errno, errnoRet: 22,
            args: [
                SeccompArgument(index: 0, value: 16, op: .equal),
                SeccompArgument(index: 2, value: 9, op: .equal),
            ])
        let filter = try SeccompFilter(
            compiling: Seccomp(defaultAction: .allow, syscalls: [rule]))
        #expect(try action(filter, "socket", [16, 3, 9]) == Act.errno(22))
        #expect(try action(filter, "socket", [16, 3, 8]) == Act.allow)
        #expect(try action(filter, "socket", [17, 3, 9]) == Act.allow)
    }

    @Test("with two conditions on one argument, any condition of the rule is enough")
    func disjunction() throws {
        let rule = SeccompRule(
            names: ["personality"], action: .allow,
            args: [
                SeccompArgument(index: 0, value: 0, op: .equal),
                SeccompArgument(index: 0, value: 8, op: .equal),
                SeccompArgument(index: 1, value: 3, op: .equal),
            ])
        let profile = Seccomp(
            defaultAction: .errno,
            syscalls: [rule, SeccompRule(names: ["openat2"], action: .allow)])
        let filter = try SeccompFilter(compiling: profile)
        #expect(try action(filter, "personality", [0, 0]) == Act.allow)
        #expect(try action(filter, "personality", [8, 0]) == Act.allow)
        #expect(try action(filter, "personality", [7, 3]) == Act.allow)
        #expect(try action(filter, "personality", [7, 4]) == Act.errno(1))
    }

    @Test("a rule that repeats the default action, or names an unknown call, is skipped")
    func redundantRules() throws {
        let profile = Seccomp(
            defaultAction: .errno, defaultErrnoRet: 1,
            syscalls: [
                SeccompRule(names: ["mount", "no_such_call"], action: .errno),
                SeccompRule(names: ["another_call", "getpid", "openat2"], action: .allow),
            ])
        let filter = try SeccompFilter(compiling: profile)
        #expect(try action(filter, "mount") == Act.errno(1))
        #expect(try action(filter, "getpid") == Act.allow)
        #expect(filter.unknownSystemCalls == ["another_call"])
    }

    #if arch(x86_64)
    @Test("seccomp rules apply to every named architecture; calls of other architectures kill")
    func architectures() throws {
        let rule = SeccompRule(names: ["getpid"], action: .errno, errnoRet: 9)
        let both = try SeccompFilter(
            compiling: Seccomp(
                defaultAction: .allow, architectures: [.x86_64, .x86], syscalls: [rule]))
        let getpidOfI386: UInt32 = 20
        func outcome(_ filter: SeccompFilter) throws -> UInt32 {
            try BPFInterpreter(filter.program).action(
                for: SystemCallRecord(number: getpidOfI386, architecture: Machine.i386))
        }
        #expect(try action(both, "getpid") == Act.errno(9))
        #expect(try outcome(both) == Act.errno(9))

        let native = try SeccompFilter(
            compiling: Seccomp(defaultAction: .allow, syscalls: [rule]))
        #expect(try action(native, "getpid") == Act.errno(9))
        #expect(try outcome(native) == Act.killThread)
    }

    @Test("the native architecture is in the filter even if the profile names only another")
    func nativeIsAlwaysThere() throws {
        let rule = SeccompRule(names: ["getpid"], action: .errno, errnoRet: 9)
        let filter = try SeccompFilter(
            compiling: Seccomp(
                defaultAction: .allow, architectures: [.x86], syscalls: [rule]))
        #expect(try action(filter, "getpid") == Act.errno(9))
        #expect(try action(filter, "getppid") == Act.allow)
    }

    @Test(
        "calls newer than the profile get ENOSYS, with the numbers of each architecture",
        arguments: [
            (437, Machine.native, Act.allow),
            (438, Machine.native, Act.errno(38)),
            (9999, Machine.native, Act.errno(38)),
            (400, Machine.native, Act.errno(1)),
            (0x4000_0000 | 437, Machine.native, Act.allow),
            (0x4000_0000 | 438, Machine.native, Act.errno(38)),
            (0x4000_0000 | 5, Machine.native, Act.errno(1)),
            (437, Machine.i386, Act.allow),
            (438, Machine.i386, Act.errno(38)),
            (7, Machine.i386, Act.errno(1)),
            (9999, 0xC000_00B7, Act.killThread),
        ] as [(UInt32, UInt32, UInt32)])
    func newerCalls(_ number: UInt32, _ machine: UInt32, _ expected: UInt32) throws {
        let profile = Seccomp(
            defaultAction: .errno, architectures: [.x86_64, .x86, .x32],
            syscalls: [SeccompRule(names: ["openat2", "read"], action: .allow)])
        let filter = try SeccompFilter(compiling: profile)
        let call = SystemCallRecord(number: number, architecture: machine)
        #expect(try BPFInterpreter(filter.program).action(for: call) == expected)
    }

    @Test("x32 calls kill the thread if the profile does not name the x32 architecture")
    func x32WithoutPermission() throws {
        let profile = Seccomp(
            defaultAction: .errno,
            syscalls: [SeccompRule(names: ["openat2"], action: .allow)])
        let filter = try SeccompFilter(compiling: profile)
        let call = SystemCallRecord(number: 0x4000_0000 | 437, architecture: Machine.native)
        #expect(try BPFInterpreter(filter.program).action(for: call) == Act.killThread)
    }
    #endif

    @Test(
        "calls newer than the profile get the default action if it allows them or is ENOSYS",
        arguments: [
            (Seccomp.Action.allow, nil, Act.allow),
            (.log, nil, Act.log),
            (.trace, nil, Act.trace(1)),
            (.errno, 38, Act.errno(38)),
            (.killProcess, nil, Act.errno(38)),
            (.trap, nil, Act.errno(38)),
        ] as [(Seccomp.Action, UInt?, UInt32)])
    func newerCallsByDefault(_ given: Seccomp.Action, _ errno: UInt?, _ expected: UInt32) throws {
        let profile = Seccomp(
            defaultAction: given, defaultErrnoRet: errno,
            syscalls: [SeccompRule(names: ["openat2"], action: .errno, errnoRet: 5)])
        let filter = try SeccompFilter(compiling: profile)
        let call = SystemCallRecord(number: 5000, architecture: Machine.native)
        #expect(try BPFInterpreter(filter.program).action(for: call) == expected)
    }

    @Test(
        "missing seccomp flags mean SPEC_ALLOW, an empty list means none, and TSYNC is dropped",
        arguments: [
            (nil, .speculationAllow),
            ([], .empty),
            ([.log], .log),
            ([.log, .speculationAllow], .log | .speculationAllow),
            ([.threadSync], .empty),
            ([.waitKillableReceive], .empty),
        ] as [([Seccomp.Flag]?, SeccompFilterFlags)])
    func flags(_ named: [Seccomp.Flag]?, _ expected: SeccompFilterFlags) throws {
        let filter = try SeccompFilter(
            compiling: Seccomp(defaultAction: .allow, flags: named))
        #expect(filter.flags == expected)
    }

    @Test(
        "a notify rule makes a listener; its wait is limited to kill signals only if requested",
        arguments: [
            (nil, .newListener | .speculationAllow), ([], .newListener),
            ([.waitKillableReceive], .newListener | .waitKillableReceive),
            ([.log, .threadSync], .newListener | .log),
        ] as [([Seccomp.Flag]?, SeccompFilterFlags)])
    func listener(_ named: [Seccomp.Flag]?, _ expected: SeccompFilterFlags) throws {
        let filter = try SeccompFilter(
            compiling: Seccomp(
                defaultAction: .allow, flags: named, listenerPath: "/a",
                syscalls: [SeccompRule(names: ["mkdirat"], action: .notify)]))
        #expect(filter.flags == expected)
        #expect(try action(filter, "mkdirat") == 0x7fc0_0000)
        #expect(try action(filter, "getpid") == Act.allow)
    }

    @Test(
        "a profile that cannot be compiled is refused with the field at fault",
        arguments: [
            (
                Seccomp(defaultAction: .notify),
                "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action"
            ),
            (
                Seccomp(defaultAction: .allow, defaultErrnoRet: 1),
                "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes no errno"
            ),
            (
                Seccomp(
                    defaultAction: .allow,
                    syscalls: [
                        SeccompRule(names: ["mkdir"], action: .log),
                        SeccompRule(names: ["mkdir"], action: .errno, errnoRet: 70000),
                    ]),
                "linux.seccomp.syscalls[1].errnoRet: 70000 is no errno: it is above 65535"
            ),
            (
                Seccomp(
                    defaultAction: .allow,
                    syscalls: [SeccompRule(names: ["mkdir", ""], action: .log)]),
                "linux.seccomp.syscalls[0].names[1]: a system call must have a name"
            ),
            (
                Seccomp(
                    defaultAction: .allow,
                    syscalls: [
                        SeccompRule(
                            names: ["mkdir"], action: .log,
                            args: [SeccompArgument(index: 6, value: 0, op: .equal)])
                    ]),
                """
                linux.seccomp.syscalls[0].args[0].index: \
                a system call has arguments 0 to 5, not 6
                """
            ),
            (
                Seccomp(defaultAction: .allow, architectures: [.x86_64, .s390x]),
                """
                linux.seccomp.architectures[1]: \
                the byte order of SCMP_ARCH_S390X is not that of this machine
                """
            ),
        ])
    func errors(_ profile: Seccomp, _ expected: String) {
        #expect {
            try SeccompFilter(compiling: profile)
        } throws: {
            "\($0)" == expected
        }
    }

    @Test("the first of two rules for the same call decides")
    func contradiction() throws {
        let profile = Seccomp(
            defaultAction: .allow,
            syscalls: [
                SeccompRule(names: ["mkdirat"], action: .errno),
                SeccompRule(names: ["getpid", "mkdirat"], action: .trap),
            ])
        let filter = try SeccompFilter(compiling: profile)
        #expect(try action(filter, "mkdirat") == Act.errno(1))
        #expect(try action(filter, "getpid") == Act.trap)
    }
}

@Suite("Seccomp support of this machine")
struct SeccompSupportTests {
    @Test("Linux 5.14 and later knows every seccomp action and the flags older than it")
    func kernel() {
        for action in Seccomp.Action.allCases {
            #expect(SeccompSupport.supports(action), "\(action.rawValue)")
        }
        for flag in [Seccomp.Flag.threadSync, .log, .speculationAllow] {
            #expect(SeccompSupport.supports(flag), "\(flag.rawValue)")
        }
        #expect(SeccompSupport.isAvailable)
    }

    @Test("libseccomp reports its version and the native architecture")
    func library() {
        #expect(libseccompVersion().split(separator: ".").count == 3)
        #if arch(x86_64)
        #expect(SeccompSupport.architectures.contains(.x86_64))
        #else
        #expect(SeccompSupport.architectures.contains(.aarch64))
        #endif
    }
}
