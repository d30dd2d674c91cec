// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// Applies an update to the resources that a container has.
///
/// A field that the update does not set is unchanged. Some kernel files hold two fields, or bound
/// each other: then the present value of the other field is written as well.
struct ResourceChange {
    /// The values to write.
    let written: Resources
    /// The container's resources after the update.
    let result: Resources

    /// The change of `current` by `given`; `isUnified` says whether cgroup v2 limits resources.
    init(of current: Resources, by given: Resources, isUnified: Bool = false) {
        var update = given
        update.memory = given.memory.map(Self.withoutZeroes)
        var result = current
        result.cpu = Self.overlaid(current.cpu, update.cpu)
        result.memory = Self.overlaid(current.memory, update.memory)
        if isUnified { Self.keepSwap(of: current.memory, update.memory, in: &result.memory) }
        if let limit = update.pids?.limit { result.pids = PidsResources(limit: limit) }
        result.blockIO = Self.overlaid(current.blockIO, update.blockIO)
        result.devices = update.devices ?? current.devices
        if let limits = update.hugepageLimits {
            let changed = limits.map(\.pageSize)
            let kept = (current.hugepageLimits ?? []).filter { !changed.contains($0.pageSize) }
            result.hugepageLimits = kept + limits
        }
        result.network = Self.overlaid(current.network, update.network)
        if let limits = update.rdma {
            result.rdma = (current.rdma ?? [:]).merging(limits) { $1 }
        }
        if let files = update.unified {
            result.unified = (current.unified ?? [:]).merging(files) { $1 }
        }
        var written = update
        if Self.endsIdleness(of: current, update) {
            written.cpu = written.cpu ?? CPUResources()
            written.cpu?.idle = 0
            result.cpu = result.cpu ?? CPUResources()
            result.cpu?.idle = 0
            result.unified?["cpu.idle"] = nil
        }
        self.result = result

        if update.cpu?.quota != nil || update.cpu?.period != nil {
            written.cpu?.quota = result.cpu?.quota
            written.cpu?.period = result.cpu?.period
        }
        if let memory = update.memory, memory.limit != nil || memory.swap != nil {
            written.memory?.limit = result.memory?.limit
            // The swap-only limit of v2 does not depend on the memory limit.
            if !isUnified || memory.swap != nil { written.memory?.swap = result.memory?.swap }
            written.memory?.checkBeforeUpdate = result.memory?.checkBeforeUpdate
        }
        // Other runtimes never change the rules. Writing unchanged rules would undo what others
        // have added to them, such as tools for graphics cards.
        if written.devices == current.devices { written.devices = nil }
        self.written = written
    }

    /// Whether the update sets a weight for an idle cgroup, which therefore must not be idle any
    /// more.
    private static func endsIdleness(of current: Resources, _ update: Resources) -> Bool {
        let setsWeight = (update.cpu?.shares ?? 0) != 0 || update.unified?["cpu.weight"] != nil
        let setsIdle = update.cpu?.idle != nil || update.unified?["cpu.idle"] != nil
        let isIdle = current.cpu?.idle == 1 || UnifiedFiles.isIdle(current.unified)
        return isIdle && setsWeight && !setsIdle
    }

    private static func overlaid(_ current: CPUResources?, _ update: CPUResources?)
        -> CPUResources?
    {
        guard var result = current, let update else { return update ?? current }
        overlay(&result.shares, update.shares)
        overlay(&result.quota, update.quota)
        overlay(&result.burst, update.burst)
        overlay(&result.period, update.period)
        overlay(&result.realtimeRuntime, update.realtimeRuntime)
        overlay(&result.realtimePeriod, update.realtimePeriod)
        overlay(&result.cpus, update.cpus)
        overlay(&result.mems, update.mems)
        overlay(&result.idle, update.idle)
        return result
    }

    private static func overlaid(_ current: MemoryResources?, _ update: MemoryResources?)
        -> MemoryResources?
    {
        guard var result = current, var update else { return update ?? current }
        // Without a memory limit there is no limit on memory and swap either.
        if update.limit == -1, update.swap == nil { update.swap = -1 }
        overlay(&result.limit, update.limit)
        overlay(&result.reservation, update.reservation)
        overlay(&result.swap, update.swap)
        overlay(&result.kernel, update.kernel)
        overlay(&result.kernelTCP, update.kernelTCP)
        overlay(&result.swappiness, update.swappiness)
        overlay(&result.disableOOMKiller, update.disableOOMKiller)
        overlay(&result.useHierarchy, update.useHierarchy)
        overlay(&result.checkBeforeUpdate, update.checkBeforeUpdate)
        return result
    }

    /// Removes zeros, which engines write for "not set".
    private static func withoutZeroes(_ memory: MemoryResources) -> MemoryResources {
        func set(_ value: Int64?) -> Int64? { value == 0 ? nil : value }
        var memory = memory
        memory.limit = set(memory.limit)
        memory.reservation = set(memory.reservation)
        memory.swap = set(memory.swap)
        memory.kernel = set(memory.kernel)
        memory.kernelTCP = set(memory.kernelTCP)
        return memory
    }

    /// Keeps the amount of swap if only the memory limit changes: the config's combined limit moves
    /// with it.
    private static func keepSwap(
        of current: MemoryResources?, _ update: MemoryResources?, in result: inout MemoryResources?
    ) {
        guard let limit = update?.limit, limit > 0, update?.swap == nil,
            let oldLimit = current?.limit, oldLimit > 0,
            let oldSwap = current?.swap, oldSwap >= oldLimit
        else { return }
        let (swap, isTooLarge) = limit.addingReportingOverflow(oldSwap - oldLimit)
        result?.swap = isTooLarge ? -1 : swap
    }

    /// Lists of devices are replaced as a whole; a device that is left out keeps its present limit.
    private static func overlaid(_ current: BlockIOResources?, _ update: BlockIOResources?)
        -> BlockIOResources?
    {
        guard var result = current, let update else { return update ?? current }
        overlay(&result.weight, update.weight)
        overlay(&result.leafWeight, update.leafWeight)
        overlay(&result.weightDevice, update.weightDevice)
        overlay(&result.throttleReadBpsDevice, update.throttleReadBpsDevice)
        overlay(&result.throttleWriteBpsDevice, update.throttleWriteBpsDevice)
        overlay(&result.throttleReadIOPSDevice, update.throttleReadIOPSDevice)
        overlay(&result.throttleWriteIOPSDevice, update.throttleWriteIOPSDevice)
        return result
    }

    private static func overlaid(_ current: NetworkResources?, _ update: NetworkResources?)
        -> NetworkResources?
    {
        guard var result = current, let update else { return update ?? current }
        overlay(&result.classID, update.classID)
        overlay(&result.priorities, update.priorities)
        return result
    }

    private static func overlay<Value>(_ current: inout Value?, _ update: Value?) {
        if let update { current = update }
    }
}
#endif
