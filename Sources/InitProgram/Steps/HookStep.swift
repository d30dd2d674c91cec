// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

// A hook in the container's namespaces is a child of init and inherits its namespaces, cgroups,
// root, user, limits and labels. The runtime sends its three streams over the socket that init
// already waits on, and init sends back how the hook ended. See Decisions/0008.

/// Steps for hooks that run in the container's namespaces.
package enum HookStep: ChildStep {
    /// Runs a hook as a child of this process, with the streams that the parent sends.
    ///
    /// `preparing` are the steps of the hook's own process before it executes. Under a seccomp
    /// filter it is cloned by clone(2), whose flags a profile can check.
    case runHook(
        PlannedHook, preparing: [InitStep], underFilter: Bool = false,
        over: StartChannel = .rendezvous)
    /// Enters a directory of the host; does nothing if it is missing.
    case enterHostDirectory(String)
}

extension HookStep {
    package var sentence: String {
        switch self {
        case .runHook(let hook, _, _, _): "run the hook \(hook.path) in the container's namespaces"
        case .enterHostDirectory(let path):
            "enter the directory \(path) of the host, if it is there"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .runHook(_, _, _, let channel): channel.inputs
        case .enterHostDirectory: []
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .runHook(let hook, _, _, _):
            [.receives(.hookStreams(hook.path)), .sends(.hookEnd(hook.path))]
        case .enterHostDirectory: []
        }
    }

    package var usesRoot: Bool {
        switch self {
        case .runHook(let hook, _, _, _): hook.point == .createContainer
        case .enterHostDirectory: false
        }
    }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .runHook(let hook, let preparing, let underFilter, let channel):
            code.runHook(hook, preparing, underFilter: underFilter, over: channel, &state)
        case .enterHostDirectory(let path): code.enterHostDirectory(path)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("clone3", .resourceTemporarilyUnavailable),
            ("clone", .resourceTemporarilyUnavailable):
            NamespaceStep.processHint
        // The calls of the hook's own process before it executes.
        default:
            AttributeStep.hint(for: refusal) ?? IdentityStep.hint(for: refusal)
                ?? FilterStep.hint(for: refusal)
        }
    }
}

extension Assembler {
    /// Runs one hook to its end; stops the program if the hook fails.
    ///
    /// CLONE_VFORK: the clone returns once the hook's program runs or its process has ended. By
    /// then an error of the child's own instructions is in the progress page, and stays there.
    mutating func runHook(
        _ hook: PlannedHook, _ preparing: [InitStep], underFilter: Bool, over channel: StartChannel,
        _ state: inout LoweringState
    ) {
        let socket = socket(of: channel, state)
        let streams = ["input", "output", "error"].map {
            receiveDescriptor(
                "hook-\($0)", from: socket, without: "the runtime ended before the hooks ran")
        }
        // If SIGCHLD is ignored, the kernel discards a child's exit status.
        setAction(.named(SignalNumber.child), defaultAction())
        let child = cloneHook(underFilter: underFilter, note: hook.failureText)
        let inChild = skip(when: .equals(child, 0))
        let inInit = skip(when: .always)
        place(inChild)
        executeHook(hook, preparing, streams, &state)
        place(inInit)

        let isFine = skip(when: .nothingFailed)
        call(.exitGroup, [.literal(125)])
        place(isFine)
        for stream in streams { call(.close, [.cell(stream)]) }
        let ending = scratch()
        call(
            .waitid,
            [
                .named(WaitTarget.process), .cell(child), .address(ending),
                .named(.exited | .allChildren as WaitOptions), .literal(0),
            ], retries: 1000, note: hook.failureText)
        call(
            .write, [.cell(socket), .address(ending), .literal(HookReport.sizeBytes)],
            retries: 1000)
        // No signal has the number 0, so status 0 alone means success.
        let succeeded = skip(
            when: .isWord(ending + HookReport.statusOffset, 0))
        refuse(hook.failureText)
        place(succeeded)
    }

    /// Clones without an exit signal; execve makes it SIGCHLD.
    ///
    /// Profiles refuse clone3(2), whose flags a filter cannot see, but allow clone(2) without new
    /// namespaces.
    private mutating func cloneHook(underFilter: Bool, note: String) -> Cell {
        let child = cell("hook")
        if underFilter {
            let none = Operand.literal(0)
            call(
                .clone, [.named(CloneFlags.waitsForExec), none, none, none, none], into: child,
                note: note)
        } else {
            let arguments = cloneArguments(.waitsForExec)
            call(
                .clone3, [.address(arguments), .literal(CloneLayout.sizeBytes)], into: child,
                note: note)
        }
        return child
    }

    /// The child's part: sets streams and directory, closes all other descriptors, and executes the
    /// hook.
    private mutating func executeHook(
        _ hook: PlannedHook, _ preparing: [InitStep], _ streams: [Cell],
        _ state: inout LoweringState
    ) {
        for (number, stream) in streams.enumerated() {
            // The streams have the lowest free numbers in this order, so no dup3 overwrites one
            // that is still needed. For a stream that is already in place, dup3 fails with EINVAL.
            call(
                .dup3, [.cell(stream), .literal(number), .literal(0)],
                ignoring: [.invalidArgument])
        }
        if hook.point == .createContainer { call(.fchdir, [.cell(state.root)]) }
        call(.closeRange, [.literal(3), .lastDescriptor, .literal(0)])
        for step in preparing { step.lower(into: &self, &state) }
        let argv = textArray(hook.arguments)
        let envp = textArray(hook.environment ?? [])
        call(
            .execve, [text(hook.path), .address(argv), .address(envp)], note: hook.failureText)
    }

    /// Enters a directory of the host; stays in the present one if it is gone.
    mutating func enterHostDirectory(_ path: String) {
        let directory = cell("directory")
        open(
            text(path), .pathOnly | .directory, into: directory,
            ignoring: [.noSuchFileOrDirectory, .permissionDenied, .notDirectory])
        let missing = skip(when: .isNegative(directory))
        call(.fchdir, [.cell(directory)])
        call(.close, [.cell(directory)])
        place(missing)
    }
}

extension StartChannel {
    /// The descriptors needed; the connection of a `start` was accepted by an earlier step.
    var inputs: [InheritedDescriptor] {
        switch self {
        case .rendezvous: [.rendezvous]
        case .startConnection: []
        }
    }
}

extension SystemCall {
    static var waitid: SystemCall { SystemCall("waitid", __NR_waitid) }
}
#endif
