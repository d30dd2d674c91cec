// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec
import Testing

@testable import ContainerKit

/// A write, the file's content before it, and the text that restores this content.
struct RestoreCase: Sendable, CustomTestStringConvertible {
    var file: String
    var text: String
    var contents: String
    var restored: String?
    var testDescription: String { "\(file) \(text)" }

    init(_ file: String, _ text: String, holds contents: String, restored: String?) {
        self.file = file
        self.text = text
        self.contents = contents
        self.restored = restored
    }
}

@Suite("Cgroup updates")
struct CgroupUpdateTests {
    @Test(
        "the content of every cgroup file can be turned into a write that restores it",
        arguments: [
            RestoreCase("memory.max", "4096", holds: "max\n", restored: "max"),
            RestoreCase("cpu.max", "1 2", holds: "max 100000\n", restored: "max 100000"),
            RestoreCase("cpuset.cpus", "0", holds: "\n", restored: "\n"),
            RestoreCase(
                "memory.oom_control", "1",
                holds: "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", restored: "0"),
            RestoreCase(
                "io.max", "8:0 rbps=1",
                holds: "8:16 rbps=7 wbps=max riops=max wiops=max\n",
                restored: "8:0 rbps=max wbps=max riops=max wiops=max"),
            RestoreCase(
                "io.max", "8:16 rbps=1",
                holds: "8:16 rbps=7 wbps=max riops=max wiops=max\n",
                restored: "8:16 rbps=7 wbps=max riops=max wiops=max"),
            RestoreCase(
                "io.weight", "910", holds: "default 100\n8:0 50\n", restored: "default 100"),
            RestoreCase("io.weight", "8:1 910", holds: "default 100\n", restored: "8:1 default"),
            RestoreCase(
                "blkio.throttle.read_bps_device", "8:0 1024", holds: "", restored: "8:0 0"),
            RestoreCase(
                "blkio.throttle.read_bps_device", "8:0 1024", holds: "8:0 77\n",
                restored: "8:0 77"),
            RestoreCase(
                "net_prio.ifpriomap", "eth0 5", holds: "lo 0\neth0 2\n", restored: "eth0 2"),
        ])
    func restored(_ example: RestoreCase) {
        let write = ControlWrite(
            directory: 0, file: example.file, text: example.text, field: "linux.resources")
        #expect(write.restoring(example.contents)?.text == example.restored)
    }

    @Test(
        "a refused update leaves the old limits in place",
        .enabled(if: geteuid() == 0, "needs root"))
    func refusedUpdate() throws {
        let host = try CgroupHierarchies.discover()
        let id = "swrunc-test-update-\(getpid())"
        let old = Resources(
            memory: .init(limit: 64 << 20), cpu: .init(quota: 20_000, period: 50_000))
        let cgroup = try Cgroup.create(
            try CgroupPlan(cgroupsPath: nil, id: id, resources: old, host: host))
        defer { try? cgroup.remove() }
        let memory = try #require(cgroup.layout.index(of: "memory"))
        let file = host.mode == .unified ? "memory.max" : "memory.limit_in_bytes"
        // The cpu controller is written after memory, and refuses a period of 7 microseconds.
        let new = Resources(memory: .init(limit: 32 << 20), cpu: .init(period: 7))
        let error = #expect(throws: CgroupError.self) {
            try cgroup.update(try ResourcePlan(new, on: cgroup.layout))
        }
        #expect(error?.field == "linux.resources.cpu.period")
        #expect(cgroup.readNumber(file, memory) == 64 << 20)

        try cgroup.update(
            try ResourcePlan(Resources(memory: .init(limit: 32 << 20)), on: cgroup.layout))
        #expect(cgroup.readNumber(file, memory) == 32 << 20)
    }

    @Test(
        "an update with checkBeforeUpdate refuses a memory limit below the present usage",
        .enabled(if: geteuid() == 0, "needs root"))
    func checkBeforeUpdate() throws {
        let host = try CgroupHierarchies.discover()
        let own = Cgroup(
            CgroupLayout(
                mode: host.mode,
                directories: host.hierarchies.map {
                    CgroupDirectory(
                        controllers: $0.controllers, mountPoint: $0.mountPoint, cgroup: $0.ownPath)
                }, unifiedControllers: host.unifiedControllers))
        let plan = try ResourcePlan(
            Resources(memory: .init(limit: 1, checkBeforeUpdate: true)), on: own.layout)
        // Only the check: the tests' own cgroup must keep its limits.
        var check = plan
        check.steps = Array(plan.steps.prefix(1))
        let error = #expect(throws: CgroupError.self) { try own.update(check) }
        #expect(error?.message.hasPrefix("rejecting memory limit 1 <= usage ") == true)
    }
}
