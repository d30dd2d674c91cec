// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Who decides on the calls that a profile leaves to it, and what it is told.
///
/// Spec: config-linux.md, The Container Process State.
struct SeccompListener: Equatable, Sendable {
    /// The socket that takes the notify descriptor.
    let path: String
    let metadata: String?
    /// The state of the container; pid 0 stands for a container that is being created.
    let state: State

    /// The listener of a profile, or nil when no rule needs one: the path is ignored then.
    ///
    /// A relative path counts from the bundle, where runc looks for it.
    init?(_ profile: Seccomp?, state: @autoclosure () -> State) {
        guard let profile, profile.notifies, let path = profile.listenerPath else { return nil }
        let state = state()
        self.path = path.path(from: state.bundle)
        metadata = profile.listenerMetadata
        self.state = state
    }

    /// What is sent beside the descriptor.
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

    /// Tells early what would fail at start: nothing that listens is there.
    func find() throws(ContainerError) {
        let status = try reporting("failed to find the seccomp agent", field: Self.field) {
            () throws(SystemCallError) in try ContainerKit.status(at: path)
        }
        guard status.kind == .socket else {
            throw ContainerError(.invalidSpec, "\(path) is not a socket", field: Self.field)
        }
    }

    func connect() throws(ContainerError) -> OwnedDescriptor {
        try reporting("failed to connect with seccomp agent", field: Self.field) {
            () throws(SystemCallError) in try connectUnixSocket(path: path)
        }
    }

    /// Reads where a process that has loaded its filter tells the number of its listener.
    ///
    /// - Returns: The number, or nil when the process runs or ended.
    static func receiveNumber(from socket: CInt) -> CInt? {
        // The event in the first byte, the number in the last four.
        var message: (event: UInt32, number: CInt) = (0, -1)
        let count = try? withAddress(of: &message) { (address) throws(SystemCallError) in
            try systemCall("read", __NR_read, Int(socket), address, 8, describing: "rendezvous")
        }
        guard count == 8, message.event == UInt32(ChildEvent.listening.rawValue) else { return nil }
        return message.number
    }

    /// Takes the listener out of the process, sends it, and lets the process go on.
    ///
    /// The process needs no call for it but the write and the read around: whatever else its filter
    /// says, the runtime is not subject to it.
    ///
    /// - Parameters:
    ///   - number: the descriptor in the process.
    ///   - process: the process, as pidfd and as pid.
    ///   - agent: the connection to the listener's socket; it is closed.
    ///   - socket: where the process waits.
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
    /// Whether a rule leaves calls to a listener.
    var notifies: Bool { (syscalls ?? []).contains { $0.action == .notify } }
}
