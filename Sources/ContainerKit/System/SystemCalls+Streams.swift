// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// A deadline for an answer.
struct Deadline: Equatable, Sendable {
    /// On the monotonic clock.
    let nanoseconds: Int

    /// A deadline some seconds from now.
    init(secondsAhead seconds: Int) {
        nanoseconds = ClockTime.monotonic.totalNanoseconds + seconds * 1_000_000_000
    }

    /// A deadline at the end of a time that begins now; one that is too long for the clock is its
    /// last moment.
    init(_ length: Duration) {
        let (seconds, attoseconds) = length.components
        let (whole, overflow) = Int(clamping: seconds).multipliedReportingOverflow(
            by: 1_000_000_000)
        let (rest, isLater) = whole.addingReportingOverflow(Int(attoseconds / 1_000_000_000))
        let (time, isLate) = ClockTime.monotonic.totalNanoseconds.addingReportingOverflow(rest)
        nanoseconds = overflow || isLater || isLate ? .max : time
    }

    private init(nanoseconds: Int) {
        self.nanoseconds = nanoseconds
    }

    /// This deadline, or the other if that is earlier.
    func limited(by other: Deadline?) -> Deadline {
        guard let other else { return self }
        return Deadline(nanoseconds: min(nanoseconds, other.nanoseconds))
    }

    /// The time left, rounded up; 0 after the deadline.
    var remainingMilliseconds: Int {
        let left = nanoseconds - ClockTime.monotonic.totalNanoseconds
        return left <= 0 ? 0 : (left - 1) / 1_000_000 + 1
    }
}

/// The address of a listening stream socket on this machine.
///
/// Kernel: unix(7).
enum UnixSocketName: Equatable, Sendable, CustomStringConvertible {
    /// The path of a socket file.
    case path(String)
    /// A name in the abstract namespace, which belongs to the network namespace.
    case abstract(String)

    var description: String {
        switch self {
        case .path(let path): "\"\(path)\""
        case .abstract(let name): "\"@\(name)\""
        }
    }

    /// `struct sockaddr_un` in its actual length; nil if the name is too long.
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

/// A connected stream socket whose calls never wait beyond a deadline.
struct StreamSocket: ~Copyable {
    private let socket: OwnedDescriptor
    /// The name of the other end, for errors.
    private let name: String

    /// Takes over a connected, non-blocking socket.
    init(taking socket: consuming OwnedDescriptor, named name: String) {
        self.socket = socket
        self.name = name
    }

    /// Connects; if the listener's queue is full, tries again.
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

    /// Sends all of `bytes`; ETIMEDOUT if the other end does not read them in time.
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

    /// Waits for bytes and returns at most `limitBytes` of them; empty at the end.
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
#endif
