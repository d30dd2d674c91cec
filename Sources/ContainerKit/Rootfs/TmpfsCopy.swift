// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A new tmpfs with a copy of what the image has at `mount.destination`: the option `tmpcopyup`.
///
/// The directory is resolved below `root`; one that is missing leaves the tmpfs empty. The tmpfs
/// takes the directory's owner and mode, except where an option names them. What makes it
/// read-only comes after the copy. Hard links become files of their own; holes stay holes.
/// A process in the container's cgroup fills it, so that its memory is the container's.
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

/// What the rootfs lacks belongs to the container's root, unless options say whose it is.
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

/// The directory at `path`, or nil when nothing is there.
private func existingDirectory(_ path: String, below root: CInt) throws(SystemCallError)
    -> OwnedDescriptor?
{
    do {
        return try openInRoot(root, path, .readOnly | .directory)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return nil
    }
}
