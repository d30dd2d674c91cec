// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// Steps that mount: new file systems, and trees of the host and of the container.
package enum MountStep: ChildStep {
    /// Clones a mount tree of the host by its path, if the runtime itself may not.
    ///
    /// By then this process is root of a user namespace, with the file permissions of the runtime's
    /// user. Kernel: open_tree(2).
    case cloneHostTree(HostTree, for: InheritedDescriptor)
    /// Mounts a new instance of a file system.
    case mountFilesystem(FilesystemMount)
    /// Mounts a new instance of a file system, or a prepared tree if the kernel refuses it because
    /// the user namespace does not own what the file system shows.
    case mountFilesystemOrAttach(FilesystemMount, Int)
    /// Attaches a tree that the parent prepared.
    case attachMount(Int, at: String, kind: MountPointKind)
    /// Receives a tree that the parent has prepared.
    ///
    /// Kernel: recvmsg(2), SCM_RIGHTS.
    case receiveMountTree(InheritedDescriptor)
    /// Clones what earlier steps have mounted in the container, for `mounts[index]`.
    ///
    /// Kernel: open_tree(2).
    case cloneContainerTree(ContainerTree, for: Int)
    /// Sends the parent the tree cloned for `mounts[index]`, so that it can map the IDs of its
    /// files.
    case sendMountTree(Int)
    /// Mounts a tmpfs and attaches the v1 hierarchies that the parent prepared in it; a hierarchy
    /// of several controllers gets a link for each of them.
    case mountCgroupHierarchies(Int, FilesystemMount, [CgroupHierarchyMount])
    /// Changes the attributes of the mount at a path, which must not lead through a link.
    ///
    /// Kernel: mount_setattr(2).
    case changeMount(at: String, [MountChange])
    /// Makes a mount read-only once its contents are made.
    case makeReadOnly(String)
    /// Sends the parent the mount that was made at this destination, so that it can tell it from
    /// others later.
    case sendAttachedMount(at: String)
    /// Unmounts the mount that the parent opened as `mountTree`, with all mounts below it.
    ///
    /// By its descriptor: the container may change what is at a path at any time. Kernel:
    /// umount2(2), MNT_DETACH.
    case detachMount(Int, at: String)
}

extension MountStep {
    package var sentence: String {
        switch self {
        case .cloneHostTree(let tree, _):
            "clone the host's \(tree.path)" + (tree.recursive ? " and the mounts below" : "")
                + tree.changes.sentencePart
        case .mountFilesystem(let mount):
            (mount.mountFlags?.contains(.remount) == true ? "remount " : "mount \(mount.type) on ")
                + mount.destination + mount.sentencePart
        case .mountFilesystemOrAttach(let mount, _):
            "mount \(mount.type) on \(mount.destination)\(mount.sentencePart), or attach the host's "
                + "where that is refused"
        case .attachMount(_, let path, _): "attach the prepared tree at \(path)"
        case .receiveMountTree: "take over the prepared tree"
        case .cloneContainerTree(let tree, _):
            "clone what is mounted at \(tree.path) by now"
                + (tree.recursive ? ", and the mounts below" : "") + tree.changes.sentencePart
        case .sendMountTree: "hand out the tree"
        case .mountCgroupHierarchies(_, let mount, []): "cover \(mount.destination)"
        case .mountCgroupHierarchies(_, let mount, let hierarchies):
            "mount the cgroup hierarchies \(hierarchies.map(\.name).joined(separator: ", ")) on "
                + mount.destination
        case .changeMount(let path, let changes):
            "change the attributes of the mount at \(path)" + changes.sentencePart
        case .makeReadOnly(let path): "make the mount at \(path) read-only"
        case .sendAttachedMount(let path): "hand out the mount at \(path)"
        case .detachMount(_, let path): "unmount what is at \(path), and the mounts below"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .cloneHostTree(_, let descriptor): descriptor == .rootfsTree ? [descriptor] : []
        case .mountFilesystem: [.rendezvous]
        case .mountFilesystemOrAttach(_, let index), .attachMount(let index, _, _):
            [.mountTree(index), .rendezvous]
        case .receiveMountTree, .sendAttachedMount: [.rendezvous]
        case .sendMountTree(let index): [.mountTree(index), .rendezvous]
        case .detachMount(let index, _): [.mountTree(index)]
        case .mountCgroupHierarchies(let index, _, let hierarchies):
            hierarchies.map { .cgroupTree(index, $0.name) } + [.rendezvous]
        case .cloneContainerTree, .changeMount, .makeReadOnly: []
        }
    }

    /// The destination of what the step mounts; nil if it mounts nothing.
    package var mountPoint: String? {
        switch self {
        case .mountFilesystem(let mount), .mountFilesystemOrAttach(let mount, _),
            .mountCgroupHierarchies(_, let mount, _):
            mount.destination
        case .attachMount(_, let path, _): path
        case .cloneHostTree, .receiveMountTree, .cloneContainerTree, .sendMountTree, .changeMount,
            .makeReadOnly, .sendAttachedMount, .detachMount:
            nil
        }
    }

    /// The tree that the child opens here instead of inheriting a descriptor.
    var opened: InheritedDescriptor? {
        switch self {
        case .cloneHostTree(_, let descriptor): descriptor == .rootfsTree ? nil : descriptor
        case .receiveMountTree(let descriptor): descriptor
        case .cloneContainerTree(_, let index): .mountTree(index)
        case .mountFilesystem, .mountFilesystemOrAttach, .attachMount, .sendMountTree,
            .mountCgroupHierarchies, .changeMount, .makeReadOnly, .sendAttachedMount, .detachMount:
            nil
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .receiveMountTree(let tree): [.receives(.preparedTree(tree))]
        case .sendMountTree(let index): [.sends(.clonedTree(index))]
        case .sendAttachedMount(let path): [.sends(.attachedMount(path))]
        case .cloneHostTree, .mountFilesystem, .mountFilesystemOrAttach, .attachMount,
            .cloneContainerTree, .mountCgroupHierarchies, .changeMount, .makeReadOnly,
            .detachMount:
            []
        }
    }

    package var usesRoot: Bool {
        switch self {
        case .mountFilesystem, .mountFilesystemOrAttach, .attachMount, .cloneContainerTree,
            .mountCgroupHierarchies, .changeMount, .makeReadOnly:
            true
        case .cloneHostTree, .receiveMountTree, .sendMountTree, .sendAttachedMount, .detachMount:
            false
        }
    }

    package var usedMount: String? {
        switch self {
        case .makeReadOnly(let path), .sendAttachedMount(let path): path
        case .cloneHostTree, .mountFilesystem, .mountFilesystemOrAttach, .attachMount,
            .receiveMountTree, .cloneContainerTree, .sendMountTree, .mountCgroupHierarchies,
            .changeMount, .detachMount:
            nil
        }
    }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .cloneHostTree(let tree, let descriptor): code.clone(tree, for: descriptor)
        case .mountFilesystem(let mount):
            state.attached(
                code.mountFilesystem(mount, in: state.root), at: mount.destination, in: &code)
        case .mountFilesystemOrAttach(let mount, let index):
            let alternative = code.input(.mountTree(index))
            state.attached(
                code.mountFilesystem(mount, in: state.root, instead: alternative),
                at: mount.destination, in: &code)
            code.close(alternative)
        case .attachMount(let index, let path, let kind):
            let tree = code.input(.mountTree(index))
            code.attach(tree, at: path, in: state.root, kind: kind)
            state.attached(tree, at: path, in: &code)
        case .receiveMountTree(let descriptor):
            let tree = code.receiveDescriptor(
                "mount", from: code.input(.rendezvous),
                without: "the runtime ended before the mounts were made")
            code.use(tree, for: descriptor)
        case .cloneContainerTree(let tree, let index):
            code.use(code.clone(tree, in: state.root), for: .mountTree(index))
        case .sendMountTree(let index):
            code.sendDescriptor(
                code.input(.mountTree(index)), named: "mount", over: code.input(.rendezvous))
        case .mountCgroupHierarchies(let index, let mount, let hierarchies):
            state.attached(
                code.mountCgroupHierarchies(index, mount, hierarchies, in: state.root),
                at: mount.destination, in: &code)
        case .changeMount(let path, let changes):
            code.changeMount(at: path, changes, in: state.root)
        case .makeReadOnly(let path): code.makeReadOnly(path, state)
        case .sendAttachedMount(let path):
            guard let mount = state.mount(at: path) else {
                preconditionFailure("a mount is handed out before it is made")
            }
            code.sendDescriptor(mount, named: "mount", over: code.input(.rendezvous))
        case .detachMount(let index, _):
            let proc = state.hostProc ?? code.openHostProc()
            code.detach(code.input(.mountTree(index)), by: proc)
            state.hostProc = nil
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("openat", .permissionDenied): Refusal.searchHint
        default: refusal.mountHint
        }
    }
}

extension Assembler {
    /// Attaches a tree at its destination.
    ///
    /// If only one of the two is a directory, the most common mistake with volumes, move_mount
    /// fails with "invalid argument". This reports the familiar "not a directory" instead, which
    /// engines look for.
    fileprivate mutating func attach(
        _ tree: Cell, at path: String, in root: Cell, kind: MountPointKind
    ) {
        let linked = cell("linked")
        let target = resolveMaking(path, below: root, kind: kind, source: tree, linked: linked)
        guard kind != .directory else {
            moveMount(tree, onto: target)
            close(target)
            return refuseCoveredRoot(root, path, linked)
        }
        let moved = cell("moved")
        moveMount(tree, onto: target, into: moved, ignoring: [.invalidArgument])
        let done = skip(when: .isNotNegative(moved))
        let note =
            "unable to mount a directory onto a file, or a file onto a directory, at \(path)"
        enter(target, into: moved, ignoring: [.notDirectory])
        let ontoFile = skip(when: .isNegative(moved))
        enter(tree, note: note)
        let bothDirectories = skip(when: .always)
        place(ontoFile)
        enter(tree, into: moved, ignoring: [.notDirectory])
        let bothFiles = skip(when: .isNegative(moved))
        enter(target, note: note)
        place(bothDirectories)
        place(bothFiles)
        moveMount(tree, onto: target)
        place(done)
        close(target)
        refuseCoveredRoot(root, path, linked)
    }

    /// Opens a directory by its descriptor; fails with ENOTDIR for anything else.
    private mutating func enter(
        _ place: Cell, into result: Cell? = nil, ignoring: [Errno] = [], note: String? = nil
    ) {
        open(
            text("."), at: .cell(place), .pathOnly | .directory, into: result,
            ignoring: ignoring, note: note)
    }

    /// The tmpfs is new and empty, so names in it need no resolving.
    fileprivate mutating func mountCgroupHierarchies(
        _ index: Int, _ mount: FilesystemMount, _ hierarchies: [CgroupHierarchyMount],
        in root: Cell
    ) -> Cell {
        let tmpfs = mountFilesystem(mount, in: root)
        for hierarchy in hierarchies {
            let name = text(hierarchy.name)
            call(.mkdirat, [.cell(tmpfs), name, .named(FileMode(0o755))])
            let target = cell("hierarchy")
            open(name, at: .cell(tmpfs), .pathOnly | .directory | .noFollow, into: target)
            let tree = input(.cgroupTree(index, hierarchy.name))
            moveMount(tree, onto: target)
            close(tree)
            close(target)
            for link in hierarchy.links {
                call(.symlinkat, [name, .cell(tmpfs), text(link)])
            }
        }
        return tmpfs
    }

    /// Unmounts by a link of the host's procfs, which leads to the descriptor's mount whatever is
    /// at its path.
    ///
    /// The program cannot write a number as text, so the descriptor gets a number that is known.
    fileprivate mutating func detach(_ mount: Cell, by proc: Cell) {
        call(.dup3, [.cell(mount), .literal(0), .literal(0)])
        call(.fchdir, [.cell(proc)])
        call(.umount2, [text("self/fd/0"), .named(UnmountFlags.detach)])
    }

    fileprivate mutating func changeMount(
        at path: String, _ changes: [MountChange], in root: Cell
    ) {
        let target = cell("target")
        resolve(
            path == "/" ? "." : path, below: root, into: target, resolution: .noLinks)
        for change in changes { setAttributes(target, change) }
        close(target)
    }

    /// Changes a mount of the config by its descriptor: its path may lead to a later mount by now.
    fileprivate mutating func makeReadOnly(_ path: String, _ state: LoweringState) {
        if path != "/", let mount = state.mount(at: path) {
            setAttributes(mount, MountChange(set: .readOnly))
            return
        }
        let target = cell("target")
        resolve(path == "/" ? "." : path, below: state.root, into: target)
        setAttributes(target, MountChange(set: .readOnly))
        close(target)
    }
}
#endif
