// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Steps that prepare mount trees, which the child attaches.
enum ParentMountStep: ParentAction {
    /// Clones the rootfs as a detached mount tree.
    case cloneRootfs(path: String, changes: [MountChange])
    /// Opens the rootfs for a child that clones the tree itself.
    case openRootfs(path: String)
    /// Clones a bind source as a detached tree and changes its attributes.
    case bind(BindMount)
    /// Mounts a new instance of a file system as a detached tree with ID mappings.
    case mappedFilesystem(Int, FilesystemMount, MountIDMap)
    /// Fills a tmpfs with a copy of the rootfs directory that it will cover; the copying process is
    /// in init's cgroup, so that the memory is charged there.
    ///
    /// If there is no such directory, root of the ID maps `owner` owns the tmpfs.
    case copyIntoTmpfs(Int, FilesystemMount, owner: IDMaps?, CgroupEntry)
    /// Clones a device node of the host after verifying its type and number.
    case hostDevice(Int, path: String, Device)
    /// Makes a device node, owned by IDs of the host, on a tmpfs of its own; `label` is the tmpfs's
    /// SELinux context.
    case makeDevice(Int, Device, label: String?)
    /// Clones the container's own directory of one cgroup hierarchy.
    case cgroupDirectory(Int, name: String, path: String, readOnly: Bool)
    /// Receives a tree that the child has cloned for a mount, and maps its file IDs.
    case mapClonedTree(Int, MountIDMap, destination: String)
    /// Sends the child a tree prepared for one of its mounts.
    case send(InheritedDescriptor)
    /// From here on, makes the mount points behind dangling links that the child asks for.
    ///
    /// They belong to this user of the child's user namespace, or if nil to the runtime.
    case makeMountPoints(for: NamespaceUser?)
    /// Receives the mount that the child has made in a running container.
    case receiveAttached(at: String)
    /// Opens a mount of a running container, if it is still the one with this identity.
    case openAttached(Int, at: String, identity: UInt64)

    var sentence: String {
        switch self {
        case .cloneRootfs(let path, let changes):
            "clone the mount tree of \(path)" + changes.sentencePart
        case .openRootfs(let path): "open \(path)"
        case .bind(let bind):
            "clone \(bind.source)\(bind.recursive ? " and the mounts below" : "") for "
                + bind.destination + (bind.idMap.map { ", \($0.words)" } ?? "")
                + bind.changes.sentencePart
        case .mappedFilesystem(_, let mount, let map):
            "make a \(mount.type) for \(mount.destination)\(mount.sentencePart), \(map.words)"
        case .copyIntoTmpfs(_, let mount, _, let entry):
            "fill a tmpfs\(mount.sentencePart) with a copy of \(mount.destination)"
                + (entry.isNowhere ? "" : ", in the container's cgroup")
        case .cgroupDirectory(_, let name, _, let readOnly):
            "clone the container's \(name) cgroup" + (readOnly ? ", read-only" : "")
        case .hostDevice(_, let path, let device):
            "clone the host's \(path) (\(device.major):\(device.minor))"
        case .makeDevice(_, let device, _):
            "make a node \(device.name) (\(device.major):\(device.minor), mode "
                + "\(String(device.permissions, radix: 8))) of \(device.userID):\(device.groupID)"
        case .mapClonedTree(_, let map, let destination):
            "take the child's tree for \(destination), \(map.words)"
        case .send(.cgroupTree(_, let name)): "send the child the tree of the \(name) cgroup"
        case .send: "send the child the tree"
        case .makeMountPoints(let owner):
            "from here on make mount points behind links to nothing, when the child asks"
                + (owner.map { ", as its user \($0.userID) and group \($0.groupID)" } ?? "")
        case .receiveAttached(let path): "take the mount at \(path), to know it again"
        case .openAttached(_, let path, let identity):
            "open the mount at \(path), if its ID is still \(identity)"
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .mapClonedTree(let index, _, _): [.receives(.clonedTree(index))]
        case .send(let tree): [.sends(.preparedTree(tree))]
        case .receiveAttached(let path): [.receives(.attachedMount(path))]
        case .cloneRootfs, .openRootfs, .bind, .mappedFilesystem, .copyIntoTmpfs, .hostDevice,
            .makeDevice, .cgroupDirectory, .makeMountPoints, .openAttached:
            []
        }
    }

    var provides: [InheritedDescriptor] {
        switch self {
        case .cloneRootfs, .openRootfs: [.rootfsTree]
        case .bind(let bind): [.mountTree(bind.index)]
        case .mappedFilesystem(let index, _, _), .copyIntoTmpfs(let index, _, _, _),
            .hostDevice(let index, _, _), .makeDevice(let index, _, _),
            .openAttached(let index, _, _):
            [.mountTree(index)]
        case .cgroupDirectory(let index, let name, _, _): [.cgroupTree(index, name)]
        case .mapClonedTree, .send, .makeMountPoints, .receiveAttached: []
        }
    }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        let field = origin.path
        switch self {
        case .cloneRootfs(let path, let changes): try launcher.cloneRootfs(path, changes, field)
        case .openRootfs(let path): try launcher.openRootfs(path, field)
        case .bind(let bind): try launcher.prepare(bind, field)
        case .mappedFilesystem(let index, let mount, let map):
            try launcher.prepareMapped(index, mount, map, field)
        case .copyIntoTmpfs(let index, let mount, let owner, let entry):
            try launcher.copyIntoTmpfs(index, mount, owner, entry, field)
        case .hostDevice(let index, let path, let device):
            try launcher.cloneDevice(index, path, device, field)
        case .makeDevice(let index, let device, let label):
            try launcher.makeDevice(index, device, label, field)
        case .cgroupDirectory(let index, let name, let path, let readOnly):
            try launcher.cloneCgroup(index, name, path, readOnly, field)
        case .mapClonedTree(_, let map, let destination):
            try launcher.mapClonedTree(map, destination, field)
        case .send(let tree): try launcher.sendPreparedTree(tree, field)
        case .makeMountPoints(let owner): launcher.mountPointOwner = owner
        case .receiveAttached:
            launcher.attachedMount = launcher.own(
                OwnedDescriptor(taking: try launcher.receiveFromChild()))
        case .openAttached(let index, let path, let identity):
            try launcher.openAttached(index, path, identity, field)
        }
    }
}

extension ParentMountStep {
    /// The ID mapping of the tree's files; nil for none.
    var idMap: MountIDMap? {
        switch self {
        case .bind(let bind): bind.idMap
        case .mappedFilesystem(_, _, let map), .mapClonedTree(_, let map, _): map
        case .cloneRootfs, .openRootfs, .copyIntoTmpfs, .hostDevice, .makeDevice, .cgroupDirectory,
            .send, .makeMountPoints, .receiveAttached, .openAttached:
            nil
        }
    }
}

/// The way in which a process enters the container's cgroups.
struct CgroupEntry: Equatable, Sendable {
    /// Whether it is cloned into the v2 cgroup.
    var isBornInside = false
    /// The number of v1 `tasks` files through which it enters.
    var tasksCount = 0

    /// Whether it stays in the runtime's own cgroups.
    var isNowhere: Bool { !isBornInside && tasksCount == 0 }
}

// MARK: - Trees

extension Launcher {
    fileprivate func cloneRootfs(_ path: String, _ changes: [MountChange], _ field: String?)
        throws(ContainerError)
    {
        let tree = try reporting("unable to open the rootfs", field: field) {
            () throws(SystemCallError) in
            let tree = try cloneMountTree(at: path, recursive: true)
            guard try status(of: tree.number).kind == .directory else {
                throw SystemCallError("open_tree", "\"\(path)\"", errno: .notDirectory)
            }
            for change in changes { try changeMount(tree.number, change) }
            return tree
        }
        rootTree = own(tree)
        inputs[.rootfsTree] = rootTree
    }

    fileprivate func openRootfs(_ path: String, _ field: String?) throws(ContainerError) {
        let directory = try reporting("unable to open the rootfs", field: field) {
            () throws(SystemCallError) in try openFile(path, .pathOnly | .directory)
        }
        rootTree = own(directory)
        inputs[.rootfsTree] = rootTree
    }

    fileprivate func prepare(_ bind: BindMount, _ field: String?) throws(ContainerError) {
        let number: CInt
        do throws(SystemCallError) {
            let tree = try cloneMountTree(
                at: bind.source, recursive: bind.recursive, followsLink: bind.followsLink)
            for change in bind.changes { try changeMount(tree.number, change) }
            number = own(tree)
        } catch {
            throw ContainerError(
                error, "unable to prepare the mount on \(bind.destination)", field: field,
                hint: Refusal(error.call, error.arguments, errno: error.errno).treeHint)
        }
        if let map = bind.idMap {
            try mapIDs(map, of: number, from: bind.source, bind.destination, field)
        }
        inputs[.mountTree(bind.index)] = number
    }

    fileprivate func copyIntoTmpfs(
        _ index: Int, _ mount: FilesystemMount, _ owner: IDMaps?, _ entry: CgroupEntry,
        _ field: String?
    ) throws(ContainerError) {
        let message = "unable to prepare the mount on \(mount.destination)"
        let place = TreeCopyPlace(
            cgroup: cgroup, directory: entry.isBornInside ? cgroupForClone : nil,
            entrances: (0..<entry.tasksCount).compactMap { inputs[.cgroupTasks($0)] },
            limit: options.timeLimit, isStuck: { self.stuckChild = $0 })
        do throws(SystemCallError) {
            let tree = try tmpfsCopy(of: mount, from: rootTree, owner: owner, in: place)
            inputs[.mountTree(index)] = own(tree)
        } catch {
            let hint: String? =
                switch (error.call, error.errno) {
                case (_, .noMemory):
                    "what tmpcopyup copies counts against linux.resources.memory.limit"
                case ("mknodat", .notPermitted):
                    "linux.resources.devices must allow the container to make the device (access m)"
                default: nil
                }
            let reason =
                error.call == "copy" && error.errno == .noMemory
                ? ": the copy of what the image has there was OOM-killed (memory limit too low?)"
                : ""
            throw ContainerError(error, message + reason, field: field, hint: hint)
        }
    }

    fileprivate func cloneCgroup(
        _ index: Int, _ name: String, _ path: String, _ readOnly: Bool, _ field: String?
    ) throws(ContainerError) {
        let tree = try reporting("unable to prepare the cgroup mount", field: field) {
            () throws(SystemCallError) in
            let tree = try cloneMountTree(at: path, recursive: false)
            try changeMount(tree.number, MountChange.ofCgroupMount(readOnly: readOnly))
            return tree
        }
        inputs[.cgroupTree(index, name)] = own(tree)
    }

    /// Sends the child a tree and closes it here.
    fileprivate func sendPreparedTree(_ descriptor: InheritedDescriptor, _ field: String?)
        throws(ContainerError)
    {
        guard let tree = inputs[descriptor] else { return }
        inputs[descriptor] = nil
        while try !offer(tree, field) { try waitForRoom() }
        close(tree)
    }

    /// Sends the tree without waiting; returns false if the socket is full.
    private func offer(_ tree: CInt, _ field: String?) throws(ContainerError) -> Bool {
        let socket = rendezvous
        do throws(SystemCallError) {
            // The child reads one byte with each tree.
            try sendDescriptor(tree, text: "m", over: socket, waits: false)
            return true
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            return false
        } catch  where error.errno == .brokenPipe || error.errno == .connectionReset {
            // With messages that it has not read, its end is a reset connection.
            throw childFailure()
        } catch {
            throw ContainerError(
                error, "unable to hand a mount to the init process", field: field)
        }
    }
}

// MARK: - Mounts of a running container

extension Launcher {
    fileprivate func openAttached(
        _ index: Int, _ path: String, _ identity: UInt64, _ field: String?
    ) throws(ContainerError) {
        let root = try rootOfInit()
        let mount = own(
            try reporting("unable to open the mount at \(path)", field: field) {
                () throws(SystemCallError) in try openInRoot(root, path, .pathOnly)
            })
        let found = try reporting { () throws(SystemCallError) in try mountIdentity(of: mount) }
        guard found == identity else {
            throw ContainerError(
                .wrongState, "what is mounted at \(path) is not what was added there",
                field: field,
                hint: "the container has covered, moved or replaced it")
        }
        inputs[.mountTree(index)] = mount
    }
}

// MARK: - Devices

extension Launcher {
    /// Clones a device node of the host: the one with the same path or, if the container has it at
    /// another path, the one that udev lists by its number.
    fileprivate func cloneDevice(
        _ index: Int, _ path: String, _ device: Device, _ field: String?
    ) throws(ContainerError) {
        let kind = device.type == .blockDevice ? "block" : "char"
        let numbered = "/dev/\(kind)/\(device.major):\(device.minor)"
        var failure = SystemCallError("open_tree", "\"\(path)\"", errno: .noSuchFileOrDirectory)
        for candidate in [path, numbered] {
            do throws(SystemCallError) {
                let tree = try cloneMountTree(at: candidate, recursive: false)
                guard try Self.isNode(tree.number, device) else { continue }
                try changeMount(tree.number, MountChange.ofAttached(device))
                inputs[.mountTree(index)] = own(tree)
                return
            } catch {
                if candidate == path { failure = error }
            }
        }
        throw ContainerError(
            .systemCall, "the host has no device \(device.major):\(device.minor) at \(path)",
            field: field, failure: failure.errno == .noSuchFileOrDirectory ? nil : failure,
            hint: "without root's rights on the host, its device nodes are attached, not made anew")
    }

    private static func isNode(_ tree: CInt, _ device: Device) throws(SystemCallError) -> Bool {
        let status = try status(of: tree)
        return status.kind == device.type
            && status.stx_rdev_major == device.major && status.stx_rdev_minor == device.minor
    }

    /// Makes a node for the container alone, with the config's owner and mode; the host's node is
    /// unchanged.
    ///
    /// The tmpfs belongs to the host's user namespace: the kernel opens no devices on a tmpfs of
    /// another one.
    fileprivate func makeDevice(_ index: Int, _ device: Device, _ label: String?, _ field: String?)
        throws(ContainerError)
    {
        let tree = try reporting("unable to make the device \(device.name)", field: field) {
            () throws(SystemCallError) in
            let context = label.map { ["context=\($0)"] } ?? []
            let tmpfs = try newFilesystem(
                FilesystemMount(
                    type: "tmpfs", source: "tmpfs", destination: "",
                    // Kernels differ in whether the root directory counts as an inode.
                    options: ["nr_blocks=1", "nr_inodes=3", "mode=755"] + context))
            try makeNode(device, at: tmpfs.number)
            return tmpfs
        }
        inputs[.mountTree(index)] = own(tree)
    }
}

// MARK: - Mapped IDs

extension Launcher {
    /// Maps the file IDs of a detached tree.
    ///
    /// Kernel: mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12.
    private func mapIDs(
        _ map: MountIDMap, of tree: CInt, from source: String?, _ destination: String,
        _ field: String?
    ) throws(ContainerError) {
        let namespace = try userNamespace(for: map, field)
        do throws(SystemCallError) {
            try mapMountIDs(tree, by: namespace, recursive: map.recursive)
        } catch {
            let type = source.flatMap(filesystemType)
            throw ContainerError(
                .systemCall,
                "unable to map the ids of the mount on \(destination)"
                    + (type.map { ", whose source is on a file system of type \($0)" } ?? ""),
                field: field, failure: error,
                hint: error.errno == .invalidArgument
                    ? "the file system does not support id-mapped mounts on this kernel, or is one "
                        + "already" : nil)
        }
    }

    private func userNamespace(for map: MountIDMap, _ field: String?) throws(ContainerError)
        -> CInt
    {
        guard let maps = map.maps else {
            guard let joined = inputs[.namespace(NamespaceKind.user.rawValue)] else {
                preconditionFailure("the ids of a mount are mapped by no namespace")
            }
            return joined
        }
        if let known = mappedNamespaces.first(where: { $0.maps == maps }) {
            return known.descriptor
        }
        let made = own(
            try maps.makeUserNamespace(field: field.map { $0 + ".uidMappings" }))
        mappedNamespaces.append((maps, made))
        return made
    }

    /// Maps a tree for the child, which in a user namespace has no rights over the tree's file
    /// system.
    fileprivate func mapClonedTree(_ map: MountIDMap, _ destination: String, _ field: String?)
        throws(ContainerError)
    {
        let tree = OwnedDescriptor(taking: try receiveFromChild())
        try mapIDs(map, of: tree.number, from: nil, destination, field)
    }

    fileprivate func prepareMapped(
        _ index: Int, _ mount: FilesystemMount, _ map: MountIDMap, _ field: String?
    ) throws(ContainerError) {
        let tree = try reporting(
            "unable to prepare the mount on \(mount.destination)", field: field
        ) { () throws(SystemCallError) in try newFilesystem(mount) }
        let number = own(tree)
        try mapIDs(map, of: number, from: nil, mount.destination, field)
        inputs[.mountTree(index)] = number
    }
}

/// The type of the file system at a path; nil if unknown.
private func filesystemType(at path: String) -> String? {
    guard let id = try? status(at: path).stx_mnt_id else { return nil }
    return (try? mountTable())?.first { $0.id == id }?.type
}

extension MountIDMap {
    /// The mapping in words.
    fileprivate var words: String {
        let ids = maps.map { "ids mapped: \($0.words)" } ?? "ids mapped as in the user namespace"
        return ids + (recursive ? ", recursively" : "")
    }
}
#endif
