// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The listener that decides on the calls with action notify, and the message for it.
///
/// Spec: config-linux.md, The Container Process State.
struct SeccompListener: Equatable, Sendable {
    /// The socket that receives the notify descriptor.
    let path: String
    let metadata: String?
    /// The state of the container; pid 0 is replaced once the process exists.
    let state: State

    /// The listener of a profile; nil if no rule needs one, whatever the path.
    ///
    /// A relative path is resolved against the bundle, as by runc.
    init?(_ profile: Seccomp?, state: @autoclosure () -> State) {
        guard let profile, profile.notifies, let path = profile.listenerPath else { return nil }
        let state = state()
        self.path = path.path(from: state.bundle)
        metadata = profile.listenerMetadata
        self.state = state
    }

    /// The message sent together with the descriptor.
    func message(of pid: Int32) -> String {
        var state = state
        if state.pid == 0 { state.pid = Int(pid) }
        let message = ContainerProcessState(
            ociVersion: RuntimeVersion.specVersion, fds: ["seccompFd"], pid: Int(pid),
            metadata: metadata, state: state)
        return String(decoding: message.encoded.encoded(), as: UTF8.self)
    }

    // MARK: The socket

    static let field = "linux.seccomp.listenerPath"

    /// Checks early that the path is a socket; otherwise start would fail.
    func find() throws(ContainerError) {
        let status = try reporting("failed to find the seccomp agent", field: Self.field) {
            () throws(SystemCallError) in try ContainerKit.status(at: path)
        }
        guard status.kind == .socket else {
            throw ContainerError(.invalidSpec, "\(path) is not a socket", field: Self.field)
        }
    }

    func connect(before deadline: Deadline? = nil) throws(ContainerError) -> OwnedDescriptor {
        try reporting("failed to connect with seccomp agent", field: Self.field) {
            () throws(SystemCallError) in try connectUnixSocket(path: path, before: deadline)
        }
    }

    /// Receives the number of the listener from a process that has loaded its filter.
    ///
    /// - Returns: the number; nil if the process runs its program or has ended.
    static func receiveNumber(from socket: CInt) -> CInt? {
        // The event is in the first byte, the number in the last four.
        var message: (event: UInt32, number: CInt) = (0, -1)
        let count = try? withAddress(of: &message) { (address) throws(SystemCallError) in
            try systemCall("read", __NR_read, Int(socket), address, 8, describing: "rendezvous")
        }
        guard count == 8, message.event == UInt32(ChildEvent.listening.rawValue) else { return nil }
        return message.number
    }

    /// Takes the listener from the process, sends it, and lets the process go on.
    ///
    /// The process itself only needs a write and a read for this: the runtime is not subject to its
    /// filter.
    ///
    /// - Parameters:
    ///   - number: the descriptor in the process.
    ///   - process: the process, as pidfd and as pid.
    ///   - agent: the connection to the listener's socket; it is closed.
    ///   - socket: the socket on which the process waits.
    /// - Throws: `systemCall`.
    func hand(
        over number: CInt, of process: (pidfd: CInt, pid: Int32),
        to agent: consuming OwnedDescriptor, resuming socket: CInt
    ) throws(ContainerError) {
        let connection = agent.number
        let text = message(of: process.pid)
        try reporting("unable to hand the seccomp listener over", field: Self.field) {
            () throws(SystemCallError) in
            let listener = OwnedDescriptor(
                taking: CInt(
                    try systemCall(
                        "pidfd_getfd", __NR_pidfd_getfd, Int(process.pidfd), Int(number), 0,
                        describing: "seccomp listener of process \(process.pid)")))
            try sendDescriptor(listener.number, text: text, over: connection)
            try sendPacket([1], over: socket, named: "rendezvous")
        }
    }
}

extension Seccomp {
    /// Whether a rule has the action notify.
    var notifies: Bool { (syscalls ?? []).contains { $0.action == .notify } }
}
#endif
