// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

/// Resources and the resulting writes, as `file=text`, on hybrid hosts and on v2.
struct WritesCase: Sendable, CustomTestStringConvertible {
    var name: String
    var resources: Resources
    var legacy: [String]?
    var unified: [String]?
    var testDescription: String { name }

    init(
        _ name: String, _ resources: Resources, legacy: [String]? = nil, unified: [String]? = nil
    ) {
        self.name = name
        self.resources = resources
        self.legacy = legacy
        self.unified = unified
    }
}

/// Invalid resources, and the error.
struct RefusalCase: Sendable, CustomTestStringConvertible {
    var resources: Resources
    var host: CgroupHierarchies
    var text: String
    var testDescription: String { text }

    init(_ resources: Resources, _ host: CgroupHierarchies, _ text: String) {
        self.resources = resources
        self.host = host
        self.text = text
    }
}

private func writes(_ resources: Resources, on host: CgroupHierarchies) throws -> [String] {
    let layout = try CgroupLayout(cgroupsPath: "/c1", id: "c1", in: host)
    return try ResourcePlan(resources, on: layout).steps.map { step in
        switch step {
        case .write(let write): "\(write.file)=\(write.text)"
        case .writeFirst(let writes):
            writes.map { "\($0.file)=\($0.text)" }.joined(separator: "|")
        case .requireUsage(let limit, let file, _, let noun, _): "\(file)<\(limit) (\(noun))"
        }
    }
}

@Suite("Resource plans")
struct CgroupResourcePlanTests {
    static let hybridHost = CgroupHost.hybrid.hierarchies

    @Test(
        "resource limits become the expected writes to cgroup files",
        arguments: [
            WritesCase("nothing", Resources(), legacy: [], unified: []),
            WritesCase(
                "memory limit", Resources(memory: .init(limit: 4096)),
                legacy: ["memory.limit_in_bytes=4096"], unified: ["memory.max=4096"]),
            WritesCase(
                "memory and swap", Resources(memory: .init(limit: 4096, swap: 8192)),
                legacy: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=8192"],
                unified: ["memory.swap.max=4096", "memory.max=4096"]),
            WritesCase(
                "no swap", Resources(memory: .init(limit: 4096, swap: 4096)),
                unified: ["memory.swap.max=0", "memory.max=4096"]),
            WritesCase(
                "unlimited swap", Resources(memory: .init(limit: 4096, swap: -1)),
                legacy: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=-1"],
                unified: ["memory.swap.max=max", "memory.max=4096"]),
            WritesCase(
                "unlimited memory takes swap along", Resources(memory: .init(limit: -1)),
                legacy: ["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
                unified: ["memory.swap.max=max", "memory.max=max"]),
            WritesCase(
                "zeroes are not set", Resources(memory: .init(limit: 0, reservation: 0, swap: 0)),
                legacy: [], unified: []),
            WritesCase(
                "reservation", Resources(memory: .init(reservation: 2048)),
                legacy: ["memory.soft_limit_in_bytes=2048"], unified: ["memory.low=2048"]),
            WritesCase(
                "v1 memory extras",
                Resources(
                    memory: .init(kernelTCP: 4096, swappiness: 0, disableOOMKiller: true)),
                legacy: [
                    "memory.kmem.tcp.limit_in_bytes=4096", "memory.oom_control=1",
                    "memory.swappiness=0",
                ]),
            WritesCase(
                "check before update",
                Resources(memory: .init(limit: 4096, swap: 8192, checkBeforeUpdate: true)),
                unified: [
                    "memory.current<8192 (memory+swap limit)",
                    "memory.current<4096 (memory limit)", "memory.swap.max=4096",
                    "memory.max=4096",
                ]),
            WritesCase(
                "cpu", Resources(cpu: .init(shares: 1024, quota: 5000, period: 10000)),
                legacy: [
                    "cpu.shares=1024", "cpu.cfs_period_us=10000", "cpu.cfs_quota_us=5000",
                ],
                unified: ["cpu.weight=100", "cpu.max=5000 10000"]),
            WritesCase(
                "quota alone", Resources(cpu: .init(quota: 5000)),
                legacy: ["cpu.cfs_quota_us=5000"], unified: ["cpu.max=5000 100000"]),
            WritesCase(
                "no quota", Resources(cpu: .init(quota: -1)),
                legacy: ["cpu.cfs_quota_us=-1"], unified: ["cpu.max=max 100000"]),
            WritesCase(
                "period alone", Resources(cpu: .init(period: 5000)),
                legacy: ["cpu.cfs_period_us=5000"], unified: ["cpu.max=max 5000"]),
            WritesCase(
                "burst", Resources(cpu: .init(quota: 5000, burst: 0)),
                legacy: ["cpu.cfs_burst_us=0", "cpu.cfs_quota_us=5000"],
                unified: ["cpu.max.burst=0", "cpu.max=5000 100000"]),
            WritesCase(
                "an idle cgroup has no weight", Resources(cpu: .init(shares: 2, idle: 1)),
                legacy: ["cpu.shares=2", "cpu.idle=1"], unified: ["cpu.idle=1"]),
            WritesCase(
                "idleness ends before the weight", Resources(cpu: .init(shares: 2, idle: 0)),
                legacy: ["cpu.idle=0", "cpu.shares=2"], unified: ["cpu.idle=0", "cpu.weight=1"]),
            WritesCase(
                "an idle cgroup has no weight, by files",
                Resources(unified: ["cpu.weight": "8", "cpu.idle": "1"]), unified: ["cpu.idle=1"]),
            WritesCase(
                "a weight and no idleness, by files",
                Resources(unified: ["cpu.weight": "8", "cpu.idle": "0"]),
                unified: ["cpu.idle=0", "cpu.weight=8"]),
            WritesCase(
                "realtime",
                Resources(cpu: .init(realtimeRuntime: 900, realtimePeriod: 1000)),
                legacy: ["cpu.rt_period_us=1000", "cpu.rt_runtime_us=900"]),
            WritesCase(
                "cpuset", Resources(cpu: .init(cpus: "0-1,3", mems: "0")),
                legacy: ["cpuset.cpus=0-1,3", "cpuset.mems=0"],
                unified: ["cpuset.cpus=0-1,3", "cpuset.mems=0"]),
            WritesCase(
                "pids", Resources(pids: .init(limit: 20)), legacy: ["pids.max=20"],
                unified: ["pids.max=20"]),
            WritesCase(
                "pids 0 is 1", Resources(pids: .init(limit: 0)), legacy: ["pids.max=1"],
                unified: ["pids.max=1"]),
            WritesCase(
                "pids -1 is max", Resources(pids: .init(limit: -1)), legacy: ["pids.max=max"],
                unified: ["pids.max=max"]),
            WritesCase(
                "pids without a limit", Resources(pids: .init()), legacy: [], unified: []),
            WritesCase(
                "io",
                Resources(
                    blockIO: .init(
                        weight: 100, weightDevice: [.init(major: 8, minor: 0, weight: 1000)],
                        throttleReadBpsDevice: [.init(major: 8, minor: 0, rate: 1024)],
                        throttleWriteIOPSDevice: [.init(major: 8, minor: 16, rate: 0)])),
                unified: [
                    "io.bfq.weight=100|io.weight=910", "io.bfq.weight=8:0 1000|io.weight=8:0 10000",
                    "io.max=8:0 rbps=1024", "io.max=8:16 wiops=max",
                ]),
            WritesCase(
                "huge pages", Resources(hugepageLimits: [.init(pageSize: "2MB", limit: 4096)]),
                unified: ["hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096"]),
            WritesCase(
                "rdma",
                Resources(rdma: [
                    "mlx5_1": .init(hcaHandles: 3, hcaObjects: 10000), "mlx4_0": .init(),
                ]),
                unified: ["rdma.max=mlx5_1 hca_handle=3 hca_object=10000"]),
            WritesCase(
                "unified",
                Resources(unified: ["memory.max": "4096", "io.max": "8:0 rbps=1\n8:16 rbps=2"]),
                unified: ["io.max=8:0 rbps=1", "io.max=8:16 rbps=2", "memory.max=4096"]),
        ])
    func planned(_ example: WritesCase) throws {
        #expect(example.legacy != nil || example.unified != nil)
        if let legacy = example.legacy {
            #expect(try writes(example.resources, on: Self.hybridHost) == legacy)
        }
        if let unified = example.unified {
            #expect(try writes(example.resources, on: unifiedHost) == unified)
        }
    }

    @Test(
        "a limit that cannot be set is refused with its field",
        arguments: [
            RefusalCase(
                Resources(memory: .init(limit: 8192, swap: 4096)), hybridHost,
                "linux.resources.memory.swap: memory+swap limit should be >= memory limit"),
            RefusalCase(
                Resources(memory: .init(swap: 4096)), unifiedHost,
                "linux.resources.memory.swap: unable to set swap limit without memory limit"),
            RefusalCase(
                Resources(memory: .init(limit: -1, swap: 4096)), unifiedHost,
                "linux.resources.memory.swap: unable to set swap limit without memory limit"),
            RefusalCase(
                Resources(memory: .init(limit: -2)), unifiedHost,
                "linux.resources.memory.limit: -2 is not a limit (bytes, or -1 for none)"),
            RefusalCase(
                Resources(memory: .init(swappiness: 101)), hybridHost,
                "linux.resources.memory.swappiness: invalid memory swappiness value: 101 "
                    + "(valid range is 0-100)"),
            RefusalCase(
                Resources(memory: .init(swappiness: 0)), unifiedHost,
                "linux.resources.memory.swappiness: cgroup v2 has no swappiness of a cgroup"),
            RefusalCase(
                Resources(cpu: .init(shares: 1)), hybridHost,
                "linux.resources.cpu.shares: the minimum allowed cpu-shares is 2"),
            RefusalCase(
                Resources(cpu: .init(shares: 262145)), hybridHost,
                "linux.resources.cpu.shares: the maximum allowed cpu-shares is 262144"),
            RefusalCase(
                Resources(cpu: .init(realtimeRuntime: 1)), unifiedHost,
                "linux.resources.cpu.realtimeRuntime: cgroup v2 has no limits of realtime "
                    + "scheduling"),
            RefusalCase(
                Resources(cpu: .init(cpus: "0,x")), hybridHost,
                "linux.resources.cpu.cpus: \"0,x\" is not a list of numbers and ranges, such as "
                    + "\"0-3,8\""),
            RefusalCase(
                Resources(blockIO: .init(weight: 5)), unifiedHost,
                "linux.resources.blockIO.weight: 5 is not a weight (10-1000)"),
            RefusalCase(
                Resources(blockIO: .init(leafWeight: 50)), unifiedHost,
                "linux.resources.blockIO.leafWeight: cgroup v2 has no leaf weights"),
            RefusalCase(
                Resources(blockIO: .init(weight: 50)), hybridHost,
                "linux.resources.blockIO.weight: the cgroup controller \"blkio\" is not available "
                    + "on this host (cgroup hybrid)"),
            RefusalCase(
                Resources(hugepageLimits: [.init(pageSize: "../2MB", limit: 1)]), unifiedHost,
                "linux.resources.hugepageLimits[0].pageSize: \"../2MB\" is not a page size such as "
                    + "\"2MB\""),
            RefusalCase(
                Resources(network: .init(classID: 1)), unifiedHost,
                "linux.resources.network.classID: the cgroup controller \"net_cls\" is not "
                    + "available on this host (cgroup v2)"),
            RefusalCase(
                Resources(unified: ["memory.max": "1"]), hybridHost,
                "linux.resources.unified: invalid configuration: cgroup hybrid has no unified "
                    + "resources"),
            RefusalCase(
                Resources(unified: ["../memory.max": "1"]), unifiedHost,
                "linux.resources.unified[\"../memory.max\"]: unified resource \"../memory.max\" "
                    + "must be a file name (no slashes)"),
            RefusalCase(
                Resources(unified: ["misc.max": "1"]), unifiedHost,
                "linux.resources.unified[\"misc.max\"]: unified resource \"misc.max\" can't be "
                    + "set: controller \"misc\" not available"),
        ])
    func refused(_ example: RefusalCase) throws {
        let error = #expect(throws: SpecError.self) {
            try writes(example.resources, on: example.host)
        }
        #expect(error?.description == example.text)
    }

    @Test("a planned write knows the field that it comes from and its cgroup hierarchy")
    func writeNamesItsField() throws {
        let layout = try CgroupLayout(cgroupsPath: "/c1", id: "c1", in: Self.hybridHost)
        let plan = try ResourcePlan(Resources(pids: .init(limit: 7)), on: layout)
        #expect(
            plan.steps == [
                .write(
                    ControlWrite(
                        directory: 5, file: "pids.max", text: "7",
                        field: "linux.resources.pids.limit"))
            ])
        #expect(layout.directories[5].path == "/sys/fs/cgroup/pids/c1")
    }

    @Test("a weight that an idle cgroup cannot have is reported, not silently dropped")
    func idleWarns() throws {
        let layout = try CgroupLayout(cgroupsPath: "/c1", id: "c1", in: unifiedHost)
        for resources in [
            Resources(cpu: .init(shares: 2, idle: 1)),
            Resources(unified: ["cpu.weight": "8", "cpu.idle": "1"]),
        ] {
            let warnings = try ResourcePlan(resources, on: layout).warnings
            // Engines and people search for runc's words.
            #expect(warnings.count == 1 && warnings[0].hasPrefix("unable to apply both linux."))
        }
    }

    @Test("a limit that no kernel supports any more is reported, not silently dropped")
    func kernelMemoryWarns() throws {
        let layout = try CgroupLayout(cgroupsPath: "/c1", id: "c1", in: Self.hybridHost)
        let plan = try ResourcePlan(Resources(memory: .init(kernel: 4096)), on: layout)
        #expect(plan.steps.isEmpty)
        #expect(
            plan.warnings == [
                "linux.resources.memory.kernel: this kernel has no such limit any more; ignored"
            ])
    }

    @Test(
        "the conversion of CPU shares maps 2 to 1, 1024 to 100 and 262144 to 10000",
        arguments: [
            (0, 1), (2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (262_143, 10_000),
            (262_144, 10_000), (1 << 40, 10_000),
        ] as [(UInt64, UInt64)])
    func weights(shares: UInt64, weight: UInt64) {
        #expect(CPUController.weight(ofShares: shares) == weight)
    }

    @Test("more CPU shares never give less weight, and a weight is always in the kernel's range")
    func weightsGrow() {
        var last: UInt64 = 1
        for shares in stride(from: UInt64(2), through: 1 << 18, by: 7) {
            let weight = CPUController.weight(ofShares: shares)
            #expect(weight >= last && weight <= 10_000)
            last = weight
        }
    }

    @Test("block I/O weights of 10-1000 become 1-10000 on a straight line")
    func blockWeights() {
        #expect([10, 100, 1000].map(BlockIOController.unifiedWeight) == [1, 910, 10_000])
    }
}
