// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import Synchronization
public import SystemPackage

/// A process of a container: one that `run`, `createProcess` or `exec` started, which is a child of the
/// caller, or the init of a container that was found in its store.
///
/// It is held by a pidfd, so no other process can come under its number. A child is the caller's to wait
/// for; one that is not waited for is a zombie once it ends, as with any child. How it ended is kept: every
/// wait, on whatever thread, gives the same.
public final class ContainerProcess: Sendable {
    /// The pid in the caller's pid namespace.
    public let pid: Int32
    /// The master of the process's terminal if the caller asked for it; closed with this object.
    public let terminalMaster: CInt?
    let pidfd: CInt
    private let readiness: ReadinessRelay?
    /// Terminals of the caller that are the process's user's until it has ended.
    private let givenTerminals: [GivenStream]
    /// Where the container's processes are counted that the kernel kills for want of memory.
    private let cgroup: Cgroup?
    private let outOfMemoryKillsBefore: UInt64
    private let reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    private let end = Mutex(KeptEnd())

    private struct KeptEnd {
        var end: ProcessEnd?
        var termination: Termination?
    }

    /// Takes the process of a launch.
    ///
    /// For `exec` the cgroup is the container's own, whatever part of it the process is in.
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

    /// Takes the init of a container that was found in its store.
    init(
        _ process: consuming OwnedDescriptor, of record: ContainerRecord,
        _ reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    ) {
        pid = record.pid
        pidfd = process.release()
        terminalMaster = nil
        readiness = nil
        givenTerminals = []
        cgroup = Cgroup(record.cgroups)
        outOfMemoryKillsBefore = record.outOfMemoryKillsBefore
        self.reapedStatus = reapedStatus
    }

    deinit {
        _ = OwnedDescriptor(taking: pidfd)
        if let terminalMaster { _ = OwnedDescriptor(taking: terminalMaster) }
        if let readiness { _ = OwnedDescriptor(taking: readiness.socket) }
        for stream in givenTerminals { _ = OwnedDescriptor(taking: stream.descriptor) }
    }

    /// Waits until the process has told that it is ready, and passes that on to the service manager of
    /// `LaunchOptions.notifySocket`; without one, or once the process has ended, there is nothing to
    /// wait for.
    ///
    /// The manager is told to watch the process from then on.
    /// - Throws: `systemCall` when the manager cannot be told.
    public func waitUntilReady() throws(ContainerError) {
        guard let readiness else { return }
        try reporting("unable to tell the service manager that the container is ready") {
            () throws(SystemCallError) in
            try readiness.run(until: pidfd, mainProcess: pid)
        }
    }

    // MARK: The end

    /// Becomes readable when the process has ended, for poll(2) and its like; closed with this object.
    ///
    /// Waiting by it takes nobody's status: `waitIfEnded` tells it then.
    public var exitDescriptor: FileDescriptor { FileDescriptor(rawValue: pidfd) }

    /// Waits until the process has ended.
    ///
    /// A terminal of the caller that was a standard stream is the caller's again then.
    /// - Returns: How it ended.
    /// - Throws: `systemCall` with ECHILD when nobody tells how it ended, which `waitForTermination` calls
    ///   `unknown`.
    public func wait() throws(ContainerError) -> ExitStatus {
        let status = try waitForEnd().status
        guard status != .unknown else {
            throw ContainerError(
                SystemCallError(
                    "waitid", "\(WaitTarget.descriptor), \(pidfd)", errno: .noChildProcess))
        }
        return status
    }

    /// Waits until the process has ended, and tells all that is known of its end.
    ///
    /// - Throws: `systemCall`.
    public func waitForTermination() throws(ContainerError) -> Termination {
        termination(of: try waitForEnd())
    }

    /// How the process ended, or nil while it runs; never waits.
    ///
    /// - Throws: `systemCall`.
    public func waitIfEnded() throws(ContainerError) -> Termination? {
        try endIfThere().map(termination(of:))
    }

    /// What `waitIfEnded` has told before, without a look at the process.
    package var keptTermination: Termination? { end.withLock { $0.termination } }

    private func waitForEnd() throws(ContainerError) -> ProcessEnd {
        while true {
            if let end = try endIfThere() { return end }
            var entries = [PollEntry(pidfd, .readable)]
            _ = try reporting { () throws(SystemCallError) in try poll(&entries) }
        }
    }

    /// The end, which is taken once, whoever asks.
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

    /// Waits as a command in the foreground does: signals of the caller go to the process, and its
    /// terminal, if this object has the master, is the caller's own.
    ///
    /// Descriptor 0 is raw while this runs, if it is a terminal. No handler is installed. Readiness is
    /// passed on, with the caller as the process to watch.
    /// - Parameter signals: the signals to pass on, blocked since before the process was started.
    /// - Returns: How the process ended.
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
    /// The container's init, also where another program has created it.
    ///
    /// Its end is told as that of a child where the caller is its parent. Else the status is known as long as
    /// its parent has not waited for it, and after that on Linux 6.15 and later; usage is not.
    /// - Parameter reapedStatus: as in `LaunchOptions`.
    /// - Returns: The process.
    /// - Throws: `notFound`, or `notRunning` when init has ended and been waited for.
    public func process(reapedStatus: (@Sendable (Int32) -> ExitStatus?)? = nil)
        throws(ContainerError) -> ContainerProcess
    {
        let found = try find(locking: false)
        guard let record = found.record, let process = try record.openInitEvenEnded() else {
            throw ContainerError(.notRunning, "container not running")
        }
        return ContainerProcess(process, of: record, reapedStatus)
    }
}

extension ContainerRecord {
    /// Opens init as long as it has its number, as a zombie has; nil when another may have it.
    fileprivate func openInitEvenEnded() throws(ContainerError) -> OwnedDescriptor? {
        guard pid > 0 else { return nil }
        do throws(SystemCallError) {
            let process = try openProcess(pid)
            guard try ContainerKit.startTime(of: pid) == startTime else { return nil }
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
