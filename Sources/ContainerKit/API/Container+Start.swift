// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import SystemPackage

extension Container {
    /// Starts the process of a created container, and returns once it runs.
    ///
    /// - Parameters:
    ///   - notifySocket: the socket of a service manager to notify when the process is ready, if
    ///     the container was created with one; the call then returns after the notification.
    ///   - timeout: how long it may take until the program is started and the poststart hooks have
    ///     ended; nil means for ever.
    ///   - trace: records where the time goes, init's steps only if `create` had a trace, too.
    /// - Throws: `wrongState`, or the failure of init: `initFailed`, `executableNotFound`;
    ///   `timedOut`, with the step that init or a hook is at, and the container is then stopped;
    ///   `hookFailed` if a poststart hook failed, and the container is then deleted.
    public func start(
        notifySocket: String? = nil, timeout: Duration? = nil, trace: LaunchTrace? = nil
    ) throws(ContainerError) {
        var limit: TimeLimit?
        if let timeout { limit = try TimeLimit(checking: timeout) }
        let found = try trace.measure("runtime.state", "read the container's state") {
            () throws(ContainerError) in
            try find(locking: true, within: limit)
        }
        switch found.status {
        case .created: break
        case .stopped: throw try Self.stoppedBeforeStart(found)
        case .running:
            throw ContainerError(.wrongState, "cannot start an already running container")
        default:
            throw ContainerError(
                .wrongState, "cannot start a container in the \(found.status.rawValue) state")
        }
        guard let record = found.record else { return }
        // Spec: runtime.md, Start.
        guard record.hasProgram else {
            throw ContainerError(
                .invalidSpec, "process property must not be empty", field: "process",
                hint: "the container was created from a config without process")
        }
        store.logger.debug("init, process \(record.pid), is told to go on")
        let readiness = try Self.listen(for: notifySocket, found.state)
        defer { if let readiness { _ = OwnedDescriptor(taking: readiness.socket) } }
        let hooks = record.hooks?.planned(.startContainer) ?? []
        let variable = trace?.hookVariable
        let last =
            record.hooks?.planned(
                .poststart, inheriting: variable == nil ? nil : ownEnvironment(),
                tracedBy: variable) ?? []
        // If a hook fails or times out, init is killed. So init is opened now; later its pid could
        // be reused.
        let process =
            hooks.isEmpty && last.isEmpty && limit == nil
            ? nil : try record.openInit().release()
        defer { if let process { _ = OwnedDescriptor(taking: process) } }
        try awaitProgram(record, process, found.state, hooks, limit, trace)
        guard !last.isEmpty || readiness != nil else { return }
        // The container runs: its poststart hooks may run commands that need the lock.
        found.state.unlock()
        if !last.isEmpty { try runPoststartHooks(last, record, process, limit, trace) }
        guard let readiness, let main = try record.openInitIfAlive() else { return }
        try trace.measure("runtime.socket", "wait until the container is ready") {
            () throws(ContainerError) in
            try reporting("unable to tell the service manager that the container is ready") {
                () throws(SystemCallError) in
                try readiness.run(until: main.number, mainProcess: record.pid)
            }
        }
    }

    /// Tells init to go on, and waits until it runs the program.
    private func awaitProgram(
        _ record: ContainerRecord, _ process: CInt?, _ state: borrowing StateDirectory,
        _ hooks: [PlannedHook], _ limit: TimeLimit?, _ trace: LaunchTrace?
    ) throws(ContainerError) {
        let connection = try trace.measure("runtime.child", "tell init to go on") {
            () throws(ContainerError) in
            try Self.connectToInit(state.descriptor)
        }
        state.noteOrder()
        var executionTime: Int?
        defer { state.recordInitSteps(of: record, in: trace, until: executionTime) }
        // A filter with a listener is loaded before the hooks run, because it applies to their
        // calls, too.
        var listensFirst = false
        if !hooks.isEmpty {
            let spec = try Self.recordedSpec(state)
            listensFirst = spec.linux?.seccomp?.notifies == true
        }
        if !hooks.isEmpty, !listensFirst {
            try Self.supervise(hooks, record, process, over: connection.number, limit, trace)
        }
        // The connection itself was the order to start; it is closed by execve or when init ends.
        // Before that, init sends the number of its seccomp listener, if its filter has one.
        func receiveListener() throws(ContainerError) -> CInt? {
            try trace.measure("runtime.child", "wait until init runs the program") {
                () throws(ContainerError) in
                try Self.awaitInit(connection.number, record, process, state, limit)
                return SeccompListener.receiveNumber(from: connection.number)
            }
        }
        if let number = try receiveListener() {
            try trace.measure("runtime.listener", "hand over the listener of init's filter") {
                () throws(ContainerError) in
                try handOver(
                    listener: number, of: record, state, resuming: connection.number, limit)
            }
            if listensFirst {
                try Self.supervise(hooks, record, process, over: connection.number, limit, trace)
            }
            _ = try receiveListener()
        }
        try Self.checkExecution(record, state)
        if trace != nil { executionTime = LaunchTrace.now }
    }

    private static func listen(for notifySocket: String?, _ state: borrowing StateDirectory)
        throws(ContainerError) -> ReadinessRelay?
    {
        guard let notifySocket else { return nil }
        let directory = state.descriptor
        let socket = try reporting("unable to listen for the container's readiness") {
            () throws(SystemCallError) -> CInt? in
            try ReadinessRelay.listen(in: directory)?.release()
        }
        return socket.map { ReadinessRelay(socket: $0, listener: notifySocket) }
    }

    /// Runs the poststart hooks; if one fails, the container is stopped and deleted.
    ///
    /// Spec: runtime.md, Lifecycle, steps 9 to 13.
    private func runPoststartHooks(
        _ hooks: [PlannedHook], _ record: ContainerRecord, _ process: CInt?, _ limit: TimeLimit?,
        _ trace: LaunchTrace?
    ) throws(ContainerError) {
        do throws(ContainerError) {
            try HookRun(record, .running, pid: record.pid, within: limit, trace).run(hooks)
        } catch {
            Self.killAll(record, process)
            do throws(ContainerError) {
                try delete(force: true)
            } catch {
                store.logger.warning("cannot delete the container: \(error)")
            }
            throw error
        }
    }

    /// Throws the error that kept init from running the program.
    private static func checkExecution(
        _ record: ContainerRecord, _ state: borrowing StateDirectory
    ) throws(ContainerError) {
        guard let progress = try state.readProgress() else {
            throw state.damage(to: StateDirectory.progressName)
        }
        let instruction = record.lastInstructions.first { $0.index == progress.index }
        // A kill at the very moment of execve cannot be told from success; one before it can.
        let execution = record.lastInstructions.first(where: \.isExecution)
        let wasKilled = progress.error == 0 && progress.index < execution?.index ?? 0
        guard wasKilled || progress.error != 0 else { return }
        // A process closes its connections before it has ended. Wait for the end, so that the
        // caller finds a stopped container after this error; if that is not possible, the error is
        // the same.
        if let process = try? record.openInit() { try? awaitEnd(of: process, record.pid) }
        guard wasKilled else {
            let mounts = (try? recordedSpec(state))?.mounts ?? []
            throw ContainerError(
                instruction, errno: progress.error,
                in: ImageView(path: record.rootfs, mounts: mounts.map(\.destination)))
        }
        throw ContainerError(
            .initFailed, "init was killed before the program ran", field: instruction?.origin.path)
    }

    /// Supervises the hooks; if one times out, the container is killed, since the hook is its
    /// process.
    private static func supervise(
        _ hooks: [PlannedHook], _ record: ContainerRecord, _ process: CInt?,
        over connection: CInt, _ limit: TimeLimit?, _ trace: LaunchTrace?
    ) throws(ContainerError) {
        do throws(ContainerError) {
            let run = HookRun(record, .created, pid: try record.pidInside(), within: limit, trace)
            // If init reports nothing, the closed connection shows its end.
            _ = try run.supervise(hooks, over: connection)
        } catch {
            killAll(record, process)
            throw error
        }
    }

    /// Sends the listener of init's filter to the configured socket; if that fails, init does not
    /// run.
    private func handOver(
        listener number: CInt, of record: ContainerRecord, _ state: borrowing StateDirectory,
        resuming socket: CInt, _ limit: TimeLimit?
    ) throws(ContainerError) {
        let process = try record.openInit()
        do throws(ContainerError) {
            let spec = try Self.recordedSpec(state)
            let listener = SeccompListener(
                spec.linux?.seccomp,
                state: State(
                    ociVersion: RuntimeVersion.specVersion, id: id, pid: Int(record.pid),
                    status: .creating, bundle: record.bundle, annotations: spec.annotations))
            guard let listener else {
                throw ContainerError(.state, "the recorded config has no seccomp listener")
            }
            try listener.hand(
                over: number, of: (process.number, record.pid),
                to: listener.connect(before: limit?.deadline),
                resuming: socket)
        } catch {
            try? sendSignal(process.number, Signal.kill.rawValue)
            guard let limit, limit.isOver else { throw error }
            throw limit.passed(
                "the seccomp listener does not answer", field: SeccompListener.field,
                failure: error.failure)
        }
    }

    /// Waits until init has sent something, runs its program or has ended; when the time is over,
    /// kills the container and tells the step that init is at.
    private static func awaitInit(
        _ connection: CInt, _ record: ContainerRecord, _ process: CInt?,
        _ state: borrowing StateDirectory, _ limit: TimeLimit?
    ) throws(ContainerError) {
        guard let limit else { return }
        let isReady = try reporting { () throws(SystemCallError) in
            var entries = [PollEntry(connection, .readable)]
            return try poll(
                &entries, timeoutMilliseconds: limit.deadline.remainingMilliseconds) > 0
        }
        guard !isReady else { return }
        let index = try state.readProgress()?.index ?? -1
        killAll(record, process)
        let hint: String? =
            if let process, !killedEnds(process, record.pid) { stuckHint(record.pid) } else { nil }
        guard let last = record.lastInstructions.first(where: { $0.index == index }) else {
            throw limit.passed("init does not begin", hint: hint)
        }
        throw limit.passed(
            "init is at the call \(last.call)(\(last.arguments))", field: last.origin.path,
            hint: hint)
    }

    /// Kills init and the processes that do not end with it.
    private static func killAll(_ record: ContainerRecord, _ process: CInt?) {
        // These come first: once init has ended, its children cannot be identified any more.
        if !record.hasPidNamespace { try? ContainerProcesses(record).signal(.kill) }
        if let process { try? sendSignal(process, Signal.kill.rawValue) }
    }

    /// The reason why a container that was never started has stopped, as far as init has reported
    /// it.
    private static func stoppedBeforeStart(_ found: borrowing FoundContainer) throws(ContainerError)
        -> ContainerError
    {
        let text = "cannot start a container that has stopped"
        guard let record = found.record, let progress = try found.state.readProgress(),
            progress.error != 0
        else { return ContainerError(.wrongState, text) }
        let instruction = record.lastInstructions.first { $0.index == progress.index }
        return ContainerError(
            .wrongState, "\(text) (\(ContainerError(instruction, errno: progress.error, in: nil)))")
    }

    private static func connectToInit(_ directory: CInt) throws(ContainerError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return try connectUnixSocket(in: directory, name: StateDirectory.socketName)
        } catch {
            throw ContainerError(
                .wrongState, "init does not wait for start", failure: error,
                hint: "the container may have been killed meanwhile")
        }
    }
}
#endif
