// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("checkpoint and restore", Criu.needed)
struct CheckpointTests {
    @Test("a restored container continues where it was at the checkpoint")
    func counter() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            let done = try bundle.checkpoint()
            #expect(done.status == 0 && done.output == "", "\(done)\n\(bundle.log("dump"))")
            bundle.expectFailure(
                try bundle.swrunc("state", bundle.id), naming: ["container does not exist"])
            #expect(access("\(bundle.image)/inventory.img", F_OK) == 0)
            let before = bundle.count
            #expect(!waits(0.2) { bundle.count != before })

            let pidFile = "\(bundle.directory)/pid"
            let restored = try bundle.restore("--pid-file", pidFile)
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            #expect(waits { bundle.count > before } && bundle.count >= before)
            let state = try bundle.state()
            #expect(state.status == .running)
            #expect(try readText(pidFile) == "\(state.pid)")
            let exec = try bundle.swrunc("exec", bundle.id, "cat", "/proc/1/comm")
            #expect(exec.text == "sh", "\(exec)")
            let memory = try Host.cgroup(of: state.pid, controller: "memory") ?? ""
            #expect(memory.contains(bundle.token))
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
        }
    }

    @Test("checkpoint --leave-running keeps the container running, and it can be dumped again")
    func leaveRunning() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            for _ in 0..<2 {
                let done = try bundle.checkpoint("--leave-running")
                #expect(done.status == 0, "\(done)\n\(bundle.log("dump"))")
                #expect(bundle.counts())
                #expect(try bundle.state().status == .running)
            }
        }
    }

    @Test("a paused container can be dumped, and stays paused with --leave-running")
    func paused() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.checkpoint("--leave-running").status == 0)
            #expect(try bundle.state().status == .paused)
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            #expect(try bundle.restore().status == 0, "\(bundle.log("restore"))")
            #expect(bundle.counts())
        }
    }

    @Test("a checkpoint that needs iptables names the package where it is missing")
    func missingIptables() throws {
        try TestBundle.use { bundle throws in
            let programs = "\(bundle.directory)/programs"
            try check(mkdir(programs, 0o755), "mkdir")
            let criu = try #require(
                Host.searchPath.split(separator: ":").map { "\($0)/criu" }.first(where: exists))
            try check(symlink(criu, "\(programs)/criu"), "symlink")
            try bundle.startCounting()
            var options = CommandOptions()
            options.environment["PATH"] = programs
            let done = try bundle.start(
                ["checkpoint", "--image-path", bundle.image, bundle.id], options
            ).wait()
            bundle.expectFailure(done, naming: ["criu failed: type DUMP", "tables-restore"])
            #expect(done.error.contains("install the package iptables"), "\(done)")
            #expect(bundle.counts())
        }
    }

    @Test("a failed checkpoint leaves the container running, and no files except CRIU's log")
    func failedCheckpoint() throws {
        try TestBundle.use { bundle throws in
            // A file that is unlinked and too large to be copied.
            try bundle.startCounting(
                "exec 3>/tmp/big; rm /tmp/big; dd if=/dev/zero bs=1M count=3 2>/dev/null >&3")
            let done = try bundle.checkpoint()
            bundle.expectFailure(
                done, naming: ["criu failed: type DUMP", "ghost", "\(bundle.work)/dump.log"])
            #expect(access(bundle.image, F_OK) != 0)
            #expect(entries(of: bundle.directory).filter { $0.hasPrefix(".image") } == [])
            #expect(try bundle.state().status == .running)
            #expect(bundle.counts())
            // In an existing directory, existing files stay.
            try makeDirectory(bundle.image)
            try writeText("mine", to: "\(bundle.image)/mine")
            #expect(try bundle.checkpoint().status == 1)
            #expect(entries(of: bundle.image) == ["mine"])
            #expect(bundle.counts())
        }
    }

    @Test("restore makes bind mounts from the config's sources, also nested ones")
    func bindMounts() throws {
        try TestBundle.use { bundle throws in
            let source = "\(bundle.directory)/source"
            for path in ["", "/sub", "/inner"] { try makeDirectory(source + path) }
            try writeText("one", to: "\(source)/file")
            try check(symlink("/real", "\(bundle.rootfs)/link"), "symlink")
            try makeDirectory("\(bundle.rootfs)/real")
            bundle.addMount("bind", source, at: "/data", "rbind")
            bundle.addMount("bind", "\(source)/file", at: "/etc/file", "bind", "ro")
            bundle.addMount("bind", "\(source)/inner", at: "/data/sub", "bind")
            bundle.addMount("bind", source, at: "/link/deep", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/data/inner")
            try bundle.startCounting("echo kept >/data/inner/kept")
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            try writeText("two", to: "\(source)/file")
            let restored = try bundle.restore()
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            let look = try bundle.swrunc(
                "exec", bundle.id, "sh", "-c",
                "cat /data/file /etc/file /real/deep/file /data/inner/kept; "
                    + "echo x 2>/dev/null >/etc/file || echo ro; touch /data/sub/new")
            #expect(look.text.lines.map(\.trimmed) == ["twotwotwokept", "ro"], "\(look)")
            #expect(access("\(source)/inner/new", F_OK) == 0)
        }
    }

    @Test(
        "a stream of the caller that the program has moved to another descriptor is restored there")
    func movedStream() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting("exec 5>&1 >/tmp/log")
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let restored = try bundle.restore()
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            #expect(bundle.counts())
            let look = try bundle.swrunc("exec", bundle.id, "readlink", "/proc/1/fd/1")
            #expect(look.text == "/tmp/log", "\(look)")
        }
    }

    @Test(
        "a read-only root is restored, and a bind mount whose source is named with dots or links",
        arguments: [".", "link"])
    func readOnlyRoot(_ source: String) throws {
        try TestBundle.use { bundle throws in
            try check(symlink(".", "\(bundle.directory)/link"), "symlink")
            bundle.addMount("bind", source, at: "/data", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp")
            let look = try restoreReadOnly(bundle, "ls /data")
            #expect(look.text.hasPrefix("ro"), "\(look)")
            #expect(look.output.contains("config.json"), "\(look)")
        }
    }

    @Test("a read-only root is restored whose image has no /tmp")
    func readOnlyRootWithoutTmp() throws {
        try TestBundle.use { bundle throws in
            try check(rmdir("\(bundle.rootfs)/tmp"), "rmdir")
            let look = try restoreReadOnly(bundle)
            #expect(look.text == "ro", "\(look)")
        }
    }

    /// Restores a container with a read-only root.
    ///
    /// - Returns: what a shell in it prints: "ro" if it cannot write to the root, and more by
    ///   `script`.
    private func restoreReadOnly(
        _ bundle: TestBundle, _ script: String = ""
    ) throws -> FinishedCommand {
        bundle.spec.root?.readonly = true
        bundle.script("while :; do sleep 0.05; done")
        try bundle.create()
        #expect(try bundle.swrunc("start", bundle.id).status == 0)
        #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
        let restored = try bundle.restore()
        #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
        return try bundle.swrunc(
            "exec", bundle.id, "sh", "-c", "touch /new 2>/dev/null || echo ro\n\(script)")
    }

    @Test("restore makes the mount points that a fresh rootfs lacks")
    func freshRoot() throws {
        try TestBundle.use { bundle throws in
            let source = "\(bundle.directory)/source"
            try makeDirectory(source)
            bundle.addMount("bind", source, at: "/made/for/this", "bind")
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            for path in ["made/for/this", "made/for", "made"] {
                try check(rmdir("\(bundle.rootfs)/\(path)"), "rmdir \(path)")
            }
            #expect(try bundle.restore().status == 0, "\(bundle.log("restore"))")
            #expect(bundle.counts())
            // A link instead of a mount point is not followed.
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            try check(rmdir("\(bundle.rootfs)/made/for/this"), "rmdir")
            try check(symlink("/tmp", "\(bundle.rootfs)/made/for/this"), "symlink")
            bundle.expectFailure(try bundle.restore(), naming: ["/made/for/this"])
        }
    }

    @Test(
        "a user namespace is restored with its ID mappings, although only root can read the image",
        .enabled(if: Host.mapsTemporaryFiles, "needs mapped mounts of /tmp, Linux 6.3 for a tmpfs"))
    func userNamespace() throws {
        try TestBundle.use { bundle throws in
            try bundle.checkpointInUserNamespace { options throws in
                let restored = try bundle.restore(options: options)
                #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
                #expect(bundle.counts())
                let maps = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/uid_map")
                #expect(
                    maps.text.split(separator: " ").map(String.init) == ["0", "100000", "65536"])
            }
        }
    }

    @Test("a restore in the foreground uses the caller's pipes and returns the container's status")
    func foreground() throws {
        try TestBundle.use { bundle throws in
            bundle.script("trap 'echo end; exit 7' TERM; while :; do echo beat; sleep 0.05; done")
            var ends: [CInt] = [-1, -1]
            try check(pipe(&ends), "pipe")
            var options = CommandOptions()
            options.descriptors = [1: ends[1]]
            try bundle.create(options: options)
            close(ends[1])
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            close(ends[0])

            try check(pipe(&ends), "pipe")
            options.descriptors = [1: ends[1]]
            let running = try bundle.start(
                [
                    "restore", "--bundle", bundle.directory, "--image-path", bundle.image,
                    "--work-path", bundle.work, bundle.id,
                ], options)
            close(ends[1])
            let output = Terminal(master: ends[0])
            #expect(output.sees("beat"), "\(bundle.log("restore"))")
            kill(running.pid, SIGTERM)
            let done = try running.wait()
            #expect(done.status == 7, "\(done)")
            #expect(output.sees("end"))
            #expect(entries(of: bundle.store) == [])
        }
    }

    @Test("restore sends the terminal of the process to the console socket")
    func terminal() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("n=0; while read word; do n=$((n+1)); echo $n:$word; done")
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let first = try socket.receive()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            try first.type("one\n")
            #expect(first.sees("1:one"), "\(first.text)")
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.expectFailure(try bundle.restore(), naming: ["without setting console socket"])
            let restored = try bundle.restore("--console-socket", socket.path)
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            let second = try socket.receive()
            try second.type("two\n")
            #expect(second.sees("2:two"), "\(second.text)")
        }
    }

    @Test("one image can be restored under several ids with their own cgroups, beside the original")
    func copies() throws {
        try TestBundle.use { bundle throws in
            // Its shell holds no file open, which the first container could move before a restore.
            bundle.script("while :; do sleep 0.2; done")
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(
                try bundle.checkpoint("--leave-running").status == 0, "\(bundle.log("dump"))")
            bundle.linux.cgroupsPath = nil
            try bundle.writeConfig()
            for number in 1...3 {
                let id = "\(bundle.id)-\(number)"
                let restored = try bundle.restore(id: id)
                #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
                let memory = try Host.cgroup(
                    of: bundle.state(id).pid, controller: "memory")
                #expect(memory?.hasSuffix(id) == true)
            }
            #expect(try bundle.swrunc("delete", "--force", "\(bundle.id)-2").status == 0)
            #expect(try bundle.state("\(bundle.id)-1").status == .running)
            #expect(try bundle.state("\(bundle.id)-3").status == .running)
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("a restored container is in the network namespace that its config joins")
    func joinedNetwork() throws {
        try TestBundle.use { bundle throws in
            let other = "\(bundle.id)-net"
            try bundle.startSleeping(id: other)
            let path = "/proc/\(try bundle.state(other).pid)/ns/net"
            bundle.setNamespace(.network, path: path)
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let restored = try bundle.restore()
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            #expect(readLink("/proc/\(try bundle.state().pid)/ns/net") == readLink(path))
        }
    }

    @Test("prestart and createRuntime hooks run at a restore, and get the new process's pid")
    func hooks() throws {
        try TestBundle.use { bundle throws in
            func hook(_ name: String) -> Hook {
                Hook(
                    path: "/bin/sh",
                    args: ["sh", "-c", "cat >>\(bundle.directory)/hook-\(name)"])
            }
            bundle.spec.hooks = Hooks(
                prestart: [hook("prestart")], createRuntime: [hook("createRuntime")],
                poststart: [hook("poststart")], poststop: [hook("poststop")])
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            // The container is gone, and was reported as such.
            #expect(access("\(bundle.directory)/hook-poststop", F_OK) == 0)
            for name in ["prestart", "createRuntime", "poststart", "poststop"] {
                unlink("\(bundle.directory)/hook-\(name)")
            }
            #expect(try bundle.restore().status == 0, "\(bundle.log("restore"))")
            let pid = try bundle.state().pid
            for name in ["prestart", "createRuntime"] {
                let told = try State(json: readBytes("\(bundle.directory)/hook-\(name)"))
                #expect(told.pid == pid && told.status == .creating)
            }
            #expect(access("\(bundle.directory)/hook-poststart", F_OK) != 0)
        }
    }
}
