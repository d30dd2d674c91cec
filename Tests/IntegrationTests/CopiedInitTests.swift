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
