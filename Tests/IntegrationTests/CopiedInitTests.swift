// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Reasons why init cannot be born empty.
enum Refusal: String, CaseIterable, Sendable {
    case executableMemory, execveat

    /// The beginning of a command line that runs another command under this condition.
    var words: [String] {
        switch self {
        case .executableMemory:
            InnerRun.inPidNamespace("echo 2 >/proc/sys/vm/memfd_noexec || exit 9")
        case .execveat:
            [
                InnerRun.strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=execveat", "-e",
                "inject=execveat:error=EACCES",
            ]
        }
    }
}

/// The tests of all parts of a launch, with init as a copy of its host: it runs the same program.
@Suite("Where init cannot be born empty", Host.root, InnerRun.outermost)
struct CopiedInitTests {
    /// create, start, exec, user namespaces, hooks, tmpcopyup, terminals, and launches of this process.
    private static let themes = """
        LifecycleTests/(wholeLife|runStatus)|ExecTests/(status|place|inCreated)|\
        UserNamespaceTests/(rootInside|joined|terminal)\\(|HookTests/(everyPoint|mounting)|\
        TmpfsCopyTests/charged|TerminalTests/(consoleSocket|foreground|exec|execDetached)\\(|\
        NamespaceTests/(joinedTogether|timeOffsets)|SeccompNotifyTests/startAndExec|LibraryTests/|\
        BornEmptyTests/copied
        """

    @Test(
        "containers work as usual where vm.memfd_noexec forbids executable memory files",
        .enabled(if: exists("/proc/sys/vm/memfd_noexec"), "needs vm.memfd_noexec"))
    func executableMemory() throws {
        try expectSuccess(.executableMemory)
    }

    @Test("containers work as usual where only execveat is refused", InnerRun.traced)
    func execveat() throws {
        try expectSuccess(.execveat)
    }

    private func expectSuccess(_ refusal: Refusal) throws {
        try InnerRun.expectSuccess(
            refusal.rawValue, refusal.words, filter: "^IntegrationTests\\.(\(Self.themes))",
            count: 20)
    }

    @Test("a restarted runtime and the container keep the resource limits of the first caller")
    func limits() throws {
        try TestBundle.use { bundle throws in
            bundle.script("grep 'Max file size' /proc/self/limits >&2")
            try bundle.writeConfig()
            let pipe = try makePipe()
            defer { close(pipe.reader) }
            var options = CommandOptions()
            options.descriptors = [2: pipe.writer]
            let call = InnerRun.inPidNamespace(
                "echo 2 >/proc/sys/vm/memfd_noexec; ulimit -S -f 8")
            let words = ["--root", bundle.store, "run", "--bundle", bundle.directory, bundle.id]
            let done = try RunningCommand(
                call + [Host.runtime] + words, options, token: bundle.token
            ).wait()
            close(pipe.writer)
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = max(read(pipe.reader, &bytes, bytes.count), 0)
            let text = String(decoding: bytes.prefix(count), as: UTF8.self)
            #expect(done.status == 0, "\(text)")
            // Half a kibibyte each.
            #expect(text.split(separator: " ").dropFirst(3).first == "4096", "\(text)")
        }
    }
}

extension BornEmptyTests {
    @Test(
        "the debug log reports that init is a copy of the runtime",
        .enabled(if: InnerRun.standing.flatMap(Refusal.init) != nil, "init is born empty"))
    func copied() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let done = try bundle.swrunc(
                "--debug", "run", "--bundle", bundle.directory, bundle.id)
            #expect(done.status == 0, "\(done)")
            #expect(done.error.contains("init is a copy of the runtime"), "\(done)")
        }
    }
}

/// Debuggers and tracers stop a program at its clones and execs.
@Suite("Traced launches", Host.root, InnerRun.outermost, InnerRun.traced)
struct TracedLaunchTests {
    @Test("containers work as usual under strace -f")
    func strace() throws {
        try InnerRun.expectSuccess(
            "strace",
            [InnerRun.strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3,execveat"],
            filter:
                "^IntegrationTests\\.(LifecycleTests/wholeLife|ExecTests/status|HookTests/everyPoint|LibraryTests/|BornEmptyTests/waitingInit)",
            count: 8)
    }
}

/// A breakpoint in the parent is an instruction in memory that the child shares or copies, and the
/// debugger stops the parent just before the clone.
@Suite("Launches under a debugger", Host.root, InnerRun.outermost)
struct DebuggerTests {
    private static let clone = "machine_start_executable"
    private static let gdbPath = "/usr/bin/gdb"
    /// Debian's name of it has the version.
    private static let lldbName = entries(of: "/usr/bin").filter {
        $0.contains(/^lldb(-\d+)?$/)
    }.max()

    @Test(
        "a host program's containers work as usual under gdb with a breakpoint at the clone",
        .enabled(if: access(gdbPath, X_OK) == 0, "needs \(gdbPath)"))
    func gdb() throws {
        try TestBundle.use { bundle throws in
            let script = "\(bundle.directory)/gdb"
            try writeText(
                """
                set pagination off
                handle SIGCHLD nostop noprint
                break \(Self.clone)
                commands
                backtrace 1
                continue
                end
                run
                """, to: script)
            let lines = try InnerRun.expectSuccess(
                "debugger",
                [Self.gdbPath, "-nx", "-batch", "-return-child-result", "-x", script, "--args"],
                filter: "^IntegrationTests\\.LibraryTests/", count: 2)
            #expect(lines.contains { $0.contains("hit Breakpoint 1, \(Self.clone)") })
        }
    }

    @Test(
        "a container of the command works as usual under lldb with a breakpoint at the clone",
        .enabled(if: lldbName != nil, "needs /usr/bin/lldb"),
        .enabled("needs a runtime with symbols") {
            try readBytes(Host.runtime).contains(clone.utf8)
        })
    func lldb() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo inside; exit 3")
            try bundle.writeConfig()
            let stop = "breakpoint set --name \(Self.clone) --auto-continue true"
            let done = try RunningCommand(
                [
                    "/usr/bin/\(try #require(Self.lldbName))", "--no-lldbinit", "--batch", "-o",
                    "\(stop) --command 'thread backtrace --count 1'", "-o", "run", "--",
                    Host.runtime, "--root", bundle.store, "run", "--bundle", bundle.directory,
                    bundle.id,
                ], token: bundle.token
            ).wait()
            #expect(done.output.contains("stop reason = breakpoint 1.1"), "\(done)")
            #expect(done.output.contains("inside"), "\(done)")
            #expect(done.output.contains("exited with status = 3 "), "\(done)")
        }
    }
}
