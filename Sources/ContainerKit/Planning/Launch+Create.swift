// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Launch {
    /// Plans a new container.
    ///
    /// Pure: it reads and makes nothing; the seccomp filter is already compiled.
    init(creating spec: Spec, facts: CreateFacts, filter: SeccompFilter?) throws(SpecError) {
        let linux = spec.linux ?? Linux()
        let namespaces = NamespacePlan(
            linux.namespaces ?? [], alreadyIn: facts.isInUserNamespace ? .user : nil)
        // Spec: runtime.md, Start: a process is required by start alone.
        let process = spec.process ?? Process(cwd: "/")
        let userNamespace = UserNamespacePlan(namespaces, linux, process)
        try facts.host.rights.check(spec, namespaces, userNamespace?.maps)
        try RootEntry.check(linux, namespaces, movesRoot: facts.kernelTrees != nil)
        var cgroups = try Self.cgroups(spec, linux, facts)
        cgroups.owner = CgroupDelegation.owner(spec, isUnified: cgroups.layout.isUnified)
        // As with runc, the cgroup mounts of a container without its own cgroups show the caller's.
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
                process: process, linux: linux, filter: filter, landlock: facts.landlock,
                home: facts.caller.home, grantable: facts.host.grantableCapabilities,
                isInUserNamespace: userNamespace != nil,
                mayDenyGroups: facts.host.rights.isInUserNamespace,
                keepsGroups: facts.caller.keepsGroups,
                // Safe: until init executes the program, no other process has rights over it and
                // can also name it.
                listenerNeedsPtrace: facts.host.rights.isOrdinaryUser
                    && namespaces.new.contains(.user) && namespaces.new.contains(.pid),
                streams: StreamPlan(
                    process, facts.caller.streams, facts.host.rights, userNamespace),
                callerLimits: facts.caller.limits),
            maskedPaths: try MaskedPaths(linux))
        let child = recipe.childSteps(mounts: mounts, trees)
        let parent = recipe.parentSteps(trees)
        try IDMapLimits(pageBytes: facts.host.pageBytes).check(parent)
        self.init(
            plan: LaunchPlan(
                parentSteps: parent, childSteps: child, laterSteps: recipe.laterSteps),
            cgroups: cgroups.layout, warnings: mounts.warnings + (facts.landlock?.warnings ?? []))
    }

    /// Whether the container has neither a cgroup nor a pid namespace by which its processes can be
    /// found.
    func cannotTellProcessesApart(_ spec: Spec) -> Bool {
        guard let cgroups, cgroups.mode == .none else { return false }
        return spec.linux?.namespace(.pid) == nil
    }

    private static func cgroups(_ spec: Spec, _ linux: Linux, _ facts: CreateFacts)
        throws(SpecError) -> CgroupPlan
    {
        var resources = linux.resources
        // As with runc: they cannot be enforced, and a user namespace gets no other devices anyway.
        if facts.host.rights.mayGoWithoutCgroups { resources?.devices = nil }
        var plan: CgroupPlan
        if let systemd = facts.host.systemd {
            plan = try CgroupPlan(
                cgroupsPath: linux.cgroupsPath, id: facts.id, resources: resources,
                annotations: spec.annotations ?? [:], host: facts.host.cgroups, systemd: systemd,
                keepsAccounting: facts.caller.keepsAccounting)
        } else if let adopted = facts.host.adoptedCgroup {
            plan = try CgroupPlan(
                adopting: adopted, resources: resources,
                needsDeviceRules: !facts.host.rights.mayGoWithoutCgroups)
        } else {
            plan = try CgroupPlan(
                cgroupsPath: linux.cgroupsPath, id: facts.id, resources: resources,
                host: facts.host.cgroups)
        }
        try plan.delegate(spec.annotations ?? [:])
        plan.toleratesDeviceRefusal = facts.host.rights.mayGoWithoutCgroups
        return plan
    }

    /// The first change of every prepared tree, which keeps the container's mounts inside the
    /// container.
    ///
    /// A slave still receives the host's unmounts; `shared` keeps the connection, as the config
    /// asks.
    static func baseChange(_ propagation: Linux.Propagation?) -> MountChange {
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

    /// Mounts in addition to the config's.
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
    /// A limit that is too low for that is set last. Lowering it needs no privilege, but raising
    /// the hard limit may, so that is done first. Nil if nothing is set yet.
    var whileWaiting: PlannedLimit? {
        let needed: UInt64 = 64
        guard name == "RLIMIT_NOFILE", soft < needed else { return self }
        guard hard >= needed else { return nil }
        return PlannedLimit(name: name, resource: resource, soft: needed, hard: hard)
    }

    /// A limit of the config; nil if the kernel has none with that name.
    init?(_ limit: Rlimit) {
        guard let resource = limit.resourceNumber else { return nil }
        self.init(
            name: limit.type, resource: Int(resource), soft: limit.soft, hard: limit.hard)
    }
}

extension CgroupLayout {
    /// The number of directories in v1 hierarchies.
    var v1DirectoryCount: Int { directories.count { !$0.isUnified } }
}
#endif
