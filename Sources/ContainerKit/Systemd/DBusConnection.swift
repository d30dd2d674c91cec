// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// The error of a request to systemd.
struct SystemdError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name of the error returned by systemd or the bus.
    let name: String?
    /// The error's text, or what is wrong with an answer.
    let message: String
    /// The refused call, if the connection itself failed.
    let failure: SystemCallError?

    init(name: String? = nil, _ message: String, failure: SystemCallError? = nil) {
        self.name = name
        self.message = message
        self.failure = failure
    }

    /// Whether the connection is lost, as when systemd restarts itself.
    var isDisconnect: Bool {
        switch failure?.errno {
        case .brokenPipe, .connectionReset: true
        default: false
        }
    }

    var description: String {
        var parts = [message]
        if let name { parts.append("(\(name))") }
        if let failure { parts.append(failure.description) }
        return parts.joined(separator: parts.count > 1 && name == nil ? ": " : " ")
    }
}

/// A connection to systemd itself or to a message bus, for one call at a time.
///
/// It uses no thread and no callback: a caller that waits reads, and never beyond its deadline.
final class DBusConnection {
    private let socket: StreamSocket
    /// Received bytes that are not a whole message yet.
    private var received: [UInt8] = []
    private var lastSerial: UInt32 = 0
    /// Signals that arrived while waiting for something else, oldest first.
    private var signals: [DBusMessage] = []

    /// The limit of stored signals: an awaited signal comes soon or not at all.
    private static let mostSignals = 4096

    /// Authenticates on a new connection, and returns when messages can be sent.
    init(_ socket: consuming StreamSocket, before deadline: Deadline) throws(SystemdError) {
        self.socket = socket
        try authenticate(before: deadline)
    }

    // MARK: - Authentication

    /// Authenticates by EXTERNAL without a name.
    ///
    /// The other end takes the user from the socket, which is right even in a user namespace, where
    /// this process has another ID than the other end sees.
    ///
    /// Everything is sent in one piece: a message that arrives right after BEGIN can stay in
    /// systemd's buffer until the next one comes (seen with version 257). So wait for the answer,
    /// after which it has read all.
    private func authenticate(before deadline: Deadline) throws(SystemdError) {
        try send(
            [0] + Array("AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".utf8), before: deadline)
        var line = try readLine(before: deadline)
        let asked = line == "DATA" || line.begins(with: "DATA ")
        if asked { line = try readLine(before: deadline) }
        guard line == "OK" || line.begins(with: "OK ") else {
            throw SystemdError("authentication was refused: \(line.debugDescription)")
        }
        // Before version 246 the first line is enough, and the second causes an error that can be
        // ignored.
        if !asked { _ = try readLine(before: deadline) }
    }

    private func readLine(before deadline: Deadline) throws(SystemdError) -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                var line = received[..<end]
                if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
                let text = String(decoding: line, as: UTF8.self)
                received.removeFirst(end + 1)
                return text
            }
            guard received.count < 4096 else {
                throw SystemdError("the authentication's answer is no line")
            }
            try receive(before: deadline)
        }
    }

    // MARK: - Messages

    /// Calls a method and returns the values of its answer; throws an answer that is an error.
    func call(_ message: DBusMessage, before deadline: Deadline) throws(SystemdError)
        -> [DBusValue]
    {
        try naming(message.member ?? "") { () throws(SystemdError) in
            try answer(to: message, before: deadline)
        }
    }

    private func answer(to message: DBusMessage, before deadline: Deadline) throws(SystemdError)
        -> [DBusValue]
    {
        lastSerial &+= 1
        var message = message
        message.serial = lastSerial
        try send(message.encoded, before: deadline)
        while true {
            let answer = try readMessage(before: deadline)
            if answer.kind == .signal {
                if signals.count < Self.mostSignals { signals.append(answer) }
                continue
            }
            guard answer.replySerial == lastSerial else { continue }
            let values = try arguments(of: answer)
            guard answer.kind == .error else { return values }
            throw SystemdError(
                name: answer.errorName, values.first?.text ?? "an error without a message")
        }
    }

    /// The values of the first signal `member` for which `isWanted` holds, including signals that
    /// have already arrived.
    func signal(
        _ member: String, of interface: String, before deadline: Deadline,
        where isWanted: ([DBusValue]) -> Bool
    ) throws(SystemdError) -> [DBusValue] {
        try naming(member) { () throws(SystemdError) in
            try nextSignal(member, interface, before: deadline, where: isWanted)
        }
    }

    /// Adds what was waited for to the error of a missing answer.
    private func naming(
        _ member: String, _ body: () throws(SystemdError) -> [DBusValue]
    ) throws(SystemdError) -> [DBusValue] {
        do throws(SystemdError) {
            return try body()
        } catch  where error.name == nil {
            throw SystemdError("\(member): \(error.message)", failure: error.failure)
        }
    }

    private func nextSignal(
        _ member: String, _ interface: String, before deadline: Deadline,
        where isWanted: ([DBusValue]) -> Bool
    ) throws(SystemdError) -> [DBusValue] {
        while true {
            while !signals.isEmpty {
                let signal = signals.removeFirst()
                guard signal.member == member, signal.interface == interface else { continue }
                let values = try arguments(of: signal)
                if isWanted(values) { return values }
            }
            let message = try readMessage(before: deadline)
            if message.kind == .signal { signals.append(message) }
        }
    }

    private func arguments(of message: DBusMessage) throws(SystemdError) -> [DBusValue] {
        do throws(DBusFormatError) {
            return try message.arguments()
        } catch {
            throw SystemdError("unreadable answer: \(error)")
        }
    }

    private func readMessage(before deadline: Deadline) throws(SystemdError) -> DBusMessage {
        while true {
            do throws(DBusFormatError) {
                if received.count >= DBusMessage.prefixLength {
                    let prefix = received.prefix(DBusMessage.prefixLength)
                    let length = try DBusMessage.length(beginning: prefix)
                    if received.count >= length {
                        let message = try DBusMessage(decoding: received.prefix(length))
                        received.removeFirst(length)
                        guard let message else { continue }
                        return message
                    }
                }
            } catch {
                throw SystemdError("unreadable answer: \(error)")
            }
            try receive(before: deadline)
        }
    }

    private func send(_ bytes: [UInt8], before deadline: Deadline) throws(SystemdError) {
        do throws(SystemCallError) {
            try socket.send(bytes, before: deadline)
        } catch {
            throw Self.lost(error)
        }
    }

    private func receive(before deadline: Deadline) throws(SystemdError) {
        do throws(SystemCallError) {
            let bytes = try socket.receive(limitBytes: 16384, before: deadline)
            guard !bytes.isEmpty else {
                throw SystemCallError("recvfrom", "end of the connection", errno: .connectionReset)
            }
            received += bytes
        } catch {
            throw Self.lost(error)
        }
    }

    private static func lost(_ error: SystemCallError) -> SystemdError {
        SystemdError(
            error.errno == .timedOut
                ? "no answer within the time allowed" : "the connection was lost", failure: error)
    }
}
#endif
