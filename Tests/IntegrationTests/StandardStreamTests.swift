// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Standard streams", Host.root)
struct StandardStreamTests {
    /// A descriptor of the test, closed at its end.
    private final class Descriptor {
        let number: CInt

        init(_ number: CInt) { self.number = number }

        convenience init(opening path: String, _ flags: CInt) throws {
            self.init(try check(open(path, flags | O_CLOEXEC), "open \(path)"))
        }

        deinit { close(number) }

        var owner: uid_t {
            var status = stat()
            return fstat(number, &status) == 0 ? status.st_uid : .max
        }
    }

    private final class Pipe {
        let reader: Descriptor
        let writer: Descriptor

        init(holding text: String = "") throws {
            let ends = try makePipe()
            reader = Descriptor(ends.reader)
            writer = Descriptor(ends.writer)
            let bytes = Array(text.utf8)
            try check(write(ends.writer, bytes, bytes.count), "write to a pipe")
        }

        /// The present content of the pipe.
        var text: String {
            var bytes = [UInt8](repeating: 0, count: 4096)
            _ = fcntl(reader.number, F_SETFL, O_NONBLOCK)
            let count = read(reader.number, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        }
    }

    private static let echoes =
        "read word </dev/stdin; echo $word >/dev/stdout; echo err >/dev/stderr"

    /// Runs the command with pipes of the host's root; the first contains a word.
    private func expectEchoes(
        _ bundle: TestBundle, _ words: [String], thenStart: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let pipes = [try Pipe(holding: "in\n"), try Pipe(), try Pipe()]
        var options = CommandOptions()
        options.descriptors = [
            0: pipes[0].reader.number, 1: pipes[1].writer.number, 2: pipes[2].writer.number,
        ]
        let status = try bundle.start(words, options).wait().status
        #expect(status == 0, "\(pipes[2].text)", sourceLocation: sourceLocation)
        if thenStart {
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
        }
        #expect(pipes[1].text == "in\n", sourceLocation: sourceLocation)
        #expect(pipes[2].text == "err\n", sourceLocation: sourceLocation)
    }

    private static let users: [UInt32] = [0, 101]

    @Test(
        "the process can reopen its pipes in a user namespace, after run, create and exec",
        arguments: users)
    func pipesInUserNamespace(_ user: UInt32) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.process.user = User(uid: user, gid: user)
            bundle.script(Self.echoes)
            try bundle.writeConfig()
            let place = ["--bundle", bundle.directory, bundle.id]
            try expectEchoes(bundle, ["run"] + place)
            try expectEchoes(bundle, ["create"] + place, thenStart: true)
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            try bundle.startSleeping()
            try expectEchoes(
                bundle, ["exec", "-u", "\(user)", bundle.id, "sh", "-c", Self.echoes])
        }
    }

    @Test(
        "the process can reopen its pipes in a joined user namespace that the config does not map",
        arguments: users)
    func pipesInJoinedUserNamespace(_ user: UInt32) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            try bundle.startSleeping(id: "\(bundle.id)-first")
            let pid = try bundle.state("\(bundle.id)-first").pid
            bundle.joinUserNamespace(of: pid)
            bundle.process.user = User(uid: user, gid: user)
            bundle.script(Self.echoes)
            try bundle.writeConfig()
            try expectEchoes(bundle, ["run", "--bundle", bundle.directory, bundle.id])
        }
    }

    @Test("another user's process can reopen its pipes without a user namespace", arguments: users)
    func pipesOfAnotherUser(_ user: UInt32) throws {
        try TestBundle.use { bundle throws in
            bundle.process.user = User(uid: user, gid: user)
            bundle.script(Self.echoes)
            try bundle.writeConfig()
            try expectEchoes(bundle, ["run", "--bundle", bundle.directory, bundle.id])
            try bundle.startSleeping()
            try expectEchoes(
                bundle, ["exec", "-u", "\(user)", bundle.id, "sh", "-c", Self.echoes])
        }
    }

    @Test(
        "host files, directories and devices used as streams keep their owner",
        arguments: [false, true])
    func files(_ hasUserNamespace: Bool) throws {
        try TestBundle.use { bundle throws in
            if hasUserNamespace { try bundle.makeUserNamespace() }
            bundle.process.user = User(uid: 101, gid: 101)
            bundle.script("echo text")
            try bundle.writeConfig()
            let file = try Descriptor(
                opening: "\(bundle.directory)/result", O_RDWR | O_CREAT)
            let directory = try Descriptor(opening: bundle.directory, O_RDONLY)
            let device = try Descriptor(opening: "/dev/full", O_RDWR)
            var options = CommandOptions()
            options.descriptors = [0: directory.number, 1: file.number, 2: device.number]
            let run = ["run", "--bundle", bundle.directory, bundle.id]
            #expect(try bundle.start(run, options).wait().status == 0)
            #expect(try readText("\(bundle.directory)/result") == "text\n")
            #expect([file.owner, directory.owner, device.owner] == [0, 0, 0])
        }
    }

    // MARK: Terminals

    @Test(
        "the caller's terminal is the process's until it ends or fails, then the caller's again",
        arguments: [false, true])
    func terminalComesBack(_ hasUserNamespace: Bool) throws {
        try TestBundle.use { bundle throws in
            if hasUserNamespace { try bundle.makeUserNamespace() }
            bundle.process.user = User(uid: 101, gid: 101)
            bundle.script("stat -L -c 'owner %u' /proc/self/fd/0; echo opened >/dev/stderr")
            try bundle.writeConfig()
            let terminal = try Terminal()
            let slave = try Descriptor(opening: terminal.slave, O_RDWR | O_NOCTTY)
            try check(fchown(slave.number, 7, gid_t.max), "fchown")
            var options = CommandOptions()
            options.descriptors = [0: slave.number, 1: slave.number, 2: slave.number]
            let run = ["run", "--bundle", bundle.directory, bundle.id]
            #expect(try bundle.start(run, options).wait().status == 0)
            #expect(terminal.sees("owner 101"), "\(terminal.text)")
            #expect(terminal.sees("opened"), "\(terminal.text)")
            #expect(slave.owner == 7)

            try bundle.startSleeping(id: "\(bundle.id)-exec")
            let exec = [
                "exec", "-u", "102", "\(bundle.id)-exec", "stat", "-L", "-c", "is %u",
                "/proc/self/fd/1",
            ]
            #expect(try bundle.start(exec, options).wait().status == 0)
            #expect(terminal.sees("is 102"), "\(terminal.text)")
            #expect(slave.owner == 7)
            var failing = exec
            failing[3] = "\(bundle.id)-exec"
            failing.replaceSubrange(4..., with: ["/missing"])
            #expect(try bundle.start(failing, options).wait().status == 255)
            #expect(slave.owner == 7)
        }
    }

    @Test("a terminal for the console socket has the kernel's modes, including ONLCR")
    func modesOfConsoleSocket() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.process.args = ["/bin/sleep", "100"]
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let terminals = [try Terminal(), try socket.receive()]
            let modes = terminals.map(\.modes)
            #expect(modes[0].c_oflag & tcflag_t(ONLCR) != 0)
            #expect(modes[0].c_oflag == modes[1].c_oflag && modes[0].c_iflag == modes[1].c_iflag)
            #expect(modes[0].c_lflag == modes[1].c_lflag && modes[0].c_cflag == modes[1].c_cflag)
            let done = try bundle.swrunc(
                "exec", "-d", "-t", "--console-socket", socket.path, bundle.id, "echo", "word")
            #expect(done.status == 0, "\(done)")
            let terminal = try socket.receive()
            #expect(terminal.sees("word\r\n"), "\(terminal.text.debugDescription)")
        }
    }

    // MARK: Devices

    /// A process's standard input: device and inode, type and number, access mode.
    private static let look =
        "stat -L -c '%d:%i %t:%T' /proc/self/fd/0 >&2; grep flags /proc/self/fdinfo/0 >&2"

    /// Device and inode, in the format of stat's %d:%i.
    private func identity(_ path: String) throws -> String {
        var status = stat()
        try check(stat(path, &status), "stat \(path)")
        return "\(status.st_dev):\(status.st_ino)"
    }

    private func expectOwnDevice(
        _ found: FinishedCommand, not host: String, _ number: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let lines = found.error.lines.map { String($0) }
        #expect(found.status == 0 && lines.count == 2, "\(found)", sourceLocation: sourceLocation)
        let words = (lines.first ?? "").split(separator: " ").map(String.init)
        #expect(words.last == number, "\(found)", sourceLocation: sourceLocation)
        #expect(words.first != host, "\(found)", sourceLocation: sourceLocation)
        #expect(lines.last?.last == "0", "\(found)", sourceLocation: sourceLocation)
    }

    @Test(
        "a stream on /dev/null or a similar device becomes the container's own node",
        arguments: [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("urandom", "1:9")])
    func devices(_ name: String, _ number: String) throws {
        try TestBundle.use { bundle throws in
            let device = try Descriptor(opening: "/dev/\(name)", O_RDONLY)
            let host = try identity("/dev/\(name)")
            var options = CommandOptions()
            options.descriptors = [0: device.number]
            bundle.script(Self.look)
            expectOwnDevice(try bundle.run(options: options), not: host, number)
            try bundle.startSleeping()
            let exec = ["exec", bundle.id, "sh", "-c", Self.look]
            expectOwnDevice(try bundle.start(exec, options).wait(), not: host, number)
        }
    }

    @Test("a stream that the caller has closed becomes the container's /dev/null")
    func closedStream() throws {
        try TestBundle.use { bundle throws in
            var options = CommandOptions()
            options.closed = [0]
            let text = "stat -L -c '%d:%i' /proc/self/fd/0 /dev/null >&2"
            bundle.script(text)
            let found = try bundle.run(options: options).error.lines
            #expect(found.count == 2 && found.first == found.last, "\(found)")
        }
    }

    @Test(
        "a /dev/null in the container that is not the null device is not used for streams",
        arguments: [
            "", "echo >/dev/null", "mkdir /dev/null", "mkfifo /dev/null",
            "ln -s zero /dev/null", "mknod /dev/null c 1 5", "mknod /dev/null b 1 3",
        ])
    func hostileDevice(_ script: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.capabilities?.bounding?.append("CAP_MKNOD")
            bundle.process.capabilities?.permitted?.append("CAP_MKNOD")
            bundle.process.capabilities?.effective?.append("CAP_MKNOD")
            try bundle.startSleeping()
            let script = "rm /dev/null; " + script.replacing("mkfifo", with: "busybox mkfifo")
            let made = try bundle.swrunc("exec", bundle.id, "sh", "-c", script)
            #expect(made.status == 0, "\(made)")
            let device = try Descriptor(opening: "/dev/null", O_RDONLY)
            var options = CommandOptions()
            options.descriptors = [0: device.number]
            options.timeLimitSeconds = 10
            let exec = ["exec", bundle.id, "sh", "-c", Self.look]
            expectOwnDevice(
                try bundle.start(exec, options).wait(), not: try identity("/dev/null"), "1:3")
        }
    }

    @Test("a stream is a null device even if the container mounts a /dev without one")
    func bareDevice() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/dev")
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.addMount("bind", "\(bundle.directory)/dev", at: "/dev", "rbind")
            let device = try Descriptor(opening: "/dev/null", O_RDONLY)
            var options = CommandOptions()
            options.descriptors = [0: device.number]
            bundle.script(Self.look)
            expectOwnDevice(
                try bundle.run(options: options), not: try identity("/dev/null"), "1:3")
            #expect(access("\(bundle.directory)/dev/null", F_OK) != 0)
        }
    }
}
