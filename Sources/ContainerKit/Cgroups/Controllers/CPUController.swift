// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// `linux.resources.cpu` except `cpus` and `mems`.
///
/// A value of 0 means "not set". Spec: config-linux.md, CPU. Kernel: scheduler/sched-bwc.rst,
/// cgroup-v2.rst, CPU.
enum CPUController {
    static func plan(_ cpu: CPUResources, into writes: inout ControlWrites) throws(SpecError) {
        try check(cpu, writes)
        if writes.isUnified {
            try planUnified(cpu, into: &writes)
        } else {
            try planLegacy(cpu, into: &writes)
        }
    }

    private static func check(_ cpu: CPUResources, _ writes: ControlWrites) throws(SpecError) {
        if let quota = cpu.quota, quota < -1 {
            throw writes.error(
                "cpu.quota", "\(quota) is not a quota (microseconds, or -1 for none)")
        }
        if let idle = cpu.idle, idle != 0, idle != 1 {
            throw writes.error("cpu.idle", "\(idle) is neither 0 nor 1")
        }
        if let runtime = cpu.realtimeRuntime, runtime < -1 {
            throw writes.error("cpu.realtimeRuntime", "\(runtime) is not a number of microseconds")
        }
    }

    // MARK: - v1

    private static func planLegacy(_ cpu: CPUResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        if cpu.idle == 0 { try writes.write("cpu", "cpu.idle", "0", from: "cpu.idle") }
        if let shares = set(cpu.shares) {
            // The kernel would silently use the nearest valid value.
            guard shares >= 2 else {
                throw writes.error("cpu.shares", "the minimum allowed cpu-shares is 2")
            }
            guard shares <= maximumShares else {
                throw writes.error(
                    "cpu.shares", "the maximum allowed cpu-shares is \(maximumShares)")
            }
            try writes.write("cpu", "cpu.shares", "\(shares)", from: "cpu.shares")
        }
        // Period, burst and quota bound each other, so the right order depends on the old values.
        if let period = set(cpu.period) {
            try writes.write(
                "cpu", "cpu.cfs_period_us", "\(period)", from: "cpu.period", .waitsForOthers)
        }
        if let burst = cpu.burst {
            try writes.write(
                "cpu", "cpu.cfs_burst_us", "\(burst)", from: "cpu.burst", .waitsForOthers)
        }
        if let quota = set(cpu.quota) {
            try writes.write("cpu", "cpu.cfs_quota_us", "\(quota)", from: "cpu.quota")
        }
        if cpu.idle == 1 { try writes.write("cpu", "cpu.idle", "1", from: "cpu.idle") }
        if let period = set(cpu.realtimePeriod) {
            try writes.write(
                "cpu", "cpu.rt_period_us", "\(period)", from: "cpu.realtimePeriod",
                .waitsForOthers)
        }
        if let runtime = set(cpu.realtimeRuntime) {
            try writes.write(
                "cpu", "cpu.rt_runtime_us", "\(runtime)", from: "cpu.realtimeRuntime")
        }
    }

    // MARK: - v2

    private static func planUnified(_ cpu: CPUResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        for case (let name, true) in [
            ("realtimePeriod", set(cpu.realtimePeriod) != nil),
            ("realtimeRuntime", set(cpu.realtimeRuntime) != nil),
        ] {
            throw writes.error("cpu.\(name)", "cgroup v2 has no limits of realtime scheduling")
        }
        // Set `cpu.idle` first: an idle cgroup refuses a weight.
        if let idle = cpu.idle { try writes.write("cpu", "cpu.idle", "\(idle)", from: "cpu.idle") }
        if let shares = set(cpu.shares) {
            if cpu.idle == 1 {
                writes.warnIdle(over: "cpu.shares", "cpu.idle")
            } else {
                try writes.write(
                    "cpu", "cpu.weight", "\(weight(ofShares: shares))", from: "cpu.shares")
            }
        }
        if let burst = cpu.burst {
            try writes.write(
                "cpu", "cpu.max.burst", "\(burst)", from: "cpu.burst", .waitsForOthers)
        }
        if let quota = set(cpu.quota) {
            try planMaximum(quota, cpu.period, "cpu.quota", into: &writes)
        } else if let period = set(cpu.period) {
            try planMaximum(-1, period, "cpu.period", into: &writes)
        }
    }

    private static func planMaximum(
        _ quota: Int64, _ period: UInt64?, _ field: String, into writes: inout ControlWrites
    ) throws(SpecError) {
        let period = set(period) ?? defaultPeriodMicroseconds
        try writes.write("cpu", "cpu.max", "\(unifiedLimit(quota)) \(period)", from: field)
    }

    /// The v2 weight for v1 shares: 2 becomes 1, 1024 becomes 100, 262144 becomes 10000.
    ///
    /// In between, the weight is 10 to the power of a quadratic function of log2(shares) through
    /// these three points, rounded up: the mapping that runc 1.4, crun 1.23 and users of systemd
    /// have agreed on.
    static func weight(ofShares shares: UInt64) -> UInt64 {
        guard shares > 2 else { return 1 }
        guard shares < maximumShares else { return 10_000 }
        let logarithm = log2(Double(shares))
        let exponent = (logarithm * logarithm + 125 * logarithm) / 612 - 7.0 / 34
        return UInt64(ceil(pow(10, exponent)))
    }

    /// MAX_SHARES of the kernel's scheduler.
    private static let maximumShares: UInt64 = 1 << 18
    /// The period that the kernel gives a new cgroup.
    private static let defaultPeriodMicroseconds: UInt64 = 100_000

    private static func set<Value: BinaryInteger>(_ value: Value?) -> Value? {
        value == 0 ? nil : value
    }
}

extension CPUController {
    /// Reads CPU times: v2 counts microseconds; v1 counts nanoseconds and, in one file, clock
    /// ticks.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        var cpu = Statistics.CPU()
        if files.isUnified {
            // Every v2 cgroup has this file; the controller only adds the lines about the quota.
            let times = try files.numbers("", "cpu.stat")
            cpu.total = times["usage_usec"] &* 1000
            cpu.user = times["user_usec"] &* 1000
            cpu.kernel = times["system_usec"] &* 1000
            cpu.periods = times["nr_periods"]
            cpu.throttledPeriods = times["nr_throttled"]
            cpu.throttledTime = times["throttled_usec"] &* 1000
            cpu.pressure = try files.pressure("cpu.pressure")
        } else {
            let throttling = try files.numbers("cpu", "cpu.stat")
            cpu.periods = throttling["nr_periods"]
            cpu.throttledPeriods = throttling["nr_throttled"]
            cpu.throttledTime = throttling["throttled_time"]
            let ticks = try files.numbers("cpuacct", "cpuacct.stat")
            cpu.user = ticks["user"] &* nanosecondsPerTick
            cpu.kernel = ticks["system"] &* nanosecondsPerTick
            cpu.total = try files.number("cpuacct", "cpuacct.usage") ?? 0
            cpu.perCPU =
                try files.lines("cpuacct", "cpuacct.usage_percpu").first?
                .compactMap { UInt64($0) } ?? []
            // A header line, then one line per CPU: its number, user time and system time.
            for words in try files.lines("cpuacct", "cpuacct.usage_all").dropFirst() {
                guard words.count >= 3, let user = UInt64(words[1]), let kernel = UInt64(words[2])
                else { continue }
                cpu.perCPUUser.append(user)
                cpu.perCPUKernel.append(kernel)
            }
        }
        statistics.cpu = cpu
    }

    /// USER_HZ is 100 on every supported machine.
    private static let nanosecondsPerTick: UInt64 = 10_000_000
}
#endif
