// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// How a container's process tells the service manager of the runtime that it is ready.
///
/// The process gets a socket of the runtime's in a directory of the state, mounted at a fixed place,
/// and its path as NOTIFY_SOCKET. The first READY that comes there is passed on, as runc does, and
/// nothing else: what else the manager would do at its word is not the container's business.
///
/// Source: sd_notify(3).
struct ReadinessRelay: Sendable {
    /// The socket that the container's process writes to; it is the owner's to close.
    let socket: CInt
    /// Where the manager listens.
    let listener: String

    // MARK: The socket

    /// Makes the directory that is mounted into the container.
    static func makeDirectory(in state: CInt) throws(SystemCallError) {
        try ContainerKit.makeDirectory(ReadinessSocket.directoryName, at: state, mode: 0o755)
        let directory = try openFile(
            ReadinessSocket.directoryName, .readOnly | .directory | .noFollow, at: state)
        // Whatever the umask: the container's users go through it.
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

    /// Takes what has come, and passes readiness on.
    ///
    /// - Parameters:
    ///   - mainProcess: whom the manager shall watch from then on.
    ///   - staysThere: whether the runtime goes on; else it waits until the manager has its messages,
    ///     which it could not tell the origin of afterwards.
    /// - Returns: Whether there was readiness; nothing more is taken then.
    /// - Throws: when the manager cannot be told.
    func relay(mainProcess: Int32, staysThere: Bool) throws(SystemCallError) -> Bool {
        // A message has one state a line; 4096 bytes are what runc reads. The limit is for a sender who
        // never stops.
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

    /// The manager closes the descriptor when it comes to this message; 30 seconds for one that does
    /// not know it, as runc waits.
    ///
    /// Source: sd_notify_barrier(3).
    private func waitForReceipt(_ connection: CInt) throws(SystemCallError) {
        let (reader, writer) = try makePipe()
        let pipe = OwnedDescriptor(taking: reader)
        try sendBarrier(OwnedDescriptor(taking: writer), over: connection)
        var entries = [PollEntry(pipe.number, .readable)]
        try poll(&entries, timeoutMilliseconds: 30_000)
    }

    /// Our own copy of the descriptor goes with this call.
    private func sendBarrier(_ end: consuming OwnedDescriptor, over connection: CInt)
        throws(SystemCallError)
    {
        try sendDescriptor(end.number, text: "BARRIER=1", over: connection)
    }
}
