// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.memory`.
///
/// A value of 0 means "not set", -1 means no limit. `swap` limits memory and swap together, as v1
/// does; v2 limits swap alone. Spec: config-linux.md, Memory. Kernel:
/// admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst, Memory.
enum MemoryController {
    static func plan(_ memory: MemoryResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        try check(memory, writes)
        if writes.isUnified {
            try planUnified(memory, into: &writes)
        } else {
            try planLegacy(memory, into: &writes)
        }
    }

    private static func check(_ memory: MemoryResources, _ writes: ControlWrites)
        throws(SpecError)
    {
        func check(_ name: String, _ limit: Int64?) throws(SpecError) {
            guard let limit, limit < -1 else { return }
            throw writes.error(
                "memory.\(name)", "\(limit) is not a limit (bytes, or -1 for none)")
        }
        try check("limit", memory.limit)
        try check("reservation", memory.reservation)
        try check("swap", memory.swap)
        try check("kernel", memory.kernel)
        try check("kernelTCP", memory.kernelTCP)
        if let limit = memory.limit, let swap = memory.swap, swap > 0, limit > 0, swap < limit {
            throw writes.error("memory.swap", "memory+swap limit should be >= memory limit")
        }
        if let swappiness = memory.swappiness, swappiness > 100 {
            throw writes.error(
                "memory.swappiness",
                "invalid memory swappiness value: \(swappiness) (valid range is 0-100)")
        }
    }

    // MARK: - v1

    private static func planLegacy(_ memory: MemoryResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        try planUsageChecks(memory, "memory.usage_in_bytes", into: &writes)
        // The kernel always requires limit <= memory and swap together: if one of the two writes
        // comes too early, it is repeated after the other.
        if let limit = set(memory.limit) {
            try writes.write(
                "memory", "memory.limit_in_bytes", "\(limit)", from: "memory.limit",
                .waitsForOthers)
        }
        if let swap = set(memory.swap) {
            try writes.write(
                "memory", "memory.memsw.limit_in_bytes", "\(swap)", from: "memory.swap",
                swap == -1 ? .mayBeMissing : [])
        } else if memory.limit == -1 {
            try writes.write(
                "memory", "memory.memsw.limit_in_bytes", "-1", from: "memory.limit", .mayBeMissing)
        }
        if let reservation = set(memory.reservation) {
            try writes.write(
                "memory", "memory.soft_limit_in_bytes", "\(reservation)",
                from: "memory.reservation")
        }
        if let kernelTCP = set(memory.kernelTCP) {
            try writes.write(
                "memory", "memory.kmem.tcp.limit_in_bytes", "\(kernelTCP)",
                from: "memory.kernelTCP")
        }
        warnOfKernelLimit(memory.kernel, "kernel", &writes)
        if memory.disableOOMKiller == true {
            try writes.write("memory", "memory.oom_control", "1", from: "memory.disableOOMKiller")
        }
        if let swappiness = memory.swappiness {
            try writes.write(
                "memory", "memory.swappiness", "\(swappiness)", from: "memory.swappiness")
        }
    }

    // MARK: - v2

    private static func planUnified(_ memory: MemoryResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        try planUsageChecks(memory, "memory.current", into: &writes)
        if let (swap, field) = try unifiedSwap(memory, writes) {
            // A kernel without swap lacks this file; no swap and unlimited swap then hold anyway.
            try writes.write(
                "memory", "memory.swap.max", unifiedLimit(swap), from: field,
                swap <= 0 ? .mayBeMissing : [])
        }
        if let limit = set(memory.limit) {
            try writes.write("memory", "memory.max", unifiedLimit(limit), from: "memory.limit")
        }
        if let reservation = set(memory.reservation) {
            try writes.write(
                "memory", "memory.low", unifiedLimit(reservation), from: "memory.reservation")
        }
        warnOfKernelLimit(memory.kernel, "kernel", &writes)
        warnOfKernelLimit(memory.kernelTCP, "kernelTCP", &writes)
        if memory.swappiness != nil {
            throw writes.error("memory.swappiness", "cgroup v2 has no swappiness of a cgroup")
        }
        if memory.disableOOMKiller == true {
            throw writes.error(
                "memory.disableOOMKiller", "cgroup v2 cannot disable the OOM killer of a cgroup")
        }
    }

    /// The swap-only limit in bytes and the field that sets it; nil leaves it unchanged.
    private static func unifiedSwap(_ memory: MemoryResources, _ writes: ControlWrites)
        throws(SpecError) -> (bytes: Int64, field: String)?
    {
        guard let swap = unifiedSwapBytes(memory) else {
            guard set(memory.swap) == nil else {
                throw writes.error(
                    "memory.swap", "unable to set swap limit without memory limit")
            }
            return nil
        }
        return (swap, set(memory.swap) == nil ? "memory.limit" : "memory.swap")
    }

    /// The swap-only limit; nil if it is unchanged, or unknown without a memory limit.
    static func unifiedSwapBytes(_ memory: MemoryResources) -> Int64? {
        guard let swap = set(memory.swap) else {
            // As on v1, no limit on memory also removes the limit on memory and swap together.
            return memory.limit == -1 ? -1 : nil
        }
        guard swap != -1 else { return swap }
        guard let limit = set(memory.limit), limit != -1 else { return nil }
        return swap - limit
    }

    // MARK: - Both

    private static func planUsageChecks(
        _ memory: MemoryResources, _ file: String, into writes: inout ControlWrites
    ) throws(SpecError) {
        guard memory.checkBeforeUpdate == true else { return }
        let limits = [
            ("memory+swap limit", "memory.swap", memory.swap),
            ("memory limit", "memory.limit", memory.limit),
        ]
        for case (let noun, let field, let limit?) in limits where limit > 0 {
            writes.steps.append(
                .requireUsage(
                    below: limit, file: file,
                    directory: try writes.directory(of: "memory", for: field), noun: noun,
                    field: writes.path(field)))
        }
    }

    private static func warnOfKernelLimit(
        _ limit: Int64?, _ name: String, _ writes: inout ControlWrites
    ) {
        guard set(limit) != nil else { return }
        writes.warnings.append(
            "linux.resources.memory.\(name): this kernel has no such limit any more; ignored")
    }

    /// nil for 0, which engines write for "not set".
    private static func set(_ value: Int64?) -> Int64? { value == 0 ? nil : value }
}

extension MemoryController {
    /// Reads the memory in use, the limits and how often they were hit.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        var memory = Statistics.Memory()
        memory.raw = try files.numbers("memory", "memory.stat")
        if files.isUnified {
            memory.cache = memory.raw["file"]
            memory.usage = try unified("memory", files)
            let events = try files.numbers("memory", "memory.events")
            memory.usage.failures = events["max"]
            if !events.isEmpty {
                memory.events = Statistics.MemoryEvents(
                    low: events["low"], high: events["high"], max: events["max"],
                    outOfMemory: events["oom"])
            }
            memory.swap = combined(try unified("memory.swap", files), memory.usage)
            memory.pressure = try files.pressure("memory.pressure")
        } else {
            memory.cache = memory.raw["cache"]
            memory.usage = try legacy("memory", files)
            memory.swap = try legacy("memory.memsw", files)
            memory.kernel = try legacy("memory.kmem", files)
            memory.kernelTCP = try legacy("memory.kmem.tcp", files)
        }
        statistics.memory = memory
    }

    private static func unified(_ prefix: String, _ files: ControlFiles) throws(CgroupError)
        -> Statistics.Amount
    {
        Statistics.Amount(
            limit: try files.number("memory", "\(prefix).max") ?? 0,
            usage: try files.number("memory", "\(prefix).current") ?? 0,
            max: try files.number("memory", "\(prefix).peak") ?? 0)
    }

    /// Memory and swap together, as v1 counts, from the values for swap alone.
    ///
    /// The peak of both together is not the sum of the two peaks, and is left out.
    static func combined(_ swap: Statistics.Amount, _ memory: Statistics.Amount)
        -> Statistics.Amount
    {
        let (limit, isUnlimited) = swap.limit.addingReportingOverflow(memory.limit)
        return Statistics.Amount(
            limit: isUnlimited ? .max : limit, usage: swap.usage &+ memory.usage)
    }

    private static func legacy(_ prefix: String, _ files: ControlFiles) throws(CgroupError)
        -> Statistics.Amount
    {
        Statistics.Amount(
            limit: try files.number("memory", "\(prefix).limit_in_bytes") ?? 0,
            usage: try files.number("memory", "\(prefix).usage_in_bytes") ?? 0,
            max: try files.number("memory", "\(prefix).max_usage_in_bytes") ?? 0,
            failures: try files.number("memory", "\(prefix).failcnt") ?? 0)
    }
}
#endif
