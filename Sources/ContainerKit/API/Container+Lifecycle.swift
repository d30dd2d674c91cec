// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import Logging
internal import SystemPackage

extension Container {
    // MARK: Start

    /// Starts the process of a created container, and returns when it runs.
    ///
    /// - Parameter notifySocket: the socket of a service manager that shall know when the process is
    ///   ready, for a container that was created with one; the call returns after that.
    /// - Throws: `wrongState`, or what became of init: `initFailed`, `executableNotFound`.
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
        let connection = try Self.connectToInit(found.state.descriptor)
        let hooks = record.hooks?.planned(.startContainer) ?? []
        // A filter with a listener is loaded before hooks run: it decides on their calls, too.
        var listensFirst = false
        if !hooks.isEmpty {
            let spec = try Self.recordedSpec(found.state)
            listensFirst = spec.linux?.seccomp?.notifies == true
        }
        if !hooks.isEmpty, !listensFirst {
            try Self.supervise(hooks, record, over: connection.number)
        }
        // Connecting was the order; the connection is closed by execve, or by init's end. Before that
        // init tells of the listener of its filter, if there is one.
        if let number = SeccompListener.receiveNumber(from: connection.number) {
            try handOver(listener: number, of: record, found.state, resuming: connection.number)
            if listensFirst { try Self.supervise(hooks, record, over: connection.number) }
            _ = SeccompListener.receiveNumber(from: connection.number)
        }
        try Self.checkExecution(record, found.state)
        let last = record.hooks?.planned(.poststart) ?? []
        guard !last.isEmpty || readiness != nil else { return }
        // The container runs: what a hook does to it must not wait for this lock.
        found.state.unlock()
        if !last.isEmpty { try Self.runPoststartHooks(last, record) }
        guard let readiness, let process = try? record.openInit() else { return }
        try reporting("unable to tell the service manager that the container is ready") {
            () throws(SystemCallError) in
            try readiness.run(until: process.number, mainProcess: record.pid)
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

    private static func runPoststartHooks(_ hooks: [PlannedHook], _ record: ContainerRecord)
        throws(ContainerError)
    {
        do throws(ContainerError) {
            try HookRun(record, .running, pid: record.pid).run(hooks)
        } catch {
            killAll(record)
            throw error
        }
    }

    /// Throws what kept init from running the program.
    private static func checkExecution(
        _ record: ContainerRecord, _ state: borrowing StateDirectory
    ) throws(ContainerError) {
        let page = try state.read(StateDirectory.progressName) ?? []
        guard let progress = ProgressPage.read(page) else { return }
        let instruction = record.lastInstructions.first { $0.index == progress.index }
        // A kill at the very instant of execve looks like success; one before it does not.
        let execution = record.lastInstructions.first(where: \.isExecution)
        let wasKilled = progress.error == 0 && progress.index < execution?.index ?? 0
        guard wasKilled || progress.error != 0 else { return }
        // A process closes its connections before it has ended: who asks after this error shall see
        // a stopped container.
        if let process = try? record.openInit() { try awaitEnd(of: process) }
        guard wasKilled else {
            let mounts = (try? recordedSpec(state))?.mounts ?? []
            throw ContainerError(
                instruction, errno: progress.error,
                in: ImageView(path: record.rootfs, mounts: mounts.map(\.destination)))
        }
        throw ContainerError(
            .initFailed, "init was killed before the program ran", field: instruction?.field)
    }

    /// A hook that takes too long is ended with the container, whose process it is.
    private static func supervise(
        _ hooks: [PlannedHook], _ record: ContainerRecord, over connection: CInt
    ) throws(ContainerError) {
        do throws(ContainerError) {
            let run = HookRun(record, .created, pid: record.pidInside)
            // If init told nothing, its end is told by the connection.
            _ = try run.supervise(hooks, over: connection)
        } catch {
            killAll(record)
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
    private static func killAll(_ record: ContainerRecord) {
        // First: once init has ended, nothing may tell which were its children.
        if !record.hasPidNamespace { try? ContainerProcesses(record).signal(.kill) }
        if let process = try? record.openInit() {
            try? sendSignal(process.number, Signal.kill.rawValue)
        }
    }

    /// Why a container that was never started has no init any more, as far as init told.
    private static func stoppedBeforeStart(_ found: borrowing FoundContainer) throws(ContainerError)
        -> ContainerError
    {
        let text = "cannot start a container that has stopped"
        let page = try found.state.read(StateDirectory.progressName) ?? []
        guard let record = found.record, let progress = ProgressPage.read(page),
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
            if found.status == .stopped, !all, (try? processes.isEmpty) != false {
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
        if signal == .kill, found.status == .paused { try? cgroup.thaw() }
    }

    // MARK: Delete

    /// Removes a stopped container with its cgroup and state; a created one is killed first.
    ///
    /// A poststop hook that fails is a warning to the store's logger: the container is gone by then.
    /// - Parameter force: kills a running container first, and removes what a died creation left.
    /// - Throws: `wrongState` when the container runs and `force` is not given, `notFound`.
    public func delete(force: Bool = false) throws(ContainerError) {
        if force { try endWhatHoldsLock() }
        let found = try findForDelete(force: force)
        guard let record = found.record else {
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
        Self.reap(record)
        // A creation that ended before it started init may not have looked yet whether the cgroup of its
        // config is another's.
        if !record.isComplete, !found.state.hasProgressFile {
            cgroup.removeIfUnused()
            try reporting { () throws(SystemCallError) in try record.detachRootMount() }
            try found.state.remove()
            record.runPoststopHooks { store.logger.warning("\($0)") }
            return
        }
        if !record.hasPidNamespace || !record.isComplete { try? cgroup.killAll() }
        do throws(CgroupError) {
            try cgroup.remove()
        } catch {
            throw ContainerError(error)
        }
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

    /// A record that cannot be read does not keep `force` from ending what it still tells of.
    private func findForDelete(force: Bool) throws(ContainerError) -> FoundContainer {
        do throws(ContainerError) {
            return try find(locking: true)
        } catch  where error.code == .state && force {
            guard let state = try StateDirectory.open(id, in: store.path.text) else {
                throw ContainerError(.notFound, "container does not exist")
            }
            try state.lock()
            guard state.isCurrent else {
                throw ContainerError(.notFound, "container does not exist")
            }
            let record = state.salvageRecord(id)
            return FoundContainer(
                state: state, record: record, status: record == nil ? .stopped : .running)
        }
    }

    /// Takes an init that was never started out of the process table, if it is a child of this process:
    /// nobody else can, since `create` gives no process to wait for.
    private static func reap(_ record: ContainerRecord) {
        guard record.pid > 0, let process = try? openProcess(record.pid),
            startTime(of: record.pid) == record.startTime
        else { return }
        reapUnexecuted(process.number)
    }

    /// A create or start that waits for a stuck init holds the lock: the init is killed without it.
    private func endWhatHoldsLock() throws(ContainerError) {
        guard let state = try StateDirectory.open(id, in: store.path.text) else { return }
        // LOCK_EX | LOCK_NB; the lock goes with the descriptor.
        let isFree = raw_system_call(Int(__NR_flock), Int(state.descriptor), 6, 0, 0, 0, 0) == 0
        guard !isFree, let record = try? state.readRecord() else { return }
        if let process = try? record.openInit() {
            try? sendSignal(process.number, Signal.kill.rawValue)
        }
        guard record.isComplete else { return }
        let cgroup = Cgroup(record.cgroups)
        if (try? cgroup.isFrozen) == true { try? cgroup.thaw() }
        try? cgroup.killAll()
    }

    /// Kills init and waits up to ten seconds until it has ended.
    private static func end(_ record: ContainerRecord, _ cgroup: Cgroup) throws(ContainerError) {
        guard record.pid > 0, let process = try? record.openInit() else { return }
        if record.cgroups.directories.isEmpty, !record.hasPidNamespace {
            // Once init has ended, nothing tells which were its children.
            try? ContainerProcesses(record).signal(.kill)
        }
        try? sendSignal(process.number, Signal.kill.rawValue)
        if (try? cgroup.isFrozen) == true { try? cgroup.thaw() }
        if !record.hasPidNamespace { try? cgroup.killAll() }
        try awaitEnd(of: process)
    }

    /// Waits up to ten seconds until an init that ends has ended.
    private static func awaitEnd(of process: borrowing OwnedDescriptor) throws(ContainerError) {
        var entries = [PollEntry(process.number, [.readable])]
        let ready = try reporting { () throws(SystemCallError) in
            try poll(&entries, timeoutMilliseconds: 10_000)
        }
        guard ready > 0 else { throw ContainerError(.wrongState, "container init still running") }
    }
}
