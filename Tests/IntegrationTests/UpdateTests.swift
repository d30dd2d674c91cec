// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("update", Host.root)
struct UpdateTests {
    /// A sleeping container with limits on memory, CPU time and processes.
    private func use(_ body: (TestBundle) throws -> Void) throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(
                limit: 32 << 20, reservation: 24 << 20)
            bundle.linux.resources?.cpu = CPUResources(
                shares: 100, quota: 50_000, period: 100_000)
            bundle.linux.resources?.pids = PidsResources(limit: 20)
            try bundle.startSleeping()
            try body(bundle)
        }
    }

    private func update(
        _ bundle: TestBundle, _ words: String..., input: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var options = CommandOptions()
        options.input = input
        let done = try bundle.start(["update", bundle.id] + words, options).wait()
        #expect(
            done.status == 0 && done.output == "" && done.error == "", "\(done)",
            sourceLocation: sourceLocation)
    }

    private func text(_ bundle: TestBundle, _ controller: String, _ v1: String, _ v2: String)
        throws -> String
    {
        let name = Host.isUnified ? v2 : v1
        return try readText(try #require(try bundle.cgroupFile(controller, name))).trimmed
    }

    private func memory(_ bundle: TestBundle) throws -> String {
        try text(bundle, "memory", "memory.limit_in_bytes", "memory.max")
    }

    /// Quota and period in v2's format.
    private func quota(_ bundle: TestBundle) throws -> String {
        if Host.isUnified { return try text(bundle, "cpu", "", "cpu.max") }
        let quota = try text(bundle, "cpu", "cpu.cfs_quota_us", "")
        let period = try text(bundle, "cpu", "cpu.cfs_period_us", "")
        return "\(quota == "-1" ? "max" : quota) \(period)"
    }

    @Test("each flag of update changes its limit and no other")
    func flags() throws {
        try use { bundle in
            try update(bundle, "--memory", "64M")
            #expect(try memory(bundle) == "\(64 << 20)")
            try update(bundle, "--memory-reservation", "33554432")
            let reservation = try text(
                bundle, "memory", "memory.soft_limit_in_bytes", "memory.low")
            #expect(reservation == "\(32 << 20)")
            try update(bundle, "--cpu-period", "90000")
            #expect(try quota(bundle) == "50000 90000")
            try update(bundle, "--cpu-quota", "60000")
            #expect(try quota(bundle) == "60000 90000")
            try update(bundle, "--cpu-quota", "-1")
            #expect(try quota(bundle) == "max 90000")
            try update(bundle, "--pids-limit", "10")
            #expect(try text(bundle, "pids", "pids.max", "pids.max") == "10")
            try update(bundle, "--pids-limit", "-1")
            #expect(try text(bundle, "pids", "pids.max", "pids.max") == "max")
            try update(bundle, "--cpu-share", "200", "--cpuset-cpus", "0")
            #expect(
                try text(bundle, "cpu", "cpu.shares", "cpu.weight")
                    == (Host.isUnified ? "29" : "200"))
            #expect(try text(bundle, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0")
            #expect(try memory(bundle) == "\(64 << 20)")
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("update reads resources from a file or standard input, in the config's form")
    func resources() throws {
        try use { bundle in
            let json = #"{"memory":{"limit":50331648},"cpu":{"quota":20000},"pids":{"limit":9}}"#
            try update(bundle, "-r", "-", input: json)
            #expect(try memory(bundle) == "50331648")
            #expect(try quota(bundle) == "20000 100000")
            #expect(try text(bundle, "pids", "pids.max", "pids.max") == "9")
            let file = "\(bundle.directory)/resources.json"
            try writeText(#"{"pids":{"limit":11},"blockIO":null}"#, to: file)
            try update(bundle, "--resources", file)
            #expect(try text(bundle, "pids", "pids.max", "pids.max") == "11")
        }
    }

    @Test(
        "update limits memory plus swap on v1; on v2 a new memory limit alone leaves swap unchanged"
    )
    func swap() throws {
        try use { bundle in
            guard
                let file = try bundle.cgroupFile(
                    "memory",
                    Host.isUnified ? "memory.swap.max" : "memory.memsw.limit_in_bytes"),
                access(file, F_OK) == 0
            else {
                print("skipped: the kernel does not count swap")
                return
            }
            func expectSwap(_ total: Int, limit: Int) throws {
                #expect(try memory(bundle) == "\(limit << 20)")
                let expected = Host.isUnified ? (total - limit) << 20 : total << 20
                #expect(try readText(file).trimmed == "\(expected)")
            }
            try update(bundle, "--memory", "30M", "--memory-swap", "50M")
            try expectSwap(50, limit: 30)
            try update(bundle, "--memory", "60M", "--memory-swap", "80M")
            try expectSwap(80, limit: 60)
            try update(bundle, "--memory", "40M")
            try expectSwap(Host.isUnified ? 60 : 80, limit: 40)
            try update(bundle, "--memory-swap", "41M")
            try expectSwap(41, limit: 40)
            if Host.isUnified {
                try update(bundle, "--memory", "50M")
                try expectSwap(51, limit: 50)
            } else {
                bundle.expectFailure(
                    try bundle.swrunc("update", "--memory", "50M", bundle.id),
                    naming: ["memory.swap", "memory+swap limit should be >= memory limit"])
                try expectSwap(41, limit: 40)
            }
            try update(bundle, "--memory", "-1")
            let unlimited = Host.isUnified ? "max" : "9223372036854771712"
            #expect(try memory(bundle) == unlimited)
            #expect(try readText(file).trimmed == unlimited)
        }
    }

    @Test("an update that the kernel refuses halfway leaves the old limits")
    func refused() throws {
        try use { bundle in
            let done = try bundle.swrunc(
                "update", "--memory", "64M", "--pids-limit", "7", "--cpu-period", "5", bundle.id)
            bundle.expectFailure(
                done,
                naming: [
                    Host.isUnified ? "linux.resources.cpu.quota" : "linux.resources.cpu.period",
                    "invalid argument",
                ])
            #expect(try memory(bundle) == "\(32 << 20)")
            #expect(try quota(bundle) == "50000 100000")
            #expect(try text(bundle, "pids", "pids.max", "pids.max") == "20")
            // The refused limit is not stored either: the next update starts from the limits in
            // force.
            try update(bundle, "--cpu-quota", "40000")
            #expect(try quota(bundle) == "40000 100000")
        }
    }

    @Test("a wrong value for update is refused with its flag's name, and changes nothing")
    func wrongValues() throws {
        try use { bundle in
            for (flag, value) in [
                ("cpu-quota", "much"), ("cpu-period", "-5"), ("memory", "12X"),
                ("memory-swap", "-2"), ("cpu-share", "1.5"), ("cpu-idle", "yes"),
            ] {
                bundle.expectFailure(
                    try bundle.swrunc("update", "--\(flag)", value, bundle.id),
                    naming: ["invalid value for \(flag)"])
            }
            for words in [
                ["--pids-limit", "x"], ["--blkio-weight", "70000"], ["--blkio-weight", "7"],
                ["--cpu-idle", "2"], ["--cpuset-cpus", "some"],
                ["--memory", "1M", "--resources", "-"],
                ["--resources", "/no/such/file"],
            ] {
                bundle.expectFailure(
                    try bundle.start(["update"] + words + [bundle.id]).wait(), naming: [])
            }
            var options = CommandOptions()
            options.input = #"{"memory":{"limit":"much"}}"#
            bundle.expectFailure(
                try bundle.swrunc("update", "-r", "-", bundle.id, options: options),
                naming: ["standard input: linux.resources.memory.limit"])
            #expect(try memory(bundle) == "\(32 << 20)")
        }
    }

    @Test(
        "schemata on a machine without resctrl are refused in runc's words, and nothing is changed",
        .enabled(if: !exists("/sys/fs/resctrl/schemata"), "this machine has resctrl"))
    func schemata() throws {
        try use { bundle in
            for (flag, words) in [
                ("l3-cache-schema=L3:0=f", "Intel RDT/CAT: l3 cache schema is not enabled"),
                ("mem-bw-schema=MB:0=20", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
            ] {
                bundle.expectFailure(
                    try bundle.swrunc("update", "--\(flag)", "--memory", "64M", bundle.id),
                    naming: [words])
            }
            #expect(try memory(bundle) == "\(32 << 20)")
        }
    }

    @Test("update is refused for a stopped container")
    func stopped() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            bundle.expectFailure(
                try bundle.swrunc("update", "--pids-limit", "5", bundle.id),
                naming: ["container not running"])
        }
    }

    @Test("new device rules apply at once, and those that an update leaves out stay")
    func devices() throws {
        try TestBundle.use { bundle throws in
            // No driver has this number: if access is allowed, the error is that there is no such
            // device.
            bundle.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/none", major: 240, minor: 7)
            ]
            try bundle.startSleeping()
            func answer() throws -> String {
                let script = "(exec 3</dev/none) 2>&1 | sed 's/.*: //'"
                return try bundle.swrunc("exec", bundle.id, "sh", "-c", script).text
            }
            let denied = "Operation not permitted"
            let allowed = "No such device or address"
            #expect(try answer() == denied)
            try update(
                bundle, "-r", "-",
                input: """
                    {"devices":[{"allow":false,"access":"rwm"},
                    {"allow":true,"type":"c","major":240,"minor":7,"access":"rwm"}]}
                    """)
            #expect(try answer() == allowed)
            try update(bundle, "--pids-limit", "30")
            #expect(try answer() == allowed)
            // Refused at the last limit: the device rules are the old ones, too.
            var options = CommandOptions()
            options.input = #"{"devices":[{"allow":false}],"cpu":{"period":5}}"#
            bundle.expectFailure(
                try bundle.swrunc("update", "-r", "-", bundle.id, options: options),
                naming: ["invalid argument"])
            #expect(try answer() == allowed)
            try update(bundle, "-r", "-", input: #"{"devices":[{"allow":false}]}"#)
            #expect(try answer() == denied)
        }
    }
}
