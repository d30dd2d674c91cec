// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

/// What the runtime may do on the host, as far as plans depend on it.
struct RuntimeRights: Equatable, Sendable {
    /// Whether it may clone and change the mounts of its mount namespace.
    ///
    /// If not, the child does so, in the mount namespace of the container.
    var preparesMounts = true
    /// Whether it may map any id that it has itself.
    var mapsIDs = true
    /// The user and group that it runs as; known only where it is no more than that.
    var userID: UInt32 = 0
    var groupID: UInt32 = 0
    /// Whether it is in a user namespace apart from the host's: devices cannot be made there, nor
    /// programs for devices loaded.
    var isInUserNamespace = false
    /// Whether it may make devices, where the file system lets it.
    var makesDevices = true
    /// Whether a container goes without the cgroups that the runtime may not make.
    var mayGoWithoutCgroups = false

    /// Whether it runs as an ordinary user, who is not root of a user namespace either.
    var isOrdinaryUser: Bool { userID != 0 && !preparesMounts }

    /// Who can write these maps.
    func writer(of maps: IDMaps) -> IDMapWriter {
        if mapsIDs { return .runtime }
        let isOwn =
            maps.users.count == 1 && maps.users[0].count == 1 && maps.users[0].outside == userID
            && maps.groups.count == 1 && maps.groups[0].count == 1
            && maps.groups[0].outside == groupID
        return isOwn ? .user : .tools
    }

    /// What an ordinary user cannot have.
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
