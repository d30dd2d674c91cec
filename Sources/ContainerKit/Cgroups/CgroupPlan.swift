// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// The cgroup of a new container: its directories and what is written there.
struct CgroupPlan: Equatable, Sendable {
    /// The directories.
    var layout: CgroupLayout
    /// The limits.
    var resources: ResourcePlan
    /// Who may use which device; a container may always use the standard ones.
    var devices: DeviceAccess

    /// Plans the cgroup of the container `id`.
    ///
    /// Without resources the container still gets its directories and the device rules that every
    /// container has. Spec: config-linux.md, Cgroups Path and Control groups.
    init(cgroupsPath: String?, id: String, resources: Resources?, host: CgroupHierarchies)
        throws(SpecError)
    {
        layout = try CgroupLayout(cgroupsPath: cgroupsPath, id: id, in: host)
        self.resources = try ResourcePlan(resources ?? Resources(), on: layout)
        if let devices = self.resources.devices {
            self.devices = devices
        } else {
            devices = try DeviceAccess(rules: [])
        }
    }
}
