// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.devices`: lines of `devices.allow` and `devices.deny` on v1, a program on v2.
///
/// Spec: config-linux.md, Allowed Device list. Kernel: admin-guide/cgroup-v1/devices.rst,
/// cgroup-v2.rst, Device controller.
enum DeviceController {
    /// Refuses rules that nothing enforces: they need the v1 controller, or any v2 cgroup.
    static func check(_ layout: CgroupLayout) throws(SpecError) {
        guard layout.isUnified || layout.index(of: "devices") != nil else {
            throw SpecError("linux.resources.devices", layout.lack(of: "devices"))
        }
    }

    /// The v1 writes that change `current` to `wanted`, never granting more than both of them.
    ///
    /// If the default changes, the list is built again, starting with a line for all devices.
    static func legacyWrites(
        from current: DeviceAccess?, to wanted: DeviceAccess, directory: Int
    ) -> [ControlWrite] {
        let exceptionFile = wanted.allowsByDefault ? "devices.deny" : "devices.allow"
        let oppositeFile = wanted.allowsByDefault ? "devices.allow" : "devices.deny"
        func write(_ file: String, _ text: String) -> ControlWrite {
            ControlWrite(
                directory: directory, file: file, text: text, field: "linux.resources.devices")
        }
        guard let current, current.allowsByDefault == wanted.allowsByDefault else {
            return [write(oppositeFile, "a")]
                + wanted.exceptions.map { write(exceptionFile, $0.line) }
        }
        let (had, wants) = (current.accessByDevices, wanted.accessByDevices)
        var removed: [ControlWrite] = []
        var added: [ControlWrite] = []
        for old in current.exceptions {
            let lost = old.access.subtracting(wants[old.devices] ?? [])
            if !lost.isEmpty { removed.append(write(oppositeFile, old.with(access: lost).line)) }
        }
        for new in wanted.exceptions {
            let gained = new.access.subtracting(had[new.devices] ?? [])
            if !gained.isEmpty { added.append(write(exceptionFile, new.with(access: gained).line)) }
        }
        return removed + added
    }
}

extension DeviceAccess {
    fileprivate var accessByDevices: [DeviceRange: DeviceOperations] {
        Dictionary(
            exceptions.map { ($0.devices, $0.access) }, uniquingKeysWith: { $0.union($1) })
    }
}
#endif
