// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import InitMachine
import KernelVocabulary
import Testing

@testable import ContainerKit
@testable import InitProgram

/// A signal that no other test uses.
private let testSignal = SIGUSR2

/// The descriptor to which the host's signal handler writes; a handler gets only the signal as
/// argument.
nonisolated(unsafe) private var handlerOutput: CInt = -1

@Suite("The child and its parent", .serialized)
struct ChildTests {
    // MARK: Signals

    @Test("the child blocks every signal that can be blocked")
    func signalsAreBlocked() throws {
        let done = try runInChild { code, output in
            let mask = code.reserve(8)
            code.call(
                .rtSigprocmask, [.literal(0), .literal(0), .address(mask), .literal(8)])
            code.call(.write, [output, .address(mask), .literal(8)])
            code.exit(0)
        }
        let unblockable: Int64 = 1 << (Int64(SIGKILL) - 1) | 1 << (Int64(SIGSTOP) - 1)
        #expect(done.number == ~unblockable)
    }

    @Test(
        "the parent's signal mask is unchanged after it starts a child",
        arguments: [[], [SIGUSR1], [SIGTERM, SIGHUP]])
    func parentMask(_ blocked: [CInt]) throws {
        var wanted = sigset_t()
        var original = sigset_t()
        sigemptyset(&wanted)
        for signal in blocked { sigaddset(&wanted, signal) }
        pthread_sigmask(SIG_SETMASK, &wanted, &original)
        defer { pthread_sigmask(SIG_SETMASK, &original, nil) }
        let outcome = try runInChild { code, _ in code.exit(0) }.outcome
        var after = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &after)
        #expect(outcome == .exited(0))
        for signal in 1..<CInt(32) {
            #expect((sigismember(&after, signal) == 1) == blocked.contains(signal))
        }
    }

    /// Raises a signal in a child of a host with a handler; returns what the handler wrote.
    private func signalChild(flags: CloneFlags, unblocking: Bool) throws -> FinishedProgram {
        var action = sigaction()
        var before = sigaction()
        action.__sigaction_handler.sa_handler = { _ in _ = write(handlerOutput, "handler", 7) }
        try #require(sigaction(testSignal, &action, &before) == 0)
        defer {
            sigaction(testSignal, &before, nil)
            handlerOutput = -1
        }
        return try runInChild(copying: flags) { code, output in
            if case .literal(let number) = output { handlerOutput = CInt(number) }
            let pid = code.cell("pid")
            code.call(.getpid, [], into: pid)
            code.call(
                SystemCall("kill", __NR_kill), [.cell(pid), .literal(Int(testSignal))])
            if unblocking {
                let none = code.words([0])
                code.call(
                    .rtSigprocmask, [.literal(2), .address(none), .literal(0), .literal(8)])
            }
            code.exit(0)
        }
    }

    @Test("a handler of the host does not run in the child, even when its signal comes")
    func handlersAreBlocked() throws {
        let done = try signalChild(flags: .empty, unblocking: false)
        #expect(done.outcome == .exited(0))
        #expect(done.text == "")
    }

    @Test("with CLONE_CLEAR_SIGHAND the child has no handlers left to run")
    func handlersAreCleared() throws {
        let done = try signalChild(flags: .clearHandlers, unblocking: true)
        #expect(done.outcome == .signaled(testSignal))
        #expect(done.text == "")
    }

    @Test("a handler of the host runs in a child that has neither guard against it")
    func handlersWouldBeNoticed() throws {
        let done = try signalChild(flags: .empty, unblocking: true)
        #expect(done.outcome == .exited(0))
        #expect(done.text == "handler")
    }

    @Test("the program unblocks all signals before it executes")
    func signalsAreUnblocked() throws {
        let done = try runInChild([
            .process(.unblockSignals), .shell("grep SigBlk /proc/self/status"),
        ])
        #expect(done.text == "SigBlk:\t0000000000000000\n")
    }

    // MARK: The rendezvous

    /// A child that waits on a socket pair and then exits with 7, and the parent's end.
    private func waitingChild() throws -> (child: RunningProgram, socket: CInt) {
        var ends: [CInt] = [-1, -1]
        try #require(
            socketpair(
                AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        var code = Assembler()
        var state = LoweringState()
        InitStep.process(.closeDescriptors(phase: 0, keeping: [.rendezvous], preserved: 0))
            .lower(into: &code, &state)
        InitStep.exchange(.waitForParent(.userMapped)).lower(into: &code, &state)
        code.exit(7)
        let child = try RunningProgram(
            code.image,
            inputs: [
                .rendezvous: ends[1],
                .gapStart(phase: 0, 0): 3, .gapEnd(phase: 0, 0): ends[1] - 1,
                .gapStart(phase: 0, 1): ends[1] + 1, .gapEnd(phase: 0, 1): CInt.max,
            ])
        return (child, ends[0])
    }

    @Test("a child whose parent dies ends by itself, without an error")
    func parentGoesAway() throws {
        let (child, socket) = try waitingChild()
        close(socket)
        #expect(try child.finish() == .exited(0))
    }

    @Test("a child continues when the parent tells it to")
    func parentReleases() throws {
        let (child, socket) = try waitingChild()
        defer { close(socket) }
        #expect(write(socket, "x", 1) == 1)
        #expect(try child.finish() == .exited(7))
    }

    // MARK: A second process

    /// A program whose second process writes its parent's pid.
    private func startTwo(_ theirs: CInt, _ output: CInt) throws -> RunningProgram {
        var code = Assembler()
        var state = LoweringState()
        let parent = code.cell("parent")
        InitStep.namespace(.continueInChild(intoCgroup: false)).lower(into: &code, &state)
        code.call(SystemCall("getppid", __NR_getppid), [], into: parent)
        code.write(parent, to: .literal(Int(output)))
        code.exit(7)
        _ = code.reserve(8)
        return try RunningProgram(
            code.image, inputs: [.rendezvous: theirs, .standardStream(1): output])
    }

    @Test("a second process is the parent's child, and continues once the parent has its pidfd")
    func secondProcess() throws {
        let (ours, theirs) = try socketPair().numbers()
        defer { for end in [ours, theirs] { close(end) } }
        var pipe = try Pipe()
        let program = try startTwo(theirs, pipe.writing)
        pipe.closeWriting()
        let second = try #require(
            try program.page.receive(.second, of: program.pidfd, from: ours))
        let descriptor = OwnedDescriptor(taking: second.pidfd)
        #expect(try program.finish() == .exited(0))
        #expect(second.pid != program.pid)
        let told = try readFile(pipe.reading, named: "output")
        #expect(told == withUnsafeBytes(of: Int64(getpid())) { Array($0) })
        #expect(try waitProcess(descriptor.number) == .exited(7))
    }

    @Test("a second process that the parent does not take ends without continuing")
    func untakenSecondProcess() throws {
        let (ours, theirs) = try socketPair().numbers()
        defer { for end in [ours, theirs] { close(end) } }
        var pipe = try Pipe()
        let program = try startTwo(theirs, pipe.writing)
        pipe.closeWriting()
        let second = try receiveDescriptor(from: ours)
        program.page.tell(.second, goOn: false)
        #expect(try program.finish() == .exited(0))
        #expect(try readFile(pipe.reading, named: "output") == [])
        #expect(try waitProcess(second.number) == .exited(125))
    }

    @Test("a second process whose parent has ended does not wait for a minute")
    func orphan() throws {
        let (ours, theirs) = try socketPair().numbers()
        defer { close(theirs) }
        var pipe = try Pipe()
        let program = try startTwo(theirs, pipe.writing)
        pipe.closeWriting()
        let second = try receiveDescriptor(from: ours)
        #expect(try program.finish() == .exited(0))
        // It is born empty, so the other end is only here. While that is open, it waits on.
        #expect(try !hasEnded(second.number, withinMilliseconds: 2000))
        close(ours)
        #expect(try hasEnded(second.number, withinMilliseconds: 20_000))
        #expect(try waitProcess(second.number) == .exited(125))
        #expect(try readFile(pipe.reading, named: "output") == [])
    }

    @Test("the pid behind a pidfd is looked up only for child processes")
    func numberOfOthers() throws {
        let (child, socket) = try waitingChild()
        #expect(try numberOfChild(child.pidfd) == child.pid)
        #expect(try numberOfChild(byInfoOf: child.pidfd, getpid()) == child.pid)
        close(socket)
        _ = try child.finish()
        for other in [getppid(), getpid()] {
            let process = try openProcess(other)
            #expect(try numberOfChild(process.number) == nil)
            #expect(try numberOfChild(byInfoOf: process.number, getpid()) == nil)
        }
    }

    @Test("the second process's progress is not overwritten when the first one ends later")
    func theFirstEndsLater() throws {
        var code = Assembler()
        // CLONE_VFORK | CLONE_PARENT | CLONE_PARENT_SETTID: the first process goes on only when the
        // second has ended.
        let arguments = code.words([0x10_c000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        code.relocateToProgress(at: arguments + 3 * 8, offset: 8)
        let second = code.cell("second")
        code.call(.clone3, [.address(arguments), .literal(88)], into: second)
        let inSecond = code.skip(when: .equals(second, 0))
        code.exit(0)
        code.place(inSecond)
        code.call(.getpid, [])
        code.call(.close, [.literal(-1)])
        code.exit(7)
        let program = try RunningProgram(code.image)
        #expect(try waitProcess(program.pidfd) == .exited(0))
        let number = UnsafeRawPointer(program.page.pointer).load(
            fromByteOffset: 8, as: Int32.self)
        let process = try openProcess(number)
        #expect(try waitProcess(process.number) == .exited(Int32(machine_failure_status)))
        #expect(program.page.index == 4)
        #expect(program.page.error == EBADF)
    }

    @Test("a child that is a copy of the host sends no SIGCHLD before it executes")
    func noChildSignal() throws {
        var set = sigset_t()
        var original = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGCHLD)
        pthread_sigmask(SIG_BLOCK, &set, &original)
        defer { pthread_sigmask(SIG_SETMASK, &original, nil) }
        let program = try RunningProgram(
            {
                var code = Assembler()
                code.exit(0)
                return code.image
            }(), copying: .clearHandlers)
        // Without __WALL, wait4 sees only children whose exit signal is SIGCHLD.
        #expect(waitpid(program.pid, nil, 0) == -1)
        #expect(errno == ECHILD)
        #expect(try program.finish() == .exited(0))
    }
}
