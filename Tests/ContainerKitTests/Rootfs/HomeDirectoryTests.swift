// SPDX-License-Identifier: Apache-2.0

import Foundation
import KernelVocabulary
import Testing

@testable import ContainerKit

@Suite("The home directory in the image")
struct HomeDirectoryTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let contents: String
        let uid: UInt32
        let home: String?

        init(_ description: String, _ contents: String, _ uid: UInt32, _ home: String?) {
            testDescription = description
            self.contents = contents
            self.uid = uid
            self.home = home
        }
    }

    static let line = "me:x:1000:1000:,,:/home/me:/bin/sh"

    static let cases: [Case] = [
        Case("a plain line", "\(line)\n", 1000, "/home/me"),
        Case("no newline at the end", line, 1000, "/home/me"),
        Case("the first of two", "\(line)\nyou:x:1000:0::/home/you:/bin/sh\n", 1000, "/home/me"),
        Case("behind empty lines", "\n\n\(line)\n\n", 1000, "/home/me"),
        Case("another user", "\(line)\n", 1001, nil),
        Case("an empty file", "", 0, nil),
        Case("an empty home", "me:x:1000:1000:::/bin/sh\n", 1000, nil),
        Case("no shell", "me:x:1000:1000::/home/me\n", 1000, "/home/me"),
        Case("too few fields", "me:x:1000:/home/me\n", 1000, nil),
        Case("more fields than there are", "me:x:1000:1000::/home/me:a:b:c\n", 1000, "/home/me"),
        Case("a negative number", "me:x:-1:0::/home/me:\n", UInt32.max, nil),
        Case("a sign", "me:x:+7:0::/home/me:\n", 7, nil),
        Case("a blank", "me:x: 7:0::/home/me:\n", 7, nil),
        Case("no number", "me:x::0::/home/me:\n", 0, nil),
        Case("a number above 32 bits", "me:x:4294967296:0::/home/me:\n", 0, nil),
        Case("a number above 64 bits", "me:x:18446744073709551616:0::/h:\n", 0, nil),
        Case("the highest number", "me:x:4294967295:0::/home/me:\n", UInt32.max, "/home/me"),
        Case("a NUL in the home", "me:x:7:0::/home\0/me:\n", 7, nil),
        Case(
            "a home above PATH_MAX", "me:x:7:0::/\(String(repeating: "a", count: 5000)):\n", 7, nil),
        Case("a carriage return stays", "me:x:7:0::/home/me\r\n", 7, "/home/me\r"),
    ]

    @Test(
        "the home directory is field 6 of the first passwd line with the user's id",
        arguments: cases)
    func parsing(_ example: Case) {
        let home = PasswordFile.home(ofUser: example.uid, in: Array(example.contents.utf8))
        #expect(home == example.home)
    }

    @Test("a passwd line of a megabyte hides no line after it")
    func longLine() {
        let contents = String(repeating: "x", count: 1_000_000) + "\n" + Self.line
        #expect(PasswordFile.home(ofUser: 1000, in: Array(contents.utf8)) == "/home/me")
    }

    // MARK: On disk

    private func home(_ prepare: (_ etc: String) throws -> Void) throws -> String {
        let root = try TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: root.path + "/etc", withIntermediateDirectories: true)
        try prepare(root.path + "/etc")
        let directory = try openFile(root.path, .pathOnly | .directory)
        return try homeDirectory(ofUser: 1000, inRoot: directory.number)
    }

    @Test("a regular passwd file is read")
    func regular() throws {
        let home = try home {
            try Self.line.write(toFile: $0 + "/passwd", atomically: false, encoding: .utf8)
        }
        #expect(home == "/home/me")
    }

    @Test("a missing passwd file is no error")
    func missing() throws {
        #expect(try home { _ in } == "/")
    }

    @Test(
        "a passwd that is a FIFO, a directory or a loop of links is neither waited for nor read",
        .timeLimit(.minutes(1)))
    func odd() throws {
        #expect(try home { mkfifo($0 + "/passwd", 0o666) } == "/")
        #expect(try home { mkdir($0 + "/passwd", 0o777) } == "/")
        #expect(try home { symlink("passwd", $0 + "/passwd") } == "/")
    }

    @Test("a passwd that is a link leads to a file below the root, never to the host's")
    func links() throws {
        let outside = try TemporaryDirectory()
        let secret = outside.path + "/passwd"
        try "host:x:1000:0::/secret:\n".write(toFile: secret, atomically: false, encoding: .utf8)
        #expect(try home { symlink(secret, $0 + "/passwd") } == "/")
        #expect(try home { symlink("../../../../..\(secret)", $0 + "/passwd") } == "/")
        let inside = try home {
            try Self.line.write(toFile: $0 + "/users", atomically: false, encoding: .utf8)
            symlink("/etc/users", $0 + "/passwd")
        }
        #expect(inside == "/home/me")
    }

    @Test(
        "a passwd that links to a procfs file is not followed",
        .enabled(if: geteuid() == 0, "needs root"))
    func kernelFiles() throws {
        let sleeper = Process()
        sleeper.executableURL = URL(fileURLWithPath: "/bin/sh")
        sleeper.standardInput = Pipe()
        sleeper.arguments = ["-c", "read line", "\n\(Self.line)\n"]
        try sleeper.run()
        defer {
            kill(sleeper.processIdentifier, SIGKILL)
            sleeper.waitUntilExit()
        }
        var commands: [UInt8] = []
        // Until its execve, the child has the command line of this process.
        for _ in 0..<200 where PasswordFile.home(ofUser: 1000, in: commands) == nil {
            commands = try readFile("/proc/\(sleeper.processIdentifier)/cmdline")
            usleep(10_000)
        }
        #expect(PasswordFile.home(ofUser: 1000, in: commands) == "/home/me")
        var mounted: String?
        defer { if let mounted { umount2(mounted, CInt(MNT_DETACH)) } }
        let home = try home { etc in
            let proc = etc + "/proc"
            mkdir(proc, 0o755)
            try #require(mount("proc", proc, "proc", 0, nil) == 0)
            mounted = proc
            symlink("proc/\(sleeper.processIdentifier)/cmdline", etc + "/passwd")
        }
        #expect(home == "/")
    }
}
