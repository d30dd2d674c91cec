// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Cgroup {
    /// Changes the access to devices of a living container, and nothing that others have allowed.
    ///
    /// On v1 only the lines that differ are written. On v2 the program is replaced as a whole, so
    /// it must be the runtime's own.
    func change(_ wanted: DeviceAccess, from present: DeviceAccess) throws(CgroupError) {
        guard wanted != present else { return }
        if layout.isUnified {
            guard try isGoverned(by: present) else { return }
            return try apply(wanted, from: present)
        }
        try apply(wanted, from: present)
        guard let scope = layout.scope else { return }
        do throws(CgroupError) {
            try setProperties(wanted.unitProperties(version: scope.version))
            // systemd has written the rules that it can express, and those alone.
            try apply(wanted, from: DeviceAccess(allowsByDefault: wanted.allowsByDefault))
        } catch {
            try? apply(present, from: wanted)
            throw error
        }
    }

    /// Whether the program of the v2 cgroup is the one for this access; false if there is none, and
    /// so all devices are allowed.
    ///
    /// - Throws: if it is another, or one of several: to replace it would take back what another
    ///   tool has allowed.
    private func isGoverned(by access: DeviceAccess) throws(CgroupError) -> Bool {
        guard let directory = try openUnifiedDirectory() else { return false }
        let isOurs: Bool
        do throws(SystemCallError) {
            let present = try DevicePrograms.attached(to: directory.number)
            if present.isEmpty { return false }
            let expected = try DevicePrograms.load(access.program)
            let tag = try DevicePrograms.tag(of: expected.number)
            let found = try DevicePrograms.tag(ofID: present[0])
            isOurs = present.count == 1 && found == tag
        } catch {
            throw CgroupError(
                field: "linux.resources.devices", failure: error,
                message: "unable to look at the container's device program")
        }
        guard isOurs else {
            throw CgroupError(
                field: "linux.resources.devices",
                message: "the container's device program is not the one that was set",
                hint: "another tool has changed it; to replace it would undo what that allowed"
            )
        }
        return true
    }
}
#endif
