// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Cgroups", Host.root)
struct CgroupTests {
    /// The paths of /proc/PID/cgroup for the hierarchies that are mounted.
    private func paths(of pid: Int) throws -> [String] {
        try readText("/proc/\(pid)/cgroup").lines.compactMap { line in
            let parts = line.split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            let controllers = parts[1].split(separator: ",").map(String.init)
            let isMounted = Host.hierarchies.contains {
                controllers.isEmpty
                    ? $0.isUnified : !Set($0.controllers).isDisjoint(with: controllers)
            }
            return isMounted ? String(parts[2]) : nil
        }
    }

    @Test("a created container is in a cgroup of its own in every hierarchy before it starts")
    func ownCgroup() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let paths = try paths(of: bundle.state().pid)
            #expect(paths.count == Host.hierarchies.count)
            for path in paths { #expect(path.hasSuffix("/\(bundle.id)"), "\(path)") }
        }
    }

    @Test("a process of exec is in the container's cgroup")
    func execCgroup() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let file = "\(bundle.directory)/pid"
            let done = try bundle.swrunc(
                "exec", "-d", "--pid-file", file, bundle.id, "sleep", "100")
            #expect(done.status == 0, "\(done)")
            let pid = try #require(Int(try readText(file)))
            #expect(try paths(of: pid) == paths(of: bundle.state().pid))
        }
    }

    @Test("the process sees its cgroup as the root of a new cgroup namespace")
    func namespace() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(of: "cut -d: -f3 /proc/self/cgroup")
            #expect(Set(text.lines) == ["/"])
        }
    }

    @Test("an absolute cgroupsPath is below each hierarchy's root, and delete removes it")
    func absolutePath() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = "/\(bundle.token)-parent/inner"
            try bundle.create()
            for path in try paths(of: bundle.state().pid) {
                #expect(path == "/\(bundle.token)-parent/inner")
            }
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            let left = bundle.leftovers.cgroups()
            #expect(!left.contains { $0.hasSuffix("/inner") })
            // The parent may be shared with other containers, so the runtime must not remove it.
            for path in left.reversed() { rmdir(path) }
        }
    }

    @Test("a relative cgroupsPath is below or beside the runtime's own cgroup")
    func relativePath() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = "\(bundle.token)-relative"
            try bundle.create()
            let own = try paths(of: Int(getpid()))
            let theirs = try paths(of: bundle.state().pid)
            for (own, theirs) in zip(own, theirs) {
                let parent =
                    Host.isUnified
                    ? own.split(separator: "/").dropLast().map { "/\($0)" }.joined()
                    : own == "/" ? "" : own
                #expect(theirs == "\(parent)/\(bundle.token)-relative")
            }
        }
    }

    // MARK: Limits

    private func expectFile(
        _ bundle: TestBundle, _ controller: String, _ v1: String, _ v2: String, holds text: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let file = try #require(
            try bundle.cgroupFile(controller, Host.isUnified ? v2 : v1),
            sourceLocation: sourceLocation)
        #expect(try readText(file).trimmed == text, "\(file)", sourceLocation: sourceLocation)
    }

    @Test("the limits of memory, cpu and pids are in the files of the container's cgroup")
    func limits() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(
                limit: 64 << 20, reservation: 32 << 20)
            bundle.linux.resources?.cpu = CPUResources(quota: 50000, period: 200_000)
            bundle.linux.resources?.pids = PidsResources(limit: 50)
            try bundle.create()
            try expectFile(
                bundle, "memory", "memory.limit_in_bytes", "memory.max", holds: "\(64 << 20)")
            try expectFile(
                bundle, "memory", "memory.soft_limit_in_bytes", "memory.low", holds: "\(32 << 20)")
            if Host.isUnified {
                try expectFile(bundle, "cpu", "", "cpu.max", holds: "50000 200000")
            } else {
                try expectFile(bundle, "cpu", "cpu.cfs_quota_us", "", holds: "50000")
                try expectFile(bundle, "cpu", "cpu.cfs_period_us", "", holds: "200000")
            }
            try expectFile(bundle, "pids", "pids.max", "pids.max", holds: "50")
        }
    }

    @Test("cpu.shares becomes a weight on cgroup v2")
    func shares() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.cpu = CPUResources(shares: 512)
            try bundle.create()
            let name = Host.isUnified ? "cpu.weight" : "cpu.shares"
            let file = try #require(try bundle.cgroupFile("cpu", name))
            let value = try #require(Int(try readText(file).trimmed))
            // Half of v1's default; less than v2's default of 100.
            #expect(Host.isUnified ? (1..<100).contains(value) : value == 512)
        }
    }

    @Test("a process beyond the pids limit is not created")
    func pidsLimit() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.pids = PidsResources(limit: 4)
            bundle.script("for i in 1 2 3 4 5 6; do sleep 1 & done; wait")
            let done = try bundle.run()
            #expect(done.status != 0 && done.error.contains("fork"), "\(done)")
        }
    }

    @Test("a process beyond the memory limit is killed")
    func memoryLimit() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20)
            bundle.process.args = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
            #expect(try bundle.run().status == 128 + SIGKILL)
        }
    }

    @Test("only allowed and default devices can be opened")
    func devices() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/kmsg", major: 1, minor: 11)
            ]
            let text = try bundle.output(
                of: "(exec 3</dev/kmsg) 2>&1 | sed 's/.*: //'; exec 3</dev/zero && echo open")
            #expect(text.lines == ["Operation not permitted", "open"])
        }
    }

    // MARK: Little room

    @Test("a container with a pids limit of one starts its only process")
    func oneProcess() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.pids = PidsResources(limit: 1)
            bundle.process.args = ["/bin/echo", "alone"]
            let done = try bundle.run()
            #expect(done.status == 0 && done.text == "alone" && done.error == "", "\(done)")
        }
    }

    @Test(
        "a container starts with a memory limit of half a mebibyte",
        .enabled(if: Host.isUnified, "v1 charges the start-up of a busybox with more"))
    func littleMemory() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 512 << 10)
            bundle.process.args = ["/bin/echo", "small"]
            let done = try bundle.run()
            #expect(done.status == 0 && done.text == "small" && done.error == "", "\(done)")
        }
    }

    @Test("create reports that init was killed for lack of memory")
    func noMemoryForInit() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 4096)
            let done = try bundle.run()
            bundle.expectFailure(
                done, naming: ["container init was OOM-killed (memory limit too low?)"])
        }
    }
}
