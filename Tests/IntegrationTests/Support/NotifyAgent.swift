// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A seccomp agent: receives notify descriptors on a socket, and answers the notifications.
final class NotifyAgent {
    let path: String
    private let socket: CInt

    init(_ path: String) throws {
        self.path = path
        socket = try check(Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0), "socket")
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, length) }
        }
        try check(bound, "bind \(path)")
        try check(listen(socket, 4), "listen \(path)")
    }

    deinit {
        close(socket)
        unlink(path)
    }

    /// The answer to a notified call.
    enum Answer {
        case error(Int32)
        case goOn
        /// Only mkdir(2) and mkdirat(2) fail.
        case goOnUnless(makesDirectory: Int32)
    }

    #if arch(arm64)
    private static let makesDirectory: [UInt32] = [34]
    #else
    private static let makesDirectory: [UInt32] = [83, 258]
    #endif

    /// A filtered process: its message, and the descriptor for its notifications.
    struct Connection {
        let message: String
        let listener: CInt
    }

    /// Accepts one connection, and reads the message to its end and the descriptor with it.
    func accept() throws -> Connection {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        try #require(poll(&entry, 1, 20_000) == 1, "nobody connects to the agent")
        let connection = try check(Glibc.accept(socket, nil, nil), "accept")
        defer { close(connection) }
        var text = [UInt8](repeating: 0, count: 65536)
        var control = [UInt8](repeating: 0, count: 64)
        var count = 0
        text.withUnsafeMutableBytes { text in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: text.baseAddress, iov_len: text.count)
                withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    count = recvmsg(connection, &header, 0x4000_0000)
                }
            }
        }
        try check(count, "recvmsg")
        let listener = control.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: 16, as: Int32.self)
        }
        var message = Array(text.prefix(count))
        while true {
            let more = read(connection, &text, text.count)
            if more <= 0 { break }
            message += text.prefix(more)
        }
        return Connection(message: String(decoding: message, as: UTF8.self), listener: listener)
    }

    /// Answers every notified call until no process has the filter any more; returns their number.
    @discardableResult
    func serve(_ connection: Connection, _ answer: Answer) throws -> Int {
        defer { close(connection.listener) }
        var answered = 0
        while true {
            var entry = pollfd(fd: connection.listener, events: Int16(POLLIN), revents: 0)
            try #require(poll(&entry, 1, 30_000) == 1, "the filtered process does not end")
            guard entry.revents & Int16(POLLIN) != 0 else { return answered }
            // struct seccomp_notif: the id comes first.
            var request = [UInt64](repeating: 0, count: 10)
            // SECCOMP_IOCTL_NOTIF_RECV; ENOENT if the caller was killed meanwhile.
            guard ioctl(connection.listener, 0xc050_2100, &request) == 0 else { continue }
            // struct seccomp_notif_resp: id, value, then error and flags of 32 bits each.
            var response = [request[0], 0, 0]
            switch answer {
            case .error(let number): response[2] = UInt64(UInt32(bitPattern: -number))
            // SECCOMP_USER_NOTIF_FLAG_CONTINUE
            case .goOn: response[2] = 1 << 32
            case .goOnUnless(let number):
                // After id, pid and flags comes struct seccomp_data, which begins with the call.
                let call = UInt32(truncatingIfNeeded: request[2])
                response[2] =
                    Self.makesDirectory.contains(call)
                    ? UInt64(UInt32(bitPattern: -number)) : 1 << 32
            }
            // SECCOMP_IOCTL_NOTIF_SEND
            if ioctl(connection.listener, 0xc018_2101, &response) == 0 { answered += 1 }
        }
    }
}
