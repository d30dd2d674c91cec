// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import RuntimeSpec
import Testing

@Suite("Seccomp notifications", Host.root)
struct SeccompNotifyTests {
    private let makingDirectories = ["mkdir", "mkdirat"]

    private func notify(
        _ bundle: TestBundle, _ names: [String], noNewPrivileges: Bool = true,
        flags: [Seccomp.Flag]? = nil
    ) throws -> NotifyAgent {
        let agent = try NotifyAgent("\(bundle.directory)/agent.sock")
        bundle.process.noNewPrivileges = noNewPrivileges
        bundle.linux.seccomp = Seccomp(
            defaultAction: .allow, flags: flags, listenerPath: agent.path,
            listenerMetadata: "some \"metadata\"",
            syscalls: [SeccompRule(names: names, action: .notify)])
        return agent
    }

    @Test(
        "a seccomp agent gets the listener and the state from run, and decides calls",
        arguments: [true, false])
    func run(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(
                bundle, makingDirectories, noNewPrivileges: noNewPrivileges,
                flags: Host.kernelRelease >= (5, 19) ? [.waitKillableReceive] : [])
            bundle.spec.annotations = ["who": "test"]
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.script("mkdir /tmp/x; id -u; ls /proc/self/fd")
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], CommandOptions())
            let connection = try agent.accept()
            #expect(try agent.serve(connection, .error(ENOMEDIUM)) == 1)
            let done = try running.wait()
            #expect(done.error.contains("/tmp/x': No medium found"), "\(done)")
            #expect(done.output.lines == ["1000", "0", "1", "2", "3"], "\(done)")

            let pid = try #require(connection.message.firstRange(of: #""pid":"#))
            let number = connection.message[pid.upperBound...].prefix { $0.isNumber }
            #expect(
                connection.message == """
                    {"ociVersion":"\(RuntimeVersion.specVersion)","fds":["seccompFd"],\
                    "pid":\(number),"metadata":"some \\"metadata\\"","state":{\
                    "ociVersion":"\(RuntimeVersion.specVersion)","id":"\(bundle.id)",\
                    "pid":\(number),"status":"creating","bundle":"\(bundle.directory)",\
                    "annotations":{"who":"test"}}}
                    """)
        }
    }

    @Test(
        "start and exec connect to the seccomp agent separately for each process",
        arguments: [true, false])
    func startAndExec(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(bundle, makingDirectories, noNewPrivileges: noNewPrivileges)
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            let pid = try bundle.state().pid
            let starting = try bundle.start(["start", bundle.id], CommandOptions())
            let first = try agent.accept()
            defer { close(first.listener) }
            let started = try starting.wait()
            #expect(started.status == 0 && started.error == "", "\(started)")
            #expect(first.message.contains("\"pid\":\(pid),\"metadata\""))
            #expect(try bundle.state().status == .running)

            let entering = try bundle.start(
                ["exec", bundle.id, "sh", "-c", "mkdir /tmp/y && stat /tmp/y"], CommandOptions())
            let second = try agent.accept()
            #expect(second.message.contains("\"status\":\"running\""), "\(second.message)")
            #expect(second.message.contains("\"pid\":\(pid),\"status\""), "\(second.message)")
            try agent.serve(second, .goOn)
            let done = try entering.wait()
            #expect(done.status == 0 && exists("\(bundle.rootfs)/tmp/y"), "\(done)")
        }
    }

    @Test("an annotation names the seccomp agent if the profile does not")
    func receiver() throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(bundle, makingDirectories)
            bundle.linux.seccomp?.listenerPath = nil
            bundle.linux.seccomp?.listenerMetadata = nil
            bundle.spec.annotations = ["run.oci.seccomp.receiver": agent.path]
            bundle.process.args = ["/bin/mkdir", "/tmp/x"]
            try bundle.create()
            let starting = try bundle.start(["start", bundle.id], CommandOptions())
            let connection = try agent.accept()
            #expect(try starting.wait().status == 0)
            #expect(try agent.serve(connection, .error(ENOMEDIUM)) == 1)
            #expect(!exists("\(bundle.rootfs)/tmp/x"))
        }
    }

    @Test(
        "calls in the runtime's own last steps can be notified to the seccomp agent",
        arguments: [true, false])
    func ownCalls(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(
                bundle, ["execve", "open", "openat", "read", "close", "sendmsg", "capset"],
                noNewPrivileges: noNewPrivileges)
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], CommandOptions())
            let answered = try agent.serve(agent.accept(), .goOn)
            #expect(answered >= 2, "read and execve")
            let done = try running.wait()
            #expect(done.status == 0, "\(done)")
        }
    }

    @Test(
        "the calls of a startContainer hook go to the container's only seccomp agent",
        arguments: [true, false])
    func hooks(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            // Calls of init itself for a hook are notified as well, such as clone(2).
            let agent = try notify(
                bundle, makingDirectories + ["clone", "waitid", "recvmsg"],
                noNewPrivileges: noNewPrivileges)
            // As Docker's profile does.
            bundle.linux.seccomp?.syscalls?.append(
                SeccompRule(names: ["clone3"], action: .errno, errnoRet: UInt(ENOSYS)))
            let hook =
                "mkdir /tmp/x 2>/tmp/hook-$0; grep -E '^(Seccomp|CapEff):' /proc/self/status >>/tmp/hook-$0"
            bundle.spec.hooks = Hooks(
                startContainer: ["1", "2"].map {
                    Hook(path: "/bin/sh", args: ["sh", "-c", hook, $0], env: ["PATH=/bin"])
                })
            bundle.script("mkdir /tmp/y; grep -E '^(Seccomp|CapEff):' /proc/self/status")
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], CommandOptions())
            try agent.serve(agent.accept(), .goOnUnless(makesDirectory: ENOMEDIUM))
            let done = try running.wait()
            #expect(done.error.contains("/tmp/y': No medium found"), "\(done)")
            for name in ["1", "2"] {
                let lines = try readText("\(bundle.rootfs)/tmp/hook-\(name)").lines
                #expect(lines.first?.contains("/tmp/x': No medium found") == true, "\(lines)")
                #expect(Array(lines.dropFirst()) == done.output.lines, "rights of hook \(name)")
            }

            try bundle.create()
            let starting = try bundle.start(["start", bundle.id], CommandOptions())
            try agent.serve(agent.accept(), .goOnUnless(makesDirectory: ENOMEDIUM))
            let started = try starting.wait()
            #expect(started.status == 0 && started.error == "", "\(started)")
        }
    }

    @Test("a startContainer hook that fails under a seccomp agent fails start, with its output")
    func failingHook() throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(bundle, makingDirectories)
            bundle.spec.hooks = Hooks(
                startContainer: [
                    Hook(path: "/bin/sh", args: ["sh", "-c", "echo no such luck >&2; exit 3"])
                ])
            bundle.script("touch /tmp/ran")
            let words = ["startContainer hook #0", "exit status 3", "no such luck"]
            bundle.expectFailure(try bundle.run(), naming: words)
            try bundle.create()
            bundle.expectFailure(try bundle.swrunc("start", bundle.id), naming: words)
            withExtendedLifetime(agent) {}
            #expect(!exists("\(bundle.rootfs)/tmp/ran"))
        }
    }

    @Test("calls fail with ENOSYS after the seccomp agent is gone")
    func gone() throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(bundle, makingDirectories)
            bundle.script("while [ ! -e /tmp/go ]; do sleep 0.05; done; mkdir /tmp/x")
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], CommandOptions())
            close(try agent.accept().listener)
            try writeText("", to: "\(bundle.rootfs)/tmp/go")
            let done = try running.wait()
            #expect(done.error.contains("Function not implemented"), "\(done)")
        }
    }

    @Test("a launch without a running seccomp agent fails and leaves nothing")
    func noAgent() throws {
        try TestBundle.use { bundle throws in
            let words = ["linux.seccomp.listenerPath", "seccomp agent", "/agent.sock"]
            try { _ = try notify(bundle, makingDirectories) }()
            bundle.script("touch /tmp/ran")
            let done = try bundle.run()
            bundle.expectFailure(
                done, naming: words + ["failed to connect with seccomp agent"])
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id), naming: words)
            #expect(entries(of: bundle.store).isEmpty)

            // The listener goes away between create and start: init exits, as after any failed
            // start.
            try {
                let agent = try notify(bundle, makingDirectories)
                try bundle.create()
                withExtendedLifetime(agent) {}
            }()
            bundle.expectFailure(try bundle.swrunc("start", bundle.id), naming: words)
            #expect(try bundle.waits(for: .stopped))
            #expect(!exists("\(bundle.rootfs)/tmp/ran"))
        }
    }

    @Test("a seccomp profile that refuses write to the runtime fails the launch, which says so")
    func refusedWrite() throws {
        try TestBundle.use { bundle throws in
            let agent = try notify(bundle, makingDirectories)
            bundle.linux.seccomp?.syscalls?.append(
                SeccompRule(names: ["write"], action: .errno, errnoRet: 5))
            bundle.script("touch /tmp/ran")
            let done = try bundle.run()
            withExtendedLifetime(agent) {}
            bundle.expectFailure(
                done,
                naming: ["linux.seccomp", "unable to hand the seccomp listener over", "write"])
            #expect(!exists("\(bundle.rootfs)/tmp/ran"))
        }
    }

    @Test("listenerPath is ignored if no rule notifies")
    func unusedPath() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow, listenerPath: "/no/such/socket", listenerMetadata: "m")
            #expect(try bundle.output(of: "echo runs").trimmed == "runs")
        }
    }
}
