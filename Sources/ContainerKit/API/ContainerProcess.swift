// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
public import SystemPackage

/// A process of a container: one started by `run`, `createProcess` or `exec`, which is a child of
/// the caller, or the init of a container found in its store.
///
/// It is held by a pidfd, so its pid cannot be confused with a later process's. The caller must
/// wait for a child; otherwise it becomes a zombie when it ends. The result is kept: every wait, on
/// any thread, returns the same.
public final class ContainerProcess: Sendable {
    /// The pid in the caller's pid namespace.
    public let pid: Int32
    /// The master of the process's terminal if the caller asked for it; closed by this object's
    /// deinit.
    public let terminalMaster: CInt?
    let pidfd: CInt
    private let readiness: ReadinessRelay?
    /// The caller's terminals that belong to the process's user until the process has ended.
    private let givenTerminals: [GivenStream]
    /// The cgroup whose OOM kills are counted.
    private let cgroup: Cgroup?
    private let outOfMemoryKillsBefore: UInt64
    private let reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    private let end = GuardedValue(KeptEnd())

    private struct KeptEnd {
        var end: ProcessEnd?
        var termination: Termination?
    }

    /// Takes over the process of a launch.
    ///
    /// For `exec`, `cgroup` is the container's own, even if the process is in a cgroup below it.
    init(taking launcher: Launcher, in cgroup: Cgroup? = nil, killsBefore: UInt64 = 0) {
        pid = launcher.pid
        pidfd = launcher.pidfd
        terminalMaster = launcher.terminalMaster
        readiness = launcher.readiness
        givenTerminals = launcher.givenTerminals
        self.cgroup = cgroup ?? launcher.cgroup
        outOfMemoryKillsBefore = launcher.record?.outOfMemoryKillsBefore ?? killsBefore
        reapedStatus = launcher.options.reapedStatus
        for stream in givenTerminals { launcher.disown(stream.descriptor) }
        launcher.disown(pidfd)
        if let readiness { launcher.disown(readiness.socket) }
        if let terminalMaster { launcher.disown(terminalMaster) }
    }

    /// Takes over the init of a container found in its store.
    init(
        _ process: consuming OwnedDescriptor, of record: ContainerRecord,
        _ reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    ) throws(ContainerError) {
        cgroup = try record.openCgroup()
        pid = record.pid
        pidfd = process.release()
        terminalMaster = nil
        readiness = nil
        givenTerminals = []
        outOfMemoryKillsBefore = record.outOfMemoryKillsBefore
        self.reapedStatus = reapedStatus
    }

    deinit {
        _ = OwnedDescriptor(taking: pidfd)
        if let terminalMaster { _ = OwnedDescriptor(taking: terminalMaster) }
        if let readiness { _ = OwnedDescriptor(taking: readiness.socket) }
        for stream in givenTerminals { _ = OwnedDescriptor(taking: stream.descriptor) }
    }

    /// Waits until the process has reported that it is ready, and forwards that to the service
    /// manager of `LaunchOptions.notifySocket`.
    ///
    /// Returns at once without a notify socket, and when the process ends. The manager is also told
    /// to watch the process from then on.
    /// - Throws: `systemCall` if the manager cannot be notified.
    public func waitUntilReady() throws(ContainerError) {
        guard let readiness else { return }
        try reporting("unable to tell the service manager that the container is ready") {
            () throws(SystemCallError) in
            try readiness.run(until: pidfd, mainProcess: pid)
        }
    }

    // MARK: The end

    /// Becomes readable when the process has ended, for poll(2) and the like; closed by this
    /// object's deinit.
    ///
    /// Polling does not take the exit status: `waitIfEnded` returns it afterwards.
    public var exitDescriptor: FileDescriptor { FileDescriptor(rawValue: pidfd) }

    /// Waits until the process has ended.
    ///
    /// A terminal of the caller that was a standard stream then belongs to the caller again.
    /// - Returns: how the process ended.
    /// - Throws: `systemCall` with ECHILD if that cannot be known, which `waitForTermination`
    ///   reports as `unknown`.
    public func wait() throws(ContainerError) -> ExitStatus {
        let status = try waitForEnd().status
        guard status != .unknown else {
            throw ContainerError(
                SystemCallError(
                    "waitid", "\(WaitTarget.descriptor), \(pidfd)", errno: .noChildProcess))
        }
        return status
    }

    /// Waits until the process has ended, and returns everything known about its end.
    ///
    /// - Throws: `systemCall`.
    public func waitForTermination() throws(ContainerError) -> Termination {
        termination(of: try waitForEnd())
    }

    /// The end of the process, or nil while it runs; never waits.
    ///
    /// - Throws: `systemCall`.
    public func waitIfEnded() throws(ContainerError) -> Termination? {
        try endIfThere().map(termination(of:))
    }

    /// The result that `waitIfEnded` has returned before, without checking the process again.
    package var keptTermination: Termination? { end.withLock { $0.termination } }

    private func waitForEnd() throws(ContainerError) -> ProcessEnd {
        while true {
            if let end = try endIfThere() { return end }
            var entries = [PollEntry(pidfd, .readable)]
            _ = try reporting { () throws(SystemCallError) in try poll(&entries) }
        }
    }

    /// The end of the process; its exit status is taken only once, whoever asks.
    private func endIfThere() throws(ContainerError) -> ProcessEnd? {
        try end.withLock { (kept) throws(ContainerError) -> ProcessEnd? in
            if let end = kept.end { return end }
            guard let end = try lookAtEnd() else { return nil }
            kept.end = end
            for stream in givenTerminals { stream.giveBack() }
            return end
        }
    }

    private func lookAtEnd() throws(ContainerError) -> ProcessEnd? {
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                return try takeEnd(ofChild: pidfd)
            } catch  where error.errno == .noChildProcess {
                guard try hasEnded(pidfd) else { return nil }
            }
        } catch {
            throw ContainerError(error)
        }
        let status = reapedStatus?(pid) ?? toldStatus(of: pidfd, pid: pid)
        return ProcessEnd(status: status ?? .unknown, usage: nil)
    }

    private func termination(of end: ProcessEnd) -> Termination {
        self.end.withLock { kept in
            if let termination = kept.termination { return termination }
            let kills = cgroup?.outOfMemoryKills.map { $0 - min($0, outOfMemoryKillsBefore) }
            let termination = Termination(
                status: end.status, outOfMemoryKills: kills, usage: end.usage)
            kept.termination = termination
            return termination
        }
    }

    // MARK: Signals

    /// Sends a signal.
    ///
    /// - Throws: `notRunning` when it has ended.
    public func signal(_ signal: Signal) throws(ContainerError) {
        do throws(SystemCallError) {
            try sendSignal(pidfd, signal.rawValue)
        } catch  where error.errno == .noSuchProcess {
            throw ContainerError(.notRunning, "container not running")
        } catch {
            throw ContainerError(error)
        }
    }

    /// Waits like a command in the foreground: signals of the caller go to the process, and if this
    /// object has the master of its terminal, the caller's terminal is connected to it.
    ///
    /// If descriptor 0 is a terminal, it is in raw mode meanwhile. No handler is installed.
    /// Readiness is forwarded, with the caller as the process to watch.
    /// - Parameter signals: the signals to forward, blocked since before the process was started.
    /// - Returns: how the process ended.
    /// - Throws: `systemCall`.
    public func waitInForeground(_ signals: borrowing ForegroundSignals) throws(ContainerError)
        -> ExitStatus
    {
        try reporting { () throws(SystemCallError) in
            var relay = ForegroundRelay(
                pidfd: pidfd, pid: pid, terminalMaster: terminalMaster)
            relay.readiness = readiness
            try relay.run(signals)
        }
        return try wait()
    }
}

extension Container {
    /// The container's init, even if another program has created it.
    ///
    /// If the caller is its parent, its end is reported like that of any child. Otherwise the exit
    /// status is known only until its parent has waited for it, and after that from Linux 6.15 on;
    /// resource usage is not known.
    /// - Parameter reapedStatus: as in `LaunchOptions`.
    /// - Returns: the process.
    /// - Throws: `notFound`, or `notRunning` if init has ended and its parent has waited for it.
    public func process(reapedStatus: (@Sendable (Int32) -> ExitStatus?)? = nil)
        throws(ContainerError) -> ContainerProcess
    {
        let found = try find(locking: false)
        guard let record = found.record, let process = try record.openInitEvenEnded() else {
            throw ContainerError(.notRunning, "container not running")
        }
        return try ContainerProcess(process, of: record, reapedStatus)
    }
}

extension ContainerRecord {
    /// Opens init, even as a zombie, as long as it has its pid; nil once the pid may be another
    /// process's.
    fileprivate func openInitEvenEnded() throws(ContainerError) -> OwnedDescriptor? {
        guard pid > 0 else { return nil }
        do throws(SystemCallError) {
            let process = try openProcess(pid)
            guard try stat(of: pid)?.hasStarted(at: startTime) == true else { return nil }
            return consume process
        } catch
            where [.noSuchProcess, .invalidArgument, .noSuchFileOrDirectory].contains(error.errno)
        {
            return nil
        } catch {
            throw ContainerError(error, "unable to open the container's process")
        }
    }
}
#endif
