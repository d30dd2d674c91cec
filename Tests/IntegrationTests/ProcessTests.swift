// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Process", Host.root)
struct ProcessTests {
    // MARK: Program and environment

    @Test("the program is looked up in the PATH of env, inside the rootfs")
    func pathLookup() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/mine")
            try writeText(
                "#!/bin/sh\necho mine \"$0\" \"$@\"\n", to: "\(bundle.rootfs)/mine/tool",
                mode: 0o755)
            bundle.process.env?.append("PATH=/missing:/mine:/bin")
            bundle.process.args = ["tool", "a b", ""]
            let done = try bundle.run()
            #expect(done.output == "mine /mine/tool a b \n", "\(done)")
        }
    }

    @Test("the last value of a repeated environment variable counts")
    func repeatedVariable() throws {
        try TestBundle.use { bundle throws in
            bundle.process.env = (bundle.process.env ?? []) + ["A=1", "B=2", "A=3"]
            bundle.process.args = ["env"]
            let lines = try bundle.run().output.lines
            #expect(lines.filter { $0.hasPrefix("A=") } == ["A=3"])
            #expect(lines.contains("B=2"))
        }
    }

    @Test(
        "HOME comes from the image's passwd entry of the user, or is / for an unknown user",
        arguments: [(0, "/root"), (1000, "/home/ann"), (4711, "/")])
    func home(_ uid: UInt32, _ home: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.user.uid = uid
            #expect(try bundle.output(of: "echo $HOME") == home)
        }
    }

    @Test("HOME in the config's environment stays")
    func givenHome() throws {
        try TestBundle.use { bundle throws in
            bundle.process.env?.append("HOME=/given")
            #expect(try bundle.output(of: "echo $HOME") == "/given")
        }
    }

    @Test("the host's environment is not passed to the process")
    func hostEnvironment() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["env"]
            let done = try bundle.run(options: CommandOptions(environment: ["SECRET": "host"]))
            #expect(done.status == 0 && !done.output.contains("SECRET"))
        }
    }

    @Test(
        "a program that cannot be run is reported before start, in runc's words",
        arguments: [
            ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
            ("", "exec: \"\": executable file not found in $PATH"),
            ("/nosuch", "no such file or directory"),
            ("/etc", "is a directory"),
            ("/etc/passwd", "permission denied"),
            ("/etc/passwd/x", "not a directory"),
        ])
    func badProgram(_ program: String, _ text: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = [program]
            for command in ["create", "run"] {
                try bundle.writeConfig()
                let pid = "\(bundle.directory)/pid"
                let done = try bundle.swrunc(
                    command, "--bundle", bundle.directory, "--pid-file", pid, bundle.id)
                bundle.expectFailure(done, naming: [text, "process.args"])
                #expect(bundle.leftovers.found() == [] && !exists(pid))
            }
        }
    }

    @Test(
        "run reports a program that the kernel refuses in runc's line, and the reason in another",
        arguments: [
            ("not a program", "exec format error"), ("#!/nosuch x\n", "no such file or directory"),
        ])
    func badFormat(_ text: String, _ reason: String) throws {
        try TestBundle.use { bundle throws in
            try writeText(text, to: "\(bundle.rootfs)/bin/odd", mode: 0o755)
            bundle.process.args = ["/bin/odd"]
            let done = try bundle.run()
            #expect(done.status == 1 && done.output == "")
            #expect(done.error.lines.first == "exec /bin/odd: \(reason)", "\(done)")
            #expect(done.error.lines.count == 2, "\(done)")

            // A separate log still gets the texts that engines read, and start prints nothing else.
            let log = "\(bundle.directory)/log.json"
            let logged = try bundle.swrunc(
                "--log", log, "--log-format", "json", "run", "--bundle", bundle.directory, bundle.id
            )
            #expect(logged.status == 1 && logged.error == done.error)
            let record = try readText(log)
            #expect(record.contains(#""field":"process.args""#) && record.contains(reason))
            try bundle.create()
            let started = try bundle.swrunc("start", bundle.id)
            bundle.expectFailure(started, naming: ["process.args", reason])
        }
    }

    // MARK: Working directory

    @Test("the process starts in cwd, which is created if it is missing")
    func workingDirectory() throws {
        try TestBundle.use { bundle throws in
            bundle.process.cwd = "/new/deep/er"
            #expect(try bundle.output(of: "pwd") == "/new/deep/er")
        }
    }

    @Test("cwd is resolved inside the rootfs, even through links")
    func workingDirectoryThroughLinks() throws {
        try TestBundle.use { bundle throws in
            // The path exists on the host and in the image.
            try makeDirectory(bundle.rootfs + bundle.directory)
            try check(symlink(bundle.directory, "\(bundle.rootfs)/out"), "symlink")
            try check(symlink("../../../out", "\(bundle.rootfs)/twice"), "symlink")
            bundle.process.cwd = "/twice/made"
            #expect(try bundle.output(of: "pwd -P") == "\(bundle.directory)/made")
            #expect(!exists("\(bundle.directory)/made"))
            #expect(exists("\(bundle.rootfs)\(bundle.directory)/made"))
        }
    }

    @Test("a dangling link of the image is resolved inside the rootfs, where its target is created")
    func workingDirectoryThroughDanglingLink() throws {
        try TestBundle.use { bundle throws in
            try check(symlink("\(bundle.directory)/nowhere", "\(bundle.rootfs)/out"), "symlink")
            bundle.process.cwd = "/out/made"
            bundle.script("pwd -P")
            let done = try bundle.run()
            #expect(done.text == "\(bundle.directory)/nowhere/made", "\(done)")
            #expect(!exists("\(bundle.directory)/nowhere"))
        }
    }

    // MARK: User

    @Test("user, group and additional groups are the config's")
    func user() throws {
        try TestBundle.use { bundle throws in
            bundle.process.user = User(uid: 1000, gid: 1001, additionalGids: [20, 30])
            let status = try bundle.output(of: "cat /proc/self/status")
            #expect(status.value(of: "Uid:") == "1000\t1000\t1000\t1000")
            #expect(status.value(of: "Gid:") == "1001\t1001\t1001\t1001")
            #expect(status.value(of: "Groups:") == "20 30")
        }
    }

    @Test("a process without additional groups in the config has none")
    func noGroups() throws {
        try TestBundle.use { bundle throws in
            let status = try bundle.output(of: "cat /proc/self/status")
            #expect(status.value(of: "Groups:") == "")
        }
    }

    @Test(
        "umask is the config's, or 022 by default", arguments: [nil, 0, 0o077, 0o027] as [UInt32?])
    func umask(_ mask: UInt32?) throws {
        try TestBundle.use { bundle throws in
            bundle.process.user.umask = mask
            let text = try bundle.output(of: "umask")
            #expect(UInt32(text, radix: 8) == mask ?? 0o022)
        }
    }

    // MARK: Rights

    @Test("the five capability sets are the config's")
    func capabilities() throws {
        try TestBundle.use { bundle throws in
            // CAP_CHOWN 0, CAP_KILL 5, CAP_SETUID 7, CAP_NET_BIND_SERVICE 10
            bundle.process.capabilities = Capabilities(
                bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE"],
                effective: ["CAP_KILL"], inheritable: ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
                permitted: ["CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE"],
                ambient: ["CAP_NET_BIND_SERVICE"])
            // Not as root: execve would give root the whole bounding set.
            bundle.process.user.uid = 1000
            let status = try bundle.output(of: "cat /proc/self/status")
            func mask(_ key: String) -> UInt64? {
                status.value(of: key).flatMap { UInt64($0, radix: 16) }
            }
            #expect(mask("CapBnd:") == 1 << 0 | 1 << 5 | 1 << 7 | 1 << 10)
            #expect(mask("CapInh:") == 1 << 5 | 1 << 10)
            #expect(mask("CapAmb:") == 1 << 10)
            // What remains after execve for a user other than root: the ambient set.
            #expect(mask("CapPrm:") == 1 << 10)
            #expect(mask("CapEff:") == 1 << 10)
        }
    }

    @Test("root keeps only the capabilities of the bounding set")
    func rootCapabilities() throws {
        try TestBundle.use { bundle throws in
            bundle.process.capabilities = Capabilities(
                bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"])
            let status = try bundle.output(of: "cat /proc/self/status")
            for key in ["CapBnd:", "CapPrm:", "CapEff:"] {
                #expect(status.value(of: key) == "0000000000000020", "\(key)")
            }
            #expect(status.value(of: "CapInh:") == "0000000000000000")
            #expect(status.value(of: "CapAmb:") == "0000000000000000")
        }
    }

    @Test("a process without capabilities in the config has none")
    func noCapabilities() throws {
        try TestBundle.use { bundle throws in
            bundle.process.capabilities = nil
            let status = try bundle.output(of: "cat /proc/self/status")
            for key in ["CapBnd:", "CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
                #expect(status.value(of: key) == "0000000000000000", "\(key)")
            }
        }
    }

    @Test("noNewPrivileges is the config's", arguments: [true, false])
    func noNewPrivileges(_ isSet: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = isSet
            let status = try bundle.output(of: "cat /proc/self/status")
            #expect(status.value(of: "NoNewPrivs:") == (isSet ? "1" : "0"))
        }
    }

    @Test("rlimits are the config's, even for a user that could not raise them")
    func limits() throws {
        try TestBundle.use { bundle throws in
            bundle.process.user.uid = 1000
            bundle.process.rlimits = [
                Rlimit(type: "RLIMIT_NOFILE", hard: 600, soft: 512),
                Rlimit(type: "RLIMIT_CORE", hard: .max, soft: 0),
                Rlimit(type: "RLIMIT_NPROC", hard: 3000, soft: 2000),
            ]
            let limits = try bundle.output(of: "cat /proc/self/limits").lines.map {
                $0.split(separator: " ").map(String.init)
            }
            func limit(_ words: [String]) -> [String]? {
                limits.first { $0.starts(with: words) }.map {
                    Array($0.dropFirst(words.count).prefix(2))
                }
            }
            #expect(limit(["Max", "open", "files"]) == ["512", "600"])
            #expect(limit(["Max", "core", "file", "size"]) == ["0", "unlimited"])
            #expect(limit(["Max", "processes"]) == ["2000", "3000"])
        }
    }

    @Test(
        "a resource limit that leaves no free descriptor is set nevertheless",
        arguments: [0, 3, 1000])
    func fewDescriptors(_ hard: UInt64) throws {
        try TestBundle.use { bundle throws in
            bundle.process.rlimits = [
                Rlimit(type: "RLIMIT_NOFILE", hard: hard, soft: min(hard, 3))
            ]
            bundle.script("ulimit -n; ulimit -Hn")
            let done = try bundle.run()
            #expect(done.output.lines == ["\(min(hard, 3))", "\(hard)"], "\(done)")
            bundle.process.args = ["sleep", "100"]
            bundle.spec.hooks = Hooks(startContainer: [Hook(path: "/bin/true")])
            try bundle.create()
            let started = try bundle.swrunc("start", bundle.id)
            #expect(started.status == 0, "\(started)")
        }
    }

    @Test("oomScoreAdj is the config's", arguments: [0, 500, 1000])
    func oomScore(_ score: Int) throws {
        try checkOOMScore(score)
    }

    @Test(
        "oomScoreAdj can be lower than the runtime's own",
        .enabled(if: Host.hasCapability(24), "needs CAP_SYS_RESOURCE"))
    func lowOOMScore() throws {
        try checkOOMScore(-500)
    }

    private func checkOOMScore(_ score: Int) throws {
        try TestBundle.use { bundle throws in
            bundle.process.oomScoreAdj = score
            #expect(try bundle.output(of: "cat /proc/self/oom_score_adj") == "\(score)")
        }
    }

    @Test("no signal is blocked or ignored in the process, whatever the runtime inherits")
    func signals() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["cat", "/proc/self/status"]
            try bundle.writeConfig()
            // A shell that ignores signals passes this on: HUP as nohup does, PIPE as systemd does.
            let call = "trap '' HUP INT PIPE; exec \"$@\""
            let run = [Host.runtime, "--root", bundle.store, "run", "--bundle", bundle.directory]
            let done = try RunningCommand(
                ["/bin/sh", "-c", call, "sh"] + run + [bundle.id], token: bundle.token
            ).wait()
            #expect(done.output.value(of: "SigBlk:") == "0000000000000000", "\(done)")
            // A shell cannot set signals 32 and 33, which the C library uses itself.
            let ignored = done.output.value(of: "SigIgn:").flatMap { UInt64($0, radix: 16) }
            #expect(ignored.map { $0 & 0x7fff_ffff } == 0)
        }
    }

    @Test("the last HOME counts, and an empty one becomes the home of the user's passwd entry")
    func lastHome() throws {
        try TestBundle.use { bundle throws in
            bundle.process.env = ["PATH=/bin", "HOME=/other", "HOME="]
            #expect(try bundle.output(of: "echo $HOME") == "/root")
            bundle.process.env = ["PATH=/bin", "HOME=", "HOME=/other"]
            #expect(try bundle.output(of: "echo $HOME") == "/other")
        }
    }
}
