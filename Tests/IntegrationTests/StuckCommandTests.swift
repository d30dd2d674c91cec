// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Commands that hold a container's lock and do not end.
@Suite("Stuck commands", Host.root)
struct StuckCommandTests {
    /// Every command that must work beside a stuck one ends soon, and delete --force leaves
    /// nothing.
    private func expectAnswers(_ bundle: TestBundle, beside stuck: RunningCommand) throws {
        var options = CommandOptions()
        options.timeLimitSeconds = 15 * Double(Host.slowness)
        for words in [["state", bundle.id], ["list"], ["kill", bundle.id, "USR1"]] {
            _ = try bundle.start(words, options).wait()
        }
        let done = try bundle.start(["delete", "--force", bundle.id], options).wait()
        #expect(done.status == 0 && done.error == "", "\(done)")
        #expect(bundle.leftovers.states() == [])
        #expect(bundle.leftovers.cgroups() == [])
    }

    private func create(_ bundle: TestBundle, _ hooks: Hooks? = nil) throws -> RunningCommand {
        bundle.process.args = ["/bin/sleep", "100"]
        bundle.spec.hooks = hooks
        try bundle.writeConfig()
        return try bundle.start(["create", "--bundle", bundle.directory, bundle.id])
    }

    private func hook(_ text: String) -> [Hook] {
        [Hook(path: "/bin/sh", args: ["sh", "-c", text])]
    }

    @Test("delete --force ends a create whose hook hangs", arguments: [true, false])
    func hangingHook(_ inContainer: Bool) throws {
        try TestBundle.use { bundle throws in
            let mark = "\(bundle.directory)/hook"
            let hooks =
                inContainer
                ? Hooks(createContainer: hook("sleep 100"))
                : Hooks(createRuntime: hook("touch \(mark); exec sleep 100"))
            let stuck = try create(bundle, hooks)
            if inContainer { usleep(useconds_t(300_000 * Host.slowness)) }
            #expect(inContainer || waits { exists(mark) })
            try expectAnswers(bundle, beside: stuck)
            #expect(try stuck.wait().status == 1)
        }
    }

    @Test("delete --force ends a start whose hook hangs")
    func hangingStart() throws {
        try TestBundle.use { bundle throws in
            let created = try create(bundle, Hooks(startContainer: hook("sleep 100"))).wait()
            try #require(created.status == 0, "\(created)")
            let stuck = try bundle.start(["start", bundle.id])
            usleep(useconds_t(300_000 * Host.slowness))
            try expectAnswers(bundle, beside: stuck)
            #expect(try stuck.wait().status == 1)
        }
    }

    @Test(
        "delete does not wait for a stopped create, which undoes its work when it continues"
    )
    func stoppedCreate() throws {
        try TestBundle.use { bundle throws in
            // The hook stops its parent, the runtime.
            let mark = "\(bundle.directory)/hook"
            let stuck = try create(
                bundle, Hooks(createRuntime: hook("kill -STOP $PPID; touch \(mark)")))
            try #require(waits { exists(mark) })
            try expectAnswers(bundle, beside: stuck)
            kill(stuck.pid, SIGCONT)
            let done = try stuck.wait()
            #expect(done.status == 1, "\(done)")
            #expect(done.error.contains("was deleted while it was being created"), "\(done)")
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("delete --force ends a create whose init is stopped, however early")
    func stoppedInit() throws {
        try TestBundle.use { bundle throws in
            for round in Host.rounds(6) {
                let stuck = try create(bundle)
                let children = "/proc/\(stuck.pid)/task/\(stuck.pid)/children"
                var child: pid_t?
                _ = waits(2) {
                    child = (try? readText(children)).flatMap { pid_t($0.trimmed) }
                    return child != nil
                }
                // If create has already ended, nothing is stuck.
                guard let child, kill(child, SIGSTOP) == 0 else { continue }
                try expectAnswers(bundle, beside: stuck)
                _ = try stuck.wait()
                #expect(bundle.leftovers.found() == [], "round \(round)")
            }
        }
    }

    @Test(
        "a run whose runtime is stopped until init gives up says so, and leaves nothing",
        InnerRun.traced)
    func lateRuntime() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            var options = CommandOptions()
            options.timeLimitSeconds = 300
            let tracer = [
                InnerRun.strace, "-qq", "-o", "/dev/null", "-e", "trace=ppoll", "-e",
                "inject=ppoll:delay_enter=75000000:when=1",
            ]
            let done = try RunningCommand(
                tracer + [
                    Host.runtime, "--root", bundle.store, "run", "--bundle", bundle.directory,
                    bundle.id,
                ], options, token: bundle.token
            ).wait()
            #expect(done.status == 1, "\(done)")
            #expect(done.error.contains("init waited a minute for the runtime"), "\(done)")
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a forged progress page of the child leads the runtime to no other process")
    func writtenPage() throws {
        try TestBundle.use { bundle throws in
            var options = CommandOptions()
            options.environment = [:]
            let victim = try RunningCommand(["/bin/sleep", "100"], options, token: bundle.token)
            defer {
                kill(victim.pid, SIGKILL)
                _ = try? victim.wait()
            }
            let page = "\(bundle.store)/\(bundle.id)/progress"
            let number = withUnsafeBytes(of: victim.pid.littleEndian) { bytes in
                bytes.map { "\\" + String(UInt16($0) + 0o1000, radix: 8).dropFirst() }.joined()
            }
            let writes = [8, 12, 16, 20, 2056].map { offset in
                "printf '\(number)' | dd of=\(page) bs=1 seek=\(offset) conv=notrunc 2>/dev/null"
            }
            let script = writes.joined(separator: "; ") + "; exit 1"
            let done = try create(bundle, Hooks(createRuntime: hook(script))).wait()
            #expect(done.status == 1, "\(done)")
            #expect(kill(victim.pid, 0) == 0 && bundle.leftovers.cgroups() == [])
        }
    }

    // MARK: Nothing left for want of descriptors

    @Test("a create that runs out of descriptors leaves nothing, wherever it fails")
    func fewDescriptors() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            var failures = 0
            for limit in stride(from: 3, through: 40, by: Host.slowness > 2 ? 3 : 1) {
                let words = "\(Host.runtime) --root \(bundle.store) create --bundle . \(bundle.id)"
                var options = CommandOptions()
                options.directory = bundle.directory
                let done = try RunningCommand(
                    ["/bin/sh", "-c", "ulimit -n \(limit) && exec \(words)"], options,
                    token: bundle.token
                ).wait()
                if done.status == 0 {
                    #expect(try bundle.swrunc("delete", bundle.id).status == 0)
                } else {
                    failures += 1
                    #expect(!done.error.contains("already exists"), "\(limit): \(done)")
                }
                #expect(bundle.leftovers.found() == [], "with \(limit) descriptors: \(done)")
            }
            #expect(failures > 0)
        }
    }

    // MARK: The end of a container during exec

    @Test("exec reports a container that ends meanwhile as not running, whenever that is")
    func endDuringExec() throws {
        try TestBundle.use { bundle throws in
            var texts: [String: Int] = [:]
            for round in Host.rounds(60) {
                try bundle.startSleeping()
                let pid = try bundle.state().pid
                let exec = try bundle.start(["exec", bundle.id, "true"])
                usleep(useconds_t(round * 400 * Host.slowness))
                kill(pid_t(pid), SIGKILL)
                let done = try exec.wait()
                // It ended normally, or together with the container.
                if done.status != 0, done.status != 128 + SIGKILL {
                    let isKnown =
                        done.error.contains("container not running")
                        || done.error.contains("cannot exec in a stopped container")
                    #expect(done.status == 255 && isKnown, "round \(round): \(done)")
                }
                texts[done.error.isEmpty ? "\(done.status)" : "refused", default: 0] += 1
                #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            }
            #expect(texts["refused", default: 0] > 0, "none ended during exec: \(texts)")
        }
    }

    @Test("exec reports that a container is still being created")
    func execDuringCreate() throws {
        try TestBundle.use { bundle throws in
            let mark = "\(bundle.directory)/hook"
            let stuck = try create(
                bundle, Hooks(createRuntime: hook("touch \(mark); exec sleep 100")))
            try #require(waits { exists(mark) })
            bundle.expectFailure(
                try bundle.swrunc("exec", bundle.id, "true"), status: 255,
                naming: ["container not running: it is being created"])
            try expectAnswers(bundle, beside: stuck)
        }
    }
}
