// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// The cgroup of a new container: its directories and limits.
struct CgroupPlan: Equatable, Sendable {
    /// The directories.
    var layout: CgroupLayout
    /// The limits.
    var resources: ResourcePlan
    /// The access to devices; the standard ones are always allowed.
    var devices: DeviceAccess
    /// The properties of the scope that systemd makes; empty without systemd.
    var properties: [UnitProperty] = []
    /// Whether a refusal of device rules is ignored: in a user namespace no device nodes can be
    /// made anyway.
    var toleratesDeviceRefusal = false
    /// The cgroup of the container's process below the container's own, as `/a/b`; empty for its
    /// own.
    var delegated = ""
    /// The user of the host who gets the v2 cgroup; nil leaves it to root.
    var owner: UInt32?

    /// Plans the cgroup of the container `id`.
    ///
    /// A container without resources also gets its directories and the default device rules. Spec:
    /// config-linux.md, Cgroups Path and Control groups.
    init(cgroupsPath: String?, id: String, resources: Resources?, host: CgroupHierarchies)
        throws(SpecError)
    {
        try self.init(
            layout: CgroupLayout(cgroupsPath: cgroupsPath, id: id, in: host), resources: resources)
    }

    /// Plans the use of a cgroup of the caller's.
    ///
    /// With `needsDeviceRules` something must enforce them, also if the config has none: the default
    /// ones keep a container from the host's devices.
    init(adopting layout: CgroupLayout, resources: Resources?, needsDeviceRules: Bool = true)
        throws(SpecError)
    {
        try self.init(layout: layout, resources: resources)
        if needsDeviceRules { try DeviceController.check(layout) }
    }

    /// Plans the scope of the container `id`, which systemd will make.
    init(
        cgroupsPath: String?, id: String, resources: Resources?, annotations: [String: String],
        host: CgroupHierarchies, systemd: SystemdHost, keepsAccounting: Bool = false
    ) throws(SpecError) {
        var scope = try SystemdScope(cgroupsPath: cgroupsPath, id: id, host: systemd)
        if keepsAccounting { try scope.keepAccounting(host) }
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
#endif
