// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

extension Statistics {
    /// The container's class in resctrl: what it may use of the cache and of the memory's bandwidth, and
    /// what it uses.
    ///
    /// What the machine does not have is nil. Kernel: Documentation/filesystems/resctrl.rst.
    public struct IntelRdt: Equatable, Sendable {
        /// What the L3 cache allows.
        public var cache: Cache?
        /// The class of all that are in no other: its lines for the L3 cache.
        public var rootCacheSchema: String?
        /// The container's lines for the L3 cache.
        public var cacheSchema: String?
        /// What the control of the memory's bandwidth allows.
        public var bandwidth: Bandwidth?
        /// The class of all that are in no other: its line for the memory's bandwidth.
        public var rootBandwidthSchema: String?
        /// The container's line for the memory's bandwidth.
        public var bandwidthSchema: String?
        /// All lines of the container's class.
        public var schemata: [String] = []
        /// The bytes moved, one for each L3 cache in their order; nil where nothing counts them.
        public var transfers: [Transfer]?
        /// The bytes that the container has in each L3 cache; nil where nothing counts them.
        public var occupancies: [UInt64]?

        /// What the L3 cache allows.
        public struct Cache: Equatable, Sendable {
            /// The parts of the cache, as a mask of hexadecimal digits.
            public var mask = ""
            /// The fewest parts that a class may have.
            public var leastBits: UInt64 = 0
            /// How many classes there may be.
            public var classes: UInt64 = 0
        }

        /// What the control of the memory's bandwidth allows.
        public struct Bandwidth: Equatable, Sendable {
            /// The steps in which it is given, in percent.
            public var granularity: UInt64 = 0
            /// Whether the delay follows the percentage, as a number.
            public var isLinear: UInt64 = 0
            /// The least that a class may have, in percent.
            public var least: UInt64 = 0
            /// How many classes there may be.
            public var classes: UInt64 = 0
        }

        /// What went through one L3 cache to memory.
        public struct Transfer: Equatable, Sendable {
            /// All bytes.
            public var total: UInt64 = 0
            /// The bytes of the cache's own memory node.
            public var local: UInt64 = 0
        }
    }
}

extension Statistics.IntelRdt {
    /// With runc's keys.
    var encoded: JSONValue {
        var object = JSONObject()
        if let cache { object.append("l3_cache_info", cache.encoded) }
        object.addUnlessEmpty("l3_cache_schema_root", rootCacheSchema)
        object.addUnlessEmpty("l3_cache_schema", cacheSchema)
        if let bandwidth { object.append("mem_bw_info", bandwidth.encoded) }
        object.addUnlessEmpty("mem_bw_schema_root", rootBandwidthSchema)
        object.addUnlessEmpty("mem_bw_schema", bandwidthSchema)
        if !schemata.isEmpty { object.append("schemata", .array(schemata.map(JSONValue.string))) }
        if let transfers { object.append("mbm_stats", .array(transfers.map(\.encoded))) }
        if let occupancies {
            object.append(
                "cmt_stats", .array(occupancies.map { .object(["llc_occupancy": .count($0)]) }))
        }
        return .object(object)
    }
}

extension Statistics.IntelRdt.Cache {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        object.addUnlessEmpty("cbm_mask", mask)
        object.addUnlessZero("min_cbm_bits", leastBits)
        object.addUnlessZero("num_closids", classes)
        return .object(object)
    }
}

extension Statistics.IntelRdt.Bandwidth {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        object.addUnlessZero("bandwidth_gran", granularity)
        object.addUnlessZero("delay_linear", isLinear)
        object.addUnlessZero("min_bandwidth", least)
        object.addUnlessZero("num_closids", classes)
        return .object(object)
    }
}

extension Statistics.IntelRdt.Transfer {
    fileprivate var encoded: JSONValue {
        .object(["mbm_total_bytes": .count(total), "mbm_local_bytes": .count(local)])
    }
}
