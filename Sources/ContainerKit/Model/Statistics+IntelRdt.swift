// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Statistics {
    /// The container's class in resctrl: its shares of cache and memory bandwidth, and their use.
    ///
    /// Values that the machine lacks are nil. Kernel: Documentation/filesystems/resctrl.rst.
    public struct IntelRdt: Equatable, Sendable {
        /// The limits of L3 cache allocation.
        public var cache: Cache?
        /// The lines of the default class for the L3 cache.
        public var rootCacheSchema: String?
        /// The container's lines for the L3 cache.
        public var cacheSchema: String?
        /// The limits of memory bandwidth allocation.
        public var bandwidth: Bandwidth?
        /// The line of the default class for the memory bandwidth.
        public var rootBandwidthSchema: String?
        /// The container's line for the memory bandwidth.
        public var bandwidthSchema: String?
        /// All lines of the container's class.
        public var schemata: [String] = []
        /// The bytes transferred by each L3 cache, in their order; nil if they are not counted.
        public var transfers: [Transfer]?
        /// The bytes that the container occupies in each L3 cache; nil if they are not counted.
        public var occupancies: [UInt64]?

        /// The limits of L3 cache allocation.
        public struct Cache: Equatable, Sendable {
            /// The portions of the cache, as a hexadecimal mask.
            public var mask = ""
            /// The minimum number of portions of a class.
            public var leastBits: UInt64 = 0
            /// The maximum number of classes.
            public var classes: UInt64 = 0
        }

        /// The limits of memory bandwidth allocation.
        public struct Bandwidth: Equatable, Sendable {
            /// The step of the bandwidth, in percent.
            public var granularity: UInt64 = 0
            /// 1 if the throttling delay is linear in the percentage, else 0.
            public var isLinear: UInt64 = 0
            /// The minimum bandwidth of a class, in percent.
            public var least: UInt64 = 0
            /// The maximum number of classes.
            public var classes: UInt64 = 0
        }

        /// The traffic between one L3 cache and memory.
        public struct Transfer: Equatable, Sendable {
            /// All bytes.
            public var total: UInt64 = 0
            /// The bytes to and from the cache's own memory node.
            public var local: UInt64 = 0
        }
    }
}

extension Statistics.IntelRdt {
    /// The statistics as JSON, with runc's keys.
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
#endif
