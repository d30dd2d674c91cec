// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import Logging
public import RuntimeSpec

extension Container {
    /// Changes the limits of a container that has not stopped; fields left out in `resources` stay
    /// as they are.
    ///
    /// If one limit is refused, those changed before it are restored. The store's logger gets a
    /// warning for each limit that cannot have an effect.
    ///
    /// - Parameters:
    ///   - resources: the new limits, as in `linux.resources` of the config.
    ///   - intelRdt: new schemata; only `l3CacheSchema` and `memBwSchema` are used.
    /// - Throws: `notRunning`, `invalidSpec` with the wrong field, `cgroup`, and `unsupported` for
    ///   schemata that the machine does not support.
    public func update(
        _ resources: Resources, intelRdt: IntelRdt? = nil
    ) throws(ContainerError) {
        try reporting { () throws(SpecErrors) in try resources.check() }
        let found = try find(locking: true)
        var record = try found.recordOfLiving()
        var spec = try Self.recordedSpec(found.state)
        let current = spec.linux?.resources ?? Resources()
        let change = ResourceChange(
            of: current, by: resources, isUnified: record.cgroups.isUnified)
        spec.linux = spec.linux ?? Linux()
        spec.linux?.resources = change.result

        // The devices that were added stay, whatever the rules of the config become.
        let added = record.addedDeviceRules
        var written = change.written
        if let rules = written.devices { written.devices = rules + added }
        let (plan, present) = try reporting { () throws(SpecError) in
            try (
                ResourcePlan(written, on: record.cgroups),
                DeviceAccess(rules: (current.devices ?? []) + added)
            )
        }
        let warnings = resources.warnings.map(\.description) + plan.warnings
        for warning in warnings { store.logger.warning("\(warning)") }
        var schemata = try resctrlChange(intelRdt, of: spec.linux?.intelRdt)
        if let schemata { spec.linux?.intelRdt = schemata.result }
        // The new config is staged first: with a full disk, no limits may be set that are not
        // recorded.
        try found.state.stage(config: spec.encoded.encoded())
        let cgroup = try record.openCgroup()
        if !record.cgroups.directories.isEmpty,
            let inside = try? cgroup.processes(), !inside.contains(Int(record.pid)),
            (try? record.isAlive()) == true
        {
            store.logger.warning(
                "init has left the container's cgroup: the limits do not reach it there")
        }
        do throws(ContainerError) {
            // The processes are listed only if there are schemata.
            try schemata?.apply(to: ContainerProcesses(record).list().map(Int32.init))
            try reporting { () throws(CgroupError) in try cgroup.update(plan, from: present) }
        } catch {
            schemata?.undo()
            throw error
        }
        if let schemata {
            schemata.remember(in: &record)
            try found.state.stage(record)
            try found.state.putRecordInPlace()
        }
        try found.state.putConfigInPlace()
    }

    private func resctrlChange(_ update: IntelRdt?, of current: IntelRdt?)
        throws(ContainerError) -> ResctrlChange?
    {
        guard let update else { return nil }
        let tree = try reporting { () throws(SystemCallError) in try ResctrlTree.discover() }
        return try ResctrlChange(update, of: current, id: id, tree: tree)
    }
}
#endif
