// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Mount trees that the child clones by path, in a mount namespace of its own. Trees of the host are
// cloned before anything is mounted, so none of their paths is inside the root file system. Trees
// of the container are resolved below its root, like all paths there.

extension Assembler {
    /// Clones a tree to use in place of one that the parent would have prepared.
    ///
    /// Later steps keep the root tree open by the number of its inherited descriptor, so the child
    /// duplicates its own clone onto that number.
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
            [.cell(clone), .cell(input(.rootfsTree)), .named(OpenFlags.closeOnExec)])
        call(.close, [.cell(clone)])
    }

    private mutating func openSource(_ tree: HostTree) -> Cell {
        let source = cell("host-path")
        var flags: OpenFlags = .pathOnly
        if tree.kind == .directory { flags |= .directory }
        if !tree.followsLink { flags |= .noFollow }
        open(text(tree.path), flags, into: source)
        return source
    }

    /// Clones a tree of the container.
    ///
    /// A link of the image or of a volume is resolved inside the container, and must not lead to a
    /// procfs or sysfs: bound elsewhere, these would be without their masks.
    mutating func clone(_ tree: ContainerTree, in root: Cell) -> Cell {
        let source = cell("container-path")
        let path = tree.path == "/" ? "." : tree.path
        let flags: OpenFlags = tree.clonesLink ? .pathOnly | .noFollow : .pathOnly
        let note =
            "unable to find the source \(tree.path) in the container, as it is mounted by then"
        resolve(
            path, below: root, into: source, flags: flags, resolution: .noLinks,
            ignoring: [.tooManySymbolicLinkLevels], note: note)
        let isDirect = skip(when: .isNotNegative(source))
        resolve(path, below: root, into: source, flags: flags, note: note)
        verifyBehindLink(source, tree)
        place(isDirect)
        let clone = cloneTree(source, recursive: tree.recursive)
        call(.close, [.cell(source)])
        for change in tree.changes { setAttributes(clone, change) }
        return clone
    }

    /// Refuses procfs and sysfs as targets of a link, and for a recursive clone the root of any
    /// mount: the config's own procfs and sysfs mounts may be below it.
    private mutating func verifyBehindLink(_ source: Cell, _ tree: ContainerTree) {
        let note = "the source \(tree.path) leads through a link to "
        let status = scratch()
        call(.fstatfs, [.cell(source), .address(status)])
        let types: [(FilesystemMagic, name: String)] = [(.proc, "proc"), (.sysfs, "sysfs")]
        for (type, name) in types {
            refuse(
                note + "a file system of type \(name)", when: .isFilesystem(status, type))
        }
        guard tree.recursive else { return }
        statx(.cell(source), into: status)
        refuse(
            note + "the root of a mount, and is to be recursive", when: .isMountRoot(status))
    }

    mutating func refuse(_ note: String, when condition: Condition) {
        let isWrong = skip(when: condition)
        let isRight = skip(when: .always)
        place(isWrong)
        refuse(note)
        place(isRight)
    }

    private mutating func verify(_ device: Device, at node: Cell, _ path: String) {
        let status = scratch()
        statx(.cell(node), into: status)
        let conditions: [Condition] = [
            .isFile(status, device.type),
            .isDevice(status, Int(device.major), Int(device.minor)),
        ]
        for condition in conditions {
            let isRight = skip(when: condition)
            refuse("the host has no device \(device.major):\(device.minor) at \(path)")
            place(isRight)
        }
    }
}
#endif
