// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

// What the runtime does for a launch: before, at and after the clone.

extension CreateRecipe {
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

    func parentSteps(_ trees: TreeSupply) -> [PlannedParentStep] {
        var steps: [PlannedParentStep] = []
        func add(_ step: ParentStep, from origin: Origin = .runtime) {
            steps.append(PlannedParentStep(origin, step))
        }
        if let listener {
            add(
                facts.startsAtOnce
                    ? .connectListener(path: listener.path) : .findListener(path: listener.path),
                from: .config(SeccompListener.field))
        }
        add(.recordCreating)
        if facts.readinessDirectory != nil {
            add(.prepareReadiness(listens: facts.startsAtOnce))
        }
        if let scope = cgroups.layout.scope {
            add(
                .startScope(
                    unit: scope.unit, properties: cgroups.properties.map(\.description)),
                from: "linux.cgroupsPath")
        }
        if !cgroups.layout.directories.isEmpty {
            add(
                .createCgroups(
                    paths: cgroups.layout.directories.map(\.path), writes: cgroups.writeSummaries),
                from: "linux.cgroupsPath")
            add(.openCgroups, from: "linux.cgroupsPath")
        }
        if let resctrl { add(.makeResctrlGroup(resctrl), from: "linux.intelRdt") }
        if let owner = cgroups.owner {
            add(.delegateCgroup(userID: owner), from: "linux.cgroupsPath")
        }
        for joined in namespaces.joined {
            add(
                .openNamespace(
                    joined.kind, path: joined.path, mustDiffer: needsOwn(joined.kind)),
                from: joined.field)
        }
        add(
            facts.preparesMounts
                ? .prepareRootfs(path: rootPath, changes: [rootChange])
                : .openRootfs(path: rootPath),
            from: "root.path")
        if rootEntry == .change { add(.recordRootMount(path: rootPath), from: "root.path") }
        steps += trees.earlyParentSteps
        if process.terminal, case .consoleSocket(let path) = facts.terminal {
            add(.connectConsole(path: path.text), from: "process.terminal")
        }
        if !facts.startsAtOnce { add(.listenForStart) }
        addLaunch(to: &steps, trees)
        return steps
    }

    private func addHooks(
        _ point: HookPoint, to steps: inout [PlannedParentStep],
        _ step: ([PlannedHook]) -> ParentStep
    ) {
        let hooks = hooks(point)
        guard !hooks.isEmpty else { return }
        steps.append(PlannedParentStep("hooks.\(point.rawValue)", step(hooks)))
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

    private func addLaunch(to steps: inout [PlannedParentStep], _ trees: TreeSupply) {
        func add(_ step: ParentStep, from origin: Origin = .runtime) {
            steps.append(PlannedParentStep(origin, step))
        }
        add(
            .startChild(
                clonedNamespaces,
                intoCgroup: (!needsSecondProcess || entersCgroupFirst) && !facts.staysOutsideCgroup),
            from: "linux.namespaces")
        if let score = process.oomScoreAdj, userNamespace?.isCloned == true {
            add(.setOOMScore(score), from: "process.oomScoreAdj")
        }
        if needsSecondProcess { add(.adoptSecondChild) }
        if facts.staysOutsideCgroup, let scope = cgroups.layout.scope {
            add(
                .attachToScope(unit: scope.unit, below: scope.subgroup), from: "linux.cgroupsPath")
        }
        if waitsForCgroup { add(.release(.prepared)) }
        if let maps = userNamespace?.maps {
            add(
                userNamespace?.isNew == true
                    ? .writeIDMaps(maps, by: facts.rights.writer(of: maps)) : .checkIDMaps(maps),
                from: "linux.uidMappings")
        }
        if needsSecondProcess { add(.release(.adopted)) }
        if userNamespace?.isCloned == true { add(.release(.prepared)) }
        add(.makeMountPoints(for: userNamespace?.user))
        if let resctrl { add(.enterResctrlGroup(resctrl.entered), from: "linux.intelRdt") }
        if !netDevices.isEmpty {
            add(.moveNetDevices(netDevices), from: "linux.netDevices")
            add(.release(.devicesMoved))
        }
        steps += trees.lateParentSteps
        let preparing = hooks(.prestart) + hooks(.createRuntime)
        if !(preparing + hooks(.createContainer)).isEmpty { add(.recordProcess) }
        add(.stageRecord)
        if !(preparing + hooks(.createContainer)).isEmpty { add(.awaitChild(.mounted)) }
        if !preparing.isEmpty {
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
        if let path = facts.pidfdSocket { add(.sendPidfd(path: path, name: "standard")) }
        if cgroups.layout.scope != nil { add(.leaveScope, from: "linux.cgroupsPath") }
        if !cgroups.delegated.isEmpty {
            add(
                .enableControllers(below: cgroups.delegated),
                from: "annotations.\(ConfigAnnotation.delegatedCgroup)")
        }
        add(.recordCreated)
        if let path = facts.pidFile { add(.writePidFile(path: path)) }
        if facts.startsAtOnce {
            add(.release(.start))
            // Init loads the filter before its hooks where the filter has a listener, else after them.
            if listener != nil { add(.sendListener, from: .config(SeccompListener.field)) }
            addHooks(.startContainer, to: &steps) { .superviseHooks($0) }
            add(.awaitExecution)
            addHooks(.poststart, to: &steps) { .runHooks($0) }
        }
    }
}
