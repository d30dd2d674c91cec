// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import InitProgram
import Testing

@Suite("Hooks", Host.root)
struct HookTests {
    // MARK: What a hook gets

    /// A script of the host that writes its environment to `log`.
    private func noting(_ bundle: TestBundle, _ name: String, log: String? = nil) -> Hook {
        Hook(
            path: "/bin/sh",
            args: [
                // busybox looks at its name.
                log == nil ? "hook" : "sh", "-c",
                "{ echo \"\(name) $$ $(pwd) $(readlink /proc/self/ns/mnt) $0\"; cat; echo; } >>"
                    + (log ?? "\(bundle.directory)/log"), "hook",
            ], env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
    }

    private func everyHook(_ bundle: TestBundle) -> Hooks {
        func host(_ name: String) -> [Hook] { [noting(bundle, name)] }
        return Hooks(
            prestart: host("prestart"), createRuntime: host("createRuntime"),
            createContainer: host("createContainer"),
            startContainer: [noting(bundle, "startContainer", log: "/tmp/log")],
            poststart: host("poststart"), poststop: host("poststop"))
    }

    /// Name, pid, directory, mount namespace and argv[0] of each hook in a log, and its state.
    private func notes(_ log: String) throws -> [(words: [String], state: State)] {
        let lines = try readText(log).lines
        return try stride(from: 0, to: lines.count - 1, by: 2).map { index in
            (
                lines[index].split(separator: " ").map(String.init),
                try State(json: Array(lines[index + 1].utf8))
            )
        }
    }

    @Test("each hook runs once, in order, at its specified time, and gets the container's state")
    func everyPoint() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = everyHook(bundle)
            bundle.spec.annotations = ["key": "value"]
            bundle.process.args = ["sleep", "100"]
            try bundle.create()
            let pid = try bundle.state().pid
            let inside = readLink("/proc/\(pid)/ns/mnt")
            let log = "\(bundle.directory)/log"
            #expect(
                try notes(log).map { $0.words[0] }
                    == ["prestart", "createRuntime", "createContainer"])
            #expect(!exists("\(bundle.rootfs)/tmp/log"))
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)

            let found = try notes(log) + notes("\(bundle.rootfs)/tmp/log")
            let host = readLink("/proc/self/ns/mnt")
            let expected: [(String, Int, State.Status, String?, String)] = [
                ("prestart", pid, .creating, host, bundle.directory),
                ("createRuntime", pid, .creating, host, bundle.directory),
                ("createContainer", 1, .creating, inside, bundle.rootfs),
                ("poststart", pid, .running, host, bundle.directory),
                ("poststop", 0, .stopped, host, bundle.directory),
                ("startContainer", 1, .created, inside, "/"),
            ]
            try #require(found.count == expected.count)
            for (hook, wanted) in zip(found, expected) {
                #expect(hook.words[0] == wanted.0)
                #expect(hook.state.pid == wanted.1, "\(wanted.0)")
                #expect(hook.state.status == wanted.2, "\(wanted.0)")
                #expect(hook.words[3] == wanted.3, "mount namespace of \(wanted.0)")
                #expect(hook.words[2] == wanted.4, "directory of \(wanted.0)")
                #expect(hook.words[4] == "hook")
                #expect(hook.state.id == bundle.id && hook.state.bundle == bundle.directory)
                #expect(hook.state.annotations == ["key": "value"])
            }
        }
    }

    private func only(_ point: HookPoint, _ hooks: [Hook]) -> Hooks {
        var result = Hooks()
        switch point {
        case .prestart: result.prestart = hooks
        case .createRuntime: result.createRuntime = hooks
        case .createContainer: result.createContainer = hooks
        case .startContainer: result.startContainer = hooks
        case .poststart: result.poststart = hooks
        case .poststop: result.poststop = hooks
        }
        return result
    }

    /// A hook that works in the host's root and in the container's.
    private func script(_ text: String, timeout: Int? = nil) -> Hook {
        Hook(
            path: "/bin/sh", args: ["sh", "-c", text],
            env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], timeout: timeout)
    }

    @Test(
        "a hook has three standard streams, no other descriptor, and only its own environment",
        arguments: HookPoint.allCases)
    func nothingElse(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            let log = "\(bundle.directory)/log"
            bundle.spec.annotations = ["run.oci.hooks.stdout": log]
            let commands = [["ls", "/proc/self/fd"], ["cat", "/proc/self/status"], ["env"]]
            bundle.spec.hooks = only(
                point,
                commands.map { Hook(path: "/bin/\($0[0])", args: $0, env: ["ONLY=this"]) })
            bundle.process.args = ["true"]
            let done = try bundle.run()
            #expect(done.status == 0, "\(done)")
            let lines = try readText(log).lines
            // The fourth descriptor is the directory that ls reads.
            #expect(lines.prefix { Int($0) != nil } == ["0", "1", "2", "3"], "\(lines)")
            for mask in ["SigBlk", "SigIgn", "SigCgt"] {
                #expect(lines.contains("\(mask):\t0000000000000000"), "\(lines)")
            }
            #expect(lines.filter { $0.contains("=") } == ["ONLY=this"])
            #expect(lines.last == "ONLY=this")
        }
    }

    @Test("a createContainer hook changes the container's mounts before its root is entered")
    func mounting() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try writeText("from the host", to: "\(bundle.directory)/data/file")
            try makeDirectory("\(bundle.rootfs)/mnt")
            bundle.spec.hooks = Hooks(
                createContainer: [script("mount --bind ../data mnt")])
            #expect(try bundle.output(of: "cat /mnt/file") == "from the host")
            #expect(bundle.leftovers.mounts() == [])
        }
    }

    @Test("a createRuntime hook can reach the container's namespaces through the pid in the state")
    func networking() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(
                createRuntime: [
                    script(
                        "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "
                            + "nsenter --net=/proc/$pid/ns/net --uts=/proc/$pid/ns/uts "
                            + "sh -c 'cat /proc/net/dev; hostname from-hook' "
                            + ">\(bundle.directory)/devices")
                ])
            #expect(try bundle.output(of: "hostname") == "from-hook")
            let devices = try readText("\(bundle.directory)/devices")
            #expect(devices.contains("lo:") && devices.lines.count == 3, "\(devices)")
        }
    }

    @Test(
        "a startContainer hook has the user, limits and seccomp filter of the container's process")
    func startContainerIsConfined() throws {
        try TestBundle.use { bundle throws in
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.process.noNewPrivileges = false
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["mkdir", "mkdirat"], action: .errno)])
            bundle.spec.hooks = Hooks(
                startContainer: [
                    script(
                        "id -u >/tmp/log; mkdir /tmp/made 2>>/tmp/log; grep Cap /proc/$$/status >>/tmp/log"
                    )
                ])
            bundle.script("grep Cap /proc/$$/status")
            let done = try bundle.run()
            #expect(done.status == 0, "\(done)")
            let log = try readText("\(bundle.rootfs)/tmp/log")
            #expect(log.hasPrefix("1000\n") && log.contains("not permitted"), "\(log)")
            #expect(log.hasSuffix(done.output), "\(log) and not \(done.output)")
        }
    }

    @Test(
        "a hook without env gets the runtime's environment, or the process's in the container",
        arguments: HookPoint.allCases)
    func inheritedEnvironment(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            let log = "\(bundle.directory)/log"
            bundle.spec.annotations = ["run.oci.hooks.stdout": log]
            bundle.process.env?.append("MARK=process")
            bundle.process.args = ["true"]
            bundle.spec.hooks = only(point, [Hook(path: "/bin/env", args: ["env"])])
            try bundle.writeConfig()
            let done = try bundle.swrunc(
                "run", "-b", bundle.directory, bundle.id,
                options: CommandOptions(environment: ["MARK": "runtime"]))
            #expect(done.status == 0, "\(done)")
            let lines = try readText(log).lines
            let isOfProcess = point == .startContainer
            #expect(lines.contains(isOfProcess ? "MARK=process" : "MARK=runtime"), "\(lines)")
            #expect(lines.contains { $0.hasPrefix("SWIFT_BACKTRACE=") } == false)
        }
    }

    @Test("a hook with an empty env has an empty environment", arguments: HookPoint.allCases)
    func emptyEnvironment(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            let log = "\(bundle.directory)/log"
            bundle.spec.annotations = ["run.oci.hooks.stdout": log]
            bundle.process.args = ["true"]
            bundle.spec.hooks = only(point, [Hook(path: "/bin/env", args: ["env"], env: [])])
            #expect(try bundle.run().status == 0)
            #expect(try readText(log) == "")
        }
    }

    @Test("a hook may read all or nothing of a state that is larger than a pipe")
    func largeState() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = ["large": String(repeating: "x", count: 300_000)]
            let hooks = [script("exit 0"), script("test $(wc -c) -gt 300000"), script("exec <&-")]
            bundle.spec.hooks = Hooks(
                prestart: hooks, createRuntime: hooks, createContainer: hooks,
                startContainer: hooks, poststart: hooks, poststop: hooks)
            bundle.script("echo fine")
            let done = try bundle.run()
            #expect(done.status == 0 && done.text == "fine" && done.error == "", "\(done)")
        }
    }

    @Test("the output of hooks goes to the files that annotations name", arguments: [true, false])
    func outlets(_ isNamed: Bool) throws {
        try TestBundle.use { bundle throws in
            if isNamed {
                bundle.spec.annotations = [
                    "run.oci.hooks.stdout": "\(bundle.directory)/stdout",
                    "run.oci.hooks.stderr": "\(bundle.directory)/stderr",
                ]
            }
            let hook = script("echo said; echo warned >&2")
            bundle.spec.hooks = Hooks(
                prestart: [hook], createContainer: [hook], startContainer: [hook],
                poststop: [hook])
            bundle.script("echo fine")
            let done = try bundle.run()
            #expect(done.status == 0 && done.text == "fine" && done.error == "", "\(done)")
            guard isNamed else { return }
            for (file, word) in [("stdout", "said"), ("stderr", "warned")] {
                #expect(
                    try readText("\(bundle.directory)/\(file)")
                        == String(repeating: "\(word)\n", count: 4))
            }
        }
    }

    // MARK: Failures

    private static let failing: [HookPoint] = [
        .prestart, .createRuntime, .createContainer, .startContainer, .poststart,
    ]

    @Test(
        "a failing hook fails run with its status and output, undoes all, and poststop hooks run",
        arguments: failing)
    func failure(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = only(
                point, [script("exit 0"), script("echo out; echo err >&2; exit 7")])
            bundle.spec.hooks?.poststop = [script("cat >\(bundle.directory)/stopped")]
            bundle.process.args = ["sleep", "100"]
            let done = try bundle.run()
            #expect(done.status == 1)
            #expect(
                done.message.contains(
                    "hooks.\(point.rawValue)[1]: error running \(point.rawValue) hook #1: exit "
                        + "status 7, stdout: out, stderr: err"), "\(done)")
            #expect(bundle.leftovers.found() == [])
            let state = try State(json: Array(readText("\(bundle.directory)/stopped").utf8))
            #expect(state.status == .stopped && state.id == bundle.id)
        }
    }

    @Test("a hook that cannot be executed, or is killed, is reported as that", arguments: failing)
    func notExecuted(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            bundle.spec.hooks = only(point, [Hook(path: "/no/such/hook")])
            bundle.expectFailure(
                try bundle.run(),
                naming: [
                    "hooks.\(point.rawValue)[0]: error running \(point.rawValue) hook #0",
                    "execve(\"/no/such/hook\"): no such file or directory",
                ])
            bundle.spec.hooks = only(point, [script("kill -9 $$")])
            bundle.expectFailure(try bundle.run(), naming: ["hook #0: signal: killed"])
        }
    }

    @Test("a hook that exceeds its timeout is killed", arguments: failing)
    func timeout(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            bundle.spec.hooks = only(point, [script("echo waits; exec sleep 50", timeout: 1)])
            let start = ContinuousClock.now
            bundle.expectFailure(
                try bundle.run(),
                naming: ["hook #0: hook ran past specified timeout of 1.0s, stdout: waits"])
            #expect(start.duration(to: .now) < .seconds(20))
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a slow hook in the host's pid namespace is killed with its container")
    func timeoutWithoutPidNamespace() throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.pid)
            for point in [HookPoint.createContainer, .startContainer] {
                bundle.spec.hooks = only(point, [script("sleep 51 & sleep 51", timeout: 1)])
                bundle.expectFailure(try bundle.run(), naming: ["hook ran past specified timeout"])
                #expect(bundle.leftovers.found() == [])
                #expect(!runs("sleep\u{0}51"))
            }
        }
    }

    private func runs(_ words: String) -> Bool {
        IntegrationTests.entries(of: "/proc").contains { name in
            (try? readText("/proc/\(name)/cmdline"))?.contains(words) == true
        }
    }

    @Test(
        "a background process that keeps a hook's streams open delays nothing",
        arguments: HookPoint.allCases)
    func leftBehind(_ point: HookPoint) throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = only(point, [script("sleep 9 & exit 0")])
            bundle.script("exit 4")
            let start = ContinuousClock.now
            #expect(try bundle.run().status == 4)
            #expect(start.duration(to: .now) < .seconds(8))
        }
    }

    @Test("a failing startContainer hook fails start and stops the container")
    func startFails() throws {
        try TestBundle.use { bundle throws in
            for hook in [
                script("echo no >&2; exit 1"), Hook(path: "/no/hook"),
                script("sleep 50", timeout: 1),
            ] {
                bundle.spec.hooks = Hooks(startContainer: [hook])
                bundle.script("echo ran >/tmp/ran")
                try bundle.create()
                bundle.expectFailure(
                    try bundle.swrunc("start", bundle.id),
                    naming: ["error running startContainer hook #0"])
                #expect(try bundle.waits(for: .stopped))
                #expect(!exists("\(bundle.rootfs)/tmp/ran"))
                #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            }
        }
    }

    @Test("a failing poststart hook fails start and deletes the container, running poststop hooks")
    func poststartFails() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            bundle.spec.hooks = Hooks(
                poststart: [script("exit 1")],
                poststop: [script("echo stopped >>\(bundle.directory)/log")])
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id), naming: ["error running poststart hook #0"])
            #expect(try bundle.swrunc("state", bundle.id).error.contains("does not exist"))
            #expect(try readText("\(bundle.directory)/log") == "stopped\n")
            bundle.expectFailure(try bundle.run(), naming: ["error running poststart hook #0"])
            #expect(try bundle.swrunc("state", bundle.id).error.contains("does not exist"))
            #expect(try readText("\(bundle.directory)/log") == "stopped\nstopped\n")
        }
    }

    @Test("a failing poststop hook is reported, and the next one still runs")
    func poststopFails() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(
                poststop: [script("exit 1"), script("echo second >\(bundle.directory)/log")])
            try bundle.create()
            let done = try bundle.swrunc("delete", bundle.id)
            #expect(done.status == 0)
            #expect(done.error.contains("level=warning") && done.error.lines.count == 1, "\(done)")
            #expect(done.message.contains("hooks.poststop[0]: error running poststop hook #0"))
            #expect(try readText("\(bundle.directory)/log") == "second\n")
        }
    }

    // MARK: Other commands meanwhile

    @Test("delete --force ends a create whose hook hangs", arguments: [true, false])
    func deleteWhileHookHangs(_ isOutside: Bool) throws {
        try TestBundle.use { bundle throws in
            let hook = script("touch \(bundle.directory)/hangs; exec sleep 50")
            bundle.spec.hooks =
                isOutside ? Hooks(createRuntime: [hook]) : Hooks(createContainer: [hook])
            try bundle.writeConfig()
            let creating = try bundle.start(["create", "--bundle", bundle.directory, bundle.id])
            #expect(waits { exists("\(bundle.directory)/hangs") })
            #expect(try bundle.state().status == .creating)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(try creating.wait().status == 1)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a poststart hook may use the container and end it")
    func poststartUsesContainer() throws {
        try TestBundle.use { bundle throws in
            let call = "\(Host.runtime) --root \(bundle.store)"
            bundle.process.args = ["sleep", "100"]
            bundle.spec.hooks = Hooks(
                poststart: [
                    script(
                        "\(call) exec \(bundle.id) touch /tmp/ran && "
                            + "\(call) delete --force \(bundle.id)", timeout: 20)
                ])
            try bundle.create()
            let done = try bundle.swrunc("start", bundle.id)
            #expect(done.status == 0, "\(done)")
            #expect(exists("\(bundle.rootfs)/tmp/ran"))
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("hooks in a joined pid namespace get the pid that the container sees")
    func joinedPidNamespace() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping(id: "\(bundle.id)-first")
            let first = try bundle.state("\(bundle.id)-first").pid
            bundle.setNamespace(.pid, path: "/proc/\(first)/ns/pid")
            bundle.spec.hooks = Hooks(
                createContainer: [noting(bundle, "createContainer")],
                startContainer: [noting(bundle, "startContainer", log: "/tmp/log")])
            let pid = try #require(Int(bundle.output(of: "echo $$")))
            #expect(pid > 1)
            let found =
                try notes("\(bundle.directory)/log")
                + notes("\(bundle.rootfs)/tmp/log")
            #expect(found.map(\.state.pid) == [pid, pid])
        }
    }
}
