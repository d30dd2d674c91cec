// SPDX-License-Identifier: Apache-2.0

/// The rules for ID mappings.
let idMappingRules: [Rule<Spec>] = [
    checkIDMappingRanges, checkMappedIDs,
]

/// Mapped ranges are not empty, do not overlap and end at 4294967294 at most, since -1 is no ID.
///
/// Spec: config-linux.md, User namespace mappings. Kernel: user_namespaces(7).
func checkIDMappingRanges(_ spec: Spec, _ found: inout [SpecError]) {
    checkRanges(spec.linux?.uidMappings, at: "linux.uidMappings", &found)
    checkRanges(spec.linux?.gidMappings, at: "linux.gidMappings", &found)
    for (index, mount) in (spec.mounts ?? []).enumerated() {
        checkRanges(mount.uidMappings, at: "mounts[\(index)].uidMappings", &found)
        checkRanges(mount.gidMappings, at: "mounts[\(index)].gidMappings", &found)
    }
}

private func checkRanges(
    _ mappings: [IDMapping]?, at path: @autoclosure () -> JSONPath, _ found: inout [SpecError]
) {
    let section = "config-linux.md, User namespace mappings"
    guard let mappings else { return }
    let overlaps = mappings.count > 1 ? overlaps(mappings) : nil
    for (index, mapping) in mappings.enumerated() {
        let path = path().appending(index: index)
        if mapping.size == 0 {
            found.append(
                SpecError(
                    path.appending(key: "size"), "must be greater than 0", section: section))
        }
        if let other = overlaps?[index] {
            found.append(SpecError(path, "overlaps range \(other)", section: section))
        }
        for (key, first) in [("containerID", mapping.containerID), ("hostID", mapping.hostID)]
        where UInt64(first) + UInt64(mapping.size) > UInt64(UInt32.max) {
            found.append(
                SpecError(
                    path,
                    "\(key) \(first) and size \(mapping.size) exceed 4294967294, the last id",
                    section: section))
        }
    }
}

/// For each range that overlaps an earlier one of the list, the index of the earlier one.
///
/// Sorted by first ID, a range can overlap only the one before it that reaches furthest.
private func overlaps(_ mappings: [IDMapping]) -> [Int: Int] {
    var found: [Int: Int] = [:]
    for first in [\IDMapping.containerID, \IDMapping.hostID] {
        let order = mappings.indices.filter { mappings[$0].size > 0 }
            .sorted { mappings[$0][keyPath: first] < mappings[$1][keyPath: first] }
        var furthest: (index: Int, end: UInt64)?
        for index in order {
            let mapping = mappings[index]
            let end = UInt64(mapping[keyPath: first]) + UInt64(mapping.size)
            if let furthest, UInt64(mapping[keyPath: first]) < furthest.end {
                let later = max(index, furthest.index)
                found[later] = min(found[later] ?? .max, index, furthest.index)
            }
            if end > furthest?.end ?? 0 { furthest = (index, end) }
        }
    }
    return found
}

/// The user of the process is mapped (root if there is no process yet), and so are the owners that
/// mount options name.
///
/// Spec: config-linux.md, User namespace mappings. Kernel: user_namespaces(7), tmpfs(5).
func checkMappedIDs(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux, linux.namespace(.user) != nil,
        let userMappings = linux.uidMappings, let groupMappings = linux.gidMappings,
        !userMappings.isEmpty, !groupMappings.isEmpty
    else { return }
    let section = "config-linux.md, User namespace mappings"
    let (users, groups) = (MappedIDs(userMappings), MappedIDs(groupMappings))
    func require(
        _ id: UInt32, _ mapped: MappedIDs, _ list: String, _ path: @autoclosure () -> JSONPath
    ) {
        if mapped.contains(id) { return }
        let message = "\(id) has no mapping in \(list)"
        found.append(SpecError(path(), message, section: section))
    }
    if spec.process == nil {
        for (mapped, list) in [(users, "linux.uidMappings"), (groups, "linux.gidMappings")]
        where !mapped.contains(0) {
            let message = "must map the container's root, containerID 0: there is no process"
            found.append(SpecError(JSONPath(stringLiteral: list), message, section: section))
        }
    }
    if let user = spec.process?.user {
        require(user.uid, users, "linux.uidMappings", "process.user.uid")
        require(user.gid, groups, "linux.gidMappings", "process.user.gid")
        for (index, group) in (user.additionalGids ?? []).enumerated() {
            require(
                group, groups, "linux.gidMappings", "process.user.additionalGids[\(index)]")
        }
    }
    for (index, mount) in (spec.mounts ?? []).enumerated()
    where !mount.isBind && (mount.type == "tmpfs" || mount.type == "devpts")
        && (mount.uidMappings ?? []).isEmpty
    {
        for option in mount.options ?? [] {
            guard option.hasPrefix("uid=") || option.hasPrefix("gid="),
                let id = UInt32(option.dropFirst(4))
            else { continue }
            let isUser = option.hasPrefix("uid=")
            if (isUser ? users : groups).contains(id) { continue }
            let list = isUser ? "linux.uidMappings" : "linux.gidMappings"
            let message = "\(quoted(option)) has no mapping in \(list)"
            found.append(SpecError("mounts[\(index)].options", message, section: section))
        }
    }
}

/// The IDs of a container that are mapped.
private struct MappedIDs {
    private let ranges: [IDMapping]

    init(_ mappings: [IDMapping]) {
        ranges = mappings.sorted { $0.containerID < $1.containerID }
    }

    func contains(_ id: UInt32) -> Bool {
        var candidates = ranges[...]
        while !candidates.isEmpty {
            let middle = candidates.startIndex + candidates.count / 2
            let range = ranges[middle]
            if id < range.containerID {
                candidates = candidates[..<middle]
            } else if id - range.containerID < range.size {
                return true
            } else {
                candidates = candidates[(middle + 1)...]
            }
        }
        return false
    }
}
