// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import SystemPackage

extension Container {
    // MARK: Start

    /// Starts the process of a created container, and returns when it runs.
    ///
    /// - Parameter notifySocket: the socket of a service manager that shall know when the process is
    ///   ready, for a container that was created with one; the call returns after that.
    /// - Throws: `wrongState`, or what became of init: `initFailed`, `executableNotFound`; `hookFailed`
    ///   where a poststart hook failed, and the container is gone.
    public func start(notifySocket: String? = nil) throws(ContainerError) {
        let found = try find(locking: true)
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
        // A hook that fails or takes too long ends init. So init is opened before: later its number could
        // be another process's.
        let process = hooks.isEmpty && last.isEmpty ? nil : try record.openInit().release()
        defer { if let process { _ = OwnedDescriptor(taking: process) } }
        let connection = try Self.connectToInit(found.state.descriptor)
        found.state.noteOrder()
        // A filter with a listener is loaded before hooks run: it decides on their calls, too.
        var listensFirst = false
        if !hooks.isEmpty {
            let spec = try Self.recordedSpec(found.state)
            listensFirst = spec.linux?.seccomp?.notifies == true
        }
        if !hooks.isEmpty, !listensFirst {
            try Self.supervise(hooks, record, process, over: connection.number)
        }
        // Connecting was the order; the connection is closed by execve, or by init's end. Before that
        // init tells of the listener of its filter, if there is one.
        if let number = SeccompListener.receiveNumber(from: connection.number) {
            try handOver(listener: number, of: record, found.state, resuming: connection.number)
            if listensFirst {
                try Self.supervise(hooks, record, process, over: connection.number)
            }
            _ = SeccompListener.receiveNumber(from: connection.number)
        }
        try Self.checkExecution(record, found.state)
        guard !last.isEmpty || readiness != nil else { return }
        // The container runs: what a hook does to it must not wait for this lock.
        found.state.unlock()
        if !last.isEmpty { try runPoststartHooks(last, record, process) }
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

    /// A container one of whose hooks fails is stopped and deleted.
    ///
    /// Spec: runtime.md, Lifecycle, steps 9 to 13.
    private func runPoststartHooks(
        _ hooks: [PlannedHook], _ record: ContainerRecord, _ process: CInt?
    ) throws(ContainerError) {
        do throws(ContainerError) {
            try HookRun(record, .running, pid: record.pid).run(hooks)
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

    /// Throws what kept init from running the program.
    private static func checkExecution(
        _ record: ContainerRecord, _ state: borrowing StateDirectory
    ) throws(ContainerError) {
        guard let progress = try state.readProgress() else {
            throw state.damage(to: StateDirectory.progressName)
        }
        let instruction = record.lastInstructions.first { $0.index == progress.index }
        // A kill at the very instant of execve looks like success; one before it does not.
        let execution = record.lastInstructions.first(where: \.isExecution)
        let wasKilled = progress.error == 0 && progress.index < execution?.index ?? 0
        guard wasKilled || progress.error != 0 else { return }
        // A process closes its connections before it has ended: who asks after this error shall see
        // a stopped container. Where that cannot be seen, the error is the same.
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

    /// A hook that takes too long is ended with the container, whose process it is.
    private static func supervise(
        _ hooks: [PlannedHook], _ record: ContainerRecord, _ process: CInt?,
        over connection: CInt
    ) throws(ContainerError) {
        do throws(ContainerError) {
            let run = HookRun(record, .created, pid: try record.pidInside())
            // If init told nothing, its end is told by the connection.
            _ = try run.supervise(hooks, over: connection)
        } catch {
            killAll(record, process)
            throw error
        }
    }

    /// Gives the listener of init's filter to who listens; where that fails, init does not run.
    private func handOver(
        listener number: CInt, of record: ContainerRecord, _ state: borrowing StateDirectory,
        resuming socket: CInt
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
                over: number, of: (process.number, record.pid), to: listener.connect(),
                resuming: socket)
        } catch {
            try? sendSignal(process.number, Signal.kill.rawValue)
            throw error
        }
    }

    /// Kills init, and what does not end with it.
    private static func killAll(_ record: ContainerRecord, _ process: CInt?) {
        // First: once init has ended, nothing may tell which were its children.
        if !record.hasPidNamespace { try? ContainerProcesses(record).signal(.kill) }
        if let process { try? sendSignal(process, Signal.kill.rawValue) }
    }

    /// Why a container that was never started has no init any more, as far as init told.
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
    /// A container without a pid namespace of its own does not end with its init: KILL goes to the
    /// whole cgroup then. Spec: runtime.md, Kill.
    /// - Throws: `notRunning` when init has ended (with `all`, that is not an error), `notFound`.
    public func kill(_ signal: Signal, all: Bool = false) throws(ContainerError) {
        let found = try find(locking: false)
        guard let record = found.record, found.status != .creating else {
            throw ContainerError(.notRunning, "container not running")
        }
        let cgroup = Cgroup(record.cgroups)
        if all || (signal == .kill && !record.hasPidNamespace) {
            let processes = ContainerProcesses(record)
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

    /// Removes a stopped container with its cgroup and state; a created one is killed first.
    ///
    /// A poststop hook that fails is a warning to the store's logger: the container is gone by then.
    /// - Parameter force: kills a running container first, and removes what a died creation left.
    /// - Throws: `wrongState` when the container runs and `force` is not given, `notFound`.
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
                "cgroups": "\(record.cgroups.directories.map(\.path).joined(separator: " "))",
            ])
        let cgroup = Cgroup(record.cgroups)
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
        // A creation that ended before it started init may not have looked yet whether the cgroup of its
        // config is another's.
        if !record.isComplete, try !found.state.holds(StateDirectory.progressName) {
            cgroup.removeIfUnused()
            try reporting { () throws(SystemCallError) in try record.detachRootMount() }
            try found.state.remove()
            record.runPoststopHooks { store.logger.warning("\($0)") }
            return
        }
        // A process that is left after that makes the removal of the cgroup fail.
        if !record.hasPidNamespace || !record.isComplete { try? cgroup.killAll() }
        try reporting { () throws(CgroupError) in try cgroup.remove() }
        try reporting("unable to remove the container's groups of resctrl") {
            () throws(SystemCallError) in
            try ResctrlGroup.remove(record.ownResctrlGroups)
        }
        try reporting("unable to take off the container's mounts") { () throws(SystemCallError) in
            try record.detachRootMount()
        }
        try found.state.remove()
        record.runPoststopHooks { store.logger.warning("\($0)") }
    }

    /// Takes an init that never ran its program out of the process table, if it is a child of this process:
    /// `create` gives no process to wait for.
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

    /// Kills init and waits up to ten seconds until it has ended.
    private static func end(_ record: ContainerRecord, _ cgroup: Cgroup) throws(ContainerError) {
        guard let process = try record.openInitIfAlive() else { return }
        if record.cgroups.directories.isEmpty, !record.hasPidNamespace {
            // Once init has ended, nothing tells which were its children.
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
        try awaitEnd(of: process)
    }

    /// Waits up to ten seconds until an init that ends has ended.
    private static func awaitEnd(of process: borrowing OwnedDescriptor) throws(ContainerError) {
        var entries = [PollEntry(process.number, .readable)]
        let ready = try reporting { () throws(SystemCallError) in
            try poll(&entries, timeoutMilliseconds: 10_000)
        }
        guard ready > 0 else { throw ContainerError(.wrongState, "container init still running") }
    }
}
