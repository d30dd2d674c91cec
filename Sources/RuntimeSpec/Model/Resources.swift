// SPDX-License-Identifier: Apache-2.0

/// The limits of a cgroup.
///
/// Spec: config-linux.md, Control groups.
public struct Resources: Hashable, Sendable {
    /// The rules for access to devices, in order.
    public var devices: [DeviceCgroupRule]?
    /// The memory.
    public var memory: MemoryResources?
    /// The CPU time and the CPUs.
    public var cpu: CPUResources?
    /// The number of processes.
    public var pids: PidsResources?
    /// The block I/O.
    public var blockIO: BlockIOResources?
    /// The huge pages.
    public var hugepageLimits: [HugepageLimit]?
    /// The class and priorities of network traffic.
    public var network: NetworkResources?
    /// The RDMA resources, by device.
    public var rdma: [String: RdmaLimit]?
    /// Files of cgroup v2 and the values to write to them.
    public var unified: [String: String]?

    /// A value of the given fields.
    public init(
        devices: [DeviceCgroupRule]? = nil, memory: MemoryResources? = nil,
        cpu: CPUResources? = nil, pids: PidsResources? = nil, blockIO: BlockIOResources? = nil,
        hugepageLimits: [HugepageLimit]? = nil, network: NetworkResources? = nil,
        rdma: [String: RdmaLimit]? = nil, unified: [String: String]? = nil
    ) {
        self.devices = devices
        self.memory = memory
        self.cpu = cpu
        self.pids = pids
        self.blockIO = blockIO
        self.hugepageLimits = hugepageLimits
        self.network = network
        self.rdma = rdma
        self.unified = unified
    }
}

extension Resources: SpecObject {
    static var blank: Resources { Resources() }
    static var section: String { "config-linux.md, Control groups" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("devices", &devices)
        visitor.optional("memory", &memory)
        visitor.optional("cpu", &cpu)
        visitor.optional("pids", &pids)
        visitor.optional("blockIO", &blockIO)
        visitor.optional("hugepageLimits", &hugepageLimits)
        visitor.optional("network", &network)
        visitor.optional("rdma", &rdma)
        visitor.optional("unified", &unified)
    }
}

/// The memory of a cgroup, in bytes; -1 is no limit.
///
/// Spec: config-linux.md, Memory.
public struct MemoryResources: Hashable, Sendable {
    /// The memory limit.
    public var limit: Int64?
    /// The soft memory limit.
    public var reservation: Int64?
    /// The limit of memory and swap together.
    public var swap: Int64?
    /// The limit of kernel memory.
    ///
    /// Not recommended.
    public var kernel: Int64?
    /// The limit of TCP buffers.
    ///
    /// Not recommended.
    public var kernelTCP: Int64?
    /// How eagerly pages are swapped out, 0 to 100.
    public var swappiness: UInt64?
    /// Whether processes wait instead of being killed when memory runs out.
    public var disableOOMKiller: Bool?
    /// Whether memory of child cgroups counts too; cgroup v1 only.
    public var useHierarchy: Bool?
    /// Whether an update to a limit below the current use is refused.
    public var checkBeforeUpdate: Bool?

    /// A value of the given fields.
    public init(
        limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil, kernel: Int64? = nil,
        kernelTCP: Int64? = nil, swappiness: UInt64? = nil, disableOOMKiller: Bool? = nil,
        useHierarchy: Bool? = nil, checkBeforeUpdate: Bool? = nil
    ) {
        self.limit = limit
        self.reservation = reservation
        self.swap = swap
        self.kernel = kernel
        self.kernelTCP = kernelTCP
        self.swappiness = swappiness
        self.disableOOMKiller = disableOOMKiller
        self.useHierarchy = useHierarchy
        self.checkBeforeUpdate = checkBeforeUpdate
    }
}

extension MemoryResources: SpecObject {
    static var blank: MemoryResources { MemoryResources() }
    static var section: String { "config-linux.md, Memory" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("limit", &limit)
        visitor.optional("reservation", &reservation)
        visitor.optional("swap", &swap)
        visitor.optional("kernel", &kernel)
        visitor.optional("kernelTCP", &kernelTCP)
        visitor.optional("swappiness", &swappiness)
        visitor.optional("disableOOMKiller", &disableOOMKiller)
        visitor.optional("useHierarchy", &useHierarchy)
        visitor.optional("checkBeforeUpdate", &checkBeforeUpdate)
    }
}

/// The CPU time and the CPUs of a cgroup.
///
/// Spec: config-linux.md, CPU.
public struct CPUResources: Hashable, Sendable {
    /// The weight against other cgroups.
    public var shares: UInt64?
    /// The CPU time in each period, in microseconds; -1 is no limit.
    public var quota: Int64?
    /// The unused time that may be carried over, in microseconds.
    public var burst: UInt64?
    /// The length of a period, in microseconds.
    public var period: UInt64?
    /// The time of real-time processes in each period, in microseconds.
    public var realtimeRuntime: Int64?
    /// The length of a real-time period, in microseconds.
    public var realtimePeriod: UInt64?
    /// The CPUs, as a list such as `0-3,7`.
    public var cpus: String?
    /// The memory nodes, as a list such as `0-3,7`.
    public var mems: String?
    /// 1 makes the cgroup run only when nothing else wants the CPU; 0 is the default.
    public var idle: Int64?

    /// A value of the given fields.
    public init(
        shares: UInt64? = nil, quota: Int64? = nil, burst: UInt64? = nil, period: UInt64? = nil,
        realtimeRuntime: Int64? = nil, realtimePeriod: UInt64? = nil, cpus: String? = nil,
        mems: String? = nil, idle: Int64? = nil
    ) {
        self.shares = shares
        self.quota = quota
        self.burst = burst
        self.period = period
        self.realtimeRuntime = realtimeRuntime
        self.realtimePeriod = realtimePeriod
        self.cpus = cpus
        self.mems = mems
        self.idle = idle
    }
}

extension CPUResources: SpecObject {
    static var blank: CPUResources { CPUResources() }
    static var section: String { "config-linux.md, CPU" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("shares", &shares)
        visitor.optional("quota", &quota)
        visitor.optional("burst", &burst)
        visitor.optional("period", &period)
        visitor.optional("realtimeRuntime", &realtimeRuntime)
        visitor.optional("realtimePeriod", &realtimePeriod)
        visitor.text("cpus", &cpus)
        visitor.text("mems", &mems)
        visitor.optional("idle", &idle)
    }
}

/// The limit on the number of processes in a cgroup.
///
/// Spec: config-linux.md, PIDs.
public struct PidsResources: Hashable, Sendable {
    /// The maximum number of processes and threads; -1 is no limit.
    public var limit: Int64?

    /// A value of the given fields.
    public init(limit: Int64? = nil) {
        self.limit = limit
    }
}

extension PidsResources: SpecObject {
    static var blank: PidsResources { PidsResources() }
    static var section: String { "config-linux.md, PIDs" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("limit", &limit)
    }
}

/// A limit on the use of huge pages of one size.
///
/// Spec: config-linux.md, Huge page limits.
public struct HugepageLimit: Hashable, Sendable {
    /// The size of the pages, such as `2MB`.
    public var pageSize: String
    /// The limit in bytes.
    public var limit: UInt64

    /// A value of the given fields.
    public init(pageSize: String, limit: UInt64) {
        self.pageSize = pageSize
        self.limit = limit
    }
}

extension HugepageLimit: SpecObject {
    static var blank: HugepageLimit { HugepageLimit(pageSize: "", limit: 0) }
    static var section: String { "config-linux.md, Huge page limits" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("pageSize", &pageSize)
        visitor.required("limit", &limit)
    }
}

/// The class and priorities of a cgroup's network traffic; cgroup v1 only.
///
/// Spec: config-linux.md, Network.
public struct NetworkResources: Hashable, Sendable {
    /// The class ID of the packets.
    public var classID: UInt32?
    /// The priority on each interface.
    public var priorities: [InterfacePriority]?

    /// A value of the given fields.
    public init(classID: UInt32? = nil, priorities: [InterfacePriority]? = nil) {
        self.classID = classID
        self.priorities = priorities
    }
}

extension NetworkResources: SpecObject {
    static var blank: NetworkResources { NetworkResources() }
    static var section: String { "config-linux.md, Network" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("classID", &classID)
        visitor.optional("priorities", &priorities)
    }
}

/// The priority of traffic on an interface.
///
/// Spec: config-linux.md, Network.
public struct InterfacePriority: Hashable, Sendable {
    /// The interface.
    public var name: String
    /// The priority.
    public var priority: UInt32

    /// A value of the given fields.
    public init(name: String, priority: UInt32) {
        self.name = name
        self.priority = priority
    }
}

extension InterfacePriority: SpecObject {
    static var blank: InterfacePriority { InterfacePriority(name: "", priority: 0) }
    static var section: String { "config-linux.md, Network" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("name", &name)
        visitor.required("priority", &priority)
    }
}

/// A limit of RDMA resources.
///
/// Spec: config-linux.md, RDMA.
public struct RdmaLimit: Hashable, Sendable {
    /// The maximum number of HCA handles.
    public var hcaHandles: UInt32?
    /// The maximum number of HCA objects.
    public var hcaObjects: UInt32?

    /// A value of the given fields.
    public init(hcaHandles: UInt32? = nil, hcaObjects: UInt32? = nil) {
        self.hcaHandles = hcaHandles
        self.hcaObjects = hcaObjects
    }
}

extension RdmaLimit: SpecObject {
    static var blank: RdmaLimit { RdmaLimit() }
    static var section: String { "config-linux.md, RDMA" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("hcaHandles", &hcaHandles)
        visitor.optional("hcaObjects", &hcaObjects)
    }
}
