// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Lifecycle", Host.root)
struct LifecycleTests {
    // MARK: run

    @Test("run ends with the status of the process", arguments: [0, 1, 7, 126, 255])
    func runStatus(_ status: Int32) throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit \(status)")
            let done = try bundle.run()
            #expect(done.status == status && done.output == "" && done.error == "")
        }
    }

    @Test(
        "run ends with 128 plus the signal of the process", arguments: [SIGKILL, SIGTERM, SIGUSR1])
    func runSignal(_ signal: CInt) throws {
        try TestBundle.use { bundle throws in
            // Init of a pid namespace ignores its own signals, so another process raises one.
            bundle.removeNamespace(.pid)
            bundle.script("kill -\(signal) $$")
            #expect(try bundle.run().status == 128 + signal)
        }
    }

    @Test("run deletes the container after its process")
    func runDeletes() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 3")
            #expect(try bundle.run().status == 3)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("run --keep leaves a stopped container")
    func runKeeps() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 3")
            #expect(try bundle.run("--keep").status == 3)
            let state = try bundle.state()
            #expect(state.status == .stopped && state.pid == 0)
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
        }
    }

    @Test("run --detach returns while the process runs", arguments: ["-d", "--detach"])
    func runDetached(_ flag: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            let done = try bundle.run(flag)
            #expect(done.status == 0 && done.error == "")
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("run passes its standard streams to the process")
    func streams() throws {
        try TestBundle.use { bundle throws in
            bundle.script("cat; echo problem >&2")
            let done = try bundle.run(options: CommandOptions(input: "input\n"))
            #expect(done.status == 0 && done.output == "input\n" && done.error == "problem\n")
        }
    }

    @Test("run in the foreground forwards signals to the process")
    func runForwardsSignals() throws {
        try TestBundle.use { bundle throws in
            bundle.script("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done")
            try bundle.writeConfig()
            let running = try bundle.start(["run", "--bundle", bundle.directory, bundle.id])
            #expect(waits { running.output.contains("ready") })
            kill(running.pid, SIGTERM)
            #expect(try running.wait().status == 42)
        }
    }

    // MARK: create, start, kill, delete

    @Test("a container's status is created, then running, then stopped, until it is deleted")
    func wholeLife() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.create()
            #expect(try bundle.state().status == .created)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.state().status == .running)
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            #expect(try bundle.state().pid == 0)
            let deleted = try bundle.swrunc("delete", bundle.id)
            #expect(deleted.status == 0 && deleted.output == "" && deleted.error == "")
            bundle.expectFailure(
                try bundle.swrunc("state", bundle.id), naming: ["container does not exist"])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("no instruction of the user's program runs before start")
    func createRunsNothing() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo ran >/tmp/ran")
            try bundle.create()
            usleep(50_000)
            #expect(!exists("\(bundle.rootfs)/tmp/ran"))
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(waits { exists("\(bundle.rootfs)/tmp/ran") })
        }
    }

    @Test("a created process is not a child of the runtime, which has exited")
    func createdIsReparented() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let pid = try bundle.state().pid
            let parent = try readText("/proc/\(pid)/status").value(of: "PPid:")
            // The orphan's new parent is the nearest subreaper.
            #expect(try readText("/proc/\(parent ?? "")/cmdline").contains("swrunc-it") == false)
        }
    }

    @Test("a second start is refused", arguments: [true, false])
    func startTwice(_ isRunning: Bool) throws {
        try TestBundle.use { bundle throws in
            if isRunning {
                try bundle.startSleeping()
            } else {
                bundle.process.args = ["true"]
                try bundle.create()
                #expect(try bundle.swrunc("start", bundle.id).status == 0)
                #expect(try bundle.waits(for: .stopped))
            }
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: [
                    isRunning
                        ? "cannot start an already running container"
                        : "cannot start a container that has stopped"
                ])
        }
    }

    @Test("an id can be used by one container at a time", arguments: ["create", "run"])
    func duplicate(_ command: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc(command, "--bundle", bundle.directory, bundle.id),
                naming: ["\(command) failed: container with given ID already exists"])
            #expect(try bundle.state().status == .created)
        }
    }

    @Test(
        "an id consists of letters, digits and _ + - .",
        arguments: ["", "a/b", "..", "a b", "é", "."])
    func badID(_ id: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.writeConfig()
            let done = try bundle.swrunc("run", "--bundle", bundle.directory, id)
            bundle.expectFailure(
                done,
                naming: [
                    id.isEmpty ? "container id cannot be empty" : "invalid container ID format"
                ])
        }
    }

    @Test(
        "a command on an unknown container is refused",
        arguments: [
            ["state"], ["start"], ["kill"], ["kill", "KILL"], ["delete"], ["exec", "true"],
        ])
    func unknown(_ words: [String]) throws {
        try TestBundle.use { bundle throws in
            let call = [words[0], "\(bundle.id)-unknown"] + words.dropFirst()
            bundle.expectFailure(
                try bundle.start(call).wait(), status: words[0] == "exec" ? 255 : 1,
                naming: ["container does not exist"])
        }
    }

    @Test("delete --force of an unknown container is no error", arguments: ["-f", "--force"])
    func deleteUnknown(_ flag: String) throws {
        try TestBundle.use { bundle throws in
            let done = try bundle.swrunc("delete", flag, "\(bundle.id)-unknown")
            #expect(done.status == 0 && done.output == "" && done.error == "")
        }
    }

    @Test("delete of a running container is refused, and with --force kills it")
    func deleteRunning() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("delete", bundle.id),
                naming: ["cannot delete container \(bundle.id) that is not stopped: running"])
            #expect(try bundle.state().status == .running)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("delete of a created container kills its waiting process")
    func deleteCreated() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test(
        "kill takes signal names with and without SIG, and numbers",
        arguments: ["KILL", "SIGKILL", "9", "kill", "sigkill"])
    func killNames(_ signal: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(try bundle.swrunc("kill", bundle.id, signal).status == 0)
            #expect(try bundle.waits(for: .stopped))
        }
    }

    @Test("kill sends TERM if no signal is given")
    func killDefault() throws {
        try TestBundle.use { bundle throws in
            bundle.script("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
            try bundle.writeConfig()
            let running = try bundle.start(["run", "--bundle", bundle.directory, bundle.id])
            #expect(waits { running.output.contains("ready") })
            #expect(try bundle.swrunc("kill", bundle.id).status == 0)
            #expect(try running.wait().status == 5)
        }
    }

    @Test("kill refuses an unknown signal", arguments: ["NOSUCH", "SIG", "4711", "-1"])
    func killUnknown(_ signal: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let done = try bundle.swrunc("kill", bundle.id, "--", signal)
            #expect(done.status == 1 && done.error.lines.count == 1, "\(done)")
            #expect(try bundle.state().status == .created)
        }
    }

    @Test("kill of a stopped container is refused; kill --all is not")
    func killStopped() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            #expect(try bundle.run("--keep").status == 0)
            bundle.expectFailure(
                try bundle.swrunc("kill", bundle.id, "KILL"), naming: ["container not running"])
            #expect(try bundle.swrunc("kill", "--all", bundle.id, "KILL").status == 0)
        }
    }

    @Test("SIGKILL ends every process of a container in the host's pid namespace")
    func killWithoutPidNamespace() throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.pid)
            bundle.script("sleep 100 & sleep 100 & wait")
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(waits { bundle.leftovers.processes().count == 3 })
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(waits { bundle.leftovers.processes().isEmpty })
            #expect(try bundle.waits(for: .stopped))
        }
    }

    @Test("delete ends the processes that a dead init left in the host's pid namespace")
    func deleteKillsOrphans() throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.pid)
            bundle.script("setsid sleep 100 & exit 0")
            #expect(try bundle.run("--keep").status == 0)
            #expect(try bundle.state().status == .stopped)
            #expect(bundle.leftovers.processes().count == 1)
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("the pid file has only the digits of the pid", arguments: ["create", "run"])
    func pidFile(_ command: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            let file = "\(bundle.directory)/pid"
            if command == "create" {
                try bundle.create("--pid-file", file)
            } else {
                #expect(try bundle.run("-d", "--pid-file", file).status == 0)
            }
            #expect(try readText(file) == "\(bundle.state().pid)")
            #expect(entries(of: bundle.directory).filter { $0.hasPrefix(".") } == [])
        }
    }

    @Test("an existing pid file is replaced")
    func pidFileReplaced() throws {
        try TestBundle.use { bundle throws in
            let file = "\(bundle.directory)/pid"
            try writeText("123456789 old", to: file)
            try bundle.create("--pid-file", file)
            #expect(try readText(file) == "\(bundle.state().pid)")
        }
    }

    @Test("the working directory is the bundle unless --bundle names another")
    func workingDirectoryIsBundle() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo here")
            try bundle.writeConfig()
            var options = CommandOptions()
            options.directory = bundle.directory
            let done = try bundle.swrunc("run", bundle.id, options: options)
            #expect(done.status == 0 && done.text == "here", "\(done)")
        }
    }

    @Test("flags may be before and after the id")
    func flagsAfterID() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.writeConfig()
            let created = try bundle.swrunc("create", "-bundle", bundle.directory, bundle.id)
            #expect(created.status == 0, "\(created)")
            #expect(try bundle.swrunc("delete", bundle.id, "--force").status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("the config that spec writes runs unchanged")
    func template() throws {
        try TestBundle.use { bundle throws in
            let written = try bundle.swrunc("spec", "--bundle", bundle.directory)
            #expect(written.status == 0 && written.output == "" && written.error == "")
            let terminal = try Terminal()
            var options = CommandOptions()
            options.terminal = terminal.slave
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options)
            #expect(terminal.sees("# "), "\(terminal.text)")
            try terminal.type("hostname; exit 5\r")
            #expect(terminal.sees("swrunc"), "\(terminal.text)")
            #expect(try running.wait().status == 5)
            bundle.expectFailure(
                try bundle.swrunc("spec", "--bundle", bundle.directory),
                naming: ["File config.json exists. Remove it first"])
        }
    }

    @Test("a frozen container is shown as paused, refuses exec, and can be killed and deleted")
    func paused() throws {
        try TestBundle.use { bundle throws in
            func freeze() throws {
                let file = try #require(
                    try bundle.cgroupFile(
                        "freezer", Host.isUnified ? "cgroup.freeze" : "freezer.state"))
                try writeText(Host.isUnified ? "1" : "FROZEN", to: file)
                #expect(try bundle.waits(for: .paused))
            }
            try bundle.startSleeping()
            try freeze()
            bundle.expectFailure(
                try bundle.swrunc("exec", bundle.id, "true"), status: 255,
                naming: ["cannot exec in a paused container (use --ignore-paused to override)"])
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: ["cannot start a container in the paused state"])
            bundle.expectFailure(
                try bundle.swrunc("delete", bundle.id),
                naming: ["cannot delete container \(bundle.id) that is not stopped: paused"])
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)

            try bundle.startSleeping()
            try freeze()
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }
}
