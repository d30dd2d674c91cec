// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import Logging
internal import SystemPackage

extension Container {
    /// Sends a signal to the container's init, or to all its processes.
    ///
    /// Without a pid namespace of its own, a container does not end with its init, so KILL goes to
    /// the whole cgroup. Spec: runtime.md, Kill.
    /// - Throws: `notRunning` if init has ended (not an error with `all`), `notFound`.
    public func kill(_ signal: Signal, all: Bool = false) throws(ContainerError) {
        let found = try find(locking: false, wholeRecord: false)
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
        StuckChildren.reap()
        let found = try force ? findForForcedDelete() : find(locking: true, wholeRecord: false)
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
        do throws(CgroupError) {
            try cgroup.remove()
        } catch {
            let error = ContainerError(error)
            guard error.failure?.errno == .resourceBusy, error.hint == nil,
                let process = try? cgroup.processes().first
            else { throw error }
            throw error.with(hint: stuckHint(Int32(process)))
        }
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
        guard record.pid > 0, let process = try? openProcess(record.pid),
            let now = try? stat(of: record.pid), now.hasStarted(at: record.startTime),
            now.parent == ownProcessID,
            // Only here is the rest of the record needed.
            let instructions = (try? state.readRecord(record.id))?.lastInstructions,
            let last = instructions.first(where: \.isExecution) ?? instructions.last,
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
        var isRefused = false
        do throws(SystemCallError) {
            try sendSignal(process.number, Signal.kill.rawValue)
        } catch  where error.errno == .noSuchProcess {
            return
        } catch  where error.errno == .permissionDenied && record.cgroups.unifiedIndex != nil {
            // A security module refuses the signal; it is not asked when the cgroup is killed.
            isRefused = true
        } catch {
            throw ContainerError(error, "unable to kill the container's process")
        }
        try reporting { () throws(CgroupError) in
            if try cgroup.isFrozen { try cgroup.thaw() }
            if isRefused {
                // What it refuses one by one does not matter if all end by then.
                try? cgroup.killAll()
            } else if !record.hasPidNamespace {
                try cgroup.killAll()
            }
        }
        let number = process.number
        let hasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(number, withinMilliseconds: 200)
        }
        if hasEnded { return }
        // A process outside of its pid namespace may hold it up: the CRIU of a killed restore traces
        // init's children, and without its runtime it waits for ever.
        try reporting { () throws(CgroupError) in try cgroup.killAll() }
        try awaitEnd(of: process, record.pid)
    }

    /// Waits at most ten seconds for the end of an init that is killed or ends by itself.
    ///
    /// - Throws: `wrongState`, which names the process, if it does not end.
    static func awaitEnd(of process: borrowing OwnedDescriptor, _ pid: Int32)
        throws(ContainerError)
    {
        let number = process.number
        let hasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(number, withinMilliseconds: 10_000)
        }
        guard !hasEnded else { return }
        throw ContainerError(
            .wrongState, "container init still running", hint: stuckHint(pid))
    }
}
#endif
