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

    /// A link of the image or of a volume stays in the container, and leads to no second place of a procfs
    /// or sysfs, where these would be without their masks.
    mutating func clone(_ tree: ContainerTree, in root: Cell) -> Cell {
        let source = cell("container-path")
        let path = tree.path == "/" ? "." : tree.path
        let flags = Self.pathOnly | (tree.clonesLink ? Self.noFollow : 0)
        let note =
            "unable to find the source \(tree.path) in the container, as it is mounted by then"
        resolve(
            path, below: root, into: source, flags: flags, resolution: Resolution.noLinks,
            ignoring: [IgnoredErrno.loop], note: note)
        let isDirect = skip(when: .isNotNegative(source))
        resolve(path, below: root, into: source, flags: flags, note: note)
        verifyBehindLink(source, tree)
        place(isDirect)
        let clone = cloneTree(source, recursive: tree.recursive)
        call(.close, [.cell(source)])
        for change in tree.changes { setAttributes(clone, change) }
        return clone
    }

    /// Those of the config are below the root of a mount: with recursion they would come along.
    private mutating func verifyBehindLink(_ source: Cell, _ tree: ContainerTree) {
        let note = "the source \(tree.path) leads through a link to "
        let status = scratch()
        call(.fstatfs, [.cell(source), .address(status)])
        // PROC_SUPER_MAGIC, SYSFS_MAGIC
        for (magic, type) in [(0x9fa0, "proc"), (0x6265_6572, "sysfs")] {
            refuse(
                note + "a file system of type \(type)",
                when: .memory(status, mask: 0xffff_ffff, value: magic))
        }
        guard tree.recursive else { return }
        statx(.cell(source), into: status)
        // stx_attributes, STATX_ATTR_MOUNT_ROOT
        refuse(
            note + "the root of a mount, and is to be recursive",
            when: .memory(status + 8, mask: 0x2000, value: 0x2000))
    }

    private mutating func refuse(_ note: String, when condition: Condition) {
        let isWrong = skip(when: condition)
        let isRight = skip(when: .always)
        place(isWrong)
        refuse(note)
        place(isRight)
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
