// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite(
    "A limit for the time of a checkpoint and of a restore", Criu.needed,
    .enabled(
        if: !Host.isEmulated && Host.slowness < 3,
        "times of CRIU mean nothing on an emulated machine"),
    .serialized)
struct CheckpointTimeoutTests {
    /// Long enough for this machine to get to what hangs.
    private static let seconds = 5 * Host.slowness
    private static let limit = "\(seconds)s"

    /// Options for a search path that begins with programs of the test.
    private func programs(_ scripts: [String: String], in bundle: TestBundle) throws
        -> CommandOptions
    {
        let directory = "\(bundle.directory)/programs"
        try makeDirectory(directory)
        for (name, script) in scripts {
            try writeText(
                "#!/bin/sh\nPATH=\(Host.searchPath)\n\(script)\n", to: "\(directory)/\(name)",
                mode: 0o755)
        }
        var options = CommandOptions()
        options.environment["PATH"] = "\(directory):\(Host.searchPath)"
        return options
    }

    /// Runs a command that must fail at its limit, and soon after it.
    private func expectTimeout(
        _ bundle: TestBundle, _ words: [String], _ options: CommandOptions, id: String? = nil,
        naming named: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let start = ContinuousClock.now
        let done = try bundle.start(
            words + ["--timeout", Self.limit, id ?? bundle.id], options
        ).wait()
        let time = ContinuousClock.now - start
        bundle.expectFailure(
            done, naming: ["timeout of \(Self.limit): criu "] + named,
            sourceLocation: sourceLocation)
        // A second is what an idle machine takes at most.
        let patience = 20 * Host.slowness
        #expect(
            time >= .seconds(Self.seconds) && time < .seconds(Self.seconds + patience),
            "\(time)", sourceLocation: sourceLocation)
    }

    private func checkpoint(_ bundle: TestBundle) -> [String] {
        ["checkpoint", "--image-path", bundle.image, "--work-path", bundle.work]
    }

    private func restore(_ bundle: TestBundle) -> [String] {
        [
            "restore", "-d", "--bundle", bundle.directory, "--image-path", bundle.image,
            "--work-path", bundle.work,
        ]
    }

    /// The container runs on, untraced, with its network, and can be dumped; no image is left.
    private func expectUnharmed(
        _ bundle: TestBundle, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try bundle.state().status == .running, sourceLocation: sourceLocation)
        #expect(bundle.counts(), "\(bundle.log("dump"))", sourceLocation: sourceLocation)
        let status = try readText("/proc/\(try bundle.state().pid)/status")
        #expect(status.contains("TracerPid:\t0\n"), sourceLocation: sourceLocation)
        #expect(!exists("\(bundle.image)/inventory.img"), sourceLocation: sourceLocation)
        #expect(entries(of: bundle.directory).allSatisfy { !$0.hasPrefix(".image") })
        for family in ["iptables", "ip6tables"] {
            let rules = try networkRules(bundle, family)
            #expect(
                rules.contains("-P OUTPUT ACCEPT") && !rules.contains("CRIU"), "\(rules)",
                sourceLocation: sourceLocation)
        }
        let again = try bundle.checkpoint("--leave-running")
        #expect(
            again.status == 0, "\(again)\n\(bundle.log("dump"))", sourceLocation: sourceLocation)
        #expect(bundle.counts(), sourceLocation: sourceLocation)
    }

    /// The rules of the container's network, in which criu's would let nothing through.
    private func networkRules(_ bundle: TestBundle, _ family: String) throws -> String {
        let pid = try bundle.state().pid
        var options = CommandOptions()
        options.environment["PATH"] = Host.searchPath
        return try RunningCommand(
            ["/bin/sh", "-c", "nsenter --net=/proc/\(pid)/ns/net \(family) -S"], options,
            token: bundle.token
        ).wait().output
    }

    // MARK: Checkpoint

    @Test("a criu that tells nothing is ended with what it runs, before it has touched anything")
    func silent() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let options = try programs(["criu": "sleep 1000"], in: bundle)
            try expectTimeout(
                bundle, checkpoint(bundle), options,
                naming: ["does not tell its version, and runs \"sleep 1000\""])
            #expect(!exists(bundle.image))
            try expectTimeout(
                bundle, restore(bundle), options, id: "\(bundle.id)-2",
                naming: ["does not tell its version"])
            #expect(waits { sleepers(bundle).isEmpty }, "\(sleepers(bundle))")
            try expectUnharmed(bundle)
        }
    }

    /// The processes of this test's programs that sleep.
    private func sleepers(_ bundle: TestBundle) -> [String] {
        bundle.leftovers.processes().map(\.text).filter { $0.contains("sleep 1000") }
    }

    @Test("a program that criu runs and that hangs is named and ended, and criu undoes its work")
    func hangingProgram() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let options = try programs(["iptables-restore": "exec sleep 1000"], in: bundle)
            try expectTimeout(
                bundle, checkpoint(bundle), options,
                naming: [
                    "locks the network or writes the image, and runs \"sleep 1000\"", "dump.log",
                ])
            try expectUnharmed(bundle)
        }
    }

    @Test("a page server that does not answer is no reason to kill criu, which undoes its work")
    func silentServer() throws {
        try TestBundle.use { bundle throws in
            let (server, port) = try silentListener()
            defer { close(server) }
            try bundle.startCounting()
            try expectTimeout(
                bundle, checkpoint(bundle) + ["--page-server", "127.0.0.1:\(port)"],
                CommandOptions(), naming: ["; its log ends with: "])
            try expectUnharmed(bundle)
        }
    }

    /// A listener on the loopback whose connections nobody reads from.
    private func silentListener() throws -> (socket: CInt, port: UInt16) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let listener = try check(socket(AF_INET, type, 0), "socket")
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try check(bind(listener, $0, length), "bind")
                try check(listen(listener, 4), "listen")
                try check(getsockname(listener, $0, &length), "getsockname")
            }
        }
        return (listener, UInt16(bigEndian: address.sin_port))
    }

    @Test("pages that nobody fetches are waited for no longer, and the container goes on")
    func lazyPages() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            try expectTimeout(
                bundle,
                checkpoint(bundle) + ["--lazy-pages", "--page-server", "127.0.0.1:27933"],
                CommandOptions(), naming: ["waits until the pages are fetched"])
            try expectUnharmed(bundle)
        }
    }

    @Test(
        "a criu that was stopped while it holds the processes is continued, and undoes its work",
        arguments: ["network-lock", "writing"])
    func stopped(_ moment: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            // As criu itself: what it runs stops it, or a watcher once the pages are there.
            let stop =
                moment == "network-lock"
                ? [
                    // The runtime calls it, too, to unlock the network.
                    "iptables-restore": """
                    iptables-restore "$@"
                    case $(readlink /proc/$PPID/exe) in *criu*|*ld-linux*) kill -STOP $PPID; esac
                    """
                ]
                : [
                    "criu": """
                    (i=0; while [ $i -lt 200000 ]; do i=$((i+1))
                    for file in \(bundle.directory)/.image.*/pages-1.img; do
                    if [ -s $file ]; then kill -STOP $$; exit; fi; done; done) >/dev/null 2>&1 &
                    exec criu "$@"
                    """
                ]
            let options = try programs(stop, in: bundle)
            try expectTimeout(
                bundle, checkpoint(bundle), options, naming: ["; its log ends with: "])
            try expectUnharmed(bundle)
        }
    }

    @Test("a criu that gives up for nothing is killed with all that it runs")
    func deaf() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let mark = "\(bundle.directory)/asked"
            let script = second("trap '' ALRM; while :; do sleep 1000; done", mark)
            try expectTimeout(
                bundle, checkpoint(bundle), programs(["criu": script], in: bundle),
                naming: ["criu freezes the processes, and runs \"sleep 1000\""])
            #expect(waits { sleepers(bundle).isEmpty }, "\(sleepers(bundle))")
            try expectUnharmed(bundle)
        }
    }

    @Test("a checkpoint that needs no longer is as without a limit")
    func inTime() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let minute = "\(60 * Host.slowness)s"
            let done = try bundle.checkpoint("--timeout", minute)
            #expect(done.status == 0, "\(done)\n\(bundle.log("dump"))")
            let restored = try bundle.restore("--timeout", minute)
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            #expect(bundle.counts())
        }
    }

    @Test("checkpoint waits no longer for another command that is at work on the container")
    func lock() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let directory = try check(
                open("\(bundle.store)/\(bundle.id)", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(directory) }
            try check(flock(directory, LOCK_EX), "flock")
            bundle.expectFailure(
                try bundle.checkpoint("--timeout", "300ms"),
                naming: ["timeout of 300ms: another command is at work on the container"])
            #expect(!exists(bundle.image))
        }
    }

    @Test("the library's checkpoint tells by its code that the time is over")
    func library() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let container = try ContainerStore(at: FilePath(bundle.store)).container(bundle.id)
            var options = CheckpointOptions()
            options.timeout = .zero
            let refused = try #require(throws: ContainerError.self) {
                try container.checkpoint(to: FilePath(bundle.image), options: options)
            }
            #expect(refused.code == .invalidArgument)
            let directory = try check(
                open("\(bundle.store)/\(bundle.id)", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(directory) }
            try check(flock(directory, LOCK_EX), "flock")
            options.timeout = .milliseconds(100)
            let error = try #require(throws: ContainerError.self) {
                try container.checkpoint(to: FilePath(bundle.image), options: options)
            }
            #expect(error.code == .timedOut && !exists(bundle.image), "\(error)")
            #expect(bundle.counts())
        }
    }

    // MARK: Restore

    /// Makes a checkpoint, and expects that its restore fails at the limit and leaves nothing.
    private func expectNoRestore(
        _ scripts: [String: String], naming words: [String], _ hooks: Hooks? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.spec.hooks = hooks
            try bundle.writeConfig()
            let options = try programs(scripts, in: bundle)
            let start = ContinuousClock.now
            let done = try bundle.start(
                restore(bundle) + ["--timeout", Self.limit, bundle.id], options
            ).wait()
            let time = ContinuousClock.now - start
            bundle.expectFailure(
                done, naming: ["timeout of \(Self.limit): "] + words,
                sourceLocation: sourceLocation)
            #expect(
                time < .seconds(Self.seconds + 20 * Host.slowness), "\(time)",
                sourceLocation: sourceLocation)
            #expect(
                bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty,
                "\(bundle.leftovers.found())", sourceLocation: sourceLocation)
            #expect(sleepers(bundle).isEmpty, sourceLocation: sourceLocation)
            // The image is as good as before.
            bundle.spec.hooks = nil
            try bundle.writeConfig()
            let restored = try bundle.restore()
            #expect(restored.status == 0, "\(restored)", sourceLocation: sourceLocation)
            #expect(bundle.counts(), sourceLocation: sourceLocation)
        }
    }

    /// A criu that tells its version, and does something else in place of the restore.
    private func second(_ script: String, _ bundle: String) -> String {
        "if [ -e \(bundle) ]; then \(script); fi; touch \(bundle); exec criu \"$@\""
    }

    @Test("a restore whose criu does not begin leaves nothing")
    func restoreBegin() throws {
        let mark = "/tmp/swrunc-criu-mark-\(getpid())"
        defer { unlink(mark) }
        try expectNoRestore(
            ["criu": second("sleep 1000", mark)],
            naming: ["criu does not begin, and runs \"sleep 1000\""])
    }

    @Test("a restore whose criu waits for a program leaves nothing, and tells the end of the log")
    func restoreProgram() throws {
        try expectNoRestore(
            ["iptables-restore": "exec sleep 1000", "ip": "exec sleep 1000"],
            naming: ["criu ", "; its log ends with: ", "Running ip", "restore.log"])
    }

    @Test("a restore whose hook hangs leaves nothing, and names the hook")
    func restoreHook() throws {
        try expectNoRestore(
            [:], naming: ["createRuntime hook 0 (\(Host.busybox)) still runs"],
            Hooks(createRuntime: [Hook(path: Host.busybox, args: ["sleep", "1000"])]))
    }

    @Test("a restore whose criu is stopped after it has made the processes leaves nothing")
    func restoreStopped() throws {
        try expectNoRestore(
            [:], naming: ["criu makes the processes"],
            Hooks(createRuntime: [
                Hook(
                    path: "/bin/sh",
                    args: [
                        "sh", "-c",
                        "for p in $(cat /proc/$PPID/task/*/children); do"
                            + " [ $p = $$ ] || case $(readlink /proc/$p/exe) in *criu*|*ld-linux*)"
                            + " kill -STOP $p;; esac; done",
                    ])
            ]))
    }
}
