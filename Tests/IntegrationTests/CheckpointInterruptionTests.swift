// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Checkpoints and restores during which the runtime is killed, and slowed down restored processes.
@Suite("checkpoint and restore, interrupted", Criu.needed)
struct CheckpointInterruptionTests {
    /// Makes a dump slow: memory that a process has touched.
    private static let muchMemory = "dd if=/dev/zero bs=256M count=1 2>/dev/null | sleep 1000 &"

    /// CRIU's pid; its token cannot be found, since it overwrites its arguments and environment.
    ///
    /// Restored processes are children of the runtime, too, but in another pid namespace.
    private func criu(of command: RunningCommand) -> [String] {
        let children = "/proc/\(command.pid)/task/\(command.pid)/children"
        let own = readLink("/proc/self/ns/pid")
        return ((try? readText(children)) ?? "").split(separator: " ").map(String.init)
            .filter { readLink("/proc/\($0)/ns/pid") == own }
    }

    private func haveEnded(_ processes: [String]) -> Bool {
        processes.allSatisfy { readLink("/proc/\($0)/exe").isEmpty }
    }

    @Test("a container continues and CRIU ends after its checkpoint command is killed")
    func dump() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting(Self.muchMemory)
            var killed = 0
            for delay in Host.rounds(6) {
                let command = try bundle.start([
                    "checkpoint", "--image-path", bundle.image, "--work-path", bundle.work,
                    "--leave-running", bundle.id,
                ])
                usleep(useconds_t(50_000 + delay * 100_000))
                let criu = criu(of: command)
                kill(command.pid, SIGKILL)
                if try command.wait().status == 128 + SIGKILL { killed += 1 }
                #expect(waits(60) { haveEnded(criu) })
                #expect(try bundle.state().status == .running)
                #expect(bundle.counts(), "round \(delay)")
            }
            #expect(killed > 0, "the checkpoints ended before they were killed")
        }
    }

    @Test("a killed restore leaves nothing running except a complete container, and CRIU ends")
    func restore() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting(Self.muchMemory)
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let counted = bundle.count
            var killed = 0
            for delay in Host.rounds(8) {
                let command = try bundle.start([
                    "restore", "-d", "--bundle", bundle.directory, "--image-path", bundle.image,
                    "--work-path", bundle.work, bundle.id,
                ])
                usleep(useconds_t(30_000 + delay * 60_000))
                let criu = criu(of: command)
                kill(command.pid, SIGKILL)
                if try command.wait().status == 128 + SIGKILL { killed += 1 }
                #expect(waits(60) { haveEnded(criu) })
                // Once it has run, its files differ from those at the checkpoint.
                if bundle.count != counted {
                    #expect(bundle.counts())
                    break
                }
                #expect(
                    waits(5) { bundle.leftovers.processes().isEmpty },
                    "round \(delay): \(bundle.leftovers.processes())")
                let deleted = try bundle.swrunc("delete", "--force", bundle.id)
                #expect(deleted.status == 0, "round \(delay): \(deleted)")
                #expect(bundle.leftovers.found() == [], "round \(delay): \(deleted)")
            }
            #expect(killed > 0, "the restores ended before they were killed")
        }
    }

    @Test(
        "a restore that is killed while it writes its state can be deleted",
        InnerRun.traced, arguments: 1...2)
    func early(_ rename: Int) throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let command = try RunningCommand(
                [
                    InnerRun.strace, "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
                    "inject=renameat2:signal=KILL:when=\(rename)", Host.runtime, "--root",
                    bundle.store, "restore", "-d", "--bundle", bundle.directory, "--image-path",
                    bundle.image, "--work-path", bundle.work, bundle.id,
                ], token: bundle.token)
            #expect(try command.wait().status == 128 + SIGKILL)
            #expect(waits { bundle.leftovers.processes().isEmpty })
            let deleted = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(deleted.status == 0, "\(deleted)")
            #expect(bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty)
        }
    }

    @Test("a restore whose runtime dies once the namespaces exist leaves no process")
    func dyingRuntime() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.spec.hooks = Hooks(createRuntime: [
                Hook(path: "/bin/sh", args: ["sh", "-c", "kill -9 $PPID"])
            ])
            try bundle.writeConfig()
            #expect(try bundle.restore().status == 128 + SIGKILL)
            #expect(waits { bundle.leftovers.processes().isEmpty })
            // A process that is ending has no environment any more, by which it was looked for.
            #expect(
                waits {
                    (try? bundle.swrunc("explain", "--container", bundle.id))?.output
                        .contains("init has ended") == true
                })
            let told = try bundle.swrunc("explain", "--container", bundle.id)
            for words in [
                "its restore began at", "init has ended before the restore was complete",
                "its restore was broken off: the runtime", "it comes from a checkpoint",
            ] {
                #expect(told.output.contains(words), "\(told)")
            }
            #expect(!told.output.contains("creation"), "\(told)")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a checkpoint whose pages nobody fetches ends with its runtime; the container continues")
    func lazyDump() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let command = try bundle.start([
                "checkpoint", "--image-path", bundle.image, "--work-path", bundle.work,
                "--lazy-pages", "--page-server", "127.0.0.1:27931", bundle.id,
            ])
            #expect(
                waits(20) { bundle.log("dump").contains("Starting lazy") || hasEnded(command.pid) },
                "\(bundle.log("dump"))")
            usleep(300_000)
            let criu = criu(of: command)
            #expect(criu != [])
            kill(command.pid, SIGKILL)
            #expect(try command.wait().status == 128 + SIGKILL)
            #expect(waits(5) { haveEnded(criu) })
            #expect(bundle.counts())
        }
    }

    @Test(
        "a restored first process can read the image before its user namespace has ID mappings",
        InnerRun.traced,
        .enabled(if: Host.mapsTemporaryFiles, "needs mapped mounts of /tmp, Linux 6.3 for a tmpfs"))
    func lateMaps() throws {
        try TestBundle.use { bundle throws in
            try bundle.checkpointInUserNamespace { options throws in
                var options = options
                // CRIU writes the maps after the clone; here its child is faster.
                let programs = "\(bundle.directory)/programs"
                try makeDirectory(programs)
                try writeText(
                    """
                    #!/bin/sh
                    PATH=\(Host.searchPath)
                    exec \(InnerRun.strace) -D -qq -o /dev/null -e trace=clone,clone3 \
                    -e inject=clone,clone3:delay_exit=300000 criu "$@"
                    """, to: "\(programs)/criu", mode: 0o755)
                options.environment["PATH"] = "\(programs):\(Host.searchPath)"
                let restored = try bundle.restore(options: options)
                #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
                #expect(bundle.counts())
            }
        }
    }
}
