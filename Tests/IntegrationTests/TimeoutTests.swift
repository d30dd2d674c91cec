// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite("A limit for the time of a launch", Host.root)
struct TimeoutTests {
    /// Long enough for this machine to get to what hangs.
    private static let limit = "\(Host.slowness)s"
    private static let sleep = Hook(path: Host.busybox, args: ["sleep", "100"])

    private func hooks(_ point: String) -> Hooks {
        switch point {
        case "prestart": Hooks(prestart: [Hook(path: "/bin/true"), Self.sleep])
        case "createRuntime": Hooks(createRuntime: [Hook(path: "/bin/true"), Self.sleep])
        default: Hooks(createContainer: [Hook(path: "/bin/true"), Self.sleep])
        }
    }

    /// The bundle's processes notify an agent of execve, who does not answer.
    private func notifySilentAgent(_ bundle: TestBundle) throws -> NotifyAgent {
        let agent = try NotifyAgent("\(bundle.directory)/agent.sock")
        bundle.linux.seccomp = Seccomp(
            defaultAction: .allow, listenerPath: agent.path,
            syscalls: [SeccompRule(names: ["execve"], action: .notify)])
        return agent
    }

    @Test(
        "a create whose hook hangs ends in time, names the hook, and leaves nothing",
        arguments: ["prestart", "createRuntime", "createContainer"])
    func hookOfCreate(_ point: String) throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = hooks(point)
            try bundle.writeConfig()
            let start = ContinuousClock.now
            let done = try bundle.swrunc(
                "create", "--timeout", Self.limit, "--bundle", bundle.directory, bundle.id)
            bundle.expectFailure(
                done,
                naming: ["timeout of \(Self.limit): \(point) hook 1 (\(Host.busybox)) still runs"])
            #expect(.now - start > .seconds(Host.slowness) && .now - start < .seconds(60))
            #expect(bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty)
        }
    }

    @Test("a run whose startContainer hook hangs inside of init leaves nothing")
    func hookOfRun() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(
                startContainer: [Hook(path: "/bin/sleep", args: ["sleep", "100"])])
            bundle.removeNamespace(.pid)
            bundle.expectFailure(
                try bundle.run("--timeout", Self.limit),
                naming: ["timeout of \(Self.limit): startContainer hook 0 (/bin/sleep) still runs"])
            #expect(bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty)
        }
    }

    @Test("a start whose hook hangs stops the container, which can then be deleted")
    func hookOfStart() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(
                startContainer: [Hook(path: "/bin/sleep", args: ["sleep", "100"])])
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("start", "--timeout", Self.limit, bundle.id),
                naming: ["timeout of \(Self.limit): startContainer hook 0 (/bin/sleep) still runs"])
            #expect(try bundle.waits(for: .stopped))
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a poststart hook is limited, too; the container is deleted, as after its failure")
    func poststart() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(poststart: [Self.sleep])
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("start", "--timeout", Self.limit, bundle.id),
                naming: ["timeout of \(Self.limit): poststart hook 0 (\(Host.busybox)) still runs"])
            #expect(bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty)
        }
    }

    @Test("of a hook's own timeout and the caller's, the shorter counts")
    func shorterCounts() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(createContainer: [
                Hook(path: Host.busybox, args: ["sleep", "100"], timeout: 1)
            ])
            bundle.expectFailure(
                try bundle.run("--timeout", "1m"),
                naming: ["hook ran past specified timeout of 1.0s"])
        }
    }

    @Test("an init that hangs at its program, for a silent seccomp agent, is named with its step")
    func silentAgent() throws {
        try TestBundle.use { bundle throws in
            let agent = try notifySilentAgent(bundle)
            bundle.process.args = ["/bin/sleep", "100"]
            bundle.expectFailure(
                try bundle.run("--timeout", Self.limit),
                naming: [
                    "process.args",
                    "timeout of \(Self.limit): init is at the step: execute \"/bin/sl",
                ])
            #expect(bundle.leftovers.found() == [] && entries(of: bundle.store).isEmpty)
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("start", "--timeout", Self.limit, bundle.id),
                naming: ["process.args", "timeout of \(Self.limit): init is at the call execve("])
            #expect(try bundle.state().status == .stopped)
            withExtendedLifetime(agent) {}
        }
    }

    @Test("an exec that hangs ends in time, and the container goes on")
    func exec() throws {
        try TestBundle.use { bundle throws in
            let agent = try NotifyAgent("\(bundle.directory)/agent.sock")
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow, listenerPath: agent.path,
                syscalls: [SeccompRule(names: ["chdir"], action: .notify)])
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            let starting = try bundle.start(["start", bundle.id], CommandOptions())
            close(try agent.accept().listener)
            #expect(try starting.wait().status == 0)
            // Nobody accepts any more: the queue of the agent's socket is filled.
            let waiting = try filled(agent)
            defer { for socket in waiting { close(socket) } }
            bundle.expectFailure(
                try bundle.swrunc("exec", "--timeout", Self.limit, bundle.id, "true"), status: 255,
                naming: [
                    "linux.seccomp.listenerPath",
                    "timeout of \(Self.limit): the runtime is at the step: connect to the seccomp listener",
                ])
            #expect(try bundle.state().status == .running)
        }
    }

    /// Connections that fill the queue of a socket's listener.
    private func filled(_ agent: NotifyAgent) throws -> [CInt] {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(agent.path.utf8)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        var sockets: [CInt] = []
        while sockets.count < 64 {
            let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let socket = try check(socket(AF_UNIX, type, 0), "socket")
            sockets.append(socket)
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, length) }
            }
            if connected != 0 { return sockets }
        }
        return sockets
    }

    @Test("the program's own time is not limited")
    func program() throws {
        try TestBundle.use { bundle throws in
            bundle.script("sleep 6; echo done")
            let done = try bundle.run("--timeout", "5s")
            #expect(done.status == 0 && done.text == "done", "\(done)")
        }
    }

    @Test("start waits no longer for another command that is at work on the container")
    func lock() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            let directory = try check(
                open("\(bundle.store)/\(bundle.id)", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(directory) }
            try check(flock(directory, LOCK_EX), "flock")
            bundle.expectFailure(
                try bundle.swrunc("start", "--timeout", "300ms", bundle.id),
                naming: ["timeout of 300ms: another command is at work on the container"])
            try check(flock(directory, LOCK_UN), "flock")
            #expect(try bundle.swrunc("start", "--timeout", "30s", bundle.id).status == 0)
        }
    }

    @Test(
        "a timeout that is no time, or leaves none, is refused", arguments: ["0", "-1s", "5", "x"])
    func invalid(_ text: String) throws {
        try TestBundle.use { bundle throws in
            bundle.expectFailure(
                try bundle.run("--timeout=\(text)"),
                naming: ["--timeout \"\(text)\": expected a time longer than 0"])
        }
    }

    @Test("the library tells by its code that the time is over")
    func library() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(createRuntime: [Self.sleep])
            let made = try Bundle(at: FilePath(bundle.directory), spec: bundle.spec)
            var options = LaunchOptions()
            options.timeout = .seconds(Host.slowness)
            let error = try #require(throws: ContainerError.self) {
                try Container.create(
                    bundle.id, from: made, in: ContainerStore(at: FilePath(bundle.store)),
                    options: options)
            }
            #expect(error.code == .timedOut && error.field == "hooks.createRuntime[0]", "\(error)")
            #expect(error.message.contains("timeout of \(Self.limit)"))
            options.timeout = .zero
            let refused = try #require(throws: ContainerError.self) {
                try Container.create(
                    bundle.id, from: made, in: ContainerStore(at: FilePath(bundle.store)),
                    options: options)
            }
            #expect(refused.code == .invalidArgument)
        }
    }
}
