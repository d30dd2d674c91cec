// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// Steps for the sockets between a container and its callers.
enum SocketStep: ParentAction {
    /// Connects to the socket that receives the terminal's master.
    case connectConsole(path: String)
    /// Receives the terminal's master from the child.
    case receiveTerminal
    /// Makes the directory of the socket by which the container reports readiness to the service
    /// manager at `manager`, and the socket itself if this command waits for it.
    case prepareReadiness(manager: String, listens: Bool)
    /// Makes the socket on which `start` connects.
    case listenForStart
    /// Sends the child's pidfd to the listener of a unix socket.
    case sendPidfd(path: String, name: String)

    var sentence: String {
        switch self {
        case .connectConsole(let path): "connect to the console socket \(path)"
        case .receiveTerminal: "take the terminal's master"
        case .prepareReadiness(_, let listens):
            listens ? "listen for readiness" : "make a place for readiness to be told"
        case .listenForStart: "listen for start"
        case .sendPidfd(let path, _): "send the child's pidfd to \(path)"
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .receiveTerminal: [.receives(.terminal)]
        case .connectConsole, .prepareReadiness, .listenForStart, .sendPidfd: []
        }
    }

    var provides: [InheritedDescriptor] {
        switch self {
        case .connectConsole: [.consoleSocket]
        case .listenForStart: [.startSocket]
        case .receiveTerminal, .prepareReadiness, .sendPidfd: []
        }
    }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .connectConsole(let path): try launcher.connectConsole(path)
        case .receiveTerminal: try launcher.receiveTerminal()
        case .prepareReadiness(let manager, let listens):
            try launcher.prepareReadiness(for: manager, listens: listens)
        case .listenForStart: try launcher.listenForStart()
        case .sendPidfd(let path, let name): try launcher.sendPidfd(to: path, named: name)
        }
    }
}

extension Launcher {
    fileprivate func connectConsole(_ path: String) throws(ContainerError) {
        try decideOnSealedStart()
        let deadline = options.timeLimit?.deadline
        let socket = try reporting("unable to connect to the console socket") {
            () throws(SystemCallError) in
            try connectUnixSocket(path: path, before: deadline)
        }
        inputs[.consoleSocket] = own(socket)
    }

    fileprivate func receiveTerminal() throws(ContainerError) {
        let master = try receiveFromChild()
        // Before the program runs, so that it never sees another size.
        ForegroundRelay.prepare(terminal: master)
        terminalMaster = own(OwnedDescriptor(taking: master))
    }

    fileprivate func prepareReadiness(for manager: String, listens: Bool) throws(ContainerError) {
        guard let directory = state?.descriptor else { return }
        try reporting("unable to listen for the container's readiness") {
            () throws(SystemCallError) in
            try ReadinessRelay.makeDirectory(in: directory)
            guard listens, let socket = try ReadinessRelay.listen(in: directory) else { return }
            readiness = ReadinessRelay(socket: own(socket), listener: manager)
        }
    }

    fileprivate func listenForStart() throws(ContainerError) {
        guard let directory = state?.descriptor, let path = state?.path else { return }
        let socket = try reporting("unable to listen for start in \(path)") {
            () throws(SystemCallError) in
            try listenUnixSocket(in: directory, name: StateDirectory.socketName)
        }
        inputs[.startSocket] = own(socket)
    }

    /// The pidfd cannot be another process's: the child is this launcher's, which has not waited
    /// for it.
    fileprivate func sendPidfd(to path: String, named name: String) throws(ContainerError) {
        let (process, deadline) = (pidfd, options.timeLimit?.deadline)
        try reporting("unable to send the pidfd") { () throws(SystemCallError) in
            let socket = try connectUnixSocket(path: path, before: deadline)
            try sendDescriptor(process, text: name, over: socket.number)
        }
    }
}
#endif
