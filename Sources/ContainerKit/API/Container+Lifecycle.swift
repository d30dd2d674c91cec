// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import SystemPackage

extension Container {
    // MARK: Start

    /// Starts the process of a created container, and returns once it runs.
    ///
    /// - Parameters:
    ///   - notifySocket: the socket of a service manager to notify when the process is ready, if
    ///     the container was created with one; the call then returns after the notification.
    ///   - timeout: how long it may take until the program is started and the poststart hooks have
    ///     ended; nil means for ever.
    /// - Throws: `wrongState`, or the failure of init: `initFailed`, `executableNotFound`;
    ///   `timedOut`, with the step that init or a hook is at, and the container is then stopped;
    ///   `hookFailed` if a poststart hook failed, and the container is then deleted.
    public func start(notifySocket: String? = nil, timeout: Duration? = nil) throws(ContainerError)
    {
        var limit: TimeLimit?
        if let timeout { limit = try TimeLimit(checking: timeout) }
        let found = try find(locking: true, within: limit)
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
        let last = record.hooks?.planned(.poststart) ?? []
        // If a hook fails or times out, init is killed. So init is opened now; later its pid could
        // be reused.
        let process =
            hooks.isEmpty && last.isEmpty && limit == nil
            ? nil : try record.openInit().release()
        defer { if let process { _ = OwnedDescriptor(taking: process) } }
        let connection = try Self.connectToInit(found.state.descriptor)
        found.state.noteOrder()
        // A filter with a listener is loaded before the hooks run, because it applies to their
        // calls, too.
        var listensFirst = false
        if !hooks.isEmpty {
            let spec = try Self.recordedSpec(found.state)
            listensFirst = spec.linux?.seccomp?.notifies == true
        }
        if !hooks.isEmpty, !listensFirst {
            try Self.supervise(hooks, record, process, over: connection.number, limit)
        }
        try Self.awaitInit(connection.number, record, process, found.state, limit)
        // The connection itself was the order to start; it is closed by execve or when init ends.
        // Before that, init sends the number of its seccomp listener, if its filter has one.
        if let number = SeccompListener.receiveNumber(from: connection.number) {
            try handOver(
                listener: number, of: record, found.state, resuming: connection.number, limit)
            if listensFirst {
                try Self.supervise(hooks, record, process, over: connection.number, limit)
            }
            try Self.awaitInit(connection.number, record, process, found.state, limit)
            _ = SeccompListener.receiveNumber(from: connection.number)
        }
        try Self.checkExecution(record, found.state)
        guard !last.isEmpty || readiness != nil else { return }
        // The container runs: its poststart hooks may run commands that need the lock.
        found.state.unlock()
        if !last.isEmpty { try runPoststartHooks(last, record, process, limit) }
        guard let readiness, let main = try record.openInitIfAlive() else { return }
        try reporting("unable to tell the service manager that the container is ready") {
            () throws(SystemCallError) in
            try readiness.run(until: main.number, mainProcess: record.pid)
        }
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
        _ hooks: [PlannedHook], _ record: ContainerRecord, _ process: CInt?, _ limit: TimeLimit?
    ) throws(ContainerError) {
        do throws(ContainerError) {
            try HookRun(record, .running, pid: record.pid, within: limit).run(hooks)
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
        if let process = try? record.openInit() { try awaitEnd(of: process) }
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
        over connection: CInt, _ limit: TimeLimit?
    ) throws(ContainerError) {
        do throws(ContainerError) {
            let run = HookRun(record, .created, pid: try record.pidInside(), within: limit)
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
        if let process = try? record.openInit() { try awaitEnd(of: process) }
        guard let last = record.lastInstructions.first(where: { $0.index == index }) else {
            throw limit.passed("init does not begin")
        }
        throw limit.passed(
            "init is at the call \(last.call)(\(last.arguments))", field: last.origin.path)
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

    // MARK: Kill

    /// Sends a signal to the container's init, or to all its processes.
    ///
    /// Without a pid namespace of its own, a container does not end with its init, so KILL goes to
    /// the whole cgroup. Spec: runtime.md, Kill.
    /// - Throws: `notRunning` if init has ended (not an error with `all`), `notFound`.
    public func kill(_ signal: Signal, all: Bool = false) throws(ContainerError) {
        let found = try find(locking: false)
        guard let record = found.record, found.status != .creating else {
            throw ContainerError(.notRunning, "container not running")
        }
        let cgroup = try record.openCgroup()
        if all || (signal == .kill && !record.hasPidNamespace) {
            let processes = try ContainerProcesses(record)
            if found.status == .stopped, !all, try processes.isEmpty {
                throw ContainerError(.notRunning, "container not running")
            }
            store.logger.debug("signal \(signal.rawValue) to all processes of the cgroup")
            try processes.signal(signal)
            return
        }
        guard found.status != .stopped else {
            throw ContainerError(.notRunning, "container not running")
        }
        store.logger.debug("signal \(signal.rawValue) to init, process \(record.pid)")
        let process = try record.openInit()
        do throws(SystemCallError) {
            try sendSignal(process.number, signal.rawValue)
        } catch  where error.errno == .noSuchProcess {
            throw ContainerError(.notRunning, "container not running")
        } catch {
            throw ContainerError(error)
        }
        // A frozen process dies only once it is thawed.
        guard signal == .kill, found.status == .paused else { return }
        try reporting { () throws(CgroupError) in try cgroup.thaw() }
    }

    // MARK: Delete

    /// Deletes a stopped container with its cgroup and state; a created one is killed first.
    ///
    /// If a poststop hook fails, the store's logger gets a warning, since the container is already
    /// gone.
    /// - Parameter force: kills a running container first, and removes what a failed creation has
    ///   left.
    /// - Throws: `wrongState` if the container runs and `force` is not given, `notFound`.
    public func delete(force: Bool = false) throws(ContainerError) {
        let found = try force ? findForForcedDelete() : find(locking: true)
        guard let record = found.record else {
            guard try found.state.isOfNoContainer() else { throw found.state.noProcessKnown }
            try found.state.remove()
            return
        }
        store.logger.debug(
            "delete a container that is \(found.status.rawValue), with its cgroups",
            metadata: [
                "pid": "\(record.pid)",
                "cgroups": "\(record.cgroups.directories.map(\.name).joined(separator: " "))",
            ])
        let cgroup = try record.openCgroup()
        switch found.status {
        case .stopped: break
        case .created: try Self.end(record, cgroup)
        default:
            guard force else {
                throw ContainerError(
                    .wrongState,
                    "cannot delete container \(id) that is not stopped: \(found.status.rawValue)")
            }
            try Self.end(record, cgroup)
        }
        Self.reap(record, found.state)
        // A creation that ended before it started init may not have checked yet whether the
        // config's cgroup belongs to somebody else.
        if try !record.hasOwnCgroup(found.state) {
            cgroup.removeIfUnused()
            try reporting { () throws(SystemCallError) in try record.detachRootMount() }
            try found.state.remove()
            record.runPoststopHooks { store.logger.warning("\($0)") }
            return
        }
        // If a process survives this, removing the cgroup fails.
        if !record.hasPidNamespace || !record.isComplete { try? cgroup.killAll() }
        try reporting { () throws(CgroupError) in try cgroup.remove() }
        try reporting("unable to remove the container's groups of resctrl") {
            () throws(SystemCallError) in
            try ResctrlGroup.remove(record.ownResctrlGroups)
        }
        try reporting("unable to unmount the container's mounts") { () throws(SystemCallError) in
            try record.detachRootMount()
        }
        try found.state.remove()
        record.runPoststopHooks { store.logger.warning("\($0)") }
    }

    /// Waits for an init that never ran its program, if it is a child of this process: `create`
    /// returned no process to wait for.
    private static func reap(_ record: ContainerRecord, _ state: borrowing StateDirectory) {
        let instructions = record.lastInstructions
        guard record.pid > 0,
            let last = instructions.first(where: \.isExecution) ?? instructions.last,
            let process = try? openProcess(record.pid),
            (try? startTime(of: record.pid)) == record.startTime,
            let page = try? state.read(StateDirectory.progressName),
            let progress = ProgressPage.read(page), progress.index < last.index
        else { return }
        _ = try? waitProcessIfEnded(process.number)
    }

    /// Kills init and waits at most ten seconds for its end.
    private static func end(_ record: ContainerRecord, _ cgroup: Cgroup) throws(ContainerError) {
        guard let process = try record.openInitIfAlive() else { return }
        if record.cgroups.directories.isEmpty, !record.hasPidNamespace {
            // These are killed first: once init has ended, its children cannot be identified any
            // more.
            try ContainerProcesses(record).signal(.kill)
        }
        do throws(SystemCallError) {
            try sendSignal(process.number, Signal.kill.rawValue)
        } catch  where error.errno == .noSuchProcess {
            return
        } catch {
            throw ContainerError(error, "unable to kill the container's process")
        }
        try reporting { () throws(CgroupError) in
            if try cgroup.isFrozen { try cgroup.thaw() }
            if !record.hasPidNamespace { try cgroup.killAll() }
        }
        let number = process.number
        let hasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(number, withinMilliseconds: 200)
        }
        if hasEnded { return }
        // A process outside of its pid namespace may hold it up: the CRIU of a killed restore traces
        // init's children, and without its runtime it waits for ever.
        try reporting { () throws(CgroupError) in try cgroup.killAll() }
        try awaitEnd(of: process)
    }

    /// Waits at most ten seconds for the end of init.
    private static func awaitEnd(of process: borrowing OwnedDescriptor) throws(ContainerError) {
        let number = process.number
        let hasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(number, withinMilliseconds: 10_000)
        }
        guard hasEnded else { throw ContainerError(.wrongState, "container init still running") }
    }
}
#endif
