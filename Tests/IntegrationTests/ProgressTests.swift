// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

/// Which step the init of an existing container has reached.
@Suite("Explaining a container that exists", Host.root)
struct ProgressTests {
    private func hook(_ text: String) -> [Hook] {
        [Hook(path: "/bin/sh", args: ["sh", "-c", text])]
    }

    private func explain(_ bundle: TestBundle, _ words: String...) throws -> String {
        let done = try bundle.start(["explain", "--container", bundle.id] + words).wait()
        try #require(done.status == 0 && done.error == "", "\(done)")
        return done.output
    }

    /// The lines with the mark.
    private func marked(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("=> ") }.map { String($0) }
    }

    private func container(_ bundle: TestBundle) throws -> Container {
        try bundle.containerStore.container(bundle.id)
    }

    /// Creates the container, and waits until init waits for start: create may return before.
    private func createWaiting(_ bundle: TestBundle, _ words: [String] = []) throws {
        try bundle.writeConfig()
        let done = try bundle.start(
            ["create", "--bundle", bundle.directory] + words + [bundle.id]
        ).wait()
        try #require(done.status == 0, "\(done)")
        var text = ""
        let isThere = try waits {
            text = try explain(bundle)
            let lines = marked(text)
            return lines.count == 1 && lines[0].contains("wait for start")
        }
        try #require(isThere, "\(text)")
    }

    /// Starts a command that will hang, and waits until init has reached this state.
    private func hang(
        _ bundle: TestBundle, _ words: [String], until step: String
    ) throws -> RunningCommand {
        let stuck = try bundle.start(words)
        var text = ""
        let hangs = waits {
            let done = try? bundle.swrunc("explain", "--container", bundle.id)
            text = done?.output ?? ""
            return marked(text).contains { $0.contains(step) }
        }
        #expect(hangs, "\(text)")
        return stuck
    }

    @Test(
        "explain marks the wait for start of a created container, with the time since when",
        arguments: [[], ["--timings"]])
    func created(_ words: [String]) throws {
        try TestBundle.use { bundle throws in
            try createWaiting(bundle, words)
            let text = try explain(bundle)
            let pid = try bundle.state().pid
            #expect(text.contains("- init, process \(pid), waits for start since 20"), "\(text)")
            #expect(text.contains("is made anew"))
            let progress = try container(bundle).progress()
            #expect(progress.standing == .waiting && progress.isTimeExact && progress.isMarked)
            #expect(progress.time > progress.created)
            // The step has one call, the wait itself.
            var calls: [String] = []
            let isAtCall = try waits {
                calls = marked(try explain(bundle, "--calls"))
                return calls.count == 2 && calls[1].contains("ppoll(")
            }
            #expect(isAtCall, "\(calls)")
        }
    }

    @Test("explain marks the call that accepts the start in a shared pid namespace")
    func createdInHostNamespace() throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.pid)
            try bundle.create()
            // create may return before init is there.
            var calls: [String] = []
            let isThere = try waits {
                calls = marked(try explain(bundle, "--calls"))
                return calls.count == 2 && calls[1].contains("accept4(")
            }
            #expect(isThere, "\(calls)")
        }
    }

    @Test("explain of a container shows the plan with the flags and streams of its create")
    func sameFlags() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.process?.user.uid = 1000
            try bundle.create(
                "--no-pivot", "--pid-file", "\(bundle.directory)/pid", "--no-new-keyring")
            let text = try explain(bundle)
            #expect(marked(text).count == 1, "\(text)")
            #expect(text.contains("write the pid file \(bundle.directory)/pid"), "\(text)")
            #expect(!text.contains("_ses."), "\(text)")
        }
    }

    @Test("explain marks the hook inside the container in which create hangs")
    func hangingCreate() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(createContainer: hook("true") + hook("sleep 100"))
            try bundle.writeConfig()
            let stuck = try hang(
                bundle, ["create", "--bundle", bundle.directory, bundle.id],
                until: "hooks.createContainer[1]")
            let text = try explain(bundle)
            #expect(text.contains("is creating"), "\(text)")
            #expect(text.contains("- a command is at work on it, or hangs; "), "\(text)")
            #expect(try container(bundle).progress().standing == .preparing)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            _ = try stuck.wait()
        }
    }

    @Test(
        "explain marks init's wait for a hook outside, and reports a create that was killed"
    )
    func killedCreate() throws {
        try TestBundle.use { bundle throws in
            let number = "\(bundle.directory)/hook"
            bundle.spec.hooks = Hooks(
                createRuntime: hook("echo $$ > \(number); exec sleep 100"))
            try bundle.writeConfig()
            let stuck = try hang(
                bundle, ["create", "--bundle", bundle.directory, bundle.id],
                until: "wait for the runtime: its hooks have run")
            // Init waits before the hook has started.
            var hook: pid_t?
            _ = waits {
                hook = (try? readText(number)).flatMap { pid_t($0.trimmed) }
                return hook != nil
            }
            kill(stuck.pid, SIGKILL)
            _ = try stuck.wait()
            kill(try #require(hook), SIGKILL)
            // Init exits when it notices that all other processes have ended.
            #expect(waits { (try? container(bundle).progress().standing) == .ended })
            let text = try explain(bundle)
            #expect(text.contains("its creation was broken off: the runtime"), "\(text)")
            #expect(text.contains("ended before all was done"), "\(text)")
            #expect(marked(text).count == 1, "\(text)")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
        }
    }

    @Test("explain marks the hook in which start hangs")
    func hangingStart() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hooks = Hooks(startContainer: hook("sleep 100"))
            try bundle.create()
            let stuck = try hang(
                bundle, ["start", bundle.id], until: "hooks.startContainer[0]")
            let progress = try container(bundle).progress()
            #expect(progress.standing == .starting && progress.field == "hooks.startContainer[0]")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            _ = try stuck.wait()
        }
    }

    @Test(
        "explain marks the execution of a running container's program, and nothing after its end"
    )
    func running() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let text = try explain(bundle)
            #expect(text.contains("has handed over to its program, after 20"), "\(text)")
            let lines = marked(text)
            #expect(lines.count == 1 && lines[0].contains("execute \"/bin/sleep\""), "\(text)")
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            let ended = try explain(bundle)
            #expect(ended.contains("is stopped") && ended.contains("- init has ended"), "\(ended)")
            #expect(try container(bundle).progress().standing == .finished)
        }
    }

    @Test("explain of a container that run started marks the program's execution as well")
    func runAtOnce() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            let done = try bundle.run("--detach")
            try #require(done.status == 0, "\(done)")
            let text = try explain(bundle)
            #expect(marked(text).first?.contains("execute \"/bin/sleep\"") == true, "\(text)")
            #expect(text.contains("wait until the program runs"), "\(text)")
        }
    }

    @Test(
        "explain marks where an init stopped that could not execute its program, with the error")
    func failed() throws {
        try TestBundle.use { bundle throws in
            // The file exists at create, but not at start.
            bundle.process.args = ["/bin/late"]
            try copyFile(Host.busybox, to: "\(bundle.rootfs)/bin/late")
            try bundle.create()
            try check(unlink("\(bundle.rootfs)/bin/late"), "unlink")
            #expect(try bundle.swrunc("start", bundle.id).status == 1)
            let text = try explain(bundle)
            #expect(text.contains("- init stopped, after"), "\(text)")
            #expect(text.contains("/bin/late"), "\(text)")
            #expect(marked(text).first?.contains("process.args") == true, "\(text)")
            #expect(try container(bundle).progress().error?.code == .executableNotFound)
        }
    }

    @Test("explain marks the wait for start as the end of an init that was killed there")
    func killed() throws {
        try TestBundle.use { bundle throws in
            try createWaiting(bundle)
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            let text = try explain(bundle)
            #expect(text.contains("something killed it"), "\(text)")
            #expect(marked(text).first?.contains("wait for start") == true, "\(text)")
        }
    }

    @Test("explain reports that /proc is unusable, and claims neither running nor ended")
    func hiddenProcess() throws {
        try TestBundle.use { bundle throws in
            try createWaiting(bundle)
            let words = "\(Host.runtime) --root \(bundle.store) explain --container \(bundle.id)"
            let done = try RunningCommand(
                [
                    "/usr/bin/unshare", "--mount", "/bin/sh", "-c",
                    "mount -t tmpfs none /proc && exec \(words)",
                ], token: bundle.token
            ).wait()
            #expect(done.status == 0, "\(done)")
            for words in [
                "is in a state that cannot be told", "whether init runs cannot be told",
                "the last that init told is that it came to step", "ppoll(",
            ] {
                #expect(done.output.contains(words), "no \(words) in \(done)")
            }
        }
    }

    @Test("explain in JSON has init's present step, and the container beside the columns")
    func json() throws {
        try TestBundle.use { bundle throws in
            try createWaiting(bundle)
            let text = try explain(bundle, "--format", "json", "--calls")
            guard case .object(let whole) = try JSONValue(json: Array(text.utf8)),
                case .object(let container) = whole["container"],
                case .array(let steps) = whole["init"], case .integer(let step) = container["step"]
            else {
                Issue.record("\(text)")
                return
            }
            #expect(container["standing"] == .string("waiting"))
            #expect(container["status"] == .string("created"))
            #expect(container["isTimeExact"] == .bool(true))
            let here = steps.enumerated().filter { _, step in
                if case .object(let step) = step { step["here"] == .bool(true) } else { false }
            }
            #expect(here.map(\.offset) == [Int(step) - 1])
            guard case .object(let marked) = here.first?.element else { return }
            #expect(marked["calls"] != nil)
            #expect(whole["runtime"] != nil && whole["later"] != nil)
        }
    }

    @Test("explain marks no step and says why if the config has changed the plan")
    func changed() throws {
        try TestBundle.use { bundle throws in
            try createWaiting(bundle)
            let config = "\(bundle.store)/\(bundle.id)/config.json"
            bundle.linux.maskedPaths = nil
            bundle.linux.readonlyPaths = nil
            try writeText(
                String(decoding: bundle.spec.encoded.encoded(), as: UTF8.self), to: config)
            let text = try explain(bundle)
            #expect(marked(text).isEmpty, "\(text)")
            #expect(text.contains("- no step is marked: the plan made anew has"), "\(text)")
            // The record still contains the call.
            #expect(text.contains("ppoll("), "\(text)")
            try writeText("{", to: config)
            let broken = try explain(bundle)
            #expect(broken.contains("- the plan cannot be made anew: "), "\(broken)")
            #expect(!broken.contains("The init process:"))
        }
    }

    @Test(
        "explain of a container whose progress page is damaged says that in one sentence",
        arguments: ["", "garbage\n", "zeros"])
    func damagedPage(_ contents: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let page = "\(bundle.store)/\(bundle.id)/progress"
            let pid = try bundle.state().pid
            // Replaced, as init maps the file.
            let text = contents == "zeros" ? String(repeating: "\0", count: 8192) : contents
            try writeText(text, to: "\(page).new")
            try check(rename("\(page).new", page), "rename")
            let done = try explain(bundle)
            #expect(done.contains("how far init, process \(pid), has come is not known"), "\(done)")
            let words = "\(page) is missing, damaged or of a later version"
            #expect(done.ranges(of: words).count == 1, "\(done)")
            #expect(marked(done).isEmpty, "\(done)")
            for wrong in ["waits for start", "is preparing", "has handed over", "step 1"] {
                #expect(!done.contains("- init, process \(pid), \(wrong)"), "\(done)")
            }
            #expect(try container(bundle).progress().standing == .unknown)
        }
    }

    @Test("explain says that the progress page of a running container is missing")
    func missingPage() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let page = "\(bundle.store)/\(bundle.id)/progress"
            try check(rename(page, "\(page).kept"), "rename")
            let done = try explain(bundle)
            let words = "\(page) is missing, damaged or of a later version"
            #expect(done.ranges(of: words).count == 1, "\(done)")
            try check(rename("\(page).kept", page), "rename")
        }
    }

    @Test("explain refuses an unknown container, an invalid id, and two containers")
    func refusals() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("explain", "--container", "nobody"),
                naming: ["container does not exist"])
            bundle.expectFailure(
                try bundle.swrunc("explain", "--container", "a/b"),
                naming: ["invalid container ID format"])
            bundle.expectFailure(
                try bundle.swrunc(
                    "explain", "--container", bundle.id, "--bundle", bundle.directory),
                naming: ["--container and --bundle exclude each other"])
            bundle.expectFailure(
                try bundle.swrunc("explain", "--container", bundle.id, "--config", "x"),
                naming: ["--container and --config exclude each other"])
            bundle.expectFailure(
                try bundle.swrunc("explain", "--container", bundle.id, "other"),
                naming: ["--container names the container already"])
            bundle.expectFailure(
                try bundle.swrunc("explain", "--container", bundle.id, "--format", "yaml"),
                naming: ["invalid format option"])
        }
    }
}
