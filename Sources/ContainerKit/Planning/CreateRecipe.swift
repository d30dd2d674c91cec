// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// The recipe for a new container; each method adds one part of the steps.
struct CreateRecipe {
    let spec: Spec
    let linux: Linux
    let process: Process
    let root: Root
    let namespaces: NamespacePlan
    let userNamespace: UserNamespacePlan?
    let facts: CreateFacts
    let cgroups: CgroupPlan
    let resctrl: ResctrlPlan?
    let identity: IdentityPlan
    let maskedPaths: MaskedPaths

    /// Whether a process enters the user namespace by itself, after joining other namespaces.
    var entersUserNamespace: Bool { userNamespace.map { !$0.isCloned } ?? false }

    /// The listener that gets the descriptor of seccomp notifications.
    ///
    /// The status in its message is runc's, which loads the filter during create.
    var listener: SeccompListener? {
        SeccompListener(
            linux.seccomp,
            state: State(
                ociVersion: RuntimeVersion.specVersion, id: facts.id, pid: 0, status: .creating,
                bundle: facts.bundlePath, annotations: spec.annotations))
    }

    /// Only child processes enter a joined pid namespace, or one that is made after the clone.
    var needsSecondProcess: Bool { namespaces.joins(.pid) || entersUserNamespace }

    /// Whether the child is cloned into its v2 cgroup.
    var entersUnifiedCgroup: Bool {
        cgroups.layout.unifiedIndex != nil && !facts.host.staysOutsideCgroup
    }

    /// Whether the first of two processes enters the v2 cgroup, so that the second starts in it.
    ///
    /// Inside the user namespace, only the new owner may enter a cgroup that was given to a user.
    var entersCgroupFirst: Bool { entersUnifiedCgroup && cgroups.owner != nil }

    /// Whether the child needs a wait of its own until it has been moved into its cgroup.
    var waitsForCgroup: Bool {
        facts.host.staysOutsideCgroup && !needsSecondProcess && userNamespace?.isCloned != true
    }

    /// The namespaces of the clone.
    ///
    /// The cgroup namespace is made later, from inside the cgroup. So is the time namespace, since
    /// clone3(2) refuses CLONE_NEWTIME before Linux 6.3. An ipc namespace makes a file system whose
    /// root directory must belong to root of the user namespace, so it is made after that.
    var clonedNamespaces: NamespaceSet { entersUserNamespace ? [] : firstNamespaces }

    private var firstNamespaces: NamespaceSet {
        var kinds = namespaces.new
        kinds.remove(.cgroup)
        kinds.remove(.time)
        if userNamespace != nil { kinds.remove(.ipc) }
        return kinds
    }

    /// The namespaces that the child makes itself, once it is in its cgroup and user namespace.
    private var laterNamespaces: NamespaceSet {
        var kinds: NamespaceSet = []
        if namespaces.new.contains(.cgroup) { kinds.insert(.cgroup) }
        if userNamespace != nil, namespaces.new.contains(.ipc) { kinds.insert(.ipc) }
        return kinds
    }

    // MARK: The child

    /// Whether the child's files in /proc must belong to the runtime's user until the IDs are
    /// mapped.
    private var isMappedByUser: Bool {
        userNamespace?.isCloned == true && !facts.host.rights.mapsIDs
    }

    /// - Parameters:
    ///   - mounts: the planned mounts.
    ///   - trees: how the child gets the prepared trees.
    /// - Returns: the child's steps.
    func childSteps(mounts: MountPlan, _ trees: TreeSupply) -> [PlannedStep] {
        var steps = StepList()
        steps.add(
            .process(.closeDescriptors(phase: 0, preserved: facts.caller.preservedDescriptorCount)),
            from: .runtime)
        if !facts.caller.replacedStreams.isEmpty {
            steps.add(.stream(.setStandardStreams(facts.caller.replacedStreams)), from: .runtime)
        }
        // Until the program runs, a container that shares the pid namespace could otherwise trace
        // this process, and reach the host's root through its descriptors (CVE-2016-9962).
        if !isMappedByUser { steps.add(.process(.forbidPtrace), from: .runtime) }
        steps.add(.process(.startSession), from: .runtime)
        // Files made from here on get exactly the requested modes.
        steps.add(.identity(.setUmask(0)), from: .runtime)
        steps.addIOPriority(of: process)
        if !needsSecondProcess { addCgroups(to: &steps) }
        if let score = process.oomScoreAdj, userNamespace?.isCloned != true {
            steps.add(.attribute(.setOOMScore(score)), from: "process.oomScoreAdj")
        }
        addNamespaces(to: &steps)
        if facts.hasUnbindableSources {
            steps.add(.root(.isolateMounts(private: true)), from: "root.path")
        }
        if process.hasSecurityLabel { steps.add(.label(.openHostProc), from: .runtime) }
        steps.append(trees.earlyChildSteps)
        addRootfs(to: &steps, mounts, trees)
        if facts.caller.joinsSessionKeyring {
            steps.add(.process(.joinSessionKeyring("_ses." + facts.id)), from: .runtime)
        }
        identity.addPreparation(to: &steps, leavingSignalsBlocked: waitsBlocked)
        addWait(to: &steps)
        identity.addExecution(
            to: &steps, channel: facts.startsAtOnce ? .rendezvous : .startConnection,
            after: hooks(.startContainer))
        return steps.steps.keepingWhatIsNeeded()
    }

    /// A hook without its own environment gets the runtime's; a startContainer hook gets the
    /// process's, since its program is in the container's root.
    ///
    /// runc gives the process's environment to createContainer hooks, too. But these are programs
    /// of the host, which an image's `LD_PRELOAD` could take over (CVE-2025-23266).
    func hooks(_ point: HookPoint) -> [PlannedHook] {
        let inherited: [ByteText]? =
            switch point {
            case .startContainer: identity.environment
            case .createContainer: facts.environment
            default: facts.traceVariable == nil ? nil : facts.environment
            }
        return spec.hooks?.planned(
            point, inheriting: inherited, tracedBy: facts.traceVariable) ?? []
    }

    /// Runs before masks, read-only paths and the change of root, so that a hook can still change
    /// mounts.
    private func addCreationHooks(to steps: inout StepList) {
        let points = [HookPoint.prestart, .createRuntime, .createContainer].filter {
            !hooks($0).isEmpty
        }
        if let first = points.first {
            // Until this report, the runtime makes mount points on request.
            steps.add(.exchange(.reportToParent(.mounted)), from: "hooks.\(first.rawValue)")
        }
        if let outside = points.first(where: { $0 != .createContainer }) {
            steps.add(.exchange(.waitForParent(.hooked)), from: "hooks.\(outside.rawValue)")
        }
        for hook in hooks(.createContainer) {
            steps.add(
                .hook(
                    .runHook(
                        hook,
                        preparing: [
                            .identity(.setUmask(0o022)), .process(.resetSignals),
                            .process(.unblockSignals),
                        ])),
                from: .config(hook.field))
        }
    }

    /// Closes all descriptors of the set-up before the process waits.
    private func addWait(to steps: inout StepList) {
        steps.add(.exchange(.reportToParent(.ready)), from: .runtime)
        steps.add(
            .process(.closeDescriptors(phase: 2, preserved: facts.caller.preservedDescriptorCount)),
            from: .runtime)
        let waiting: InitStep =
            waitsBlocked ? .exchange(.waitForStartOrSignal) : .exchange(.waitForStart)
        steps.add(facts.startsAtOnce ? .exchange(.waitForParent(.start)) : waiting, from: .runtime)
        if waitsBlocked { steps.add(.process(.unblockSignals), from: .runtime) }
    }

    /// Whether init blocks signals and reads them while it waits for start, so that they can end
    /// it.
    ///
    /// The kernel does not apply default actions to the first process of a pid namespace. With
    /// `run`, init only waits for its runtime.
    private var waitsBlocked: Bool { namespaces.new.contains(.pid) }

    private func addCgroups(to steps: inout StepList) {
        let count = cgroups.layout.v1DirectoryCount
        if count > 0 { steps.add(.process(.enterCgroups(count: count)), from: "linux.cgroupsPath") }
        steps.add(.attribute(.resetCPUAffinity), from: .runtime)
    }

    private func addNamespaces(to steps: inout StepList) {
        if waitsForCgroup {
            steps.add(.exchange(.waitForParent(.cgroupEntered)), from: "linux.cgroupsPath")
        }
        addJoinedNamespaces(to: &steps)
        if namespaces.new.contains(.time) {
            let offsets = (linux.timeOffsets ?? [:]).sorted { $0.key < $1.key }.map {
                TimeNamespaceOffset(
                    clock: $0.key, seconds: $0.value.seconds, nanoseconds: $0.value.nanoseconds)
            }
            steps.add(
                .namespace(.enterNewTimeNamespace(offsets)), from: namespaces.field(of: .time))
        }
        if needsSecondProcess {
            steps.add(
                .namespace(.continueInChild(intoCgroup: entersUnifiedCgroup && !entersCgroupFirst)),
                from: namespaces.field(of: .pid))
            steps.add(.exchange(.waitForParent(.adopted)), from: .runtime)
            steps.add(.process(.startSession), from: .runtime)
            addCgroups(to: &steps)
        }
        if let userNamespace {
            // Until the IDs are mapped, the process's files belong to the host's root, although it
            // lacks root's rights.
            if userNamespace.isCloned {
                steps.add(.exchange(.waitForParent(.userMapped)), from: .runtime)
            }
            if isMappedByUser { steps.add(.process(.forbidPtrace), from: .runtime) }
            if !facts.caller.keepsGroups {
                steps.add(.identity(.dropGroups), from: namespaces.field(of: .user))
            }
            steps.add(
                .namespace(.becomeNamespaceUser(userNamespace.user)),
                from: namespaces.field(of: .user))
        }
        // After entering the cgroup: v2 lets no process enter a cgroup outside its cgroup
        // namespace.
        if namespaces.joins(.cgroup) {
            steps.add(.namespace(.joinNamespace(.cgroup)), from: namespaces.field(of: .cgroup))
        }
        if !laterNamespaces.isEmpty {
            steps.add(.namespace(.unshareNamespaces(laterNamespaces)), from: "linux.namespaces")
        }
        // After making the cgroup namespace, whose root then stays the container's own cgroup.
        if !cgroups.delegated.isEmpty {
            steps.add(
                .process(.enterDelegatedCgroup),
                from: "annotations.\(ConfigAnnotation.delegatedCgroup)")
        }
        if namespaces.new.contains(.network) {
            steps.add(.namespace(.bringUpLoopback), from: namespaces.field(of: .network))
        }
        if !netDevices.isEmpty {
            steps.add(.namespace(.sendNetworkSocket), from: "linux.netDevices")
            steps.add(.exchange(.waitForParent(.devicesMoved)), from: "linux.netDevices")
        }
        if let hostname = spec.hostname, !hostname.isEmpty {
            steps.add(.namespace(.setHostname(hostname)), from: "hostname")
        }
        if let domainname = spec.domainname, !domainname.isEmpty {
            steps.add(.namespace(.setDomainname(domainname)), from: "domainname")
        }
    }

    private func addJoinedNamespaces(to steps: inout StepList) {
        let joined = namespaces.joined.filter { $0.kind != .cgroup }
        if namespaces.joins(.user) {
            let others = joined.map(\.kind).filter { $0 != .user }
            if !facts.caller.keepsGroups {
                steps.add(.identity(.dropGroups), from: namespaces.field(of: .user))
            }
            steps.add(
                .namespace(.joinUserNamespace(with: others)), from: namespaces.field(of: .user))
        } else {
            for namespace in joined {
                steps.add(.namespace(.joinNamespace(namespace.kind)), from: namespace.field)
            }
        }
        // Made inside the user namespace, so that they belong to it.
        if entersUserNamespace, !firstNamespaces.isEmpty {
            steps.add(.namespace(.unshareNamespaces(firstNamespaces)), from: "linux.namespaces")
        }
    }

    /// The first change of the root tree: pivot_root(2) refuses a shared one.
    ///
    /// It becomes shared again inside if the config asks for that. Later mounts of the host
    /// propagate into it only if the config asks for a slave.
    var rootChange: MountChange {
        let propagation: Linux.Propagation =
            switch linux.rootfsPropagation {
            case .slave, .recursivelySlave: .slave
            default: .private
            }
        return MountChange(recursive: true, propagation: propagation.kernelValue)
    }

    private func addRootfs(to steps: inout StepList, _ mounts: MountPlan, _ trees: TreeSupply) {
        if !facts.preparesMounts {
            steps.add(
                .mount(
                    .cloneHostTree(
                        HostTree(
                            path: rootPath, recursive: true, kind: .directory, changes: [rootChange]
                        ),
                        for: .rootfsTree)), from: "root.path")
        }
        // The container's root may lack search permission on the path to the rootfs; "/" works as
        // well.
        let isHidden = userNamespace != nil && rootEntry == .pivot
        rootEntry.addAttachment(
            to: &steps, rootPath: isHidden ? "/" : rootPath, linux.rootfsPropagation)
        if let userNamespace {
            let user = userNamespace.isNew ? userNamespace.maps?.users.outside(0) : nil
            steps.add(.root(.searchRootfs(hostUser: user)), from: "root.path")
        }
        steps.append(trees.mountSteps)
        addCreationHooks(to: &steps)
        if process.terminal {
            steps.add(.terminal(.openTerminal(terminalRequest)), from: "process.terminal")
        }
        if let sysctl = linux.sysctl, !sysctl.isEmpty {
            let parameters = sysctl.sorted { $0.key < $1.key }.map { key, value in
                KernelParameter(key: key, path: Linux.sysctlPath(key) ?? key, value: value)
            }
            steps.add(.file(.setSysctl(parameters)), from: "linux.sysctl")
        }
        if !maskedPaths.readOnly.isEmpty {
            steps.add(.maskedPath(.protectPaths(maskedPaths.readOnly)), from: "linux.readonlyPaths")
        }
        if !maskedPaths.masked.isEmpty {
            steps.add(
                .maskedPath(
                    .maskPaths(
                        maskedPaths.masked,
                        label: linux.mountLabel.flatMap { $0.isEmpty ? nil : $0 })),
                from: "linux.maskedPaths")
        }
        steps.add(.file(.makeDirectory(process.cwd)), from: "process.cwd")
        steps.append(mounts.readOnlySteps)
        if root.readonly {
            steps.add(.mount(.makeReadOnly("/")), from: "root.readonly")
        } else if maskedPaths.protectsRoot {
            steps.add(.mount(.makeReadOnly("/")), from: "linux.readonlyPaths")
        }
        rootEntry.addEntry(
            to: &steps, rootPath: rootPath, masksPaths: !maskedPaths.masked.isEmpty)
        // After createContainer hooks, whose programs the label would confine, too.
        steps.addSecurityLabels(of: process, joinsSessionKeyring: facts.caller.joinsSessionKeyring)
        // From here on, no descriptor leads to the host's tree.
        steps.add(
            .process(.closeDescriptors(phase: 1, preserved: facts.caller.preservedDescriptorCount)),
            from: .runtime)
        if let propagation = linux.rootfsPropagation {
            steps.add(
                .root(
                    .setRootPropagation(
                        MountPropagation(
                            flag: propagation.kernelValue, recursive: propagation.isRecursive,
                            name: propagation.rawValue))), from: "linux.rootfsPropagation")
        }
    }

    /// The network devices to move, in the order of their names.
    var netDevices: [NetDeviceMove] {
        guard let devices = linux.netDevices, !devices.isEmpty else { return [] }
        return devices.sorted { $0.key < $1.key }.map { name, device in
            let newName = device.name ?? ""
            return NetDeviceMove(
                name: name, newName: newName.isEmpty ? name : newName,
                field: JSONPath("linux.netDevices").appending(key: name).description)
        }
    }

    var rootEntry: RootEntry {
        guard namespaces.isolates(.mount) else { return .change }
        return facts.kernelTrees.map { .move(kernelTrees: $0) } ?? .pivot
    }

    private var terminalRequest: TerminalRequest {
        var toSocket = false
        if case .consoleSocket = facts.caller.terminal { toSocket = true }
        return TerminalRequest(of: process, toConsoleSocket: toSocket, mountsConsole: true)
    }

    /// The absolute path of the rootfs on the host.
    var rootPath: String { facts.rootPath(root) }
}

extension TerminalRequest {
    /// A terminal with the size that the process asks for.
    init(of process: Process, toConsoleSocket: Bool, mountsConsole: Bool) {
        let size = process.consoleSize
        self.init(
            rows: size.map { UInt16(truncatingIfNeeded: $0.height) },
            columns: size.map { UInt16(truncatingIfNeeded: $0.width) },
            toConsoleSocket: toConsoleSocket, mountsConsole: mountsConsole)
    }
}
#endif
