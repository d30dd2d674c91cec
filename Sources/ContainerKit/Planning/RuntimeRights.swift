// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The rights of the runtime on the host, as far as plans depend on them.
struct RuntimeRights: Equatable, Sendable {
    /// Whether it may clone and change the mounts of its mount namespace.
    ///
    /// If not, the child does this, in the container's mount namespace.
    var preparesMounts = true
    /// Whether it may map all IDs of its own user namespace.
    var mapsIDs = true
    /// The user and group of the runtime; set only if its rights were checked.
    var userID: UInt32 = 0
    var groupID: UInt32 = 0
    /// Whether it is in a user namespace other than the host's, in which no devices can be made and
    /// no device programs loaded.
    var isInUserNamespace = false
    /// Whether it may make devices, if the file system permits it.
    var makesDevices = true
    /// Whether a container may do without cgroups that the runtime cannot make.
    var mayGoWithoutCgroups = false

    /// Whether it runs as an ordinary user, who is not root of a user namespace either.
    var isOrdinaryUser: Bool { userID != 0 && !preparesMounts }

    /// How these maps are written.
    func writer(of maps: IDMaps) -> IDMapWriter {
        if mapsIDs { return .runtime }
        let isOwn =
            maps.users.count == 1 && maps.users[0].count == 1 && maps.users[0].outside == userID
            && maps.groups.count == 1 && maps.groups[0].count == 1
            && maps.groups[0].outside == groupID
        return isOwn ? .user : .tools
    }

    /// Refuses a config that an ordinary user cannot run.
    func check(_ spec: Spec, _ namespaces: NamespacePlan, _ maps: IDMaps?) throws(SpecError) {
        guard isOrdinaryUser else { return }
        // The texts begin as runc's, which people search for.
        guard namespaces.isolates(.user) else {
            throw SpecError(
                "linux.namespaces",
                "rootless container requires user namespaces: add {\"type\": \"user\"}, or start "
                    + "from `spec --rootless`")
        }
        guard namespaces.new.contains(.user) else { return }
        for (ranges, field) in [
            (maps?.users, "linux.uidMappings"), (maps?.groups, "linux.gidMappings"),
        ] where (ranges ?? []).isEmpty {
            throw SpecError(
                JSONPath(stringLiteral: field),
                "rootless containers requires at least one mapping of a user and of a group")
        }
    }
}
#endif
