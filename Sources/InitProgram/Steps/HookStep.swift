// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

// A hook in the container's namespaces is a child of init: whatever init is in by then (namespaces,
// cgroups, root, user, limits, labels) the hook is in, too. The runtime sends its three streams over the
// socket that init already waits on, and init sends back how it ended. See Decisions/0008.

/// Steps for hooks that run in the container's namespaces.
package enum HookStep: ChildStep {
    /// Runs a hook as a child of this process, with the streams that the parent sends.
    ///
    /// `preparing` is what the hook's own process does before it executes. Under a filter the clone is
    /// one that a profile can judge by its flags.
    case runHook(
        PlannedHook, preparing: [InitStep], underFilter: Bool = false,
        over: StartChannel = .rendezvous)
    /// Enters a directory of the host; one that is missing is left out.
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
        // What the hook's own process does before it executes.
        default:
            AttributeStep.hint(for: refusal) ?? IdentityStep.hint(for: refusal)
                ?? FilterStep.hint(for: refusal)
        }
    }
}

extension Assembler {
    /// Runs one hook to its end, and stops the program when it fails.
    ///
    /// CLONE_VFORK: the clone returns once the hook's program runs, or its process ended before; an error
    /// of the child's own instructions is in the progress page by then, and stays there.
    mutating func runHook(
        _ hook: PlannedHook, _ preparing: [InitStep], underFilter: Bool, over channel: StartChannel,
        _ state: inout LoweringState
    ) {
        let socket = socket(of: channel, state)
        let streams = ["input", "output", "error"].map {
            receiveDescriptor(
                "hook-\($0)", from: socket, without: "the runtime ended before the hooks ran")
        }
        // Where SIGCHLD is ignored, the kernel forgets how a child ended.
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
        // No signal has the number 0: the status alone tells success.
        let succeeded = skip(
            when: .isWord(ending + HookReport.statusOffset, 0))
        refuse(hook.failureText)
        place(succeeded)
    }

    /// Clones with no exit signal, until execve makes it SIGCHLD.
    ///
    /// Profiles refuse clone3(2), whose flags a filter cannot see, and let clone(2) pass without new
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

    /// The child's part: streams, directory, and nothing else of what init holds.
    private mutating func executeHook(
        _ hook: PlannedHook, _ preparing: [InitStep], _ streams: [Cell],
        _ state: inout LoweringState
    ) {
        for (number, stream) in streams.enumerated() {
            // They came in this order into the lowest free numbers: no copy covers one that is still
            // needed, and one that is in place already is EINVAL.
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

    /// Enters a directory of the host; where it is gone, the present one will do.
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
    /// What it needs to be open: the connection of a `start` was accepted by an earlier step.
    var inputs: [InheritedDescriptor] {
        switch self {
        case .rendezvous: [.rendezvous]
        case .startConnection: []
        }
    }
}
