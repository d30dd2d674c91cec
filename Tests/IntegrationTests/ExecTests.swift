// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Exec", Host.root)
struct ExecTests {
    @Test("exec returns the status of its process, or 128 plus its signal")
    func status() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(try bundle.swrunc("exec", bundle.id, "true").status == 0)
            #expect(try bundle.swrunc("exec", bundle.id, "sh", "-c", "exit 9").status == 9)
            let killed = try bundle.swrunc("exec", bundle.id, "sh", "-c", "kill -TERM $$")
            #expect(killed.status == 128 + SIGTERM)
        }
    }

    @Test("exec runs in the container's namespaces, root and cgroup")
    func place() throws {
        try TestBundle.use { bundle throws in
            bundle.setNamespace(.time)
            try bundle.startSleeping()
            let script = """
                hostname; cat /proc/1/cmdline | tr '\\0' ' '; echo
                for n in pid net ipc uts mnt cgroup time; do
                    [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] || echo $n differs
                done; ls /
                """
            bundle.process.capabilities?.bounding?.append("CAP_SYS_PTRACE")
            let done = try bundle.swrunc(
                "exec", "--cap", "CAP_SYS_PTRACE", bundle.id, "sh", "-c", script)
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(
                done.output.lines == [
                    "swrunc", "/bin/sleep 100 ", "bin", "dev", "etc", "home", "proc", "sys", "tmp",
                ])
        }
    }

    @Test("exec passes its standard streams and arguments unchanged")
    func streams() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let script = "cat; echo \"$0|$1|$2\"; echo problem >&2"
            let done = try bundle.swrunc(
                "exec", bundle.id, "sh", "-c", script, "-x", "a b", "--help",
                options: CommandOptions(input: "input\n"))
            #expect(done.status == 0 && done.output == "input\n-x|a b|--help\n")
            #expect(done.error == "problem\n")
        }
    }

    @Test("exec works in a created container")
    func inCreated() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let done = try bundle.swrunc("exec", bundle.id, "hostname")
            #expect(done.text == "swrunc", "\(done)")
            #expect(try bundle.state().status == .created)
        }
    }

    @Test("exec in a stopped container is refused with 255")
    func inStopped() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            #expect(try bundle.run("--keep").status == 0)
            bundle.expectFailure(
                try bundle.swrunc("exec", bundle.id, "true"), status: 255,
                naming: ["exec failed: ", "cannot exec in a stopped container"])
        }
    }

    @Test(
        "a program that cannot be run fails exec with 255 and runc's words",
        arguments: [
            ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
            ("/nosuch", "no such file or directory"), ("/etc", "is a directory"),
            ("/etc/passwd", "permission denied"),
        ])
    func badProgram(_ program: String, _ text: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let file = "\(bundle.directory)/pid"
            for flag in ["--detach", "--detach=false"] {
                let done = try bundle.swrunc("exec", flag, "--pid-file", file, bundle.id, program)
                bundle.expectFailure(done, status: 255, naming: ["exec failed: ", text])
                #expect(!exists(file))
            }
            #expect(bundle.leftovers.processes().count == 1)
        }
    }

    @Test("exec -e adds to the environment, and --cwd sets the working directory")
    func environment() throws {
        try TestBundle.use { bundle throws in
            bundle.process.env?.append("A=1")
            try bundle.startSleeping()
            let done = try bundle.swrunc(
                "exec", "-e", "A=2", "--env", "B=x y", "--cwd", "/etc", bundle.id, "sh", "-c",
                "echo $A; echo $B; pwd")
            #expect(done.output.lines == ["2", "x y", "/etc"], "\(done)")
        }
    }

    @Test(
        "exec -u takes UID or UID:GID",
        arguments: [
            ("1", "1:7"), ("1:2", "1:2"), ("0", "0:7"), ("1000:0", "1000:0"), ("007", "7:7"),
        ])
    func user(_ text: String, _ expected: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.user.gid = 7
            try bundle.startSleeping()
            let done = try bundle.swrunc(
                "exec", "-u", text, bundle.id, "sh", "-c", "echo $(id -u):$(id -g)")
            #expect(done.text == expected, "\(done)")
        }
    }

    @Test(
        "exec -u refuses whatever is not one or two numbers",
        arguments: [
            "", ":", "1:", ":1", "0x1", "-1", "1:2:3", " 1", "+1", "root", "4294967295", "1:x",
        ])
    func badUser(_ text: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("exec", "-u", text, bundle.id, "true"), status: 255,
                naming: ["--user"])
        }
    }

    @Test("exec --cap adds a capability to all sets but the inheritable and ambient ones")
    func capability() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            func sets(_ flags: String...) throws -> [String] {
                let words = ["exec"] + flags + [bundle.id, "grep", "Cap", "/proc/self/status"]
                return try bundle.start(words).wait().output.lines
            }
            // CAP_KILL 5, CAP_NET_BIND_SERVICE 10, CAP_AUDIT_WRITE 29; CAP_SYS_CHROOT 18
            let plain = try sets()
            #expect(plain.first == "CapInh:\t0000000000000000")
            #expect(plain.contains("CapEff:\t0000000020000420"))
            let more = try sets("--cap", "CAP_SYS_CHROOT")
            #expect(more.first == "CapInh:\t0000000000000000")
            for key in ["CapPrm", "CapEff", "CapBnd"] {
                #expect(more.contains("\(key):\t0000000020040420"), "\(more)")
            }
            #expect(more.last == "CapAmb:\t0000000000000000")
        }
    }

    @Test("exec --additional-gids and --no-new-privs change only the process of exec")
    func moreFlags() throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = false
            bundle.process.user.additionalGids = [7]
            try bundle.startSleeping()
            let plain = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/status").output
            #expect(plain.value(of: "NoNewPrivs:") == "0" && plain.value(of: "Groups:") == "7")
            let changed = try bundle.swrunc(
                "exec", "--no-new-privs", "-g", "8", "--additional-gids", "9", bundle.id, "cat",
                "/proc/self/status"
            ).output
            #expect(changed.value(of: "NoNewPrivs:") == "1")
            #expect(changed.value(of: "Groups:") == "7 8 9")
        }
    }

    @Test("exec --process takes the whole process from a file", arguments: ["--process", "-p"])
    func processFile(_ flag: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let process = ContainerKit.Process(
                user: User(uid: 5, gid: 6, umask: 0o077, additionalGids: [7]),
                args: ["/bin/sh", "-c", "id -u; id -g; umask; pwd; echo $X"], env: ["X=y"],
                cwd: "/home", noNewPrivileges: true)
            let file = "\(bundle.directory)/process.json"
            try writeText(String(decoding: process.encoded.encoded(), as: UTF8.self), to: file)
            let done = try bundle.swrunc("exec", flag, file, bundle.id)
            #expect(done.output.lines == ["5", "6", "0077", "/home", "y"], "\(done)")
        }
    }

    @Test("a program beside exec --process has no effect")
    func wordsBesideFile() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let path = "\(bundle.directory)/process.json"
            let text = #"{"args": ["echo", "from the file"], "cwd": "/", "env": ["PATH=/bin"]}"#
            try writeText(text, to: path)
            let done = try bundle.swrunc("exec", "--process", path, bundle.id, "echo", "other")
            #expect(done.status == 0 && done.output == "from the file\n", "\(done)")
        }
    }

    @Test("a capability unknown to Linux causes one warning in exec, and the process runs")
    func unknownCapability() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let done = try bundle.swrunc("exec", "--cap", "CAP_FLY", bundle.id, "true")
            #expect(done.status == 0)
            #expect(done.error.lines.count == 1)
            #expect(
                done.error.contains("ignoring unknown or unavailable capabilities: [CAP_FLY]"))
        }
    }

    @Test("exec -d returns while its process runs, and writes its pid")
    func detached() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let file = "\(bundle.directory)/pid"
            let done = try bundle.swrunc(
                "exec", "--detach", "--pid-file", file, bundle.id, "sleep", "77")
            #expect(done.status == 0 && done.output == "" && done.error == "", "\(done)")
            let pid = try readText(file)
            #expect(try readText("/proc/\(pid)/cmdline") == "sleep\0" + "77\0")
        }
    }

    @Test("a process that exec left running ends with the container")
    func endsWithContainer() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let done = try bundle.swrunc("exec", "-d", bundle.id, "sleep", "77")
            #expect(done.status == 0, "\(done)")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("exec in the foreground forwards signals")
    func forwardsSignals() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let running = try bundle.start([
                "exec", bundle.id, "sh", "-c",
                "trap 'exit 43' USR1; echo ready; while :; do sleep 0.05; done",
            ])
            #expect(waits { running.output.contains("ready") })
            kill(running.pid, SIGUSR1)
            #expect(try running.wait().status == 43)
        }
    }

    @Test("many concurrent execs all succeed")
    func parallel() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let running = try (0..<20).map { number in
                try bundle.start(["exec", bundle.id, "sh", "-c", "exit \(number)"])
            }
            #expect(try running.map { try $0.wait().status } == Array(0..<20))
        }
    }
}
