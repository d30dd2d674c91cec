// SPDX-License-Identifier: Apache-2.0

import CLinux
import ContainerKit
import Foundation
import Glibc
import SystemPackage
import Testing

/// All attributes of the process, and of the calling thread, as text.
private struct ProcessState {
    var entries: [String: String] = [:]

    /// Fields that differ between threads or change by themselves; and SigQ, which counts for all
    /// processes of the user: signals pending for this process are in SigPnd and ShdPnd.
    ///
    /// Source: proc_pid_status(5).
    private static let changing = [
        "Vm", "Rss", "Hugetlb", "Threads", "voluntary", "nonvoluntary", "State", "Mems_allowed",
        "CoreDumping", "untag", "SigQ",
    ]

    /// - Parameter directory: the test's own; mounts of other tests at the same time are below
    ///   other directories.
    init(_ directory: String) {
        for file in ["status", "limits", "oom_score_adj", "cgroup", "mountinfo", "personality"] {
            let lines = ((try? readText("/proc/self/\(file)")) ?? "").lines
            note(file, lines.filter { !$0.contains("/swrunc-it-") || $0.contains(directory) })
        }
        note("thread", ((try? readText("/proc/thread-self/status")) ?? "").lines)
        for link in ["cwd", "root", "exe"] { entries[link] = readLink("/proc/self/\(link)") }
        for kind in IntegrationTests.entries(of: "/proc/self/ns") {
            entries["ns/\(kind)"] = readLink("/proc/self/ns/\(kind)")
        }
        for number in IntegrationTests.entries(of: "/proc/self/fd") {
            let target = readLink("/proc/self/fd/\(number)")
            // The descriptor of the directory that is being read.
            if !target.hasPrefix("/proc/") { entries["fd/\(number)"] = target }
        }
        for signal in CInt(1)...64 {
            var action = sigaction()
            guard sigaction(signal, nil, &action) == 0 else { continue }
            let handler = unsafeBitCast(action.__sigaction_handler, to: Int.self)
            entries["action of \(signal)"] = "\(handler) \(action.sa_flags)"
        }
        let mask = umask(0)
        umask(mask)
        entries["umask"] = "\(mask)"
        entries["environment"] = ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }.sorted()
            .joined(separator: "\n")
        for (name, option) in [
            ("dumpable", PR_GET_DUMPABLE), ("securebits", PR_GET_SECUREBITS),
            ("keepcaps", PR_GET_KEEPCAPS), ("no_new_privs", PR_GET_NO_NEW_PRIVS),
            ("timer slack", PR_GET_TIMERSLACK), ("seccomp", PR_GET_SECCOMP),
        ] {
            entries[name] = "\(raw_system_call(Int(__NR_prctl), Int(option), 0, 0, 0, 0, 0))"
        }
        for (name, option) in [
            ("subreaper", PR_GET_CHILD_SUBREAPER), ("death signal", PR_GET_PDEATHSIG),
        ] {
            var number: CInt = 0
            withUnsafeMutablePointer(to: &number) {
                _ = raw_system_call(
                    Int(__NR_prctl), Int(option), Int(bitPattern: $0), 0, 0, 0, 0)
            }
            entries[name] = "\(number)"
        }
        let niceness = raw_system_call(Int(__NR_getpriority), 0, 0, 0, 0, 0, 0)
        entries["scheduler"] = "\(sched_getscheduler(0)) \(niceness)"
        entries["process group"] = "\(getpgrp()) \(getsid(0))"
    }

    private mutating func note(_ file: String, _ lines: [String]) {
        for (index, line) in lines.enumerated()
        where !Self.changing.contains(where: line.hasPrefix) {
            entries["\(file) \(index)"] = line
        }
    }

    /// The differences as text.
    func changes(since before: ProcessState) -> [String] {
        Set(entries.keys).union(before.entries.keys).sorted().compactMap { key in
            let (then, now) = (before.entries[key], entries[key])
            return then == now ? nil : "\(key): \(then ?? "nothing") -> \(now ?? "nothing")"
        }
    }
}

@Suite("A process that uses the library", Host.root)
struct HostStateTests {
    /// Containers of several kinds, from create to delete, and a launch that fails.
    private static func launch(_ bundle: TestBundle) throws {
        let store = bundle.containerStore
        bundle.process.args = ["/bin/true"]
        bundle.spec.hooks = Hooks(
            createRuntime: [Hook(path: "/bin/true")], createContainer: [Hook(path: "/bin/true")],
            poststop: [Hook(path: "/bin/true")])
        bundle.addMount("tmpfs", "tmpfs", at: "/home", "tmpcopyup")
        #expect(try bundle.runFromHere() == .exited(0))

        bundle.process.args = ["/bin/sleep", "100"]
        let container = try Container.create(bundle.id, from: bundle.loaded(), in: store)
        try container.start()
        let pid = try container.state().pid
        var program = try container.template()
        program.args = ["true"]
        #expect(try container.exec(program).wait() == .exited(0))
        program.terminal = true
        var options = LaunchOptions()
        options.terminal = .master
        let process = try container.exec(program, options: options)
        #expect(try process.wait() == .exited(0))
        try container.kill(.kill)
        waitpid(pid_t(pid), nil, 0)
        try container.delete()

        bundle.spec.mounts?.removeLast()
        try bundle.makeUserNamespace()
        bundle.process.args = ["/bin/true"]
        #expect(try bundle.runFromHere() == .exited(0))

        bundle.addMount("nosuchfs", "none", at: "/mnt")
        #expect(throws: ContainerError.self) {
            try Container.create(bundle.id, from: bundle.loaded(), in: store)
        }
        bundle.spec.mounts?.removeLast()
    }

    @Test(
        "a launch changes nothing in the host process but one descriptor of its executable"
    )
    func unchanged() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                // Without what every process has.
                signal(SIGUSR1) { _ in }
                signal(SIGUSR2, SIG_IGN)
                umask(0o27)
                var blocked = sigset_t()
                sigemptyset(&blocked)
                sigaddset(&blocked, SIGHUP)
                pthread_sigmask(SIG_BLOCK, &blocked, nil)
                // Descriptors that Foundation and the C library keep open after their first use.
                _ = ProcessState(bundle.directory)
                let before = ProcessState(bundle.directory)
                try HostStateTests.launch(bundle)
                let between = ProcessState(bundle.directory)
                let changes = between.changes(since: before)
                #expect(changes.count == 1, "\(changes)")
                #expect(
                    changes.allSatisfy { $0.hasPrefix("fd/") && $0.contains("/memfd:init") },
                    "\(changes)")
                #expect(HostProgram.children == [])
            }
            exit(0)
        }
    }

    @Test("a second launch leaves no more in the host process than the first")
    func unchangedAgain() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                bundle.process.args = ["/bin/true"]
                #expect(try bundle.runFromHere() == .exited(0))
                let before = ProcessState(bundle.directory)
                #expect(try bundle.runFromHere() == .exited(0))
                #expect(ProcessState(bundle.directory).changes(since: before) == [])
                // A host that closes descriptors that it does not know.
                let file = before.entries.first { $0.value.hasPrefix("/memfd:init") }
                let number = try #require(file.flatMap { CInt($0.key.dropFirst(3)) })
                let other = open("/dev/null", O_RDWR | O_CLOEXEC)
                try check(dup2(other, number), "dup2")
                #expect(try bundle.runFromHere() == .exited(0))
                #expect(readLink("/proc/self/fd/\(number)") == "/dev/null")
            }
            exit(0)
        }
    }

    // MARK: Limits

    @Test(
        "a host process under RLIMIT_FSIZE gets one error, survives, and launches once it is raised"
    )
    func fileSize() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                bundle.process.args = ["/bin/true"]
                bundle.linux.seccomp = Seccomp(defaultAction: .allow)
                var limit = rlimit()
                getrlimit(__rlimit_resource_t(1), &limit)
                // From zero to enough for some of the files.
                for bytes: rlim_t in [0, 16, 1024, 4096, 6000] {
                    limit.rlim_cur = bytes
                    setrlimit(__rlimit_resource_t(1), &limit)
                    var failure: ContainerError?
                    do throws(ContainerError) {
                        _ = try bundle.runFromHere()
                    } catch {
                        failure = error
                    }
                    limit.rlim_cur = limit.rlim_max
                    setrlimit(__rlimit_resource_t(1), &limit)
                    guard let failure else {
                        #expect(bytes > 1024)
                        continue
                    }
                    let text = "\(failure) \(failure.hint ?? "")"
                    #expect(text.contains("RLIMIT_FSIZE") && text.contains("too large"), "\(text)")
                    #expect(bundle.leftovers.states().filter { !$0.contains("@seccomp") } == [])
                    #expect(bundle.leftovers.cgroups() == [])
                }
                #expect(try bundle.runFromHere() == .exited(0))
            }
            exit(0)
        }
    }

    // MARK: Who reaps

    /// Starts a thread that reaps every child of this process, of whatever kind.
    private static func reapAll() {
        Thread.detachNewThread {
            // __WALL
            while true { if waitpid(-1, nil, 0x4000_0000) < 0 { usleep(50) } }
        }
    }

    /// The life of a container with everything that needs a process, `rounds` times.
    private static func live(_ bundle: TestBundle, rounds: Int, _ watchdog: Watchdog) throws {
        let store = bundle.containerStore
        bundle.addMount("tmpfs", "tmpfs", at: "/home", "tmpcopyup")
        for round in 0..<rounds {
            try watchdog.limit("round \(round)", seconds: 60) {
                bundle.process.args = ["/bin/sleep", "100"]
                let container = try Container.create(bundle.id, from: bundle.loaded(), in: store)
                try container.start()
                #expect(try container.state().status == .running)
                var program = try container.template()
                program.args = ["sh", "-c", "exit 7"]
                let process = try container.exec(program)
                // From Linux 6.15 on, the kernel reports a status that another thread has taken.
                do throws(ContainerError) {
                    #expect(try process.wait() == .exited(7), "round \(round)")
                } catch {
                    #expect(error.failure?.errno == .noChildProcess, "round \(round): \(error)")
                }
                try container.delete(force: true)
            }
        }
        #expect(watchdog.hung == [])
        #expect(bundle.leftovers.found() == [])
    }

    @Test("a host process may reap every child or ignore SIGCHLD")
    func reaping() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                let watchdog = Watchdog()
                signal(SIGCHLD, SIG_IGN)
                try HostStateTests.live(bundle, rounds: 4, watchdog)
                signal(SIGCHLD, SIG_DFL)
                HostStateTests.reapAll()
                try HostStateTests.live(bundle, rounds: 8, watchdog)
                watchdog.stop()
            }
            exit(0)
        }
    }

    // MARK: Few numbers

    private static let fewNumbers = "few numbers"

    /// Before Linux 6.14, pid_max applies to the whole machine, and other processes must not see it
    /// change.
    private static let ownLimitOfNumbers: ConditionTrait = .enabled(
        if: Host.kernelRelease >= (6, 14), "needs pid_max of a pid namespace, Linux 6.14")

    @Test(
        "a host process may live where pids are soon reused and other threads reap",
        InnerRun.outermost, ownLimitOfNumbers)
    func numbersThatComeAgain() throws {
        try InnerRun.expectSuccess(
            Self.fewNumbers,
            InnerRun.inPidNamespace("echo 400 >/proc/sys/kernel/pid_max || exit 9"),
            filter: "^IntegrationTests\\.HostStateTests/livesWithFewNumbers", count: 1)
    }

    @Test(
        "a host process launches containers while pids are few and soon reused",
        .enabled(if: InnerRun.standing == fewNumbers, "needs few numbers"))
    func livesWithFewNumbers() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                let watchdog = Watchdog()
                HostStateTests.reapAll()
                // More than ten processes each, so that pids are reused many times.
                try HostStateTests.live(bundle, rounds: 40, watchdog)
                watchdog.stop()
            }
            exit(0)
        }
    }
}
