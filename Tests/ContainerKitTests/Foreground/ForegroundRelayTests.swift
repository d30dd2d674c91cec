// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import Synchronization
import Testing

@testable import ContainerKit

/// Both ends of a pseudo-terminal.
private struct Terminal {
    let master: CInt
    let slave: CInt

    init() throws {
        master = Glibc.open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: CInt = 0
        try #require(ioctl(master, UInt(clinux_tiocsptlck), &unlocked) == 0)
        slave = ioctl(master, UInt(clinux_tiocgptpeer), O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(slave >= 0)
    }

    func closeBoth() {
        close(master)
        close(slave)
    }

    /// `stty -a` of the terminal, as one line.
    func modes() throws -> String {
        let process = Foundation.Process()
        process.executableURL = URL(fileURLWithPath: "/bin/stty")
        process.arguments = ["-a"]
        process.standardInput = FileHandle(fileDescriptor: slave)
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }
}

/// A relay in its own thread.
private final class RunningRelay: Sendable {
    private let outcome = Mutex<Result<Void, SystemCallError>?>(nil)
    private let thread = Mutex<Int>(0)

    init(_ relay: ForegroundRelay) {
        let run = Thread { [self] in
            let number = raw_system_call(Int(__NR_gettid), 0, 0, 0, 0, 0, 0)
            thread.withLock { $0 = number }
            let result: Result<Void, SystemCallError>
            do throws(SystemCallError) {
                result = .success(try relay.run())
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
        }
        run.start()
    }

    /// Sends a signal to the thread once it waits in poll(2) with its signals blocked.
    func send(_ signal: Int) throws {
        try wait("the relay waits") {
            let number = thread.withLock { $0 }
            guard number != 0 else { return false }
            let call = try? String(
                contentsOfFile: "/proc/self/task/\(number)/syscall", encoding: .utf8)
            return call?.hasPrefix("\(__NR_ppoll) ") == true
        }
        let number = thread.withLock { $0 }
        _ = raw_system_call(Int(__NR_tgkill), Int(getpid()), number, signal, 0, 0, 0)
    }

    var hasReturned: Bool { outcome.withLock { $0 != nil } }

    func result() throws {
        try wait("the relay returns") { hasReturned }
        try outcome.withLock { $0 }?.get()
    }
}

private func wait(_ what: Comment, until condition: () -> Bool) throws {
    for _ in 0..<10_000 {
        if condition() { return }
        usleep(1000)
    }
    try #require(condition(), what)
}

@Suite("Foreground processes", .timeLimit(.minutes(1)))
struct ForegroundRelayTests {
    /// Runs a script on a new terminal with these bytes as input; returns its output and its
    /// status.
    private func run(_ script: String, input: String = "", slowly: Bool = false) throws
        -> (output: String, status: ContainerKit.ExitStatus)
    {
        let terminal = try Terminal()
        defer { close(terminal.master) }
        let (keys, screen) = (Pipe(), Pipe())
        ForegroundRelay.prepare(terminal: terminal.master)
        let pid = try spawn(["/bin/sh", "-c", script], terminal: terminal.slave)
        close(terminal.slave)
        let process = try openProcess(pid)
        let relay = RunningRelay(
            ForegroundRelay(
                pidfd: process.number, pid: pid, terminalMaster: terminal.master,
                input: keys.fileHandleForReading.fileDescriptor,
                output: screen.fileHandleForWriting.fileDescriptor))
        keys.fileHandleForWriting.write(Data(input.utf8))
        try keys.fileHandleForWriting.close()
        if slowly { usleep(300_000) }
        let reader = screen.fileHandleForReading
        let output = Mutex(Data())
        let isRead = Mutex(false)
        Thread.detachNewThread {
            while let data = try? reader.read(upToCount: 1000), !data.isEmpty {
                output.withLock { $0.append(data) }
            }
            isRead.withLock { $0 = true }
        }
        try relay.result()
        try screen.fileHandleForWriting.close()
        try wait("the output is read") { isRead.withLock { $0 } }
        let text = output.withLock { String(decoding: $0, as: UTF8.self) }
        return (text, try waitProcess(process.number))
    }

    @Test("the output of a short process is complete, with its line ends unchanged")
    func short() throws {
        for round in 0..<50 {
            let result = try run("echo one; echo two; exit \(round)")
            #expect(result.output == "one\ntwo\n")
            #expect(result.status == .exited(Int32(round)))
        }
    }

    @Test("a slow reader loses no output")
    func slow() throws {
        let result = try run("seq 1 20000", slowly: true)
        #expect(result.output == (1...20_000).map { "\($0)\n" }.joined())
    }

    @Test("terminal input reaches the process; the end of the input does not end the process")
    func input() throws {
        let result = try run("stty -echo; read a; sleep 0.2; echo \"got $a\"", input: "words\n")
        #expect(result.output.hasSuffix("got words\n"))
        #expect(result.status == .exited(0))
    }

    /// The CPU time of this thread; other tests run at the same time.
    private func threadNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    @Test("waiting for a process that closed its terminal uses no CPU time")
    func closedTerminal() throws {
        let start = threadNanoseconds()
        let result = try run("exec 0<&- 1>&- 2>&-; sleep 0.5; exit 3")
        #expect(result.status == .exited(3))
        // A busy loop would have used half a second of CPU time in this thread.
        #expect(threadNanoseconds() - start < 250_000_000)
    }

    @Test(
        "signals are forwarded to the process, and the signal mask is restored",
        arguments: [1, 2, 3, 10, 12, 15, 40])
    func signals(_ signal: Int) throws {
        let pid = try spawn(["/bin/sleep", "60"])
        let process = try openProcess(pid)
        let relay = RunningRelay(
            ForegroundRelay(pidfd: process.number, pid: pid, terminalMaster: nil))
        try relay.send(signal)
        try relay.result()
        #expect(try waitProcess(process.number) == .signaled(Int32(signal)))
    }

    @Test("a signal meant for the runtime itself is not forwarded", arguments: [13, 17, 23, 28])
    func ownSignals(_ signal: Int) throws {
        let pid = try spawn(["/bin/sh", "-c", "trap 'exit 9' PIPE URG WINCH; sleep 0.5; exit 0"])
        let process = try openProcess(pid)
        let relay = RunningRelay(
            ForegroundRelay(pidfd: process.number, pid: pid, terminalMaster: nil))
        try relay.send(signal)
        try relay.result()
        #expect(try waitProcess(process.number) == .exited(0))
    }

    @Test("the caller's terminal is raw while the process runs, shares its size, and is restored")
    func hostTerminal() throws {
        let (host, own) = (try Terminal(), try Terminal())
        defer {
            host.closeBoth()
            own.closeBoth()
        }
        var size = clinux_winsize(ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(host.master, UInt(TIOCSWINSZ), &size)
        let former = try host.modes()
        let pid = try spawn(["/bin/sleep", "60"], terminal: own.slave)
        let process = try openProcess(pid)
        let relay = RunningRelay(
            ForegroundRelay(
                pidfd: process.number, pid: pid, terminalMaster: own.master, input: host.slave,
                output: host.slave))
        try wait("the terminal is raw") { (try? host.modes())?.contains("-icanon") == true }
        let raw = try host.modes()
        for mode in ["-isig", "-echo ", "-ixon", "-icrnl", "\nopost ", "min = 1"] {
            #expect(raw.contains(mode), "\(mode)")
        }
        #expect(try own.modes().hasPrefix("speed 38400 baud; rows 33; columns 77;"))
        size.ws_row = 44
        _ = ioctl(host.master, UInt(TIOCSWINSZ), &size)
        try relay.send(28)
        try wait("the size is passed on") { (try? own.modes())?.contains("rows 44;") == true }
        try relay.send(15)
        try relay.result()
        #expect(try host.modes() == former.replacing("rows 33", with: "rows 44"))
        #expect(try waitProcess(process.number) == .signaled(15))
    }
}
