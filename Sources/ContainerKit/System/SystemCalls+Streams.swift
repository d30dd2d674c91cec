// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// A moment after which an answer is not waited for any more.
struct Deadline: Equatable {
    private let nanoseconds: Int

    /// The moment that is so far ahead.
    init(secondsAhead seconds: Int) {
        nanoseconds = ClockTime.monotonic.totalNanoseconds + seconds * 1_000_000_000
    }

    /// How long it is until then, rounded up; 0 when it is over.
    var remainingMilliseconds: Int {
        max(0, (nanoseconds - ClockTime.monotonic.totalNanoseconds + 999_999) / 1_000_000)
    }
}

/// The name that a stream socket of this machine listens by.
///
/// Kernel: unix(7).
enum UnixSocketName: Equatable, Sendable, CustomStringConvertible {
    /// A file.
    case path(String)
    /// A name in the abstract namespace, which belongs to the network namespace.
    case abstract(String)

    var description: String {
        switch self {
        case .path(let path): "\"\(path)\""
        case .abstract(let name): "\"@\(name)\""
        }
    }

    /// `struct sockaddr_un`, as long as it is needed; nil for a name that is too long for it.
    fileprivate var address: [UInt8]? {
        let family = [UInt8(AddressFamily.unix.rawValue), 0]
        switch self {
        case .path(let path):
            return path.utf8.count < 108 ? family + Array(path.utf8) + [0] : nil
        case .abstract(let name):
            return name.utf8.count < 108 ? family + [0] + Array(name.utf8) : nil
        }
    }
}

/// A connected stream socket on which no call waits longer than it may.
struct StreamSocket: ~Copyable {
    private let socket: OwnedDescriptor
    /// What is at the other end, for errors.
    private let name: String

    /// Takes over a connected, non-blocking socket.
    init(taking socket: consuming OwnedDescriptor, named name: String) {
        self.socket = socket
        self.name = name
    }

    /// Connects; a listener that is too busy to take the connection is asked again.
    ///
    /// Kernel: connect(2), EAGAIN of a unix socket.
    init(connectingTo name: UnixSocketName, before deadline: Deadline) throws(SystemCallError) {
        guard let address = name.address else {
            throw SystemCallError("connect", "\(name)", errno: .fileNameTooLong)
        }
        let socket = try makeSocket(.stream(.nonBlocking))
        while true {
            do throws(SystemCallError) {
                try Self.connect(socket.number, address, name)
                break
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                guard deadline.remainingMilliseconds > 0 else {
                    throw SystemCallError("connect", "\(name)", errno: .timedOut)
                }
                wait(milliseconds: 10)
            }
        }
        self.socket = socket
        self.name = name.description
    }

    private static func connect(_ socket: CInt, _ address: [UInt8], _ name: UnixSocketName)
        throws(SystemCallError)
    {
        try withAddress(ofElements: address) { (address, count) throws(SystemCallError) in
            _ = try systemCall(
                "connect", __NR_connect, Int(socket), address, count, describing: "\(name)")
        }
    }

    /// Sends all of `bytes`; ETIMEDOUT when the other end does not take them in time.
    ///
    /// Kernel: sendto(2) with MSG_NOSIGNAL.
    func send(_ bytes: [UInt8], before deadline: Deadline) throws(SystemCallError) {
        var sent = 0
        while sent < bytes.count {
            do throws(SystemCallError) {
                sent += try withAddress(ofElements: bytes[sent...]) {
                    (address, count) throws(SystemCallError) in
                    try systemCall(
                        "sendto", __NR_sendto, Int(socket.number), address, count,
                        MessageFlags.noSignal.rawValue, 0, 0, describing: name)
                }
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                try waitUntil(.writable, "sendto", before: deadline)
            }
        }
    }

    /// What has arrived, at most `limitBytes`, once there is something; nothing at the end.
    ///
    /// Kernel: recvfrom(2).
    func receive(limitBytes: Int, before deadline: Deadline) throws(SystemCallError) -> [UInt8] {
        while true {
            do throws(SystemCallError) {
                return try bytes(atMost: limitBytes) { (address, room) throws(SystemCallError) in
                    try systemCall(
                        "recvfrom", __NR_recvfrom, Int(socket.number), address, room, 0, 0, 0,
                        describing: name)
                }
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                try waitUntil(.readable, "recvfrom", before: deadline)
            }
        }
    }

    private func waitUntil(_ events: PollEvents, _ call: String, before deadline: Deadline)
        throws(SystemCallError)
    {
        var entries = [PollEntry(socket.number, events)]
        let ready = try poll(&entries, timeoutMilliseconds: deadline.remainingMilliseconds)
        if ready == 0 { throw SystemCallError(call, name, errno: .timedOut) }
    }
}
