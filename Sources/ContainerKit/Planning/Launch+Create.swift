// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Launch {
    /// Plans a new container.
    ///
    /// Pure: reads nothing, makes nothing; the filter of seccomp is compiled already.
    init(creating spec: Spec, facts: CreateFacts, filter: SeccompFilter?) throws(SpecError) {
        let linux = spec.linux ?? Linux()
        let namespaces = NamespacePlan(
            linux.namespaces ?? [], alreadyIn: facts.isInUserNamespace ? .user : nil)
        // Spec: runtime.md, Start: only start needs a process.
        let process = spec.process ?? Process(cwd: "/")
        let userNamespace = UserNamespacePlan(namespaces, linux, process)
        try facts.host.rights.check(spec, namespaces, userNamespace?.maps)
        try RootEntry.check(linux, namespaces, movesRoot: facts.kernelTrees != nil)
        var cgroups = try Self.cgroups(spec, linux, facts)
        cgroups.owner = CgroupDelegation.owner(spec, isUnified: cgroups.layout.isUnified)
        // As with runc, a container without cgroups of its own sees the caller's in its cgroup mounts.
        var visibleCgroups = cgroups.layout
        if visibleCgroups.mode == .none { visibleCgroups.directories = facts.host.ownCgroups }
        guard let root = spec.root else { throw SpecError("root", "must be present") }
        var mounts = try MountPlan(
            spec.mounts ?? [], rootPath: facts.rootPath(root),
            propagation: Self.baseChange(linux.rootfsPropagation),
            cgroups: visibleCgroups,
            entry: CgroupEntry(
                isBornInside: cgroups.layout.unifiedIndex != nil && !facts.host.staysOutsideCgroup,
                tasksCount: cgroups.layout.v1DirectoryCount), namespaces: namespaces,
            userNamespace: userNamespace, mountLabel: linux.mountLabel,
            facts: facts, further: facts.furtherMounts)
        try mounts.addDevices(linux.devices ?? [])

        let preparations =
            facts.preparesMounts ? nil : try UnprivilegedMounts(mounts)
        let trees = TreeSupply(mounts, preparations)
        let recipe = CreateRecipe(
            spec: spec, linux: linux, process: process, root: root, namespaces: namespaces,
            userNamespace: userNamespace, facts: facts, cgroups: cgroups,
            resctrl: try ResctrlPlan(linux.intelRdt, id: facts.id, tree: facts.host.resctrl),
            identity: IdentityPlan(
                process: process, linux: linux, filter: filter, home: facts.caller.home,
                grantable: facts.host.grantableCapabilities,
                isInUserNamespace: userNamespace != nil,
                mayDenyGroups: facts.host.rights.isInUserNamespace,
                keepsGroups: facts.caller.keepsGroups,
                // Until init executes the program, nobody else has a right over it and can name it as well.
                listenerNeedsPtrace: facts.host.rights.isOrdinaryUser
                    && namespaces.new.contains(.user) && namespaces.new.contains(.pid),
                streams: StreamPlan(
                    process, facts.caller.streams, facts.host.rights, userNamespace),
                callerLimits: facts.caller.limits),
            hidden: try HiddenPaths(linux))
        let child = recipe.childSteps(mounts: mounts, trees)
        let parent = recipe.parentSteps(trees)
        try IDMapLimits(pageBytes: facts.host.pageBytes).check(parent)
        self.init(
            plan: LaunchPlan(
                parentSteps: parent, childSteps: child, laterSteps: recipe.laterSteps),
            cgroups: cgroups.layout, warnings: mounts.warnings)
    }

    /// Whether neither a cgroup nor a pid namespace tells the container's processes from others.
    func cannotTellProcessesApart(_ spec: Spec) -> Bool {
        guard let cgroups, cgroups.mode == .none else { return false }
        return spec.linux?.namespace(.pid) == nil
    }

    private static func cgroups(_ spec: Spec, _ linux: Linux, _ facts: CreateFacts)
        throws(SpecError) -> CgroupPlan
    {
        var resources = linux.resources
        // As with runc: nobody can enforce them, and a user namespace gets no other devices anyway.
        if facts.host.rights.mayGoWithoutCgroups { resources?.devices = nil }
        var plan: CgroupPlan
        if let systemd = facts.host.systemd {
            plan = try CgroupPlan(
                cgroupsPath: linux.cgroupsPath, id: facts.id, resources: resources,
                annotations: spec.annotations ?? [:], host: facts.host.cgroups, systemd: systemd)
        } else {
            plan = try CgroupPlan(
                cgroupsPath: linux.cgroupsPath, id: facts.id, resources: resources,
                host: facts.host.cgroups)
        }
        try plan.delegate(spec.annotations ?? [:])
        plan.toleratesDeviceRefusal = facts.host.rights.mayGoWithoutCgroups
        return plan
    }

    /// What every prepared tree gets first, so that the container's mounts stay in the container.
    ///
    /// Slaves still see the host's unmounts; `shared` keeps the connection, as the spec asks.
    private static func baseChange(_ propagation: Linux.Propagation?) -> MountChange {
        switch propagation {
        case .shared, .recursivelyShared: MountChange()
        case .private, .recursivelyPrivate:
            MountChange(recursive: true, propagation: .private)
        default: MountChange(recursive: true, propagation: .slave)
        }
    }
}

extension CreateFacts {
    /// The absolute path of the rootfs on the host.
    func rootPath(_ root: Root) -> String {
        root.path.path(from: bundlePath)
    }

    /// Mounts that the config does not name.
    fileprivate var furtherMounts: [Mount] {
        guard let readinessDirectory else { return [] }
        return [
            Mount(
                destination: ReadinessSocket.mountPoint, type: "bind", source: readinessDirectory,
                options: ["bind", "nosuid", "noexec", "nodev", "ro"])
        ]
    }
}

extension PlannedLimit {
    /// The limit while init waits for start and runs hooks, for which it needs some descriptors.
    ///
    /// A limit that leaves it none is set last. To lower one takes no privilege; only the hard limit may
    /// have to be raised, which is done first. Nil where nothing is to be set yet.
    var whileWaiting: PlannedLimit? {
        let needed: UInt64 = 64
        guard name == "RLIMIT_NOFILE", soft < needed else { return self }
        guard hard >= needed else { return nil }
        return PlannedLimit(name: name, resource: resource, soft: needed, hard: hard)
    }

    /// A limit of the config, or nil where the kernel has none of that name.
    init?(_ limit: Rlimit) {
        guard let resource = limit.resourceNumber else { return nil }
        self.init(
            name: limit.type, resource: Int(resource), soft: limit.soft, hard: limit.hard)
    }
}

extension CgroupLayout {
    /// How many directories are in v1 hierarchies.
    var v1DirectoryCount: Int { directories.count { !$0.isUnified } }
}
