// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Forwards a container's readiness to the runtime's service manager.
///
/// A socket of the runtime in a directory of the state is mounted into the container, with its path
/// in NOTIFY_SOCKET. The first READY message is forwarded, as by runc, and no other message: the
/// container must not control the manager otherwise.
///
/// Source: sd_notify(3).
struct ReadinessRelay: Sendable {
    /// The socket that the container's process writes to; its owner closes it.
    let socket: CInt
    /// The path of the manager's socket.
    let listener: String

    // MARK: The socket

    /// Makes the directory that is mounted into the container.
    static func makeDirectory(in state: CInt) throws(SystemCallError) {
        try ContainerKit.makeDirectory(ReadinessSocket.directoryName, at: state, mode: 0o755)
        let directory = try openFile(
            ReadinessSocket.directoryName, .readOnly | .directory | .noFollow, at: state)
        // The container's users must pass through it, whatever the umask.
        try systemCall(
            "fchmod", __NR_fchmod, Int(directory.number), 0o755,
            describing: "\"\(ReadinessSocket.directoryName)\"")
    }

    /// Makes the socket; nil for a container that was created without the directory.
    static func listen(in state: CInt) throws(SystemCallError) -> OwnedDescriptor? {
        let directory: OwnedDescriptor
        do throws(SystemCallError) {
            directory = try openFile(
                ReadinessSocket.directoryName, .pathOnly | .directory | .noFollow, at: state)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
        return try bindDatagramSocket(in: directory.number, name: ReadinessSocket.name)
    }

    // MARK: Relaying

    /// Reads pending messages, and forwards readiness.
    ///
    /// - Parameters:
    ///   - mainProcess: the process that the manager watches from then on.
    ///   - staysThere: whether the runtime keeps running; if not, this waits until the manager has
    ///     read the messages, since it could not identify their sender afterwards.
    /// - Returns: whether there was a READY message; nothing is read after it.
    /// - Throws: the error if the manager cannot be reached.
    func relay(mainProcess: Int32, staysThere: Bool) throws(SystemCallError) -> Bool {
        // A message has one assignment per line; runc reads 4096 bytes as well. The limit is for a
        // sender that never stops.
        for _ in 0..<64 {
            guard let message = try readAvailable(socket, limitBytes: 4096) else { return false }
            let lines = message.split(separator: UInt8(ascii: "\n"))
            guard let ready = lines.first(where: { $0.starts(with: Array("READY=".utf8)) }) else {
                continue
            }
            stopReading(socket)
            let connection = try connectDatagramSocket(listener)
            try sendDatagram(
                String(decoding: ready, as: UTF8.self) + "\n", over: connection.number)
            try sendDatagram("MAINPID=\(mainProcess)\n", over: connection.number)
            if !staysThere { try waitForReceipt(connection.number) }
            return true
        }
        return false
    }

    /// Waits until the container is ready or its process has ended.
    func run(until process: CInt, mainProcess: Int32) throws(SystemCallError) {
        var entries = [PollEntry(process, .readable), PollEntry(socket, .readable)]
        while true {
            try poll(&entries)
            if !entries[1].seen.isEmpty,
                try relay(mainProcess: mainProcess, staysThere: false)
            {
                return
            }
            if !entries[0].seen.isEmpty { return }
        }
    }

    /// Waits until the manager has read all messages: it closes the pipe's end when it reads this
    /// one.
    ///
    /// It waits at most 30 seconds, as runc does, for a manager that does not know this message.
    ///
    /// Source: sd_notify_barrier(3).
    private func waitForReceipt(_ connection: CInt) throws(SystemCallError) {
        let (reader, writer) = try makePipe()
        let pipe = OwnedDescriptor(taking: reader)
        try sendBarrier(OwnedDescriptor(taking: writer), over: connection)
        var entries = [PollEntry(pipe.number, .readable)]
        try poll(&entries, timeoutMilliseconds: 30_000)
    }

    /// Sends the barrier message; our own copy of the descriptor is closed when this returns.
    private func sendBarrier(_ end: consuming OwnedDescriptor, over connection: CInt)
        throws(SystemCallError)
    {
        try sendDescriptor(end.number, text: "BARRIER=1", over: connection)
    }
}
#endif
