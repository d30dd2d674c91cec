// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

// The runtime's steps of a launch: before, at and after the clone.

extension CreateRecipe {
    /// Whether the config would change the host if the joined namespace were the host's own.
    ///
    /// In a mount namespace, every config would: mounts are made in it.
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

    func parentSteps(_ trees: TreeSupply) -> [PlannedParentStep] {
        var steps = ParentStepList()
        if let listener {
            steps.add(
                .listener(facts.startsAtOnce ? .connect(listener) : .find(listener)),
                from: .config(SeccompListener.field))
        }
        steps.add(.record(.begin))
        if let notifySocket = facts.notifySocket {
            steps.add(
                .socket(.prepareReadiness(manager: notifySocket, listens: facts.startsAtOnce)))
        }
        addCgroups(to: &steps, trees)
        if copiesTrees(trees), !cgroups.layout.directories.isEmpty {
            steps.add(.record(.ownCgroup))
        }
        for joined in namespaces.joined {
            steps.add(
                .namespace(
                    .open(joined.kind, path: joined.path, mustDiffer: needsOwn(joined.kind))),
                from: joined.field)
        }
        steps.add(
            .mount(
                facts.preparesMounts
                    ? .cloneRootfs(path: rootPath, changes: [rootChange])
                    : .openRootfs(path: rootPath)),
            from: "root.path")
        if rootEntry == .change {
            steps.add(.record(.rootMount(path: rootPath)), from: "root.path")
        }
        steps.append(trees.earlyParentSteps)
        if process.terminal, case .consoleSocket(let path) = facts.caller.terminal {
            steps.add(.socket(.connectConsole(path: path.text)), from: "process.terminal")
        }
        if !facts.startsAtOnce { steps.add(.socket(.listenForStart)) }
        addLaunch(to: &steps, trees)
        return steps.steps
    }

    // MARK: Cgroups

    private func addCgroups(to steps: inout ParentStepList, _ trees: TreeSupply) {
        let layout = cgroups.layout
        let plan = cgroups.withRoomForKeeper
        if layout.scope != nil {
            steps.add(.cgroup(.startScope(layout, plan.properties)), from: "linux.cgroupsPath")
        }
        if !layout.directories.isEmpty {
            if layout.adopted == nil {
                steps.add(.cgroup(.make(layout)), from: "linux.cgroupsPath")
            } else {
                steps.add(.cgroup(.adopt(layout)))
            }
            if let devices, !setsDevicesLate(trees) {
                steps.add(.cgroup(devices), from: devicesOrigin)
            }
            if !plan.resources.steps.isEmpty {
                steps.add(.cgroup(.limit(plan.resources.steps)), from: "linux.resources")
            }
            if !cgroups.delegated.isEmpty {
                steps.add(
                    .cgroup(.makeDelegated(path: cgroups.delegated, owner: cgroups.owner)),
                    from: delegationOrigin)
            }
            steps.add(
                .cgroup(.open(layout, delegated: cgroups.delegated, follows: false)),
                from: "linux.cgroupsPath")
        }
        if let resctrl { steps.add(.resctrl(.make(resctrl)), from: "linux.intelRdt") }
        if let owner = cgroups.owner {
            steps.add(.cgroup(.giveTo(userID: owner)), from: "linux.cgroupsPath")
        }
    }

    /// The device rules; nil if nothing enforces them, or if they allow everything, as a new v2
    /// cgroup does.
    private var devices: CgroupStep? {
        let isUnified = cgroups.layout.isUnified
        let isNeeded =
            isUnified
            ? cgroups.devices != DeviceAccess(allowsByDefault: true)
                || cgroups.layout.adopted != nil
            : cgroups.layout.index(of: "devices") != nil
        guard isNeeded else { return nil }
        return .setDevices(
            cgroups.devices, byProgram: isUnified, mayBeRefused: cgroups.toleratesDeviceRefusal)
    }

    /// Whether the device rules are set while the child is cloned, to save time: the kernel
    /// verifies their program while it makes some of the namespaces.
    ///
    /// Init is cloned into the cgroup but waits to be taken over, so the rules hold before it acts.
    /// Not possible with tmpcopyup, whose copying process enters the cgroup earlier.
    private func setsDevicesLate(_ trees: TreeSupply) -> Bool {
        cgroups.layout.isUnified && startsInCgroup && !copiesTrees(trees)
    }

    /// Whether a process copies into a mount before there is an init: tmpcopyup.
    private func copiesTrees(_ trees: TreeSupply) -> Bool {
        trees.earlyParentSteps.contains {
            if case .mount(.copyIntoTmpfs) = $0.step { true } else { false }
        }
    }

    /// Whether the first process is in the v2 cgroup.
    ///
    /// If a second one becomes init, only that one is cloned into the cgroup, unless the first has
    /// entered it.
    private var startsInCgroup: Bool {
        (!needsSecondProcess && entersUnifiedCgroup) || entersCgroupFirst
    }

    /// Every container has device rules, but only some configs contain them.
    private var devicesOrigin: Origin {
        (linux.resources?.devices ?? []).isEmpty ? .runtime : "linux.resources.devices"
    }

    private var delegationOrigin: Origin {
        "annotations.\(ConfigAnnotation.delegatedCgroup)"
    }

    // MARK: Hooks

    private func addHooks(
        _ point: HookPoint, to steps: inout ParentStepList,
        _ step: ([PlannedHook]) -> ParentHookStep
    ) {
        let hooks = hooks(point)
        guard !hooks.isEmpty else { return }
        steps.add(.hooks(step(hooks)), from: "hooks.\(point.rawValue)")
    }

    /// The steps that a created container leaves to start, and every container to delete.
    var laterSteps: [PlannedParentStep] {
        var steps = ParentStepList()
        if !facts.startsAtOnce { addStart(to: &steps) }
        addHooks(.poststop, to: &steps) { .run($0) }
        return steps.steps
    }

    /// Adds the steps up to the execution of the program.
    private func addStart(to steps: inout ParentStepList) {
        steps.add(.child(.release(.start)))
        // Init loads a filter with a listener before its hooks, and any other filter after them.
        if let listener {
            steps.add(.listener(.send(listener)), from: .config(SeccompListener.field))
        }
        addHooks(.startContainer, to: &steps) { .supervise($0) }
        steps.add(.child(.awaitExecution))
        addHooks(.poststart, to: &steps) { .run($0) }
    }

    // MARK: The child

    private func addLaunch(to steps: inout ParentStepList, _ trees: TreeSupply) {
        steps.add(
            .child(.start(clonedNamespaces, intoCgroup: startsInCgroup)), from: "linux.namespaces")
        if let devices, setsDevicesLate(trees) {
            steps.add(.cgroup(devices), from: devicesOrigin)
        }
        steps.add(.child(.take))
        if let score = process.oomScoreAdj, userNamespace?.isCloned == true {
            steps.add(.userNamespace(.setOOMScore(score)), from: "process.oomScoreAdj")
        }
        if needsSecondProcess { steps.add(.child(.adoptSecond)) }
        if facts.host.staysOutsideCgroup, let scope = cgroups.layout.scope {
            steps.add(
                .cgroup(.attachToScope(unit: scope.unit, below: scope.subgroup)),
                from: "linux.cgroupsPath")
        }
        if waitsForCgroup { steps.add(.child(.release(.cgroupEntered))) }
        if let maps = userNamespace?.maps {
            steps.add(
                .userNamespace(
                    userNamespace?.isNew == true
                        ? .writeIDMaps(maps, by: facts.host.rights.writer(of: maps))
                        : .checkIDMaps(maps)),
                from: "linux.uidMappings")
        }
        if needsSecondProcess { steps.add(.child(.release(.adopted))) }
        if userNamespace?.isCloned == true { steps.add(.child(.release(.userMapped))) }
        steps.add(.mount(.makeMountPoints(for: userNamespace?.user)))
        if let resctrl { steps.add(.resctrl(.enter(resctrl.entered)), from: "linux.intelRdt") }
        if !netDevices.isEmpty {
            steps.add(.namespace(.moveNetDevices(netDevices)), from: "linux.netDevices")
            steps.add(.child(.release(.devicesMoved)))
        }
        steps.append(trees.lateParentSteps)
        addPreparation(to: &steps)
        if let path = facts.caller.pidfdSocket {
            steps.add(.socket(.sendPidfd(path: path, name: "standard")))
        }
        if cgroups.layout.scope?.keepsAccounting == true {
            steps.add(.cgroup(.keepScope))
        } else if cgroups.layout.scope != nil {
            let limits = cgroups.withoutRoomForKeeper
            steps.add(
                .cgroup(.leaveScope(limits?.steps ?? [], limits?.properties ?? [])),
                from: "linux.cgroupsPath")
        }
        if !cgroups.delegated.isEmpty {
            steps.add(
                .cgroup(.enableControllers(below: cgroups.delegated)), from: delegationOrigin)
        }
        steps.add(.record(.created))
        if let path = facts.caller.pidFile { steps.add(.record(.pidFile(path: path))) }
        if facts.startsAtOnce { addStart(to: &steps) }
    }

    /// Adds the steps from the child's mounts to its report that everything is prepared.
    private func addPreparation(to steps: inout ParentStepList) {
        let outside = hooks(.prestart) + hooks(.createRuntime)
        let hasHooks = !(outside + hooks(.createContainer)).isEmpty
        if hasHooks { steps.add(.record(.process)) }
        steps.add(.record(.stage))
        if hasHooks { steps.add(.child(.expect(.mounted))) }
        if !outside.isEmpty {
            addHooks(.prestart, to: &steps) { .run($0) }
            addHooks(.createRuntime, to: &steps) { .run($0) }
            steps.add(.child(.release(.hooked)))
        }
        addHooks(.createContainer, to: &steps) { .supervise($0) }
        if process.terminal, case .master = facts.caller.terminal {
            steps.add(.socket(.receiveTerminal), from: "process.terminal")
        }
        steps.add(.child(.expect(.ready)))
        steps.append(identity.parentSteps)
    }
}
#endif
