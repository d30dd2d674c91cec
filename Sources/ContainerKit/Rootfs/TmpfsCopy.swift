// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A new tmpfs with a copy of the image's directory at `mount.destination`: the option `tmpcopyup`.
///
/// The directory is resolved below `root`; if it is missing, the tmpfs stays empty. The tmpfs gets
/// the directory's owner and mode, unless options set them. It is made read-only after the copy.
/// Hard links become separate files; holes stay holes. A process in the container's cgroup makes
/// the copy, so that its memory is charged to the container.
///
/// Kernel: tmpfs(5), fsmount(2).
func tmpfsCopy(
    of mount: FilesystemMount, from root: CInt, owner: IDMaps? = nil,
    in place: TreeCopyPlace = .own
) throws(SystemCallError) -> OwnedDescriptor {
    let context = try FilesystemContext(type: mount.type)
    if !mount.source.isEmpty { try context.set("source=\(mount.source)") }
    for option in mount.options where option != "ro" { try context.set(option) }
    try context.create()
    let tree = try context.attach(attributes: mount.attributes.subtracting(.readOnly))

    if let source = try existingDirectory(mount.destination, below: root) {
        let target = try openFile(".", .readOnly | .directory, at: tree.number)
        let keys = Set(mount.options.map { $0.prefix { $0 != "=" } })
        let status = try status(of: source.number)
        try TreeCopy(
            source: source.number, target: target.number, destination: mount.destination,
            owner: keys.contains("uid") ? nil : status.stx_uid,
            group: keys.contains("gid") ? nil : status.stx_gid,
            mode: keys.contains("mode") ? nil : status.permissions
        ).run(in: place)
    } else if let owner {
        try giveToRoot(of: owner, tree.number, mount.options)
    }

    if mount.options.contains("ro") {
        try context.set("ro")
        try context.reconfigure()
    }
    try changeMount(tree.number, MountChange(set: mount.attributes.intersection(.readOnly)))
    for change in mount.changes { try changeMount(tree.number, change) }
    return tree
}

/// Makes the container's root the owner of the tmpfs, unless options set an owner.
private func giveToRoot(of maps: IDMaps, _ tree: CInt, _ options: [String]) throws(SystemCallError)
{
    func id(_ ranges: [IDRange], _ option: String) -> Int {
        let isNamed = options.contains { $0.begins(with: option) }
        return isNamed ? -1 : ranges.outside(0).map(Int.init) ?? -1
    }
    try withPath("") { (empty) throws(SystemCallError) in
        _ = try systemCall(
            "fchownat", __NR_fchownat, Int(tree), empty, id(maps.users, "uid="),
            id(maps.groups, "gid="), PathFlags.emptyPath.rawValue, describing: "tmpfs")
    }
}

/// The directory at `path`; nil if nothing is there.
private func existingDirectory(_ path: String, below root: CInt) throws(SystemCallError)
    -> OwnedDescriptor?
{
    do {
        return try openInRoot(root, path, .pathOnly | .directory)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return nil
    }
}
#endif
