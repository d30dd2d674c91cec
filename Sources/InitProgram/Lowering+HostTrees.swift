// SPDX-License-Identifier: Apache-2.0

// Mount trees that the child clones by path. It is in a mount namespace of its own by then. Those of
// the host come before anything is mounted: no such path is inside the root file system. Those of the
// container are resolved below its root, like all paths there.

extension Assembler {
    /// The tree takes the place of what the parent would have prepared.
    ///
    /// The number of the root tree is among those that later steps keep open: the child moves its own
    /// onto the descriptor that it inherited.
    mutating func clone(_ tree: HostTree, for descriptor: InheritedDescriptor) {
        let source = openSource(tree)
        if case .device(let device) = tree.kind { verify(device, at: source, tree.path) }
        let clone = cloneTree(source, recursive: tree.recursive)
        call(.close, [.cell(source)])
        for change in tree.changes { setAttributes(clone, change) }
        guard descriptor == .rootfsTree else {
            use(clone, for: descriptor)
            return
        }
        call(
            .dup3,
            [.cell(clone), .cell(input(.rootfsTree)), .named(0o2_000_000, "O_CLOEXEC")])
        call(.close, [.cell(clone)])
    }

    private mutating func openSource(_ tree: HostTree) -> Cell {
        let source = cell("host-path")
        var flags = Self.pathOnly
        var names = "O_PATH"
        if tree.kind == .directory {
            flags |= Self.directory
            names += "|O_DIRECTORY"
        }
        if !tree.followsLink {
            flags |= Self.noFollow
            names += "|O_NOFOLLOW"
        }
        call(
            .openat,
            [
                .named(-100, "AT_FDCWD"), text(tree.path), .named(flags, names + "|O_CLOEXEC"),
                .literal(0),
            ], into: source)
        return source
    }

    /// No link of the image leads a source to where the config does not want it, such as a procfs that
    /// would escape its masks at its second place.
    mutating func clone(_ tree: ContainerTree, in root: Cell) -> Cell {
        let source = cell("container-path")
        resolve(
            tree.path == "/" ? "." : tree.path, below: root, into: source,
            flags: Self.pathOnly | (tree.clonesLink ? Self.noFollow : 0),
            resolution: Resolution.noLinks,
            note:
                "unable to find the source \(tree.path), which lies in an earlier mount and leads "
                + "through no link")
        let clone = cloneTree(source, recursive: tree.recursive)
        call(.close, [.cell(source)])
        for change in tree.changes { setAttributes(clone, change) }
        return clone
    }

    private mutating func verify(_ device: Device, at node: Cell, _ path: String) {
        let status = scratch()
        statx(.cell(node), into: status)
        let number = Int(device.major) | Int(device.minor) << 32
        let kind = Int(device.mode & 0xf000)
        for (offset, mask, value) in [(28, 0xf000, kind), (128, -1, number)] {
            let isRight = skip(when: .memory(status + offset, mask: mask, value: value))
            refuse("the host has no device \(device.major):\(device.minor) at \(path)")
            place(isRight)
        }
    }
}
