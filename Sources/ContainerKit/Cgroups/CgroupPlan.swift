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
    /// The properties of the scope that systemd makes; empty without systemd.
    var properties: [UnitProperty] = []
    /// Whether it is no error that the kernel refuses device rules: what a user namespace cannot make,
    /// it need not be forbidden.
    var toleratesDeviceRefusal = false
    /// The cgroup below the container's that its process is in, as `/a/b`; empty for the container's own.
    var delegated = ""
    /// The user of the host that the v2 cgroup is given to; nil leaves it to root.
    var owner: UInt32?

    /// Plans the cgroup of the container `id`.
    ///
    /// Without resources the container still gets its directories and the device rules that every
    /// container has. Spec: config-linux.md, Cgroups Path and Control groups.
    init(cgroupsPath: String?, id: String, resources: Resources?, host: CgroupHierarchies)
        throws(SpecError)
    {
        try self.init(
            layout: CgroupLayout(cgroupsPath: cgroupsPath, id: id, in: host), resources: resources)
    }

    /// Plans the scope of the container `id`, which systemd makes.
    init(
        cgroupsPath: String?, id: String, resources: Resources?, annotations: [String: String],
        host: CgroupHierarchies, systemd: SystemdHost
    ) throws(SpecError) {
        let scope = try SystemdScope(cgroupsPath: cgroupsPath, id: id, host: systemd)
        try self.init(
            layout: CgroupLayout(scope: scope, host: systemd, in: host).inSubgroup(annotations),
            resources: resources)
        properties =
            UnitProperties.base(of: scope, id: id, isUnified: layout.isUnified)
            + (try PropertyAnnotation.properties(annotations))
            + UnitProperties.outOfMemoryPolicy(resources ?? Resources(), version: scope.version)
            + self.resources.properties
            + (layout.isUnified ? [] : devices.unitProperties(version: scope.version))
    }

    private init(layout: CgroupLayout, resources: Resources?) throws(SpecError) {
        self.layout = layout
        self.resources = try ResourcePlan(resources ?? Resources(), on: layout)
        if let devices = self.resources.devices {
            self.devices = devices
        } else {
            devices = try DeviceAccess(rules: [])
        }
    }
}
