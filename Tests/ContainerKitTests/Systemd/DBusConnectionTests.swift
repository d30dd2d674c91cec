// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import Testing

@testable import ContainerKit

/// A real socket pair; the other end has sent all its answers before it is asked.
@Suite("A connection of D-Bus")
struct DBusConnectionTests {
    private static let welcome = Array("DATA\r\nOK 0123\r\n".utf8)
    private static let call = DBusMessage(calling: "Get", of: "a.b", at: "/a")

    /// A connection to an end that has sent `bytes` and then sends nothing more, or closes.
    private func connection(_ bytes: [UInt8], hangsUp: Bool = false) throws -> Peer {
        let pair = try socketPair()
        let (ours, theirs) = pair.numbers()
        try writeAll(bytes, to: theirs, named: "peer")
        // F_SETFL, O_NONBLOCK
        _ = try systemCall("fcntl", 72, Int(ours), 4, 0o4000, describing: "")
        var peer: CInt? = theirs
        if hangsUp {
            _ = OwnedDescriptor(taking: theirs)
            peer = nil
        }
        return Peer(
            connection: try DBusConnection(
                StreamSocket(taking: OwnedDescriptor(taking: ours), named: "test"),
                before: Deadline(secondsAhead: 0)), number: peer)
    }

    /// Both ends.
    private final class Peer {
        let connection: DBusConnection
        private let number: CInt?

        init(connection: DBusConnection, number: CInt?) {
            self.connection = connection
            self.number = number
        }

        deinit {
            if let number { _ = OwnedDescriptor(taking: number) }
        }
    }

    private func answer(_ serial: UInt32, _ values: [DBusValue]) -> [UInt8] {
        var message = DBusMessage(.methodReturn, values)
        message.serial = 90
        message.replySerial = serial
        return message.encoded
    }

    private func signal(_ member: String, _ values: [DBusValue]) -> [UInt8] {
        var message = DBusMessage(.signal, values)
        message.serial = 91
        message.interface = "a.b"
        message.member = member
        return message.encoded
    }

    @Test(
        "a D-Bus server that accepts the user is ready for calls",
        arguments: [
            "DATA\r\nOK 0123\r\n", "DATA\r\nOK\r\n", "OK 0123\r\nERROR\r\n", "DATA \nOK 0123\n",
        ])
    func authenticates(welcome: String) throws {
        let peer = try connection(Array(welcome.utf8) + answer(1, [.uint32(7)]))
        #expect(
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 0)) == [.uint32(7)])
    }

    @Test(
        "a D-Bus server that rejects the user is reported with its answer",
        arguments: [
            ("REJECTED EXTERNAL\r\n", "authentication was refused: \"REJECTED EXTERNAL\""),
            ("DATA\r\nREJECTED\r\n", "authentication was refused: \"REJECTED\""),
            ("\r\n", "authentication was refused: \"\""),
            (String(repeating: "x", count: 5000), "the authentication's answer is no line"),
        ])
    func refused(welcome: String, expected: String) throws {
        let error = #expect(throws: SystemdError.self) { try connection(Array(welcome.utf8)) }
        #expect(error?.description == expected)
    }

    @Test("a D-Bus server that does not answer is an error once the timeout has passed")
    func silence() throws {
        let error = #expect(throws: SystemdError.self) { try connection([]) }
        #expect(
            error?.description
                == "no answer within the time allowed: recvfrom(test): connection timed out")
        let peer = try connection(Self.welcome)
        let late = #expect(throws: SystemdError.self) {
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 0))
        }
        #expect(
            late?.description
                == "Get: no answer within the time allowed: recvfrom(test): connection timed out")
    }

    @Test("a D-Bus server that hangs up is reported as a lost connection")
    func hungUp() throws {
        let peer = try connection(Self.welcome + answer(1, []).dropLast(3))
        let half = #expect(throws: SystemdError.self) {
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 0))
        }
        #expect(half?.isDisconnect == false)
        let error = #expect(throws: SystemdError.self) { try connection([], hangsUp: true) }
        #expect(error?.isDisconnect == true)
    }

    @Test("answers to other D-Bus calls and signals are skipped")
    func passesOver() throws {
        let peer = try connection(
            Self.welcome + signal("Other", [.string("x")]) + answer(7, [.string("old")])
                + answer(1, [.string("wanted")]))
        #expect(
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 0))
                == [.string("wanted")])
    }

    @Test("a D-Bus signal is found whether it came before or after the answer")
    func signals() throws {
        let peer = try connection(
            Self.welcome + signal("Removed", [.uint32(1), .string("first")]) + answer(1, [])
                + signal("Other", []) + signal("Removed", [.uint32(2), .string("second")]))
        let deadline = Deadline(secondsAhead: 0)
        _ = try peer.connection.call(Self.call, before: deadline)
        #expect(
            try peer.connection.signal("Removed", of: "a.b", before: deadline) {
                $0.last == .string("first")
            } == [.uint32(1), .string("first")])
        #expect(
            try peer.connection.signal("Removed", of: "a.b", before: deadline) {
                $0.last == .string("second")
            } == [.uint32(2), .string("second")])
        let error = #expect(throws: SystemdError.self) {
            try peer.connection.signal("Removed", of: "a.b", before: deadline) { _ in true }
        }
        #expect(error?.failure?.errno == .timedOut)
    }

    @Test("a D-Bus error is reported with the text of the server")
    func errorAnswer() throws {
        let peer = try connection(Self.welcome + DBusFormatTests.recordedError)
        let error = #expect(throws: SystemdError.self) {
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 0))
        }
        #expect(error?.name == "org.freedesktop.systemd1.NoSuchUnit")
        #expect(
            error?.description
                == "Unit swr-z.scope not loaded. (org.freedesktop.systemd1.NoSuchUnit)")
    }

    @Test("invalid bytes in place of a D-Bus message are an error, and are not waited on")
    func garbage() throws {
        let peer = try connection(Self.welcome + [UInt8](repeating: 0x41, count: 64))
        let error = #expect(throws: SystemdError.self) {
            try peer.connection.call(Self.call, before: Deadline(secondsAhead: 60))
        }
        #expect(error?.description == "Get: unreadable answer: a message has no byte order")
    }

    @Test(
        "the socket addresses of a D-Bus bus are read in their listed order",
        arguments: [
            ("unix:path=/run/user/1000/bus", ["\"/run/user/1000/bus\""]),
            ("unix:path=/a%20b,guid=1;unix:abstract=/tmp/x", ["\"/a b\"", "\"@/tmp/x\""]),
            ("tcp:host=localhost;unix:guid=1;unix:path=/c", ["\"/c\""]),
            ("", []), ("unix:path=%zz", []), ("unix:path=%0", []), ("unix:path=%00", []),
        ])
    func addresses(list: String, expected: [String]) {
        #expect(DBusAddress.sockets(in: list).map(\.description) == expected)
    }

    @Test(
        "a systemd version is its first number",
        arguments: [("252 (252.39-1~deb12u1)", 252), ("v245.4-1.fc32", 245), ("255", 255), ("", 0)])
    func version(text: String, number: Int) {
        #expect(SystemdClient.versionNumber(text) == number)
    }
}
