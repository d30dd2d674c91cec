// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Steps for the process itself: its descriptors, session, cgroups and signals.
package enum ProcessStep: ChildStep {
    /// Closes every descriptor but 0, 1, 2, the preserved ones after them, and those listed.
    ///
    /// `keepingWhatIsNeeded` lists those that later steps need.
    ///
    /// Their numbers are known only at launch: the launcher fills in the gaps between them. `phase`
    /// counts the uses in a program from 0.
    case closeDescriptors(phase: Int, keeping: [InheritedDescriptor] = [], preserved: Int)
    /// Forbids ptrace and /proc access to this process until execve.
    ///
    /// Kernel: PR_SET_DUMPABLE.
    case forbidPtrace
    /// Lets processes with rights over this one trace it, and so take its descriptors.
    ///
    /// Kernel: PR_SET_DUMPABLE, pidfd_getfd(2).
    case permitPtrace
    /// Becomes leader of a session of its own.
    ///
    /// Kernel: setsid(2).
    case startSession
    /// Enters `count` v1 cgroups through their `tasks` files, which the parent opened.
    ///
    /// A process that moves itself by `tasks` avoids the RCU grace period that a move from outside
    /// by `cgroup.procs` waits for.
    case enterCgroups(count: Int)
    /// Enters the v2 cgroup below the container's cgroup that is delegated to the container.
    case enterDelegatedCgroup
    /// Joins the session keyring of this name, made if missing, so that the caller's keys stay
    /// private.
    ///
    /// Kernel: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING; session-keyring(7).
    case joinSessionKeyring(String)
    /// Resets every signal to its default action. The caller may ignore some, such as SIGPIPE, and
    /// a clone resets only handlers.
    case resetSignals
    /// Unblocks all signals.
    case unblockSignals
    /// Ends this process, whose only purpose were the steps before.
    ///
    /// The machine does not note an exit_group(2), so closing the rendezvous is what tells the
    /// parent that this step was reached.
    case end
}

extension ProcessStep {
    package var sentence: String {
        switch self {
        case .closeDescriptors: "close every inherited descriptor that is not named here"
        case .forbidPtrace: "forbid ptrace and /proc access until the program runs"
        case .permitPtrace: "let the runtime, an ordinary user, take the seccomp listener"
        case .startSession: "start a session"
        case .enterCgroups(let count): "enter \(count) v1 cgroups"
        case .enterDelegatedCgroup: "enter the cgroup that is left to the container"
        case .joinSessionKeyring(let name): "join the session keyring \(name)"
        case .resetSignals: "give all signals their default action"
        case .unblockSignals: "unblock all signals"
        case .end: "end"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .enterCgroups(let count): (0..<count).map { .cgroupTasks($0) }
        case .enterDelegatedCgroup: [.cgroupTasks(0)]
        case .end: [.rendezvous]
        case .closeDescriptors, .forbidPtrace, .permitPtrace, .startSession, .joinSessionKeyring,
            .resetSignals, .unblockSignals:
            []
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .end: [.sends(.end)]
        case .closeDescriptors, .forbidPtrace, .permitPtrace, .startSession, .enterCgroups,
            .enterDelegatedCgroup, .joinSessionKeyring, .resetSignals, .unblockSignals:
            []
        }
    }

    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .closeDescriptors(let phase, let keeping, _):
            code.closeDescriptors(phase, gapCount: keeping.count + 1)
        case .forbidPtrace: code.prctl(.setDumpable, 0)
        case .permitPtrace: code.prctl(.setDumpable, 1)
        case .startSession: code.call(.setsid, [], ignoring: [.notPermitted])
        case .enterCgroups(let count): code.enterCgroups(count)
        case .enterDelegatedCgroup: code.enterCgroups(1)
        case .joinSessionKeyring(let name): code.joinSessionKeyring(name)
        case .resetSignals: code.resetSignals()
        case .unblockSignals: code.unblockSignals()
        case .end:
            code.close(code.input(.rendezvous))
            code.call(.exitGroup, [.literal(0)])
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("keyctl", .diskQuotaExceeded), ("keyctl", .noMemory):
            "the keys of the user that runs the runtime reach their quota (sysctls kernel.keys.maxkeys "
                + "and maxbytes, for root root_maxkeys and root_maxbytes); --no-new-keyring takes none"
        case ("keyctl", .permissionDenied):
            "another user has a session keyring of this name; --no-new-keyring takes none"
        case ("keyctl", _): "--no-new-keyring leaves session keyrings alone"
        default: nil
        }
    }
}

extension Assembler {
    /// For an empty gap the first descriptor is above the last, and the kernel returns EINVAL.
    mutating func closeDescriptors(_ phase: Int, gapCount: Int) {
        for index in 0..<gapCount {
            let first = input(.gapStart(phase: phase, index))
            let last = input(.gapEnd(phase: phase, index))
            call(
                .closeRange, [.cell(first), .cell(last), .literal(0)],
                ignoring: [.invalidArgument])
        }
    }

    /// Gives every signal its default action.
    mutating func resetSignals() {
        let action = defaultAction()
        for number in 1...SignalNumber.last
        where ![.kill, .stop].contains(SignalNumber(rawValue: number)) {
            setAction(.named(NamedNumber(number, of: SignalNumber.self)), action)
        }
    }

    mutating func unblockSignals(except blocked: [SignalNumber] = []) {
        let mask = words([blocked.reduce(0) { $0 | $1.bit }])
        call(
            .rtSigprocmask,
            [
                .named(SignalMaskChange.set), .address(mask), .literal(0),
                .literal(SignalNumber.maskBytes),
            ])
    }

    /// Writes "0", which means the writing process.
    ///
    /// Kernel: cgroups(7).
    mutating func enterCgroups(_ count: Int) {
        for index in 0..<count {
            let tasks = input(.cgroupTasks(index))
            call(.write, [.cell(tasks), text("0"), .literal(1)], retries: 5)
            call(.close, [.cell(tasks)])
        }
    }

    /// ENOSYS: a kernel without keyrings has none to keep apart.
    ///
    /// The user may search the keyring, so that a later exec finds it by name.
    fileprivate mutating func joinSessionKeyring(_ name: String) {
        let ring = cell("session-keyring")
        call(
            .keyctl, [.named(KeyCommand.joinSession), text(name)], into: ring,
            ignoring: [.noFunction])
        let none = skip(when: .isNegative(ring))
        let permissions: KeyPermissions =
            .possessorAll | .userView | .userRead | .userSearch | .userLink
        call(.keyctl, [.named(KeyCommand.setPermissions), .cell(ring), .named(permissions)])
        place(none)
    }
}

extension SystemCall {
    static var keyctl: SystemCall { SystemCall("keyctl", __NR_keyctl) }
    static var rtSigprocmask: SystemCall { SystemCall("rt_sigprocmask", __NR_rt_sigprocmask) }
    static var setsid: SystemCall { SystemCall("setsid", __NR_setsid) }
}
#endif
