// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import InitProgram
import KernelVocabulary
import SystemPackage
import Testing

@testable import ContainerKit

/// Starts a program as a child of this process, without blocked signals.
func spawn(_ arguments: [String], terminal: CInt? = nil) throws -> Int32 {
    var pid: Int32 = 0
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let terminal {
        for number: CInt in 0...2 {
            posix_spawn_file_actions_adddup2(&actions, terminal, number)
        }
    }
    let result = posix_spawn(&pid, arguments[0], &actions, &attributes, &pointers, nil)
    try #require(result == 0)
    return pid
}

@Suite("System calls on processes")
struct ProcessCallTests {
    @Test(
        "a child's exit status is its status or its signal",
        arguments: [
            ("exit 0", ContainerKit.ExitStatus.exited(0)), ("exit 255", .exited(255)),
            ("kill -9 $$", .signaled(9)), ("kill -15 $$", .signaled(15)),
        ])
    func wait(_ script: String, _ status: ContainerKit.ExitStatus) throws {
        let process = try openProcess(try spawn(["/bin/sh", "-c", script]))
        #expect(try waitProcess(process.number) == status)
    }

    @Test("a running child has no exit status, and a signal ends it")
    func signal() throws {
        let process = try openProcess(try spawn(["/bin/sleep", "60"]))
        #expect(try waitProcessIfEnded(process.number) == nil)
        try sendSignal(process.number, 15)
        var entries = [PollEntry(process.number, .readable)]
        #expect(try poll(&entries, timeoutMilliseconds: 10_000) == 1)
        #expect(try waitProcessIfEnded(process.number) == .signaled(15))
    }

    @Test("the exit status of a child that another thread reaped is known or an error")
    func takenStatus() throws {
        let pid = try spawn(["/bin/sh", "-c", "exit 7"])
        let process = try openProcess(pid)
        #expect(waitpid(pid, nil, 0) == pid)
        do throws(SystemCallError) {
            // Linux 6.15 and later.
            #expect(try waitProcess(process.number) == .exited(7))
        } catch {
            #expect(error.errno == .noChildProcess)
        }
    }

    @Test("poll stops at its timeout and skips negative descriptors")
    func timeout() throws {
        let pair = try socketPair()
        var entries = [PollEntry(-1, .readable), PollEntry(pair.first.number, .readable)]
        #expect(try poll(&entries, timeoutMilliseconds: 1) == 0)
        try writeAll([1], to: pair.second.number, named: "peer")
        #expect(try poll(&entries) == 1)
        #expect(entries[0].seen.isEmpty)
        #expect(entries[1].seen == .readable)
    }

    @Test("a resource limit of another process can be set")
    func limit() throws {
        let pid = try spawn(["/bin/sleep", "60"])
        let process = try openProcess(pid)
        try setResourceLimit(
            pid: pid, PlannedLimit(name: "RLIMIT_NOFILE", resource: 7, soft: 33, hard: 44))
        let limits = String(decoding: try readFile("/proc/\(pid)/limits"), as: UTF8.self)
        try sendSignal(process.number, 9)
        _ = try waitProcess(process.number)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open") })
        #expect(line.split(separator: " ").dropFirst(3).prefix(2) == ["33", "44"])
    }

    @Test(
        "the last parenthesis in /proc/pid/stat ends the process name",
        arguments: [
            "1 (a) S", "1 (a) R 1) S", "1 () S", "1 (\n) Z (x) S", "1 (S 1 2 3) ) S",
        ])
    func statNames(_ start: String) {
        let line = start + (4...21).map { " \($0)" }.joined() + " 4711 23 24\n"
        let stat = ProcessStat(parsing: Array(line.utf8))
        #expect(stat?.startTime == 4711)
        #expect(stat?.state == "S")
    }

    @Test(
        "a text that is not a stat line is refused",
        arguments: ["", "1 (a", "1 (a) S 1 2", "1 (a) SS" + String(repeating: " 1", count: 30)])
    func noStat(_ line: String) {
        #expect(ProcessStat(parsing: Array(line.utf8)) == nil)
    }

    @Test("the start time of a process does not change; a number without a process has none")
    func ownStat() throws {
        let own = try startTime(of: getpid())
        #expect(own != nil)
        #expect(try startTime(of: getpid()) == own)
        #expect(try startTime(of: -7) == nil)
    }

    @Test(
        "a zombie counts as an ended process, but not while threads outlive the first one",
        arguments: [
            ("Z", 1, true), ("Z", 2, false), ("X", 0, true), ("S", 1, false), ("T", 1, false),
        ])
    func ended(_ state: String, _ threads: Int, _ hasEnded: Bool) throws {
        let between = Array(repeating: "0", count: 10).joined(separator: " ")
        let line = "7 (a) \(state) 1 7 7 0 -1 4 \(between) \(threads) 0 99 0 0"
        let stat = try #require(ProcessStat(parsing: Array(line.utf8)))
        #expect(stat.hasEnded == hasEnded)
        #expect(stat.startTime == 99 && stat.isEnding && stat.threadCount == threads)
    }

    @Test("the clocks never go back")
    func clocks() {
        let first = ClockTime.monotonic
        #expect(ClockTime.monotonic.totalNanoseconds >= first.totalNanoseconds)
        #expect(abs(Double(ClockTime.wall.seconds) - Date().timeIntervalSince1970) < 10)
    }
}

@Suite("Unix sockets")
struct SocketCallTests {
    @Test("a Unix socket can be reached by a path of any length", arguments: [1, 80, 200])
    func connection(_ length: Int) throws {
        let temporary = try TemporaryDirectory()
        let parent = temporary.path + "/" + String(repeating: "d", count: length)
        try FileManager.default.createDirectory(
            atPath: parent, withIntermediateDirectories: true)
        let directory = try openFile(parent, .pathOnly | .directory)
        let listener = try listenUnixSocket(in: directory.number, name: "start")
        let byPath = try connectUnixSocket(path: parent + "/start")
        let accepted = OwnedDescriptor(taking: accept(listener.number, nil, nil))
        try writeAll([7], to: byPath.number, named: "peer")
        #expect(try readAvailable(accepted.number, limitBytes: 1) == [7])
        _ = try connectUnixSocket(in: directory.number, name: "start")
    }

    @Test("a socket path without a listener is an error with the path")
    func refused() throws {
        #expect {
            _ = try connectUnixSocket(path: "/nowhere/socket")
        } throws: {
            "\($0)" == "connect(\"/nowhere/socket\"): no such file or directory"
        }
    }

    @Test("one descriptor is received over a socket, close-on-exec")
    func descriptor() throws {
        let pair = try socketPair()
        let file = try openFile("/dev/null", .readOnly)
        try sendDescriptor(file.number, text: "/dev/pts/0", over: pair.first.number)
        let received = try receiveDescriptor(from: pair.second.number)
        #expect(try status(of: received.number).stx_ino == status(of: file.number).stx_ino)
        #expect(fcntl(received.number, F_GETFD) == FD_CLOEXEC)
    }

    @Test("a message without a descriptor, or a closed socket, is an error")
    func noDescriptor() throws {
        var numbers: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &numbers) == 0)
        let (writer, reader) = (numbers[0], numbers[1])
        defer { close(reader) }
        try writeAll([1], to: writer, named: "peer")
        close(writer)
        for _ in 0..<2 {
            #expect {
                _ = try receiveDescriptor(from: reader)
            } throws: {
                ($0 as? SystemCallError)?.errno == .badMessage
            }
        }
    }
}

@Suite("Exit status of a process")
struct ProcessEndTests {
    @Test("a child's exit status is taken once, together with its resource usage")
    func usage() throws {
        let process = try openProcess(
            try spawn(["/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 4"])
        )
        #expect(try takeEnd(ofChild: process.number) == nil)
        var entries = [PollEntry(process.number, .readable)]
        #expect(try poll(&entries, timeoutMilliseconds: 60_000) == 1)
        #expect(try hasEnded(process.number))
        let end = try #require(try takeEnd(ofChild: process.number))
        #expect(end.status == .exited(4))
        let usage = try #require(end.usage)
        #expect(usage.userTime > .zero && usage.peakMemoryBytes > 100_000)
        #expect(throws: SystemCallError.self) { try takeEnd(ofChild: process.number) }
    }

    @Test(
        "a zombie shows its exit status to processes other than its parent; a running one has none")
    func zombie() throws {
        let pid = try spawn(["/bin/sh", "-c", "exit 9"])
        let process = try openProcess(pid)
        var entries = [PollEntry(process.number, .readable)]
        #expect(try poll(&entries, timeoutMilliseconds: 10_000) == 1)
        #expect(toldStatus(of: process.number, pid: pid) == .exited(9))
        #expect(waitpid(pid, nil, 0) == pid)
        let running = try readFile("/proc/self/stat", limitBytes: 4096)
        #expect(waitStatus(ofEnded: running) == nil)
        let numbers = (0..<49).map { "\($0)" }.joined(separator: " ")
        #expect(waitStatus(ofEnded: Array("1 (a) b) Z \(numbers)".utf8)) == 48)
        #expect(waitStatus(ofEnded: Array("1 (a) Z".utf8)) == nil)
    }

    @Test("a status word of wait(2) is an exit status or a signal")
    func waitStatusWord() {
        #expect(ContainerKit.ExitStatus(waitStatus: 7 << 8) == .exited(7))
        #expect(ContainerKit.ExitStatus(waitStatus: 9) == .signaled(9))
        #expect(ContainerKit.ExitStatus(waitStatus: 11 | 0x80) == .signaled(11))
        #expect(ContainerKit.ExitStatus.unknown.shellCode == 255)
    }
}
