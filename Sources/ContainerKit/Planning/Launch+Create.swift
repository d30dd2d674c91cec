// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

extension Launch {
    /// Plans a new container.
    ///
    /// Pure: reads nothing, makes nothing; the filter of seccomp is compiled already.
    init(creating spec: Spec, facts: LaunchFacts, filter: SeccompFilter?) throws(SpecError) {
        let linux = spec.linux ?? Linux()
        let namespaces = NamespacePlan(
            linux.namespaces ?? [], alreadyIn: facts.isInUserNamespace ? .user : nil)
        let userNamespace = UserNamespacePlan(namespaces, linux)
        try RootEntry.check(linux, namespaces, movesRoot: facts.kernelTrees != nil)
        var cgroups = try Self.cgroups(spec, linux, facts)
        cgroups.owner = CgroupDelegation.owner(spec, isUnified: cgroups.layout.isUnified)
        guard let process = spec.process, let root = spec.root else {
            throw SpecError("process", "process property must not be empty")
        }
        var mounts = try MountPlan(
            spec.mounts ?? [], bundlePath: facts.bundlePath,
            propagation: Self.baseChange(linux.rootfsPropagation), cgroups: cgroups.layout,
            namespaces: namespaces, userNamespace: userNamespace, mountLabel: linux.mountLabel)
        mounts.addDevices(linux.devices ?? [])

        let recipe = CreateRecipe(
            spec: spec, linux: linux, process: process, root: root, namespaces: namespaces,
            userNamespace: userNamespace, facts: facts, cgroups: cgroups,
            identity: IdentityPlan(
                process: process, linux: linux, filter: filter, home: facts.home,
                grantable: facts.grantableCapabilities,
                isInUserNamespace: userNamespace != nil))
        let child = recipe.childSteps(mounts: mounts)
        let parent = recipe.parentSteps(mounts: mounts)
        self.init(
            plan: LaunchPlan(
                parentSteps: parent, childSteps: child, laterSteps: recipe.laterSteps),
            cgroups: cgroups)
    }

    private static func cgroups(_ spec: Spec, _ linux: Linux, _ facts: LaunchFacts)
        throws(SpecError) -> CgroupPlan
    {
        guard let systemd = facts.systemd else {
            return try CgroupPlan(
                cgroupsPath: linux.cgroupsPath, id: facts.id, resources: linux.resources,
                host: facts.cgroups)
        }
        return try CgroupPlan(
            cgroupsPath: linux.cgroupsPath, id: facts.id, resources: linux.resources,
            annotations: spec.annotations ?? [:], host: facts.cgroups, systemd: systemd)
    }

    /// What every prepared tree gets first, so that the container's mounts stay in the container.
    ///
    /// Slaves still see the host's unmounts; `shared` keeps the connection, as the spec asks.
    private static func baseChange(_ propagation: Linux.Propagation?) -> MountChange {
        switch propagation {
        case .shared, .recursivelyShared: MountChange()
        case .private, .recursivelyPrivate:
            MountChange(recursive: true, propagation: Linux.Propagation.private.kernelValue)
        default: MountChange(recursive: true, propagation: Linux.Propagation.slave.kernelValue)
        }
    }
}

/// The recipe for a new container; each method is one chapter.
private struct CreateRecipe {
    let spec: Spec
    let linux: Linux
    let process: Process
    let root: Root
    let namespaces: NamespacePlan
    let userNamespace: UserNamespacePlan?
    let facts: LaunchFacts
    let cgroups: CgroupPlan
    let identity: IdentityPlan

    /// Whether the user namespace is entered by a process that joins others around it.
    var entersUserNamespace: Bool { userNamespace.map { !$0.isCloned } ?? false }

    /// A joined pid namespace is for children only, and so is one that is made after the clone.
    var needsSecondProcess: Bool { namespaces.joins(.pid) || entersUserNamespace }

    /// Namespaces of the clone.
    ///
    /// The cgroup namespace comes later, from inside the cgroup, and so does the time namespace:
    /// clone3(2) refuses CLONE_NEWTIME before Linux 6.3.
    var clonedNamespaces: NamespaceSet { entersUserNamespace ? [] : firstNamespaces }

    private var firstNamespaces: NamespaceSet {
        var kinds = namespaces.new
        kinds.remove(.cgroup)
        kinds.remove(.time)
        return kinds
    }

    // MARK: The child

    func childSteps(mounts: MountPlan) -> [PlannedStep] {
        var steps = StepList()
        let keeping = inheritedDescriptors(mounts)
        steps.add(
            .closeDescriptors(
                phase: 0, keeping: keeping, preserved: facts.preservedDescriptorCount),
            from: "swrunc")
        if !facts.replacedStreams.isEmpty {
            steps.add(.setStandardStreams(facts.replacedStreams), from: "swrunc")
        }
        // Until the program runs, a container that shares the pid namespace could otherwise trace this
        // process, and reach the host's root through the descriptors that it holds (CVE-2016-9962).
        steps.add(.forbidPtrace, from: "swrunc")
        steps.add(.startSession, from: "swrunc")
        // What is made from here on has the modes that are asked for.
        steps.add(.setUmask(0), from: "swrunc")
        steps.addIOPriority(of: process)
        if !needsSecondProcess { addCgroups(to: &steps) }
        if let score = process.oomScoreAdj, userNamespace?.isCloned != true {
            steps.add(.setOOMScore(score), from: "process.oomScoreAdj")
        }
        addNamespaces(to: &steps)
        if process.hasSecurityLabel { steps.add(.openHostProc, from: "swrunc") }
        addRootfs(to: &steps, mounts)
        if facts.joinsSessionKeyring {
            steps.add(.joinSessionKeyring("_ses." + facts.id), from: "swrunc")
        }
        identity.addPreparation(to: &steps)
        addWait(to: &steps)
        for hook in hooks(.startContainer) {
            steps.add(
                .runHook(hook, preparing: identity.hookPreparation), from: hook.field)
        }
        identity.addExecution(to: &steps)
        return steps.steps
    }

    /// The environment of the process is what a startContainer hook without one of its own gets.
    private func hooks(_ point: HookPoint) -> [PlannedHook] {
        let inherited = point == .startContainer ? identity.environment : []
        return spec.hooks?.planned(point, inheriting: inherited) ?? []
    }

    /// Before masks, read-only paths and the change of root: a hook may still change what is mounted.
    private func addCreationHooks(to steps: inout StepList) {
        let outside = [HookPoint.prestart, .createRuntime].first { !hooks($0).isEmpty }
        if let outside {
            steps.add(.reportToParent(.mounted), from: "hooks.\(outside.rawValue)")
            steps.add(.waitForParent(.hooked), from: "hooks.\(outside.rawValue)")
        }
        for hook in hooks(.createContainer) {
            steps.add(
                .runHook(hook, preparing: [.setUmask(0o022), .resetSignals, .unblockSignals]),
                from: hook.field)
        }
    }

    /// Nothing of the set-up stays open while the process waits.
    private func addWait(to steps: inout StepList) {
        let socket: InheritedDescriptor = facts.startsAtOnce ? .rendezvous : .startSocket
        steps.add(.reportToParent(.ready), from: "swrunc")
        steps.add(
            .closeDescriptors(
                phase: 2, keeping: [socket], preserved: facts.preservedDescriptorCount),
            from: "swrunc")
        steps.add(
            facts.startsAtOnce ? .waitForParent(.start) : .waitForStart, from: "swrunc")
    }

    private func addCgroups(to steps: inout StepList) {
        let count = cgroups.layout.v1DirectoryCount
        if count > 0 { steps.add(.enterCgroups(count: count), from: "linux.cgroupsPath") }
    }

    private func inheritedDescriptors(_ mounts: MountPlan) -> [InheritedDescriptor] {
        var keeping: [InheritedDescriptor] = [.rendezvous, .rootfsTree]
        if !facts.startsAtOnce { keeping.append(.startSocket) }
        keeping += (0..<cgroups.layout.v1DirectoryCount).map { .cgroupTasks($0) }
        if needsSecondProcess, cgroups.layout.unifiedIndex != nil {
            keeping.append(.cgroupDirectory)
        }
        keeping += namespaces.joined.map { .namespace($0.kind.rawValue) }
        for planned in mounts.parentSteps {
            switch planned.step {
            case .prepareBindMount(let bind): keeping.append(.mountTree(bind.index))
            case .prepareTmpfsCopy(let index, _), .prepareMappedFilesystem(let index, _, _),
                .prepareDevice(let index, _, _):
                keeping.append(.mountTree(index))
            case .prepareCgroupMount(let index, let name, _):
                keeping.append(name.map { .cgroupTree(index, $0) } ?? .mountTree(index))
            default: break
            }
        }
        if process.terminal, case .consoleSocket = facts.terminal { keeping.append(.consoleSocket) }
        keeping += facts.replacedStreams.map { .standardStream($0) }
        return keeping
    }

    private func addNamespaces(to steps: inout StepList) {
        addJoinedNamespaces(to: &steps)
        if namespaces.new.contains(.time) {
            let offsets = (linux.timeOffsets ?? [:]).sorted { $0.key < $1.key }.map {
                TimeNamespaceOffset(
                    clock: $0.key, seconds: $0.value.seconds, nanoseconds: $0.value.nanoseconds)
            }
            steps.add(.enterNewTimeNamespace(offsets), from: namespaces.field(of: .time))
        }
        if needsSecondProcess {
            steps.add(
                .continueInChild(intoCgroup: cgroups.layout.unifiedIndex != nil),
                from: namespaces.field(of: .pid))
            steps.add(.waitForParent(.adopted), from: "swrunc")
            steps.add(.startSession, from: "swrunc")
            addCgroups(to: &steps)
        }
        if let userNamespace {
            // Until here the process is the host's root to files, though without its rights.
            if userNamespace.isCloned { steps.add(.waitForParent(.prepared), from: "swrunc") }
            steps.add(.becomeNamespaceRoot, from: namespaces.field(of: .user))
        }
        // From inside its cgroup: v2 lets nobody enter one of a namespace that he is outside of.
        if namespaces.joins(.cgroup) {
            steps.add(.joinNamespace(.cgroup), from: namespaces.field(of: .cgroup))
        }
        if namespaces.new.contains(.cgroup) {
            steps.add(.unshareNamespaces([.cgroup]), from: namespaces.field(of: .cgroup))
        }
        if namespaces.new.contains(.network) {
            steps.add(.bringUpLoopback, from: namespaces.field(of: .network))
        }
        if !netDevices.isEmpty {
            steps.add(.sendNetworkSocket, from: "linux.netDevices")
            steps.add(.waitForParent(.devicesMoved), from: "linux.netDevices")
        }
        if let hostname = spec.hostname, !hostname.isEmpty {
            steps.add(.setHostname(hostname), from: "hostname")
        }
        if let domainname = spec.domainname, !domainname.isEmpty {
            steps.add(.setDomainname(domainname), from: "domainname")
        }
    }

    private func addJoinedNamespaces(to steps: inout StepList) {
        let joined = namespaces.joined.filter { $0.kind != .cgroup }
        if namespaces.joins(.user) {
            let others = joined.map(\.kind).filter { $0 != .user }
            steps.add(.joinUserNamespace(with: others), from: namespaces.field(of: .user))
        } else {
            for namespace in joined {
                steps.add(.joinNamespace(namespace.kind), from: namespace.field)
            }
        }
        // Made from inside the user namespace, so that they belong to it.
        if entersUserNamespace, !firstNamespaces.isEmpty {
            steps.add(.unshareNamespaces(firstNamespaces), from: "linux.namespaces")
        }
    }

    private func addRootfs(to steps: inout StepList, _ mounts: MountPlan) {
        // The container's root may not be allowed to walk to the rootfs; "/" is as good a place.
        let isHidden = userNamespace != nil && rootEntry == .pivot
        rootEntry.addAttachment(
            to: &steps, rootPath: isHidden ? "/" : rootPath, linux.rootfsPropagation)
        steps.append(mounts.childSteps)
        addCreationHooks(to: &steps)
        if process.terminal { steps.add(.openTerminal(terminalRequest), from: "process.terminal") }
        if let sysctl = linux.sysctl, !sysctl.isEmpty {
            let parameters = sysctl.sorted { $0.key < $1.key }.map { key, value in
                KernelParameter(key: key, path: Linux.sysctlPath(key) ?? key, value: value)
            }
            steps.add(.setSysctl(parameters), from: "linux.sysctl")
        }
        if let paths = linux.readonlyPaths, !paths.isEmpty {
            steps.add(.protectPaths(paths), from: "linux.readonlyPaths")
        }
        if let paths = linux.maskedPaths, !paths.isEmpty {
            steps.add(
                .maskPaths(paths, label: linux.mountLabel.flatMap { $0.isEmpty ? nil : $0 }),
                from: "linux.maskedPaths")
        }
        steps.add(.makeDirectory(process.cwd), from: "process.cwd")
        steps.append(mounts.readOnlySteps)
        if root.readonly { steps.add(.makeReadOnly("/"), from: "root.readonly") }
        rootEntry.addEntry(
            to: &steps, rootPath: rootPath, masksPaths: !(linux.maskedPaths ?? []).isEmpty)
        // After createContainer hooks, whose programs the label would confine as well.
        steps.addSecurityLabels(of: process, joinsSessionKeyring: facts.joinsSessionKeyring)
        // Whatever leads to the host's tree is gone from here on.
        var keeping: [InheritedDescriptor] = [.rendezvous, .rootfsTree]
        if !facts.startsAtOnce { keeping.append(.startSocket) }
        steps.add(
            .closeDescriptors(
                phase: 1, keeping: keeping, preserved: facts.preservedDescriptorCount),
            from: "swrunc")
        if let propagation = linux.rootfsPropagation {
            steps.add(
                .setRootPropagation(
                    MountPropagation(
                        flag: propagation.kernelValue, recursive: propagation.isRecursive,
                        name: propagation.rawValue)), from: "linux.rootfsPropagation")
        }
    }

    /// In the order of their names.
    private var netDevices: [NetDeviceMove] {
        (linux.netDevices ?? [:]).sorted { $0.key < $1.key }.map { name, device in
            let newName = device.name ?? ""
            return NetDeviceMove(
                name: name, newName: newName.isEmpty ? name : newName,
                field: JSONPath("linux.netDevices").appending(key: name).description)
        }
    }

    private var rootEntry: RootEntry {
        guard namespaces.isolates(.mount) else { return .change }
        return facts.kernelTrees.map { .move(kernelTrees: $0) } ?? .pivot
    }

    private var terminalRequest: TerminalRequest {
        var toSocket = false
        if case .consoleSocket = facts.terminal { toSocket = true }
        let size = process.consoleSize
        return TerminalRequest(
            rows: size.map { UInt16(truncatingIfNeeded: $0.height) },
            columns: size.map { UInt16(truncatingIfNeeded: $0.width) },
            toConsoleSocket: toSocket, mountsConsole: true)
    }

    /// The absolute path of the rootfs on the host.
    private var rootPath: String {
        root.path.hasPrefix("/") ? root.path : facts.bundlePath + "/" + root.path
    }

    // MARK: The parent

    /// Whether what the config asks for would change the host if the joined namespace were the host's.
    private func needsOwn(_ kind: NamespaceKind) -> Bool {
        switch kind {
        case .mount: true
        case .network: !(linux.sysctl ?? [:]).isEmpty || !netDevices.isEmpty
        case .ipc: !(linux.sysctl ?? [:]).isEmpty
        case .uts:
            !(linux.sysctl ?? [:]).isEmpty || !(spec.hostname ?? "").isEmpty
                || !(spec.domainname ?? "").isEmpty
        default: false
        }
    }

    /// Who may make cgroups below the container's: its root, where it sees them and may write.
    private var cgroupOwner: UInt32? {
        guard cgroups.layout.isUnified, namespaces.new.contains(.cgroup),
            let owner = userNamespace?.maps?.users.outside(0)
        else { return nil }
        let isWritable = (spec.mounts ?? []).contains { mount in
            (mount.type == "cgroup" || mount.type == "cgroup2")
                && MountPlan.absolute(mount.destination) == "/sys/fs/cgroup"
                && !(mount.options ?? []).contains("ro")
        }
        return isWritable ? owner : nil
    }

    func parentSteps(mounts: MountPlan) -> [PlannedParentStep] {
        var steps: [PlannedParentStep] = []
        func add(_ step: ParentStep, from field: String = "swrunc") {
            steps.append(PlannedParentStep(field: field, step: step))
        }
        add(.recordCreating)
        if let scope = cgroups.layout.scope {
            add(
                .startScope(
                    unit: scope.unit, properties: cgroups.properties.map(\.description)),
                from: "linux.cgroupsPath")
        }
        add(
            .createCgroups(
                paths: cgroups.layout.directories.map(\.path), writes: cgroups.writeSummaries),
            from: "linux.cgroupsPath")
        add(.openCgroups, from: "linux.cgroupsPath")
        if let owner = cgroupOwner {
            add(.delegateCgroup(userID: owner), from: "linux.cgroupsPath")
        }
        for joined in namespaces.joined {
            add(
                .openNamespace(
                    joined.kind, path: joined.path, mustDiffer: needsOwn(joined.kind)),
                from: joined.field)
        }
        // The root tree must not be shared: pivot_root(2) refuses a shared one. It becomes so again
        // inside, where the spec asks for it.
        var change = Linux.Propagation.recursivelySlave.kernelValue
        switch linux.rootfsPropagation {
        case .private, .recursivelyPrivate, .shared, .recursivelyShared:
            change = Linux.Propagation.private.kernelValue
        default: break
        }
        add(
            .prepareRootfs(
                path: rootPath, changes: [MountChange(recursive: true, propagation: change)]),
            from: "root.path")
        if rootEntry == .change { add(.recordRootMount(path: rootPath), from: "root.path") }
        steps += mounts.parentSteps
        if process.terminal, case .consoleSocket(let path) = facts.terminal {
            add(.connectConsole(path: path.string), from: "process.terminal")
        }
        if !facts.startsAtOnce { add(.listenForStart) }
        addLaunch(to: &steps)
        return steps
    }

    private func addHooks(
        _ point: HookPoint, to steps: inout [PlannedParentStep],
        _ step: ([PlannedHook]) -> ParentStep
    ) {
        let hooks = hooks(point)
        guard !hooks.isEmpty else { return }
        steps.append(PlannedParentStep(field: "hooks.\(point.rawValue)", step: step(hooks)))
    }

    /// What a created container leaves to start, and each to delete.
    var laterSteps: [PlannedParentStep] {
        var steps: [PlannedParentStep] = []
        if !facts.startsAtOnce {
            addHooks(.startContainer, to: &steps) { .superviseHooks($0) }
            addHooks(.poststart, to: &steps) { .runHooks($0) }
        }
        addHooks(.poststop, to: &steps) { .runHooks($0) }
        return steps
    }

    private func addLaunch(to steps: inout [PlannedParentStep]) {
        func add(_ step: ParentStep, from field: String = "swrunc") {
            steps.append(PlannedParentStep(field: field, step: step))
        }
        add(
            .startChild(clonedNamespaces, intoCgroup: !needsSecondProcess),
            from: "linux.namespaces")
        if let score = process.oomScoreAdj, userNamespace?.isCloned == true {
            add(.setOOMScore(score), from: "process.oomScoreAdj")
        }
        if needsSecondProcess { add(.adoptSecondChild) }
        if let maps = userNamespace?.maps {
            add(
                userNamespace?.isNew == true ? .writeIDMaps(maps) : .checkIDMaps(maps),
                from: "linux.uidMappings")
        }
        if needsSecondProcess { add(.release(.adopted)) }
        if userNamespace?.isCloned == true { add(.release(.prepared)) }
        if !netDevices.isEmpty {
            add(.moveNetDevices(netDevices), from: "linux.netDevices")
            add(.release(.devicesMoved))
        }
        let preparing = hooks(.prestart) + hooks(.createRuntime)
        if !(preparing + hooks(.createContainer)).isEmpty { add(.recordProcess) }
        add(.stageRecord)
        if !preparing.isEmpty {
            add(.awaitChild(.mounted))
            addHooks(.prestart, to: &steps) { .runHooks($0) }
            addHooks(.createRuntime, to: &steps) { .runHooks($0) }
            add(.release(.hooked))
        }
        addHooks(.createContainer, to: &steps) { .superviseHooks($0) }
        if process.terminal, case .master = facts.terminal {
            add(.receiveTerminal, from: "process.terminal")
        }
        add(.awaitChild(.ready))
        steps += identity.parentSteps
        if cgroups.layout.scope != nil { add(.leaveScope, from: "linux.cgroupsPath") }
        add(.recordCreated)
        if let path = facts.pidFile { add(.writePidFile(path: path)) }
        if facts.startsAtOnce {
            add(.release(.start))
            addHooks(.startContainer, to: &steps) { .superviseHooks($0) }
            add(.awaitExecution)
            addHooks(.poststart, to: &steps) { .runHooks($0) }
        }
    }
}

extension PlannedLimit {
    /// A limit of the config, or nil where the kernel has none of that name.
    init?(_ limit: Rlimit) {
        guard let resource = limit.resourceNumber else { return nil }
        self.init(
            name: limit.type, resource: Int(resource), soft: limit.soft, hard: limit.hard)
    }
}

extension CgroupPlan {
    /// What is written to which control file, for `explain`.
    var writeSummaries: [String] {
        resources.steps.compactMap { step in
            switch step {
            case .write(let write): "\(write.file) = \(write.text)"
            case .writeFirst(let writes): writes.first.map { "\($0.file) = \($0.text)" }
            case .requireUsage: nil
            }
        }
    }
}

extension CgroupLayout {
    /// How many directories are in v1 hierarchies.
    var v1DirectoryCount: Int { directories.count { !$0.isUnified } }
}
