// SPDX-License-Identifier: Apache-2.0

/// The cache and memory bandwidth of a container, set through its group in resctrl.
///
/// The `enableCMT` and `enableMBM` of versions before 1.3.0 are not kept. Spec: config-linux.md,
/// IntelRdt.
public struct IntelRdt: Hashable, Sendable {
    /// The class of service; nil means one of the container's own.
    public var closID: String?
    /// Lines for the `schemata` file, written last.
    ///
    /// Since 1.3.0.
    public var schemata: [String]?
    /// The line of the L3 cache, such as `L3:0=7f0;1=1f`.
    public var l3CacheSchema: String?
    /// The line of the memory bandwidth, such as `MB:0=20;1=70`.
    public var memBwSchema: String?
    /// Whether the container has a monitoring group of its own.
    ///
    /// Since 1.3.0.
    public var enableMonitoring: Bool

    /// A value of the given fields.
    public init(
        closID: String? = nil, schemata: [String]? = nil, l3CacheSchema: String? = nil,
        memBwSchema: String? = nil, enableMonitoring: Bool = false
    ) {
        self.closID = closID
        self.schemata = schemata
        self.l3CacheSchema = l3CacheSchema
        self.memBwSchema = memBwSchema
        self.enableMonitoring = enableMonitoring
    }
}

extension IntelRdt: SpecObject {
    static var blank: IntelRdt { IntelRdt() }
    static var section: String { "config-linux.md, IntelRdt" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.text("closID", &closID)
        visitor.optional("schemata", &schemata)
        visitor.text("l3CacheSchema", &l3CacheSchema)
        visitor.text("memBwSchema", &memBwSchema)
        visitor.defaulted("enableMonitoring", &enableMonitoring, absent: false)
    }
}

/// The NUMA nodes from which the process gets memory.
///
/// Spec: config-linux.md, Memory policy. Kernel: set_mempolicy(2).
public struct MemoryPolicy: Hashable, Sendable {
    /// The policy.
    public var mode: Mode
    /// The nodes, as a list such as `0-3,7`.
    public var nodes: String
    /// The flags of the policy.
    public var flags: [Flag]?

    /// A value of the given fields.
    public init(mode: Mode, nodes: String = "", flags: [Flag]? = nil) {
        self.mode = mode
        self.nodes = nodes
        self.flags = flags
    }
}

extension MemoryPolicy: SpecObject {
    static var blank: MemoryPolicy { MemoryPolicy(mode: .systemDefault) }
    static var section: String { "config-linux.md, Memory policy" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("mode", &mode)
        visitor.defaulted("nodes", &nodes, absent: "")
        visitor.optional("flags", &flags)
    }
}

extension MemoryPolicy {
    /// A memory policy.
    ///
    /// Kernel: set_mempolicy(2).
    public enum Mode: String, CaseIterable, Equatable, Sendable {
        /// The policy of the system.
        case systemDefault = "MPOL_DEFAULT"
        /// Only from the listed nodes.
        case bind = "MPOL_BIND"
        /// From each listed node in turn.
        case interleave = "MPOL_INTERLEAVE"
        /// From each listed node in turn, by its weight.
        ///
        /// Linux 6.9.
        case weightedInterleave = "MPOL_WEIGHTED_INTERLEAVE"
        /// From the listed node if possible.
        case preferred = "MPOL_PREFERRED"
        /// From the listed nodes if possible.
        ///
        /// Linux 5.15.
        case preferredMany = "MPOL_PREFERRED_MANY"
        /// From the node of the current CPU if possible.
        case local = "MPOL_LOCAL"
    }
}

extension MemoryPolicy.Mode: Vocabulary {
    static var noun: String { "a memory policy mode" }
}

extension MemoryPolicy {
    /// A flag of a memory policy.
    ///
    /// Kernel: set_mempolicy(2).
    public enum Flag: String, CaseIterable, Equatable, Sendable {
        /// The kernel moves pages to the nodes of the CPUs that use them.
        ///
        /// Linux 5.12.
        case numaBalancing = "MPOL_F_NUMA_BALANCING"
        /// The node numbers are relative to the nodes that the cpuset allows.
        case relativeNodes = "MPOL_F_RELATIVE_NODES"
        /// The nodes stay the same when the cpuset changes.
        case staticNodes = "MPOL_F_STATIC_NODES"
    }
}

extension MemoryPolicy.Flag: Vocabulary {
    static var noun: String { "a memory policy flag" }
}
