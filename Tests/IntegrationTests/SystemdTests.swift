// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

extension Host {
    /// Whether this machine was booted with systemd.
    static let hasSystemd = access("/run/systemd/system", F_OK) == 0

    static let systemd: ConditionTrait = .enabled(
        if: isRoot && hasSystemd && isUnified, "needs root, systemd and cgroup v2 alone")
}

@Suite("Cgroups kept by systemd", Host.systemd)
struct SystemdTests {
    /// systemd's values of a unit's properties, in the order of the request.
    private func show(_ unit: String, _ names: String...) throws -> [String] {
        try names.map { name in
            let done = try RunningCommand(
                ["/usr/bin/systemctl", "show", "--value", "-p", name, unit], token: "none"
            ).wait()
            return done.text.split(separator: "\n").first.map { "\($0)" } ?? ""
        }
    }

    private func create(_ bundle: TestBundle) throws -> FinishedCommand {
        try bundle.writeConfig()
        return try bundle.swrunc(
            "--systemd-cgroup", "create", "--bundle", bundle.directory, bundle.id)
    }

    private func run(_ bundle: TestBundle) throws -> FinishedCommand {
        try bundle.writeConfig()
        return try bundle.swrunc(
            "--systemd-cgroup", "run", "--bundle", bundle.directory, bundle.id)
    }

    @Test("a container is alone in its scope until delete, without --systemd-cgroup after create")
    func lifecycle() throws {
        try TestBundle.use { bundle throws in
            let unit = "swr-\(bundle.token).scope"
            bundle.linux.cgroupsPath = "machine.slice:swr:\(bundle.token)"
            bundle.process.args = ["/bin/sleep", "100"]
            let made = try create(bundle)
            try #require(made.status == 0 && made.error == "", "\(made)")
            #expect(
                try show(unit, "ActiveState", "Slice", "Delegate", "ControlGroup") == [
                    "active", "machine.slice", "yes", "/machine.slice/\(unit)",
                ])
            let pid = try bundle.state().pid
            let file = try #require(try bundle.cgroupFile("memory", "cgroup.procs"))
            #expect(file == "/sys/fs/cgroup/machine.slice/\(unit)/cgroup.procs")
            #expect(try readText(file).lines == ["\(pid)"])
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let entered = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/cgroup")
            #expect(entered.text == "0::/", "\(entered)")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(!exists("/sys/fs/cgroup/machine.slice/\(unit)"))
            #expect(try show(unit, "LoadState") == ["not-found"])
        }
    }

    @Test("an annotation puts the container into a cgroup below its scope, with own limits")
    func subgroup() throws {
        try TestBundle.use { bundle throws in
            let scope = "/sys/fs/cgroup/machine.slice/swr-\(bundle.token).scope"
            bundle.linux.cgroupsPath = "machine.slice:swr:\(bundle.token)"
            bundle.linux.resources = Resources(
                memory: .init(limit: 64 << 20), pids: .init(limit: 1))
            bundle.spec.annotations = ["run.oci.systemd.subgroup": "inner"]
            bundle.process.args = ["/bin/sleep", "100"]
            let made = try create(bundle)
            try #require(made.status == 0 && made.error == "", "\(made)")
            let pid = try bundle.state().pid
            #expect(try readText("\(scope)/inner/cgroup.procs").lines == ["\(pid)"])
            #expect(try readText("\(scope)/cgroup.procs") == "")
            #expect(try readText("\(scope)/inner/memory.max").trimmed == "\(64 << 20)")
            #expect(try readText("\(scope)/inner/pids.max").trimmed == "1")
            #expect(try show("swr-\(bundle.token).scope", "MemoryMax") == ["\(64 << 20)"])
            #expect(try bundle.swrunc("update", "--pids-limit", "9", bundle.id).status == 0)
            #expect(try readText("\(scope)/inner/pids.max").trimmed == "9")
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let entered = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/cgroup")
            #expect(entered.text == "0::/", "\(entered)")
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(!exists(scope))
        }
    }

    @Test("several containers in turn can use a scope of the same name")
    func again() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = ":swr:\(bundle.token)"
            bundle.script("echo here")
            for _ in Host.rounds(10) {
                let done = try run(bundle)
                #expect(done.status == 0 && done.text == "here" && done.error == "", "\(done)")
            }
        }
    }

    @Test("limits are set in systemd, and exactly in the cgroup files")
    func limits() throws {
        try TestBundle.use { bundle throws in
            let unit = "runc-\(bundle.token).scope"
            bundle.linux.resources = Resources(
                memory: .init(limit: 64 << 20), cpu: .init(shares: 512, quota: 25_500),
                pids: .init(limit: 1))
            bundle.process.args = ["/bin/sleep", "100"]
            let made = try create(bundle)
            try #require(made.status == 0, "\(made)")
            #expect(
                try show(unit, "MemoryMax", "CPUWeight", "CPUQuotaPerSecUSec", "TasksMax") == [
                    "67108864", "59", "260ms", "1",
                ])
            for (name, text) in [
                ("memory.max", "67108864"), ("cpu.weight", "59"), ("cpu.max", "26000 100000"),
                ("pids.max", "1"),
            ] {
                let file = try #require(try bundle.cgroupFile("memory", name))
                #expect(try readText(file).lines == [text], "\(name)")
            }
        }
    }

    @Test("annotations become properties of the systemd unit")
    func annotations() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = [
                "org.systemd.property.TimeoutStopSec": "uint64 7",
                "org.systemd.property.CollectMode": "'inactive-or-failed'",
            ]
            bundle.process.args = ["/bin/sleep", "100"]
            let made = try create(bundle)
            try #require(made.status == 0, "\(made)")
            #expect(
                try show("runc-\(bundle.token).scope", "TimeoutStopUSec", "CollectMode")
                    == ["7s", "inactive-or-failed"])
        }
    }

    @Test("a property that systemd refuses is reported in its words, and nothing is left")
    func refusedProperty() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = ["org.systemd.property.Bogus": "true"]
            bundle.expectFailure(
                try run(bundle),
                naming: [
                    "unable to start runc-\(bundle.token).scope", "Bogus", "org.freedesktop.",
                ])
            #expect(try show("runc-\(bundle.token).scope", "LoadState") == ["not-found"])
        }
    }

    @Test("a failed launch leaves no systemd scope")
    func failedLaunch() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/there-is-no-such-program"]
            #expect(try run(bundle).status == 1)
            #expect(try show("runc-\(bundle.token).scope", "LoadState") == ["not-found"])
        }
    }

    @Test("a frozen cgroup in place of a scope is refused before any process is stuck in it")
    func frozen() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = "system.slice:swr:\(bundle.token)"
            let path = "/sys/fs/cgroup/system.slice/swr-\(bundle.token).scope"
            try makeDirectory(path)
            defer { rmdir(path) }
            try writeText("1", to: "\(path)/cgroup.freeze")
            bundle.expectFailure(
                try run(bundle), naming: ["container's cgroup unexpectedly frozen"])
        }
    }

    @Test("a running scope of another owner is left alone, and a failed one is replaced")
    func sameName() throws {
        try TestBundle.use { bundle throws in
            let unit = "swr-\(bundle.token).scope"
            bundle.linux.cgroupsPath = "system.slice:swr:\(bundle.token)"
            bundle.script("true")
            let other = try RunningCommand(
                [
                    "/usr/bin/systemd-run", "--quiet", "--scope", "--unit=\(unit)",
                    "--property=RuntimeMaxSec=\(5 * Host.slowness)", "/bin/sleep", "1000",
                ], token: "none")
            #expect(try waits(20) { try show(unit, "ActiveState") == ["active"] })
            bundle.expectFailure(
                try run(bundle), naming: ["container's cgroup is not empty: 1 process(es) found"])
            #expect(try show(unit, "ActiveState") == ["active"])
            // It reaches its time limit at some point, which counts as a failure.
            #expect(try waits(100) { try show(unit, "ActiveState") == ["failed"] })
            _ = try other.wait()
            #expect(try run(bundle).status == 0)
        }
    }
}

extension SystemdTests {
    private func systemdOptions() -> LaunchOptions {
        var options = LaunchOptions()
        options.cgroupDriver = .systemd
        options.keepsAccounting = true
        return options
    }

    @Test("a scope with accounting stays until delete, with the container's statistics")
    func accounting() throws {
        try TestBundle.use { bundle throws in
            let unit = "swr-\(bundle.token).scope"
            let scope = "/sys/fs/cgroup/machine.slice/\(unit)"
            bundle.linux.cgroupsPath = "machine.slice:swr:\(bundle.token)"
            bundle.linux.resources = Resources(
                memory: .init(limit: 32 << 20, swap: 32 << 20), pids: .init(limit: 3))
            bundle.script("read word; dd if=/dev/zero of=/dev/null bs=100M count=1; exit 5")
            let (input, writer) = try makePipe()
            defer { close(writer) }
            var options = systemdOptions()
            options.io = .descriptors(input: input, output: 2, error: 2)
            let process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            close(input)
            let container = try bundle.containerStore.container(bundle.id)
            // The process that stays is in none of the container's lists and counts.
            let keeper = try #require(
                try readText("\(scope)/swrunc-keeper/cgroup.procs").lines.first)
            #expect(try readText("\(scope)/container/cgroup.procs").lines == ["\(process.pid)"])
            #expect(try container.processes() == [Int(process.pid)])
            #expect(try container.statistics().pids.current == 1)
            #expect(try readText("\(scope)/container/pids.max").trimmed == "3")
            #expect(try show(unit, "TasksMax", "ActiveState") == ["4", "active"])
            #expect(try bundle.swrunc("update", "--pids-limit", "5", bundle.id).status == 0)
            #expect(try readText("\(scope)/container/pids.max").trimmed == "5")
            #expect(try show(unit, "TasksMax") == ["6"])
            try container.kill(.windowChange, all: true)
            #expect(kill(try #require(pid_t(keeper)), 0) == 0)

            _ = write(writer, "go\n", 3)
            let end = try process.waitForTermination()
            #expect(end.status == .exited(5) && end.outOfMemoryKills == 1, "\(end)")
            #expect(try container.state().status == .stopped)
            let total = try container.statistics()
            #expect(total.pids.current == 0 && total.memory.outOfMemoryKills == 1, "\(total)")
            #expect(try show(unit, "ActiveState") == ["active"])
            try container.delete()
            #expect(!exists(scope))
            #expect(waits { kill(pid_t(keeper)!, 0) != 0 })
            #expect(try show(unit, "LoadState") == ["not-found"])
        }
    }

    @Test("a failed launch with accounting leaves no process and no scope")
    func failedAccounting() throws {
        try TestBundle.use { bundle throws in
            let unit = "runc-\(bundle.token).scope"
            bundle.process.args = ["/bin/true"]
            // It runs after the process has been left in the scope.
            bundle.spec.hooks = Hooks(startContainer: [Hook(path: "/bin/false")])
            let error = #expect(throws: ContainerError.self) {
                try Container.run(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore,
                    options: systemdOptions())
            }
            #expect("\(String(describing: error))".contains("hooks.startContainer[0]"))
            #expect(!exists("/sys/fs/cgroup/system.slice/\(unit)"))
            #expect(try show(unit, "LoadState") == ["not-found"])
            #expect(bundle.leftovers.found() == [])
        }
    }
}

@Suite("A machine without systemd", .enabled(if: !Host.hasSystemd, "this one has systemd"))
struct NoSystemdTests {
    @Test("--systemd-cgroup is refused on a machine without systemd")
    func refused() throws {
        try TestBundle.use { bundle throws in
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc(
                    "--systemd-cgroup", "run", "--bundle", bundle.directory, bundle.id),
                naming: [
                    "systemd not running on this host, cannot use systemd cgroups manager"
                ])
        }
    }
}
