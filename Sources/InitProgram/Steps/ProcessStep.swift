// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

/// Steps that concern the process itself: its descriptors, its session, its cgroups, its signals.
package enum ProcessStep: ChildStep {
    /// Closes every descriptor but 0, 1, 2, the preserved ones behind them, and those named.
    ///
    /// What is named is what later steps need (`keepingWhatIsNeeded`).
    ///
    /// The numbers are known at launch only: the launcher fills in the gaps between them. `phase`
    /// counts the uses in a program, from 0 on.
    case closeDescriptors(phase: Int, keeping: [InheritedDescriptor] = [], preserved: Int)
    /// Forbids ptrace and /proc access to this process until execve.
    ///
    /// Kernel: PR_SET_DUMPABLE.
    case forbidPtrace
    /// Lets who has a right over this process trace it, and so take its descriptors.
    ///
    /// Kernel: PR_SET_DUMPABLE, pidfd_getfd(2).
    case permitPtrace
    /// Becomes leader of a session of its own.
    ///
    /// Kernel: setsid(2).
    case startSession
    /// Enters `count` v1 cgroups through their `tasks` files, which the parent opened.
    ///
    /// A process that moves itself by `tasks` is spared the RCU grace period that a move by
    /// `cgroup.procs` from outside waits for.
    case enterCgroups(count: Int)
    /// Enters the v2 cgroup below the container's that is left to the container.
    case enterDelegatedCgroup
    /// Joins the session keyring of this name, made when missing: the caller's keys stay its own.
    ///
    /// Kernel: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING; session-keyring(7).
    case joinSessionKeyring(String)
    /// Gives every signal its default action back: what the caller ignores, such as SIGPIPE, is not
    /// the container's business, and a clone only drops handlers.
    case resetSignals
    /// Unblocks all signals.
    case unblockSignals
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
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .enterCgroups(let count): (0..<count).map { .cgroupTasks($0) }
        case .enterDelegatedCgroup: [.cgroupTasks(0)]
        case .closeDescriptors, .forbidPtrace, .permitPtrace, .startSession, .joinSessionKeyring,
            .resetSignals, .unblockSignals:
            []
        }
    }

    package var exchanges: [Exchange] { [] }
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
        case .resetSignals:
            let action = code.defaultAction()
            for number in 1...SignalNumber.last
            where ![.kill, .stop].contains(SignalNumber(rawValue: number)) {
                code.setAction(.literal(number), action)
            }
        case .unblockSignals:
            let none = code.words([0])
            code.call(
                .rtSigprocmask,
                [
                    .named(SignalMaskChange.set), .address(none), .literal(0),
                    .literal(SignalNumber.maskBytes),
                ])
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
    /// An empty gap has its first descriptor behind its last, which the kernel answers with EINVAL.
    mutating func closeDescriptors(_ phase: Int, gapCount: Int) {
        for index in 0..<gapCount {
            let first = input(.gapStart(phase: phase, index))
            let last = input(.gapEnd(phase: phase, index))
            call(
                .closeRange, [.cell(first), .cell(last), .literal(0)],
                ignoring: [.invalidArgument])
        }
    }

    /// "0" stands for the writer itself.
    ///
    /// Kernel: cgroups(7).
    mutating func enterCgroups(_ count: Int) {
        for index in 0..<count {
            let tasks = input(.cgroupTasks(index))
            call(.write, [.cell(tasks), text("0"), .literal(1)], retries: 5)
            call(.close, [.cell(tasks)])
        }
    }

    /// A kernel without keyrings (ENOSYS) has none to keep apart.
    ///
    /// The ring can be searched by its user, so that a later exec finds it by name.
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
