// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
public import RuntimeSpec
internal import SystemPackage

/// A container as a command finds it: its directory, its record, and its state.
struct FoundContainer: ~Copyable {
    let state: StateDirectory
    /// Nil if a creation failed before its first record.
    let record: ContainerRecord?
    let status: State.Status

    /// The record of a container that is created, running or paused.
    ///
    /// - Throws: `notRunning` for any other.
    func recordOfLiving() throws(ContainerError) -> ContainerRecord {
        guard let record, status != .creating, status != .stopped else {
            throw ContainerError(.notRunning, "container not running")
        }
        return record
    }
}

extension Container {
    /// The container's state, as `state` prints it.
    ///
    /// Spec: runtime.md, State.
    /// - Throws: `notFound`, or `state` when the record is damaged.
    public func state() throws(ContainerError) -> State {
        guard let directory = try StateDirectory.open(id, in: store.path.text),
            let text = try directory.readRecordText()
        else { throw ContainerError(.notFound, "container does not exist") }
        // The start of a record is enough for most containers, which run.
        if let start = ContainerRecord(stateOf: text), start.id == id {
            let process = try start.livingInit()
            guard let process else { return state(start, .stopped) }
            if start.runs(process) { return state(start, try Self.runningOrPaused(start)) }
        }
        let record = try directory.record(text, of: id, whole: false)
        return state(record, try Self.standing(record, directory))
    }

    /// The state that a record and the status of init give.
    func state(_ record: ContainerRecord, _ status: State.Status) -> State {
        let lives = status != .stopped && status != .creating
        return State(
            ociVersion: record.ociVersion, id: id, pid: lives ? Int(record.pid) : 0,
            status: status, bundle: record.bundle, rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations.isEmpty ? nil : record.annotations, owner: "")
    }

    /// Opens the container's directory and determines the state of its init.
    ///
    /// With `locking` it takes the lock by which commands that change the container exclude each
    /// other, and waits for it at most within the limit. A record that is not read whole lacks
    /// `ContainerRecord.firstOfRest` and what follows, and must not be written.
    func find(
        locking: Bool, within limit: TimeLimit? = nil, wholeRecord: Bool = true
    ) throws(ContainerError) -> FoundContainer {
        guard let state = try StateDirectory.open(id, in: store.path.text) else {
            throw ContainerError(.notFound, "container does not exist")
        }
        if locking {
            try state.lock(within: limit)
            guard try state.isCurrent() else {
                throw ContainerError(.notFound, "container does not exist")
            }
        }
        let record = try state.readRecord(id, whole: wholeRecord)
        let status = try Self.standing(record, state)
        return FoundContainer(state: state, record: record, status: status)
    }

    /// Determines the state of init from its pid and start time, then whether it has executed a
    /// program or the progress page, then the freezer.
    static func standing(_ record: ContainerRecord?, _ state: borrowing StateDirectory)
        throws(ContainerError) -> State.Status
    {
        guard let record, record.isComplete else { return .creating }
        guard let process = try record.livingInit() else { return .stopped }
        // A list of many containers needs no page of those that run.
        guard !record.runs(process) else { return try runningOrPaused(record) }
        guard let progress = try state.readProgress() else {
            // A delete kills init before it removes the page.
            guard try record.isAlive() else { return .stopped }
            throw state.damage(to: StateDirectory.progressName)
        }
        let isWaiting = progress.index <= record.startWaitIndex
        guard !isWaiting || record.isPausedBeforeStart else { return .created }
        let status = try runningOrPaused(record)
        return isWaiting && status == .running ? .created : status
    }

    /// The status of a container whose init is alive, as its freezer tells.
    private static func runningOrPaused(_ record: ContainerRecord) throws(ContainerError)
        -> State.Status
    {
        let cgroup = try record.openCgroup()
        return try reporting { () throws(CgroupError) in
            try cgroup.isFrozen ? .paused : .running
        }
    }
}

extension ContainerRecord {
    /// Whether a living init shows by itself that its program runs.
    ///
    /// An init that was cloned into a pid namespace executes nothing but the program, before which
    /// it waits.
    fileprivate func runs(_ process: ProcessStat) -> Bool {
        hasPidNamespace && process.hasExecuted
    }

    /// Whether init still runs; a process with its pid but another start time is not init.
    ///
    /// - Throws: `systemCall` if this cannot be determined.
    func isAlive() throws(ContainerError) -> Bool {
        try livingInit() != nil
    }

    /// What the kernel tells of init; nil if it has ended.
    ///
    /// - Throws: `systemCall` if this cannot be determined.
    func livingInit() throws(ContainerError) -> ProcessStat? {
        let number = pid
        do throws(SystemCallError) {
            guard let now = try stat(of: number), now.hasStarted(at: startTime), !now.hasEnded
            else { return nil }
            return now
        } catch {
            throw ContainerError(
                error, "unable to tell whether the container's process runs",
                hint: ContainerError.hiddenProcessHint(error))
        }
    }

    /// Opens init and makes sure that it is init, by comparing the start time once the pidfd is
    /// open.
    ///
    /// - Throws: `notRunning` if it has ended, `systemCall` if this cannot be determined.
    func openInit() throws(ContainerError) -> OwnedDescriptor {
        guard let process = try openInitIfAlive() else {
            throw ContainerError(.notRunning, "container not running")
        }
        return process
    }

    /// Opens init; nil if it has ended.
    ///
    /// - Throws: `systemCall` if this cannot be determined.
    func openInitIfAlive() throws(ContainerError) -> OwnedDescriptor? {
        guard pid > 0 else { return nil }
        let process: OwnedDescriptor
        do throws(SystemCallError) {
            process = try openProcess(pid)
        } catch
            where [.noSuchProcess, .invalidArgument, .noSuchFileOrDirectory].contains(error.errno)
        {
            // The last two: the number now belongs to a thread.
            return nil
        } catch {
            throw ContainerError(error, "unable to open the container's process")
        }
        guard try isAlive() else { return nil }
        return consume process
    }

    /// Whether init, open as `process`, has ended or is ending.
    ///
    /// An ending init takes no more processes into its pid namespace. If much has to be freed, this
    /// is long before the kernel reports its end.
    func isEnding(_ process: borrowing OwnedDescriptor, within milliseconds: Int = 0) -> Bool {
        var entries = [PollEntry(process.number, .readable)]
        if let ready = try? poll(&entries, timeoutMilliseconds: milliseconds), ready > 0 {
            return true
        }
        guard let now = try? stat(of: pid) else { return false }
        return now.isEnding && now.threadCount <= 1
    }
}
#endif
