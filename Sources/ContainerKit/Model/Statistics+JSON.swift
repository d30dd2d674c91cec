// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

extension Statistics {
    /// The `data` of a `stats` event, with runc's keys; most zero values are left out.
    ///
    /// Beyond runc's, `memory` has `outOfMemoryKills` and `events` where they are known, and there is
    /// `rdma` where a device is used.
    public var encoded: JSONValue {
        var pages = JSONObject()
        for size in hugePages {
            var object = JSONObject()
            object.addUnlessZero("usage", size.usage)
            object.addUnlessZero("max", size.max)
            object.append("failcnt", .count(size.failures))
            pages.append(size.pageSize, .object(object))
        }
        var pidCounts = JSONObject()
        pidCounts.addUnlessZero("current", pids.current)
        pidCounts.addUnlessZero("limit", pids.limit)
        var object: JSONObject = [
            "cpu": cpu.encoded, "cpuset": cpuSet.encoded, "memory": memory.encoded,
            "pids": .object(pidCounts), "blkio": blockIO.encoded, "hugetlb": .object(pages),
            "intel_rdt": intelRdt?.encoded ?? .object([:]), "network_interfaces": .null,
        ]
        if !rdma.isEmpty { object.append("rdma", .array(rdma.map(\.encoded))) }
        return .object(object)
    }
}

extension Statistics.CPU {
    fileprivate var encoded: JSONValue {
        var usage = JSONObject()
        usage.addUnlessZero("total", total)
        for (key, times) in [
            ("percpu", perCPU), ("percpu_kernel", perCPUKernel), ("percpu_user", perCPUUser),
        ] where !times.isEmpty {
            usage.append(key, .array(times.map(JSONValue.count)))
        }
        usage.append("kernel", .count(kernel))
        usage.append("user", .count(user))
        var throttling = JSONObject()
        throttling.addUnlessZero("periods", periods)
        throttling.addUnlessZero("throttledPeriods", throttledPeriods)
        throttling.addUnlessZero("throttledTime", throttledTime)
        var object: JSONObject = ["usage": .object(usage), "throttling": .object(throttling)]
        if let pressure { object.append("psi", pressure.encoded) }
        return .object(object)
    }
}

extension Statistics.CPUSet {
    fileprivate var encoded: JSONValue {
        func list(_ numbers: [UInt16]) -> JSONValue {
            .array(numbers.map { .integer(Int64($0)) })
        }
        var object = JSONObject()
        if !cpus.isEmpty { object.append("cpus", list(cpus)) }
        object.append("cpu_exclusive", .count(cpuExclusive))
        if !mems.isEmpty { object.append("mems", list(mems)) }
        object.append("mem_hardwall", .count(memHardwall))
        object.append("mem_exclusive", .count(memExclusive))
        object.append("memory_migrate", .count(memoryMigrate))
        object.append("memory_spread_page", .count(memorySpreadPage))
        object.append("memory_spread_slab", .count(memorySpreadSlab))
        object.append("memory_pressure", .count(memoryPressure))
        object.append("sched_load_balance", .count(schedLoadBalance))
        object.append("sched_relax_domain_level", .integer(schedRelaxDomainLevel))
        return .object(object)
    }
}

extension Statistics.Memory {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        object.addUnlessZero("cache", cache)
        for (key, amount) in [
            ("usage", usage), ("swap", swap), ("kernel", kernel), ("kernelTCP", kernelTCP),
        ] {
            var entry: JSONObject = ["limit": .count(amount.limit)]
            entry.addUnlessZero("usage", amount.usage)
            entry.addUnlessZero("max", amount.max)
            entry.append("failcnt", .count(amount.failures))
            object.append(key, .object(entry))
        }
        if !raw.isEmpty {
            var numbers = JSONObject()
            for (name, value) in raw { numbers.append(name, .count(value)) }
            object.append("raw", .object(numbers))
        }
        if let pressure { object.append("psi", pressure.encoded) }
        if let outOfMemoryKills { object.append("outOfMemoryKills", .count(outOfMemoryKills)) }
        if let events { object.append("events", events.encoded) }
        return .object(object)
    }
}

extension Statistics.MemoryEvents {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        object.addUnlessZero("low", low)
        object.addUnlessZero("high", high)
        object.addUnlessZero("max", max)
        object.addUnlessZero("oom", outOfMemory)
        return .object(object)
    }
}

extension Statistics.BlockIO {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        for (key, entries) in [
            ("ioServiceBytesRecursive", serviceBytes), ("ioServicedRecursive", serviced),
            ("ioQueueRecursive", queued), ("ioServiceTimeRecursive", serviceTime),
            ("ioWaitTimeRecursive", waitTime), ("ioMergedRecursive", merged),
            ("ioTimeRecursive", time), ("sectorsRecursive", sectors),
        ] where !entries.isEmpty {
            object.append(key, .array(entries.map(\.encoded)))
        }
        if let pressure { object.append("psi", pressure.encoded) }
        return .object(object)
    }
}

extension Statistics.BlockIO.Entry {
    fileprivate var encoded: JSONValue {
        var object = JSONObject()
        object.addUnlessZero("major", major)
        object.addUnlessZero("minor", minor)
        if !operation.isEmpty { object.append("op", .string(operation)) }
        object.addUnlessZero("value", value)
        return .object(object)
    }
}

extension Statistics.Rdma {
    fileprivate var encoded: JSONValue {
        var object: JSONObject = ["device": .string(device)]
        object.addUnlessZero("hcaHandles", handles)
        object.addUnlessZero("hcaObjects", objects)
        return .object(object)
    }
}

extension Statistics.Pressure {
    fileprivate var encoded: JSONValue {
        .object(["some": some.encoded, "full": full.encoded])
    }
}

extension Statistics.Pressure.Share {
    fileprivate var encoded: JSONValue {
        .object([
            "avg10": .double(average10), "avg60": .double(average60),
            "avg300": .double(average300), "total": .count(totalMicroseconds),
        ])
    }
}

extension JSONValue {
    static func count(_ number: UInt64) -> JSONValue {
        Int64(exactly: number).map(JSONValue.integer) ?? .unsigned(number)
    }
}

extension JSONObject {
    mutating func addUnlessZero(_ key: String, _ number: UInt64) {
        if number != 0 { append(key, .count(number)) }
    }

    mutating func addUnlessEmpty(_ key: String, _ text: String?) {
        if let text, !text.isEmpty { append(key, .string(text)) }
    }
}
#endif
