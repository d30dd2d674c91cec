// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The user namespace of a container, if it differs from the runtime's.
///
/// A new one is made by the clone if every other namespace is new or shared with the host. Otherwise a first
/// process joins other namespaces while it has the rights, enters the user namespace, makes the
/// namespaces that must belong to it, and clones the second process, which becomes init.
struct UserNamespacePlan: Equatable, Sendable {
    /// The maps; nil for a joined one if the config has none.
    let maps: IDMaps?
    /// Whether it is new, not joined.
    let isNew: Bool
    /// Whether it is made by the clone of the child.
    let isCloned: Bool
    /// The user and group that set up the container.
    let user: NamespaceUser

    init?(_ namespaces: NamespacePlan, _ linux: Linux, _ process: Process) {
        guard namespaces.isolates(.user) else { return nil }
        isNew = namespaces.new.contains(.user)
        isCloned = isNew && namespaces.joined.isEmpty
        let maps = IDMaps(users: linux.uidMappings, groups: linux.gidMappings)
        self.maps = maps.users.isEmpty && maps.groups.isEmpty ? nil : maps
        user = NamespaceUser(of: process, in: self.maps)
    }
}

extension NamespaceUser {
    /// Root of the namespace, or the process's own user and group if root is not mapped.
    init(of process: Process, in maps: IDMaps?) {
        func isMapped(_ ranges: [IDRange]?) -> Bool {
            guard let ranges, !ranges.isEmpty else { return true }
            return ranges.outside(0) != nil
        }
        self.init(
            userID: isMapped(maps?.users) ? 0 : process.user.uid,
            groupID: isMapped(maps?.groups) ? 0 : process.user.gid)
    }
}

extension IDMaps {
    init(users: [IDMapping]?, groups: [IDMapping]?) {
        func ranges(_ mappings: [IDMapping]?) -> [IDRange] {
            (mappings ?? []).map {
                IDRange(inside: $0.containerID, outside: $0.hostID, count: $0.size)
            }
        }
        self.init(users: ranges(users), groups: ranges(groups))
    }

    /// Parses crun's option `idmap=uids=0-1-10#10-11-10;gids=@0-0-10`.
    ///
    /// The numbers are the first ID in the file system (`inside`), the first ID that it appears as
    /// (`outside`), and the count; with `@` the second is an ID of the container. Maps that are not given are the container's.
    init?(option text: String, in container: IDMaps?) {
        let everything = [IDRange(inside: 0, outside: 0, count: .max)]
        self = container ?? IDMaps(users: everything, groups: everything)
        for part in text.split(separator: ";") {
            if part.begins(with: "uids=") {
                guard let ranges = Self.ranges(part.dropFirst(5), container?.users) else {
                    return nil
                }
                users = ranges
            } else if part.begins(with: "gids=") {
                guard let ranges = Self.ranges(part.dropFirst(5), container?.groups) else {
                    return nil
                }
                groups = ranges
            } else {
                return nil
            }
        }
    }

    private static func ranges(_ text: Substring, _ container: [IDRange]?) -> [IDRange]? {
        var ranges: [IDRange] = []
        for word in text.split(separator: "#", omittingEmptySubsequences: false) {
            let isRelative = word.begins(with: "@")
            let numbers = (isRelative ? word.dropFirst() : word).split(
                separator: "-", omittingEmptySubsequences: false
            ).compactMap { UInt32($0) }
            guard numbers.count == 3, word.count(where: { $0 == "-" }) == 2, numbers[2] > 0 else {
                return nil
            }
            let (inside, count) = (numbers[0], numbers[2])
            var outside = numbers[1]
            if isRelative {
                // Both ends must be in one range; otherwise IDs in between could be another's.
                let range = container?.first {
                    outside >= $0.inside && outside - $0.inside < $0.count
                        && $0.count - (outside - $0.inside) >= count
                }
                guard let range else { return nil }
                outside = range.outside + (outside - range.inside)
            }
            ranges.append(IDRange(inside: inside, outside: outside, count: count))
        }
        return ranges
    }
}
#endif
