// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// Steps for hooks: those in the runtime's namespaces, and support for those in init's.
enum ParentHookStep: ParentAction {
    /// Runs hooks of one list as children of the runtime, each to its end.
    case run([PlannedHook])
    /// Sends the hooks that the child runs their streams, and waits for each of them to end.
    case supervise([PlannedHook])

    var sentence: String {
        switch self {
        case .run(let hooks):
            "run \(hooks.map(\.path).joined(separator: ", ")) in the runtime's namespaces"
        case .supervise(let hooks):
            "feed and time the child's hooks: \(hooks.map(\.path).joined(separator: ", "))"
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .run: []
        case .supervise(let hooks):
            hooks.flatMap { [.sends(.hookStreams($0.path)), .receives(.hookEnd($0.path))] }
        }
    }

    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .run(let hooks): try launcher.run(hooks)
        case .supervise(let hooks): try launcher.supervise(hooks)
        }
    }
}

extension Launcher {
    /// Runs hooks in the runtime's namespaces; until the child's program runs, their state is
    /// `creating`.
    fileprivate func run(_ hooks: [PlannedHook]) throws(ContainerError) {
        guard let record else { return }
        let isRunning = hooks.first?.point == .poststart
        // The container runs: its poststart hooks may run commands that need the lock.
        if isRunning { state?.unlock() }
        let status: State.Status = isRunning ? .running : .creating
        try HookRun(record, status, pid: pid, within: options.timeLimit, options.trace)
            .run(hooks, initProcess: isRunning ? -1 : pidfd)
    }

    fileprivate func supervise(_ hooks: [PlannedHook]) throws(ContainerError) {
        guard let record else { return }
        let status: State.Status = hooks.first?.point == .startContainer ? .created : .creating
        let run = HookRun(
            record, status, pid: try record.pidInside(), within: options.timeLimit, options.trace)
        guard try run.supervise(hooks, over: rendezvous) else { throw childFailure() }
    }
}
#endif
