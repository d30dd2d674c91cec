// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

// What changes for the container's mounts with a user namespace or ID mappings.

extension MountPlan {
    /// The ID mapping of a mount's files; nil for none.
    func idMap(_ mount: Mount, _ options: MountOptions, _ field: Origin)
        throws(SpecError) -> MountIDMap?
    {
        let maps = IDMaps(users: mount.uidMappings, groups: mount.gidMappings)
        let hasMaps = !maps.users.isEmpty
        guard hasMaps || options.idMapping != nil else { return nil }
        guard options.isBind || mount.type == "tmpfs" else {
            throw SpecError("\(field).options", "mapped ids need a bind mount or a tmpfs")
        }
        let isRecursive = options.idMapping == .tree
        if hasMaps { return MountIDMap(maps, recursive: isRecursive) }
        if let text = options.idMapText {
            guard let maps = IDMaps(option: text, in: userNamespace?.maps) else {
                throw SpecError(
                    "\(field).options",
                    "\"idmap=\(text)\" is not like uids=0-1000-10#10-2000-1;gids=@0-0-10")
            }
            return MountIDMap(maps, recursive: isRecursive)
        }
        guard let userNamespace else {
            throw SpecError(
                "\(field).options",
                "idmap needs uidMappings and gidMappings, or a user namespace of the container")
        }
        return MountIDMap(userNamespace.isNew ? userNamespace.maps : nil, recursive: isRecursive)
    }

    /// The host's tree to bind if a user namespace may not mount this type, because it does not own
    /// the network or ipc namespace that the file system shows.
    func hostTree(for type: String) -> HostTree? {
        guard userNamespace != nil || rights.isInUserNamespace else { return nil }
        switch type {
        case "sysfs" where !namespaces.new.contains(.network):
            guard isUnprivileged else { return HostTree(path: "/sys") }
            // Mounts below /sys cannot be left out in a user namespace; all of it is made
            // read-only.
            return HostTree(
                path: "/sys", recursive: true,
                changes: [MountChange(set: .readOnly, recursive: true)])
        case "mqueue" where !namespaces.isolates(.ipc): return HostTree(path: "/dev/mqueue")
        default: return nil
        }
    }

    /// The device that the runtime makes for a user namespace, with the host's IDs.
    ///
    /// Nil if it is made inside, if the IDs are unknown, or if the runtime may not make devices.
    func madeDevice(_ device: Device, _ field: Origin) throws(SpecError) -> Device? {
        guard let maps = userNamespace?.maps, rights.makesDevices, !isUnprivileged,
            device.type != .fifo
        else { return nil }
        var device = device
        let ids = [
            (maps.users, device.userID, "uid"), (maps.groups, device.groupID, "gid"),
        ]
        var outside: [UInt32] = []
        for (ranges, id, key) in ids {
            guard let mapped = ranges.outside(id) else {
                throw SpecError(
                    "\(field).\(key)",
                    "\(id) has no mapping in linux.\(key)Mappings")
            }
            outside.append(mapped)
        }
        (device.userID, device.groupID) = (outside[0], outside[1])
        return device
    }

    /// Whether the runtime may not clone single mounts of the host, because these are locked
    /// together.
    ///
    /// Kernel: mount_namespaces(7).
    var isUnprivileged: Bool { !rights.preparesMounts || rights.isInUserNamespace }

    /// The options of a file system that the parent mounts; `uid=` and `gid=` are the container's,
    /// and mapped.
    func outsideIDs(_ options: [String], _ field: Origin) throws(SpecError) -> [String] {
        guard let userNamespace else { return options }
        var mapped: [String] = []
        for option in options {
            guard option.begins(with: "uid=") || option.begins(with: "gid="),
                let id = UInt32(option.dropFirst(4))
            else {
                mapped.append(option)
                continue
            }
            let maps = userNamespace.maps
            let ranges = option.begins(with: "uid=") ? maps?.users : maps?.groups
            guard let outside = ranges?.outside(id) else {
                throw SpecError(
                    "\(field).options",
                    "\"\(option)\" has no mapping in linux.\(option.prefix(3))Mappings")
            }
            mapped.append("\(option.prefix(4))\(outside)")
        }
        return mapped
    }
}
#endif
