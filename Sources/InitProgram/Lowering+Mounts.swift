// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

// The rule of this file: no path string inside the rootfs is ever followed by the kernel on its own.
// A path is resolved once, by openat2 with RESOLVE_IN_ROOT below the root tree's descriptor; from then
// on there are only descriptors. CVE-2019-19921, CVE-2021-30465, CVE-2025-31133 and their kin all
// came from resolving twice.

extension InitStep {
    func lowerMount(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .cloneHostTree(let tree, let descriptor): code.clone(tree, for: descriptor)
        case .isolateMounts(let isPrivate):
            code.isolateMounts(isPrivate)
            code.mountsAmongTheHosts = false
        case .searchRootfs(let user): code.searchRootfs(state.root, user)
        case .attachRootfs(let path): state.openedRoot = code.attachRootfs(path)
        case .openRoot: state.openedRoot = code.openDirectory("/", "root")
        case .enterRoot: code.enterRoot(state.root)
        case .dropKernelTrees(let paths): code.dropKernelTrees(paths)
        case .moveRoot: code.moveRoot(state.root)
        case .changeRoot: code.changeRoot(state.root)
        case .enterRootOfInit:
            let root = code.input(.rootOfInit)
            code.changeRoot(root)
            state.openedRoot = root
        case .setRootPropagation(let propagation):
            code.setAttributes(
                state.root,
                MountChange(
                    recursive: propagation.recursive, propagation: propagation.flag))
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
        case .cloneContainerTree(let tree, let index):
            code.use(code.clone(tree, in: state.root), for: .mountTree(index))
        case .receiveMountTree(let descriptor):
            let tree = code.receiveDescriptor(
                "mount", from: code.input(.rendezvous),
                without: "the runtime ended before the mounts were made")
            code.use(tree, for: descriptor)
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
        case .maskPaths(let paths, let label):
            code.maskPaths(paths, label, in: state.root)
        case .protectPaths(let paths): code.protectPaths(paths, in: state.root)
        default: break
        }
    }
}

extension Assembler {
    // MARK: Attaching

    mutating func moveMount(
        _ tree: Cell, onto target: Cell, into result: Cell? = nil, ignoring: [Errno] = []
    ) {
        call(
            .moveMount,
            [
                .cell(tree), text(""), .cell(target), text(""),
                .named([.fromDescriptor, .toDescriptor] as MoveMountFlags),
            ], into: result, ignoring: ignoring)
    }

    /// A detached copy of the mount (or subtree) at a descriptor.
    mutating func cloneTree(_ source: Cell, recursive: Bool = false) -> Cell {
        let tree = cell("clone")
        cloneTree(source, recursive: recursive, into: tree)
        return tree
    }

    mutating func cloneTree(_ source: Cell, recursive: Bool = false, into tree: Cell) {
        var flags: PathFlags = [.cloneTree, .treeCloseOnExec, .emptyPath]
        if recursive { flags.insert(.recursive) }
        call(.openTree, [.cell(source), text(""), .named(flags)], into: tree)
    }

    mutating func setAttributes(_ tree: Cell, _ change: MountChange) {
        let attributes = words([
            UInt64(change.set.rawValue), UInt64(change.clear.rawValue),
            UInt64(change.propagation.rawValue), 0,
        ])
        let flags: PathFlags = change.recursive ? [.emptyPath, .recursive] : .emptyPath
        call(
            .mountSetattr,
            [
                .cell(tree), text(""), .named(flags), .address(attributes),
                .literal(StructureSize.mountAttributes),
            ])
    }

    /// Puts a tree in its place.
    ///
    /// move_mount answers "invalid argument" where only one of the two is a directory, the most common
    /// mistake with volumes; what people know, and engines look for, is "not a directory".
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

    /// Opens the directory at a descriptor: anything else is no directory (ENOTDIR).
    private mutating func enter(
        _ place: Cell, into result: Cell? = nil, ignoring: [Errno] = [], note: String? = nil
    ) {
        open(
            text("."), at: .cell(place), [.pathOnly, .directory], into: result,
            ignoring: ignoring, note: note)
    }

    /// The tmpfs is ours and empty, so names in it need no resolving.
    fileprivate mutating func mountCgroupHierarchies(
        _ index: Int, _ mount: FilesystemMount, _ hierarchies: [CgroupHierarchyMount],
        in root: Cell
    ) -> Cell {
        let tmpfs = mountFilesystem(mount, in: root)
        for hierarchy in hierarchies {
            let name = text(hierarchy.name)
            call(.mkdirat, [.cell(tmpfs), name, .named(FileMode(0o755))])
            let target = cell("hierarchy")
            open(name, at: .cell(tmpfs), [.pathOnly, .directory, .noFollow], into: target)
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

    // MARK: The root

    fileprivate mutating func isolateMounts(_ isPrivate: Bool) {
        let none = Operand.literal(0)
        let flags: MountFlags = isPrivate ? [.recursive, .private] : [.recursive, .slave]
        call(.mount, [none, text("/"), none, .named(flags), none])
    }

    fileprivate mutating func attachRootfs(_ path: String) -> Cell {
        let root = input(.rootfsTree)
        let place = openDirectory(path, "rootfs-directory")
        moveMount(root, onto: place)
        return root
    }

    /// Else the first mount would be what fails, with a word on its own directory.
    fileprivate mutating func searchRootfs(_ root: Cell, _ user: UInt32?) {
        let host = user.map { ", user \(Int($0).decimalText) of the host," } ?? ""
        call(
            .faccessat2, [.cell(root), text("."), .literal(0), .literal(0)],
            note: "the container's root\(host) may not search the root directory")
    }

    /// The old root ends up on top of the new one, where it is let go.
    ///
    /// Kernel: pivot_root(2).
    fileprivate mutating func enterRoot(_ root: Cell) {
        call(.fchdir, [.cell(root)])
        call(.pivotRoot, [text("."), text(".")])
        call(.umount2, [text("."), .named(UnmountFlags.detach)])
    }

    /// Nothing but the root directory changes.
    fileprivate mutating func changeRoot(_ root: Cell) {
        call(.fchdir, [.cell(root)])
        call(.chroot, [text(".")])
    }

    /// The way of switch_root(8), for a root that cannot be pivoted away from: the initial ramfs.
    fileprivate mutating func moveRoot(_ root: Cell) {
        let place = openDirectory("/", "old-root")
        moveMount(root, onto: place)
        changeRoot(root)
        call(.close, [.cell(place)])
    }

    /// A mount that may not be taken off (EINVAL when it is locked, EPERM) is covered; one that went
    /// with the mount that it was in (ENOENT) is gone.
    fileprivate mutating func dropKernelTrees(_ paths: [String]) {
        for path in paths {
            let result = cell("unmounted")
            call(
                .umount2,
                [text(path), .named([.detach, .noFollow] as UnmountFlags)], into: result,
                ignoring: [
                    .invalidArgument, .notPermitted, .noSuchFileOrDirectory, .notDirectory,
                ])
            let isGone = skip(when: .isNotNegative(result))
            let place = cell("covered")
            open(
                text(path), [.pathOnly, .noFollow], into: place,
                ignoring: [.noSuchFileOrDirectory, .notDirectory])
            let isMissing = skip(when: .isNegative(place))
            let empty = newFilesystem(
                "tmpfs", source: "tmpfs", options: ["nr_blocks=1", "nr_inodes=2", "mode=755"],
                attributes: .readOnly)
            moveMount(empty, onto: place)
            call(.close, [.cell(empty)])
            call(.close, [.cell(place)])
            self.place(isMissing)
            self.place(isGone)
        }
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

    /// A mount of the config is changed by its descriptor: its path may lead to a later mount by now.
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
