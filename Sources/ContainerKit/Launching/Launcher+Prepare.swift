// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import SystemPackage

extension Launcher {
    // MARK: Cgroups

    func createCgroups() throws(ContainerError) {
        guard let plan = launch.cgroups else { return }
        do throws(CgroupError) {
            cgroup = try Cgroup.create(
                plan.withRoomForKeeper, keeper: scopeKeeper?.pid, holding: &cgroupLock)
        } catch {
            throw ContainerError(error)
        }
    }

    func openCgroups() throws(ContainerError) {
        guard let cgroup else { return }
        do throws(ContainerError) {
            try openCgroups(of: cgroup)
        } catch {
            // Init may have left it between two looks, or the unified one of a hybrid host, which limits
            // nothing.
            guard target != nil, options.subcgroups.isEmpty,
                error.failure?.errno == .noSuchFileOrDirectory,
                let present = cgroup.following(initProcess: targetPid)
            else { throw error }
            self.cgroup = present
            try openCgroups(of: present)
        }
    }

    private func openCgroups(of cgroup: Cgroup) throws(ContainerError) {
        do throws(CgroupError) {
            if let directory = try cgroup.openUnifiedDirectory() {
                let number = own(directory)
                cgroupForClone = number
                inputs[.cgroupDirectory] = number
            }
            if let plan = launch.cgroups, !plan.delegated.isEmpty {
                inputs[.cgroupTasks(0)] = own(try cgroup.openDelegated(plan.delegated))
            }
            var entrance = try cgroup.openEntrance()
            for (index, number) in entrance.release().enumerated() {
                inputs[.cgroupTasks(index)] = own(OwnedDescriptor(taking: number))
            }
        } catch {
            throw ContainerError(error)
        }
    }

    func delegateCgroup(to user: UInt32) throws(ContainerError) {
        do throws(CgroupError) {
            try cgroup?.delegate(to: user)
        } catch {
            throw ContainerError(error)
        }
    }

    // MARK: Mounts

    func prepareRootfs(_ path: String, _ changes: [MountChange], _ field: String?)
        throws(ContainerError)
    {
        let tree = try reporting("unable to open the rootfs", field: field) {
            () throws(SystemCallError) in
            let tree = try cloneMountTree(at: path, recursive: true)
            guard try status(of: tree.number).stx_mode & 0xf000 == 0x4000 else {
                throw SystemCallError("open_tree", "\"\(path)\"", errno: .notDirectory)
            }
            for change in changes { try changeMount(tree.number, change) }
            return tree
        }
        rootTree = own(tree)
        inputs[.rootfsTree] = rootTree
    }

    func openRootfs(_ path: String, _ field: String?) throws(ContainerError) {
        let directory = try reporting("unable to open the rootfs", field: field) {
            () throws(SystemCallError) in try openFile(path, [.pathOnly, .directory])
        }
        rootTree = own(directory)
        inputs[.rootfsTree] = rootTree
    }

    /// What is mounted for a container without a mount namespace is taken from the host's table again by
    /// delete, or by whoever finds that this launch died.
    func recordRootMount(_ path: String, _ state: inout StateDirectory?, _ field: String?)
        throws(ContainerError)
    {
        let tree = rootTree
        let isHostRoot = try reporting("unable to open the rootfs", field: field) {
            () throws(SystemCallError) in
            let (root, host) = try (status(at: path), status(at: "/"))
            return root.stx_ino == host.stx_ino && root.stx_mnt_id == host.stx_mnt_id
        }
        guard !isHostRoot else {
            throw ContainerError(
                .invalidSpec,
                "a container without a mount namespace cannot have the host's root as its own",
                field: field)
        }
        record?.rootMount = try reporting(field: field) { () throws(SystemCallError) in
            try mountIdentity(of: tree)
        }
        guard let record else { return }
        try state?.stage(record)
        try state?.putRecordInPlace()
    }

    func prepareBindMount(_ bind: BindMount, _ field: String?) throws(ContainerError) {
        let number: CInt
        do throws(SystemCallError) {
            let tree = try cloneMountTree(
                at: bind.source, recursive: bind.recursive, followsLink: bind.followsLink)
            for change in bind.changes { try changeMount(tree.number, change) }
            number = own(tree)
        } catch {
            throw ContainerError(
                error, "unable to prepare the mount on \(bind.destination)", field: field,
                hint: InitHint.hostTree(error))
        }
        if let map = bind.idMap {
            try mapIDs(map, of: number, from: bind.source, bind.destination, field)
        }
        inputs[.mountTree(bind.index)] = number
    }

    func prepareTmpfsCopy(_ index: Int, _ mount: FilesystemMount, _ field: String?)
        throws(ContainerError)
    {
        let message = "unable to prepare the mount on \(mount.destination)"
        do throws(SystemCallError) {
            let tree = try tmpfsCopy(
                of: mount, from: rootTree, owner: launch.plan.idMaps, in: treeCopyPlace)
            inputs[.mountTree(index)] = own(tree)
        } catch {
            let hint: String? =
                switch (error.call, error.errno) {
                case (_, .noMemory):
                    "what tmpcopyup copies counts against linux.resources.memory.limit"
                case ("mknodat", .notPermitted):
                    "linux.resources.devices must allow that the container makes the device (m)"
                default: nil
                }
            let reason =
                error.call == "copy" && error.errno == .noMemory
                ? ": the copy of what the image has there was OOM-killed (memory limit too low?)"
                : ""
            throw ContainerError(error, message + reason, field: field, hint: hint)
        }
    }

    /// Where init is going to be: what it enters, the process that copies for it enters, too.
    private var treeCopyPlace: TreeCopyPlace {
        var place = TreeCopyPlace(cgroup: cgroup)
        for planned in launch.plan.parentSteps {
            if case .startChild(_, intoCgroup: true) = planned.step {
                place.directory = cgroupForClone
            }
        }
        for planned in launch.plan.childSteps {
            switch planned.step {
            case .continueInChild(intoCgroup: true): place.directory = cgroupForClone
            case .enterCgroups(let count):
                place.entrances = (0..<count).compactMap { inputs[.cgroupTasks($0)] }
            default: break
            }
        }
        return place
    }

    func prepareCgroupMount(_ index: Int, _ name: String, _ readOnly: Bool, _ field: String?)
        throws(ContainerError)
    {
        guard let layout = cgroup?.layout,
            let directory = layout.directories.first(where: {
                MountPlan.hierarchyName($0) == name
            })
        else { return }
        let tree = try reporting("unable to prepare the cgroup mount", field: field) {
            () throws(SystemCallError) in
            let tree = try cloneMountTree(at: directory.path, recursive: false)
            try changeMount(tree.number, MountChange.ofCgroupMount(readOnly: readOnly))
            return tree
        }
        inputs[.cgroupTree(index, name)] = own(tree)
    }

    // MARK: Namespaces

    /// Opens a namespace and checks that it is of the kind that the config says.
    ///
    /// - Parameters:
    ///   - kind: what it must be.
    ///   - path: where it is.
    ///   - mustDiffer: whether it must not be the runtime's own: the config would change the host.
    ///   - field: where the config names it.
    /// - Throws: `invalidSpec` or `systemCall`.
    func openNamespace(
        _ kind: NamespaceKind, _ path: String, _ mustDiffer: Bool, _ field: String?
    ) throws(ContainerError) {
        let namespace = try reporting("unable to open the \(kind.rawValue) namespace", field: field)
        {
            () throws(SystemCallError) in
            try openFile(path, [.readOnly, .nonBlocking])
        }
        let type = raw_system_call(
            Int(__NR_ioctl), Int(namespace.number), Int(clinux_ns_get_nstype), 0, 0, 0, 0)
        guard type == Int(kind.cloneFlag) else {
            let found = NamespaceKind.allCases.first { Int($0.cloneFlag) == type }
            throw ContainerError(
                .invalidSpec,
                found.map { "\(path) is a \($0.rawValue) namespace, not a \(kind.rawValue) one" }
                    ?? "\(path) is no namespace", field: field.map { $0 + ".path" })
        }
        if mustDiffer {
            let isOwn = try reporting(field: field) { () throws(SystemCallError) in
                let theirs = try status(of: namespace.number)
                return try theirs.stx_ino == status(at: "/proc/self/ns/\(kind.procName)").stx_ino
            }
            guard !isOwn else {
                throw ContainerError(
                    .invalidSpec,
                    "\(path) is the runtime's own \(kind.rawValue) namespace, which the "
                        + "container would change (mounts, sysctl, hostname)", field: field)
            }
        }
        inputs[.namespace(kind.rawValue)] = own(namespace)
    }

    /// The root directory of init, where exec goes in a container that has the caller's mounts.
    func openRootOfInit() throws(ContainerError) {
        let (pid, process) = (targetPid, target)
        let root = try reporting("unable to open the container's root") {
            () throws(SystemCallError) in
            let root = try openFile("/proc/\(pid)/root", [.pathOnly, .directory])
            // Still there, so the number was not another's meanwhile.
            if let process { try sendSignal(process, 0) }
            return root
        }
        inputs[.rootOfInit] = own(root)
    }

    // MARK: Sockets

    func connectConsole(_ path: String) throws(ContainerError) {
        try settleBirth()
        let socket = try reporting("unable to connect to the console socket") {
            () throws(SystemCallError) in
            try connectUnixSocket(path: path)
        }
        inputs[.consoleSocket] = own(socket)
    }

    func prepareReadiness(listens: Bool, _ state: inout StateDirectory?) throws(ContainerError) {
        guard let directory = state?.descriptor, let listener = options.notifySocket else { return }
        try reporting("unable to listen for the container's readiness") {
            () throws(SystemCallError) in
            try ReadinessRelay.makeDirectory(in: directory)
            guard listens, let socket = try ReadinessRelay.listen(in: directory) else { return }
            readiness = ReadinessRelay(socket: own(socket), listener: listener)
        }
    }

    func listenForStart(_ state: inout StateDirectory?) throws(ContainerError) {
        guard let directory = state?.descriptor, let path = state?.path else { return }
        let socket = try reporting("unable to listen for start in \(path)") {
            () throws(SystemCallError) in
            try listenUnixSocket(in: directory, name: StateDirectory.socketName)
        }
        inputs[.startSocket] = own(socket)
    }
}
