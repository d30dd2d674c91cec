// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

/// The master of a terminal that the test made or that a container sent.
final class Terminal {
    let master: CInt
    private(set) var text = ""

    init(master: CInt) {
        self.master = master
    }

    /// A new terminal.
    convenience init() throws {
        let master = try check(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "open ptmx")
        self.init(master: master)
        var locked: CInt = 0
        try check(ioctl(master, 0x4004_5431, &locked), "TIOCSPTLCK")
    }

    deinit { close(master) }

    /// The path of the slave.
    var slave: String {
        // TIOCGPTN
        var number: CInt = -1
        _ = ioctl(master, 0x8004_5430, &number)
        return "/dev/pts/\(number)"
    }

    func type(_ text: String) throws {
        let bytes = Array(text.utf8)
        try check(write(master, bytes, bytes.count), "write to the terminal")
    }

    /// Reads until `word` appears, for at most `seconds`.
    func sees(_ word: String, seconds: Double = 10) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds * Double(Host.slowness))
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !text.contains(word) {
            if ContinuousClock.now > end { return false }
            var entry = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 50) > 0 else { continue }
            let count = read(master, &buffer, buffer.count)
            if count <= 0 { return false }
            text += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
        return true
    }

    var modes: termios {
        var modes = termios()
        tcgetattr(master, &modes)
        return modes
    }

    /// Whether the terminal buffers lines and echoes.
    var isCooked: Bool {
        modes.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == tcflag_t(ICANON | ECHO | ISIG)
    }

    func resize(rows: UInt16, columns: UInt16) throws {
        var size = clinux_winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        try check(ioctl(master, UInt(TIOCSWINSZ), &size), "TIOCSWINSZ")
    }
}

/// The listener of `--console-socket` or `--pidfd-socket`.
final class ConsoleSocket {
    let path: String
    private let listener: CInt

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(_ path: String) throws {
        self.path = path
        listener = try check(
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0), "socket")
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try check(result, "bind \(path)")
        try check(listen(listener, 8), "listen")
    }

    deinit { close(listener) }

    /// Whether a connection is waiting.
    func isCalled(withinMilliseconds time: CInt) -> Bool {
        var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, time) > 0
    }

    /// Accepts one connection and receives the terminal from its only message.
    func receive() throws -> Terminal { Terminal(master: try receiveDescriptor().number) }

    /// Accepts one connection and receives the only descriptor from its only message, with the
    /// text.
    func receiveDescriptor() throws -> (number: CInt, text: String) {
        guard isCalled(withinMilliseconds: 30_000) else {
            throw Failure(description: "nobody called the console socket")
        }
        let connection = try check(accept(listener, nil, nil), "accept")
        defer { close(connection) }
        var payload = [UInt8](repeating: 0, count: 4096)
        // Space for 8 descriptors, so that more than one would be noticed.
        var control = [UInt8](repeating: 0, count: 16 + 8 * 4)
        let (count, length) = try payload.withUnsafeMutableBytes { payload in
            try control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                return try withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    // MSG_CMSG_CLOEXEC
                    let count = try check(recvmsg(connection, &header, 0x4000_0000), "recvmsg")
                    return (count, header.msg_controllen)
                }
            }
        }
        // A cmsghdr of 16 bytes, whose first word is the length including the header, then the
        // descriptors.
        guard count > 0, length >= 20,
            control.withUnsafeBytes({ $0.load(as: Int.self) }) == 16 + 4
        else {
            throw Failure(description: "\(count) bytes with control data \(control.prefix(length))")
        }
        let number = control.withUnsafeBytes { $0.load(fromByteOffset: 16, as: CInt.self) }
        return (number, String(decoding: payload.prefix(count), as: UTF8.self))
    }
}
