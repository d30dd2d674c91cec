// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

extension Statistics {
    /// Takes back what `encoded` gave, also where a coder has put the members in another order.
    ///
    /// A number that is absent is zero, as it is written. A class in resctrl of which nothing was told comes
    /// back as nil.
    ///
    /// - Throws: the first member that is of another type or out of its range, with its path.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        let all = try Members(value, at: .root)
        cpu = try CPU(all.object("cpu"))
        cpuSet = try CPUSet(all.object("cpuset"))
        memory = try Memory(all.object("memory"))
        let pidCounts = try all.object("pids")
        pids.current = try pidCounts.count("current")
        pids.limit = try pidCounts.count("limit")
        blockIO = try BlockIO(all.object("blkio"))
        let pages = try all.object("hugetlb")
        for size in pages.names.sorted() {
            let counts = try pages.object(size)
            hugePages.append(
                try HugePages(
                    pageSize: size, usage: counts.count("usage"), max: counts.count("max"),
                    failures: counts.count("failcnt")))
        }
        for entry in try all.objects("rdma") ?? [] {
            rdma.append(
                try Rdma(
                    device: entry.textIfAny("device") ?? "", handles: entry.count("hcaHandles"),
                    objects: entry.count("hcaObjects")))
        }
        let rdt = try all.object("intel_rdt")
        if !rdt.names.isEmpty { intelRdt = try IntelRdt(rdt) }
    }
}

/// The members of an object, each of which may be absent.
private struct Members {
    private let object: JSONObject
    private let path: JSONPath

    init(_ value: JSONValue, at path: JSONPath) throws(SpecDecodingError) {
        switch value {
        case .object(let object): self.object = object
        case .null: object = [:]
        default: throw Self.error(path, "an object")
        }
        self.path = path
    }

    var names: [String] { object.members.map(\.key) }

    private static func error(_ path: JSONPath, _ wanted: String) -> SpecDecodingError {
        .fields(SpecErrors(SpecError(path, "expected \(wanted)")))
    }

    private func found(_ key: String) -> JSONValue? {
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    /// The object; an empty one where it is absent.
    func object(_ key: String) throws(SpecDecodingError) -> Members {
        try Members(found(key) ?? .null, at: path.appending(key: key))
    }

    /// The object, or nil where it is absent.
    func objectIfAny(_ key: String) throws(SpecDecodingError) -> Members? {
        guard let value = found(key) else { return nil }
        return try Members(value, at: path.appending(key: key))
    }

    func number<Number: FixedWidthInteger>(_ key: String, _: Number.Type = Number.self)
        throws(SpecDecodingError) -> Number
    {
        guard let value = found(key) else { return 0 }
        return try Self.number(value, at: path.appending(key: key))
    }

    func count(_ key: String) throws(SpecDecodingError) -> UInt64 { try number(key) }

    func countIfAny(_ key: String) throws(SpecDecodingError) -> UInt64? {
        found(key) == nil ? nil : try count(key)
    }

    func numbers<Number: FixedWidthInteger>(_ key: String) throws(SpecDecodingError) -> [Number] {
        try list(key) { (value, path) throws(SpecDecodingError) in
            try Self.number(value, at: path)
        } ?? []
    }

    func share(_ key: String) throws(SpecDecodingError) -> Double {
        switch found(key) {
        case nil: return 0
        case .double(let number): return number
        // A coder may write 2.0 as 2.
        case .integer(let number): return Double(number)
        case .unsigned(let number): return Double(number)
        default: throw Self.error(path.appending(key: key), "a number")
        }
    }

    func textIfAny(_ key: String) throws(SpecDecodingError) -> String? {
        guard let value = found(key) else { return nil }
        return try Self.text(value, at: path.appending(key: key))
    }

    func texts(_ key: String) throws(SpecDecodingError) -> [String] {
        try list(key) { (value, path) throws(SpecDecodingError) in
            try Self.text(value, at: path)
        } ?? []
    }

    func objects(_ key: String) throws(SpecDecodingError) -> [Members]? {
        try list(key) { (value, path) throws(SpecDecodingError) in try Members(value, at: path) }
    }

    private func list<Element>(
        _ key: String, _ read: (JSONValue, JSONPath) throws(SpecDecodingError) -> Element
    ) throws(SpecDecodingError) -> [Element]? {
        let path = path.appending(key: key)
        guard let value = found(key) else { return nil }
        guard case .array(let values) = value else { throw Self.error(path, "an array") }
        var elements: [Element] = []
        for (index, value) in values.enumerated() {
            elements.append(try read(value, path.appending(index: index)))
        }
        return elements
    }

    private static func number<Number: FixedWidthInteger>(
        _ value: JSONValue, at path: JSONPath
    ) throws(SpecDecodingError) -> Number {
        let number: Number? =
            switch value {
            case .integer(let number): Number(exactly: number)
            case .unsigned(let number): Number(exactly: number)
            default: nil
            }
        guard let number else {
            throw error(path, "an integer of \(Number.min)...\(Number.max)")
        }
        return number
    }

    private static func text(_ value: JSONValue, at path: JSONPath) throws(SpecDecodingError)
        -> String
    {
        guard case .string(let text) = value else { throw error(path, "a string") }
        return text
    }
}

// MARK: - The groups

extension Statistics.CPU {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        let usage = try all.object("usage")
        total = try usage.count("total")
        kernel = try usage.count("kernel")
        user = try usage.count("user")
        perCPU = try usage.numbers("percpu")
        perCPUKernel = try usage.numbers("percpu_kernel")
        perCPUUser = try usage.numbers("percpu_user")
        let throttling = try all.object("throttling")
        periods = try throttling.count("periods")
        throttledPeriods = try throttling.count("throttledPeriods")
        throttledTime = try throttling.count("throttledTime")
        pressure = try Statistics.Pressure(all.objectIfAny("psi"))
    }
}

extension Statistics.CPUSet {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        cpus = try all.numbers("cpus")
        mems = try all.numbers("mems")
        cpuExclusive = try all.count("cpu_exclusive")
        memHardwall = try all.count("mem_hardwall")
        memExclusive = try all.count("mem_exclusive")
        memoryMigrate = try all.count("memory_migrate")
        memorySpreadPage = try all.count("memory_spread_page")
        memorySpreadSlab = try all.count("memory_spread_slab")
        memoryPressure = try all.count("memory_pressure")
        schedLoadBalance = try all.count("sched_load_balance")
        schedRelaxDomainLevel = try all.number("sched_relax_domain_level")
    }
}

extension Statistics.Memory {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        cache = try all.count("cache")
        usage = try Statistics.Amount(all.object("usage"))
        swap = try Statistics.Amount(all.object("swap"))
        kernel = try Statistics.Amount(all.object("kernel"))
        kernelTCP = try Statistics.Amount(all.object("kernelTCP"))
        let numbers = try all.object("raw")
        for name in numbers.names { raw.append((name, try numbers.count(name))) }
        pressure = try Statistics.Pressure(all.objectIfAny("psi"))
        outOfMemoryKills = try all.countIfAny("outOfMemoryKills")
        if let counts = try all.objectIfAny("events") {
            events = try Statistics.MemoryEvents(
                low: counts.count("low"), high: counts.count("high"), max: counts.count("max"),
                outOfMemory: counts.count("oom"))
        }
    }
}

extension Statistics.Amount {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        limit = try all.count("limit")
        usage = try all.count("usage")
        max = try all.count("max")
        failures = try all.count("failcnt")
    }
}

extension Statistics.BlockIO {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        func entries(_ key: String) throws(SpecDecodingError) -> [Entry] {
            var entries: [Entry] = []
            for entry in try all.objects(key) ?? [] {
                entries.append(
                    try Entry(
                        major: entry.count("major"), minor: entry.count("minor"),
                        operation: entry.textIfAny("op") ?? "", value: entry.count("value")))
            }
            return entries
        }
        serviceBytes = try entries("ioServiceBytesRecursive")
        serviced = try entries("ioServicedRecursive")
        queued = try entries("ioQueueRecursive")
        serviceTime = try entries("ioServiceTimeRecursive")
        waitTime = try entries("ioWaitTimeRecursive")
        merged = try entries("ioMergedRecursive")
        time = try entries("ioTimeRecursive")
        sectors = try entries("sectorsRecursive")
        pressure = try Statistics.Pressure(all.objectIfAny("psi"))
    }
}

extension Statistics.Pressure {
    fileprivate init?(_ all: Members?) throws(SpecDecodingError) {
        guard let all else { return nil }
        some = try Share(all.object("some"))
        full = try Share(all.object("full"))
    }
}

extension Statistics.Pressure.Share {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        average10 = try all.share("avg10")
        average60 = try all.share("avg60")
        average300 = try all.share("avg300")
        totalMicroseconds = try all.count("total")
    }
}

extension Statistics.IntelRdt {
    fileprivate init(_ all: Members) throws(SpecDecodingError) {
        if let cache = try all.objectIfAny("l3_cache_info") {
            self.cache = try Cache(
                mask: cache.textIfAny("cbm_mask") ?? "", leastBits: cache.count("min_cbm_bits"),
                classes: cache.count("num_closids"))
        }
        rootCacheSchema = try all.textIfAny("l3_cache_schema_root")
        cacheSchema = try all.textIfAny("l3_cache_schema")
        if let bandwidth = try all.objectIfAny("mem_bw_info") {
            self.bandwidth = try Bandwidth(
                granularity: bandwidth.count("bandwidth_gran"),
                isLinear: bandwidth.count("delay_linear"),
                least: bandwidth.count("min_bandwidth"), classes: bandwidth.count("num_closids"))
        }
        rootBandwidthSchema = try all.textIfAny("mem_bw_schema_root")
        bandwidthSchema = try all.textIfAny("mem_bw_schema")
        schemata = try all.texts("schemata")
        if let entries = try all.objects("mbm_stats") {
            var transfers: [Transfer] = []
            for entry in entries {
                transfers.append(
                    try Transfer(
                        total: entry.count("mbm_total_bytes"),
                        local: entry.count("mbm_local_bytes")))
            }
            self.transfers = transfers
        }
        if let entries = try all.objects("cmt_stats") {
            var occupancies: [UInt64] = []
            for entry in entries { occupancies.append(try entry.count("llc_occupancy")) }
            self.occupancies = occupancies
        }
    }
}
#endif
