// SPDX-License-Identifier: Apache-2.0

@testable import ContainerKit

extension Cgroup {
    /// Carries out a plan, as the steps of a launch do one after the other.
    static func create(_ plan: CgroupPlan) throws(CgroupError) -> Cgroup {
        var lock: FileLock?
        var cgroup = try create(plan.layout, keeper: nil, holding: &lock)
        do throws(CgroupError) {
            try cgroup.apply(plan.devices, from: nil)
            try cgroup.apply(plan.resources.steps)
            if !plan.delegated.isEmpty {
                try cgroup.makeDelegated(plan.delegated, owner: plan.owner)
            }
        } catch {
            cgroup.removeMadeDirectories()
            throw error
        }
        return cgroup
    }
}
