// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("What an update changes")
struct ResourceChangeTests {
    @Test(
        "an update writes only the fields that it names and those that share or bound their files")
    func written() {
        let current = Resources(
            memory: .init(limit: 4096, reservation: 1024, swap: 8192),
            cpu: .init(shares: 512, quota: 20, period: 100, cpus: "0"), pids: .init(limit: 5))
        func written(_ update: Resources) -> Resources {
            ResourceChange(of: current, by: update).written
        }
        #expect(written(Resources()) == Resources())
        #expect(
            written(Resources(cpu: .init(shares: 2)))
                == Resources(cpu: .init(shares: 2)))
        #expect(
            written(Resources(cpu: .init(quota: 7)))
                == Resources(cpu: .init(quota: 7, period: 100)))
        #expect(
            written(Resources(cpu: .init(period: 7)))
                == Resources(cpu: .init(quota: 20, period: 7)))
        #expect(
            written(Resources(memory: .init(limit: 5000)))
                == Resources(memory: .init(limit: 5000, swap: 8192)))
        #expect(
            written(Resources(memory: .init(swap: 9000)))
                == Resources(memory: .init(limit: 4096, swap: 9000)))
        #expect(
            written(Resources(memory: .init(limit: -1)))
                == Resources(memory: .init(limit: -1, swap: -1)))
        #expect(
            written(Resources(memory: .init(reservation: 1)))
                == Resources(memory: .init(reservation: 1)))
    }

    /// The limit and swap of an update, the resulting writes, and the values in force afterwards.
    struct MemoryCase: Sendable, CustomTestStringConvertible {
        var update: (limit: Int64?, swap: Int64?)
        var written: (limit: Int64?, swap: Int64?)
        var result: (limit: Int64?, swap: Int64?)
        var testDescription: String { "\(update)" }
    }

    @Test(
        "on v2 a new limit of memory alone leaves that of swap alone as it is",
        arguments: [
            // Lower and higher: 4096 bytes of swap, before and after.
            MemoryCase(update: (1024, nil), written: (1024, nil), result: (1024, 5120)),
            MemoryCase(update: (9000, nil), written: (9000, nil), result: (9000, 13096)),
            MemoryCase(update: (9000, 0), written: (9000, nil), result: (9000, 13096)),
            MemoryCase(update: (-1, nil), written: (-1, nil), result: (-1, -1)),
            MemoryCase(update: (nil, -1), written: (4096, -1), result: (4096, -1)),
            MemoryCase(update: (0, 5000), written: (4096, 5000), result: (4096, 5000)),
            MemoryCase(update: (100, 100), written: (100, 100), result: (100, 100)),
            MemoryCase(update: (0, 0), written: (nil, nil), result: (4096, 8192)),
            MemoryCase(
                update: (.max, nil), written: (.max, nil), result: (.max, -1)),
        ])
    func unifiedSwap(_ memory: MemoryCase) {
        let change = ResourceChange(
            of: Resources(memory: .init(limit: 4096, swap: 8192)),
            by: Resources(
                memory: .init(limit: memory.update.limit, swap: memory.update.swap)),
            isUnified: true)
        #expect(change.written.memory?.limit == memory.written.limit)
        #expect(change.written.memory?.swap == memory.written.swap)
        #expect(change.result.memory?.limit == memory.result.limit)
        #expect(change.result.memory?.swap == memory.result.swap)
    }

    @Test("fields that an update leaves out stay as they were")
    func result() {
        let current = Resources(
            memory: .init(limit: 4096, checkBeforeUpdate: true), cpu: .init(shares: 512),
            blockIO: .init(weight: 100),
            hugepageLimits: [
                HugepageLimit(pageSize: "2MB", limit: 1), HugepageLimit(pageSize: "1GB", limit: 2),
            ], rdma: ["a": RdmaLimit(hcaHandles: 1)], unified: ["memory.high": "1"])
        let update = Resources(
            cpu: .init(quota: 3), pids: .init(limit: 0), blockIO: .init(leafWeight: 200),
            hugepageLimits: [HugepageLimit(pageSize: "2MB", limit: 9)],
            rdma: ["b": RdmaLimit(hcaObjects: 2)], unified: ["cpu.idle": "1"])
        var expected = current
        expected.cpu?.quota = 3
        expected.pids = PidsResources(limit: 0)
        expected.blockIO?.leafWeight = 200
        expected.hugepageLimits = [
            HugepageLimit(pageSize: "1GB", limit: 2), HugepageLimit(pageSize: "2MB", limit: 9),
        ]
        expected.rdma?["b"] = RdmaLimit(hcaObjects: 2)
        expected.unified?["cpu.idle"] = "1"
        #expect(ResourceChange(of: current, by: update).result == expected)
        #expect(ResourceChange(of: Resources(), by: update).result == update)
    }

    @Test("device rules of an update are written only if they differ from those in force")
    func devices() {
        let rules = [DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 11)]
        let change = ResourceChange(of: Resources(devices: rules), by: Resources(devices: rules))
        #expect(change.written.devices == nil)
        #expect(change.result.devices == rules)
        let other = ResourceChange(of: Resources(devices: rules), by: Resources(devices: []))
        #expect(other.written.devices == [])
    }

    @Test("setting a weight ends the idle state of a cgroup, unless the update asks for idle")
    func idleness() {
        let idle = [
            Resources(cpu: .init(shares: 100, idle: 1)),
            Resources(cpu: .init(shares: 100), unified: ["cpu.idle": " 1\n", "cpu.max": "max"]),
        ]
        for current in idle {
            let shares = ResourceChange(of: current, by: Resources(cpu: .init(shares: 200)))
            #expect(shares.written == Resources(cpu: .init(shares: 200, idle: 0)))
            #expect(shares.result.cpu == .init(shares: 200, idle: 0))
            #expect(shares.result.unified?["cpu.idle"] == nil)
            let weight = ResourceChange(of: current, by: Resources(unified: ["cpu.weight": "8"]))
            #expect(
                weight.written == Resources(cpu: .init(idle: 0), unified: ["cpu.weight": "8"]))
            let period = Resources(cpu: .init(shares: 0, period: 1000))
            #expect(ResourceChange(of: current, by: period).written == period)
            let both = Resources(cpu: .init(shares: 200, idle: 1))
            #expect(ResourceChange(of: current, by: both).written == both)
        }
        let shares = Resources(cpu: .init(shares: 200))
        #expect(ResourceChange(of: Resources(), by: shares).written == shares)
    }
}
