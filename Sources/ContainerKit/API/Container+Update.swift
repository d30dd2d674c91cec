// SPDX-License-Identifier: Apache-2.0

internal import Logging
public import RuntimeSpec

extension Container {
    /// Changes the limits of a container that has not stopped; what `resources` leaves out stays.
    ///
    /// All or nothing: where one limit is refused, those changed before it are put back.
    ///
    /// - Parameters:
    ///   - resources: the new limits, as in `linux.resources` of the config.
    ///   - options: only the logger is used, for limits that cannot have an effect.
    /// - Throws: `notRunning`, `invalidSpec` with the field that is wrong, `cgroup`.
    public func update(_ resources: Resources, options: LaunchOptions = LaunchOptions())
        throws(ContainerError)
    {
        do throws(SpecErrors) {
            try resources.check()
        } catch {
            throw ContainerError(error)
        }
        let found = try find(locking: true)
        guard let record = found.record, found.status != .stopped, found.status != .creating
        else { throw ContainerError(.notRunning, "container not running") }
        var spec = try Self.recordedSpec(found.state)
        let current = spec.linux?.resources ?? Resources()
        let change = ResourceChange(of: current, by: resources)
        spec.linux = spec.linux ?? Linux()
        spec.linux?.resources = change.result

        let plan: ResourcePlan
        let present: DeviceAccess
        do throws(SpecError) {
            plan = try ResourcePlan(change.written, on: record.cgroups)
            present = try DeviceAccess(rules: current.devices ?? [])
        } catch {
            throw ContainerError(error)
        }
        for warning in plan.warnings { options.logger.warning("\(warning)") }
        // Staged first: a full disk must not leave limits that nobody remembers.
        try found.state.stage(config: spec.encoded.encoded())
        do throws(CgroupError) {
            try Cgroup(record.cgroups).update(plan, from: present)
        } catch {
            throw ContainerError(error)
        }
        try found.state.putConfigInPlace()
    }
}
