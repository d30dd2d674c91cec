// SPDX-License-Identifier: Apache-2.0

internal import SystemPackage

/// A process that `run` or `exec` started: a child of the caller.
///
/// It is held by a pidfd, so no other process can come under its number. It is the caller's to wait
/// for; one that is not waited for is a zombie once it ends, as with any child.
public final class ContainerProcess: Sendable {
    /// The pid in the caller's pid namespace.
    public let pid: Int32
    /// The master of the process's terminal if the caller asked for it; closed with this object.
    public let terminalMaster: CInt?
    let pidfd: CInt
    private let readiness: ReadinessRelay?
    /// Terminals of the caller that are the process's user's until it has ended.
    private let givenTerminals: [GivenStream]

    init(taking launcher: Launcher) {
        pid = launcher.pid
        pidfd = launcher.pidfd
        terminalMaster = launcher.terminalMaster
        readiness = launcher.readiness
        givenTerminals = launcher.givenTerminals
        for stream in givenTerminals { launcher.disown(stream.descriptor) }
        launcher.disown(pidfd)
        if let readiness { launcher.disown(readiness.socket) }
        if let terminalMaster { launcher.disown(terminalMaster) }
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

    /// Waits until the process has ended.
    ///
    /// A terminal of the caller that was a standard stream is the caller's again then.
    /// - Returns: How it ended.
    /// - Throws: `systemCall` with ECHILD when somebody else has waited for it, or the host program
    ///   ignores SIGCHLD, and the kernel (before Linux 6.15) does not tell how it ended.
    public func wait() throws(ContainerError) -> ExitStatus {
        let status = try reporting { () throws(SystemCallError) in try waitProcess(pidfd) }
        for stream in givenTerminals { stream.giveBack() }
        return status
    }

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
