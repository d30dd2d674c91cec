// SPDX-License-Identifier: Apache-2.0

/// Mapped ranges are not empty and end with the last id, 4294967294: -1 is none.
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
    for (index, mapping) in (mappings ?? []).enumerated() {
        let path = path().appending(index: index)
        if mapping.size == 0 {
            found.append(
                SpecError(
                    path.appending(key: "size"), "must be greater than 0", section: section))
        }
        for (other, earlier) in (mappings ?? [])[..<index].enumerated()
        where overlap(mapping.containerID, mapping.size, earlier.containerID, earlier.size)
            || overlap(mapping.hostID, mapping.size, earlier.hostID, earlier.size)
        {
            let message = "overlaps range \(other)"
            found.append(SpecError(path, message, section: section))
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

private func overlap(_ one: UInt32, _ size: UInt32, _ other: UInt32, _ otherSize: UInt32) -> Bool {
    UInt64(one) < UInt64(other) + UInt64(otherSize) && UInt64(other) < UInt64(one) + UInt64(size)
}

/// The user of the process is mapped (root, where there is no process yet), and so are the owners that
/// options name.
///
/// Spec: config-linux.md, User namespace mappings. Kernel: user_namespaces(7), tmpfs(5).
func checkMappedIDs(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux, linux.namespace(.user) != nil,
        let users = linux.uidMappings, let groups = linux.gidMappings, !users.isEmpty,
        !groups.isEmpty
    else { return }
    let section = "config-linux.md, User namespace mappings"
    func require(_ id: UInt32, _ mappings: [IDMapping], _ list: String, _ path: JSONPath) {
        if mappings.maps(id) { return }
        let message = "\(id) has no mapping in \(list)"
        found.append(SpecError(path, message, section: section))
    }
    if spec.process == nil {
        for (mappings, list) in [(users, "linux.uidMappings"), (groups, "linux.gidMappings")]
        where !mappings.maps(0) {
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
            if (isUser ? users : groups).maps(id) { continue }
            let list = isUser ? "linux.uidMappings" : "linux.gidMappings"
            let message = "\(quoted(option)) has no mapping in \(list)"
            found.append(SpecError("mounts[\(index)].options", message, section: section))
        }
    }
}

extension [IDMapping] {
    /// Whether a range has `id` of the container.
    fileprivate func maps(_ id: UInt32) -> Bool {
        contains { id >= $0.containerID && id - $0.containerID < $0.size }
    }
}
