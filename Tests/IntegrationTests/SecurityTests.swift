// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Security", Host.root)
struct SecurityTests {
    // MARK: Descriptors

    private static let listDescriptors =
        "for f in /proc/$$/fd/*; do [ -e $f ] && echo ${f##*/}; done; true"

    /// Opens directories of the host, which the runtime inherits.
    private func withOpenDescriptors<Result>(_ body: () throws -> Result) throws -> Result {
        let open = try (0..<60).map { _ in try check(Glibc.open("/", O_RDONLY), "open /") }
        defer { for number in open { close(number) } }
        return try body()
    }

    @Test(
        "a process has only descriptors 0, 1 and 2, whatever the runtime inherits (CVE-2024-21626)"
    )
    func descriptors() throws {
        try TestBundle.use { bundle throws in
            try withOpenDescriptors {
                #expect(
                    try bundle.output(of: Self.listDescriptors).lines == ["0", "1", "2"])
                try bundle.startSleeping()
                let pid = try bundle.state().pid
                #expect(entries(of: "/proc/\(pid)/fd") == ["0", "1", "2"])
                let done = try bundle.swrunc("exec", bundle.id, "sh", "-c", Self.listDescriptors)
                #expect(done.output.lines == ["0", "1", "2"])
            }
        }
    }

    @Test("a process that waits for start holds nothing of the host open but its streams")
    func waitingDescriptors() throws {
        try TestBundle.use { bundle throws in
            try withOpenDescriptors { try bundle.create() }
            let pid = try bundle.state().pid
            // The socket of start, and init's own signals. Create may return before all others are
            // closed.
            var others: [String] = []
            let isClosed = waits {
                others = entries(of: "/proc/\(pid)/fd").filter { !["0", "1", "2"].contains($0) }
                return others.count <= 2
            }
            #expect(isClosed, "\(others)")
            for number in others {
                var buffer = [UInt8](repeating: 0, count: 256)
                let count = readlink("/proc/\(pid)/fd/\(number)", &buffer, buffer.count)
                let target = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
                #expect(
                    target.hasPrefix("socket:[") || target == "anon_inode:[signalfd]", "\(target)")
            }
        }
    }

    @Test("--preserve-fds N passes only the descriptors 3 to 2+N")
    func preservedDescriptors() throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.directory)/file"
            try writeText("content", to: path)
            let file = try check(open(path, O_RDONLY | O_CLOEXEC), "open")
            defer { close(file) }
            var options = CommandOptions()
            options.descriptors = [3: file, 4: file, 5: file]
            bundle.script(Self.listDescriptors + "; cat <&4")
            let done = try bundle.run("--preserve-fds", "2", options: options)
            #expect(done.output.lines == ["0", "1", "2", "3", "4", "content"], "\(done)")

            lseek(file, 0, SEEK_SET)
            try bundle.startSleeping()
            let executed = try bundle.swrunc(
                "exec", "--preserve-fds", "1", bundle.id, "sh", "-c",
                Self.listDescriptors + "; cat <&3", options: options)
            #expect(executed.output.lines == ["0", "1", "2", "3", "content"], "\(executed)")
        }
    }

    @Test("a descriptor that --preserve-fds names must be open")
    func missingPreservedDescriptor() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            var options = CommandOptions()
            options.closed = Array(3..<200)
            bundle.expectFailure(
                try bundle.run("--preserve-fds", "3", options: options), naming: ["descriptor 3"])
        }
    }

    // MARK: Working directory

    @Test(
        "a working directory behind a magic link is refused (CVE-2024-21626)",
        arguments: (3..<12).map { "/proc/self/fd/\($0)" } + [
            "/proc/self/root", "/proc/1/cwd", "/link",
        ])
    func magicWorkingDirectory(_ path: String) throws {
        try TestBundle.use { bundle throws in
            try check(symlink("/proc/self/fd/7/../..", "\(bundle.rootfs)/link"), "symlink")
            bundle.process.cwd = path
            bundle.script("pwd; ls")
            let done = try withOpenDescriptors { try bundle.run() }
            bundle.expectFailure(done, naming: ["process.cwd"])
        }
    }

    // MARK: Hostile images

    @Test(
        "an image's /proc or /sys that is a link is refused (CVE-2019-19921)",
        arguments: ["proc", "sys"])
    func linkedProc(_ name: String) throws {
        try TestBundle.use { bundle throws in
            try check(rmdir("\(bundle.rootfs)/\(name)"), "rmdir")
            try makeDirectory("\(bundle.rootfs)/elsewhere")
            try check(symlink("elsewhere", "\(bundle.rootfs)/\(name)"), "symlink")
            bundle.process.args = ["true"]
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[\(name == "proc" ? 0 : 5)]"])
        }
    }

    @Test(
        "an image's /dev/null that is not a null device masks nothing (CVE-2025-31133)",
        arguments: ["/proc/sys/kernel/core_pattern", "HOST", "FILE"])
    func hostileNull(_ kind: String) throws {
        try TestBundle.use { bundle throws in
            let pattern = try readText("/proc/sys/kernel/core_pattern")
            let host = "\(bundle.directory)/host"
            try writeText("host", to: host)
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            switch kind {
            case "HOST": try check(symlink(host, "\(bundle.rootfs)/dev/null"), "symlink")
            case "FILE": try writeText("file", to: "\(bundle.rootfs)/dev/null")
            default: try check(symlink(kind, "\(bundle.rootfs)/dev/null"), "symlink")
            }
            bundle.linux.maskedPaths = ["/proc/timer_list", "/etc/passwd"]
            bundle.script("echo changed >/etc/passwd; echo changed >/proc/timer_list; true")
            #expect(try bundle.run().status == 0)
            #expect(try readText(host) == "host")
            #expect(try readText("/proc/sys/kernel/core_pattern") == pattern)
            #expect(try readText("\(bundle.rootfs)/etc/passwd").hasPrefix("root:"))
        }
    }

    @Test(
        "an image's /dev that is a link to a host directory changes nothing there (CVE-2026-41579)")
    func linkedDev() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/host"
            try makeDirectory(host)
            try writeText("host", to: "\(host)/ptmx")
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.linux.maskedPaths = nil
            try check(rmdir("\(bundle.rootfs)/dev"), "rmdir")
            try check(symlink(host, "\(bundle.rootfs)/dev"), "symlink")
            bundle.process.args = ["true"]
            _ = try bundle.run()
            #expect(entries(of: host) == ["ptmx"])
            #expect(try readText("\(host)/ptmx") == "host")

            // If the image has the same directory, that one is used.
            for path in ["/tmp/\(bundle.token)", "/tmp/\(bundle.token)/host"]
            where !exists(bundle.rootfs + path) {
                try makeDirectory(bundle.rootfs + path)
            }
            #expect(try bundle.output(of: "stat -c %t:%T \(host)/null") == "1:3")
            #expect(entries(of: host) == ["ptmx"])
        }
    }

    @Test("an image's /dev/console that is a link is not followed (crun CVE-2026-88264)")
    func linkedConsole() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/host"
            try writeText("host", to: host)
            bundle.spec.mounts?.removeAll { $0.destination == "/dev" }
            try check(symlink(host, "\(bundle.rootfs)/dev/console"), "symlink")
            bundle.process.terminal = true
            bundle.script("echo text >/dev/console")
            let done = try bundle.run()
            #expect(done.text == "text", "\(done)")
            #expect(try readText(host) == "host")
            #expect(!exists("\(bundle.rootfs)\(host)"))
        }
    }

    @Test(
        "a mount's destination stays inside the rootfs, through links and ..",
        arguments: ["/link/mnt", "/../../../../../../mnt", "/up/mnt", "/etc/../link/../mnt"])
    func destinations(_ destination: String) throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/host"
            try makeDirectory(host)
            try makeDirectory("\(bundle.rootfs)/tmp/\(bundle.token)")
            try makeDirectory("\(bundle.rootfs)\(host)")
            try check(symlink(host, "\(bundle.rootfs)/link"), "symlink")
            try check(symlink("../../../../../../..", "\(bundle.rootfs)/up"), "symlink")
            bundle.addMount("tmpfs", "hostile", at: destination)
            let text = try bundle.output(of: "grep hostile /proc/mounts | cut -d' ' -f2")
            #expect(text == (destination == "/link/mnt" ? "\(host)/mnt" : "/mnt"))
            #expect(entries(of: host) == [] && !exists("/mnt/hostile"))
        }
    }

    @Test("a mount's destination behind a dangling link changes nothing outside of the rootfs")
    func danglingDestination() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/missing"
            try check(symlink(host, "\(bundle.rootfs)/link"), "symlink")
            bundle.addMount("tmpfs", "hostile", at: "/link/mnt")
            bundle.script("grep hostile /proc/mounts | cut -d' ' -f2")
            let done = try bundle.run()
            #expect(!exists(host))
            #expect(done.text == "\(host)/mnt", "\(done)")
        }
    }

    @Test(
        "mounts stay inside the container if a volume changes during the launch (CVE-2021-30465)")
    func racingDestination() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/host"
            try makeDirectory(host)
            let volume = "\(bundle.directory)/volume"
            try makeDirectory(volume)
            bundle.addMount(nil, volume, at: "/volume", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/volume/a/b")
            bundle.addMount("tmpfs", "tmpfs", at: "/volume/a/c")
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            let racer = try RunningCommand(
                [
                    "/bin/sh", "-c",
                    """
                    cd \(volume)
                    while :; do
                        mkdir -p a; mv -T a kept; ln -s ../../../../../..\(host) a; mv -T a link
                        rm -rf kept link
                    done 2>/dev/null
                    """,
                ], CommandOptions(timeLimitSeconds: 600), token: bundle.token)
            defer { kill(racer.pid, SIGKILL) }
            for round in Host.rounds(40) {
                let done = try bundle.swrunc("run", "--bundle", bundle.directory, bundle.id)
                #expect(done.status == 0 || done.error.lines.count == 1, "round \(round): \(done)")
                #expect(entries(of: host) == [], "round \(round)")
                #expect(bundle.leftovers.mounts() == [] && bundle.leftovers.states() == [])
            }
            kill(racer.pid, SIGKILL)
            _ = try racer.wait()
        }
    }

    // MARK: The runtime's own processes

    @Test("a container cannot inspect a process that exec sends in (CVE-2016-9962)")
    func execIsNotReadable() throws {
        try TestBundle.use { bundle throws in
            // It tries every process all the time, and reports what is not from the image.
            bundle.script(
                """
                while [ ! -e /tmp/stop ]; do
                    for p in /proc/[0-9]*; do
                        e=$(readlink $p/exe) && [ "${e%/*}" != /bin ] && echo exe $e
                        r=$(readlink $p/root) && [ "$r" != / ] && echo root $r
                        for f in $p/fd/[3-9]; do
                            l=$(readlink $f) && [ "${l%%:*}" != pipe ] && echo fd $l
                        done
                    done
                done 2>/dev/null >/tmp/seen; echo done >/tmp/done
                """)
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            for _ in Host.rounds(60) {
                #expect(try bundle.swrunc("exec", bundle.id, "true").status == 0)
            }
            try writeText("", to: "\(bundle.rootfs)/tmp/stop")
            #expect(waits { exists("\(bundle.rootfs)/tmp/done") })
            let seen = try readText("\(bundle.rootfs)/tmp/seen").lines
            // Its own shell reads directories.
            #expect(seen.filter { !$0.hasPrefix("fd /proc") } == [])
        }
    }

    @Test("a container that runs /proc/self/exe gets a machine without a program (CVE-2019-5736)")
    func executable() throws {
        try TestBundle.use { bundle throws in
            let before = try readBytes(Host.runtime)
            try writeText("#!/proc/self/exe\n", to: "\(bundle.rootfs)/tmp/script")
            try check(chmod("\(bundle.rootfs)/tmp/script", 0o755), "chmod")
            try bundle.startSleeping()
            for words in [["/proc/self/exe", "--version"], ["/proc/self/exe"], ["/tmp/script"]] {
                let done = try bundle.start(["exec", bundle.id] + words).wait()
                #expect(done.status == 127 && done.output == "" && done.error == "", "\(done)")
            }
            #expect(try readBytes(Host.runtime) == before)
        }
    }

    @Test("a process in the container cannot inspect an init that joins it (CVE-2016-9962)")
    func prying() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            try bundle.startSleeping()
            let pid = try bundle.state().pid
            bundle.joinUserNamespace(of: pid)
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            var options = CommandOptions()
            options.environment = ["SECRET": "of-the-engine"]
            try bundle.create(id: "\(bundle.id)-waits", options: options)
            let script = """
                for p in /proc/[0-9]*; do
                    n=${p##*/}
                    [ $n = 1 ] || [ $n = $$ ] || [ ! -e $p ] && continue
                    tr '\\0' '\\n' < $p/environ 2>/dev/null | grep SECRET
                    for f in $p/fd/* $p/cwd $p/root $p/exe; do readlink $f 2>/dev/null; done
                done
                echo looked
                """
            let done = try bundle.swrunc(
                "exec", "--cap", "CAP_SYS_PTRACE", bundle.id, "sh", "-c", script)
            #expect(done.output.lines == ["looked"], "\(done)")
        }
    }
}
