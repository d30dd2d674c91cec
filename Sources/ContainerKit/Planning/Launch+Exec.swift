// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

extension Launch {
    /// Plans a further process in a running container.
    ///
    /// - Parameters:
    ///   - process: what to run.
    ///   - linux: the container's own settings, which count for each of its processes.
    ///   - namespaces: those of init that are not the caller's own.
    ///   - cgroups: the container's directories.
    ///   - facts: what the caller chose.
    ///   - filter: the compiled profile of the container.
    init(
        entering process: Process, of linux: Linux = Linux(), namespaces: NamespaceSet,
        cgroups: CgroupLayout, facts: LaunchFacts, filter: SeccompFilter?
    ) {
        let identity = IdentityPlan(
            process: process, linux: linux, filter: filter, home: facts.home,
            grantable: facts.grantableCapabilities,
            isInUserNamespace: namespaces.contains(.user),
            mayDenyGroups: facts.rights.isInUserNamespace, keepsGroups: facts.keepsGroups,
            streams: StreamPlan(process, facts, entersUserNamespace: namespaces.contains(.user)),
            callerLimits: facts.limits)
        // A joined pid namespace is for children only.
        let needsSecondProcess = namespaces.contains(.pid)
        let cgroupCount = cgroups.v1DirectoryCount
        var steps = StepList()
        var keeping = Self.inheritedDescriptors(namespaces, cgroupCount: cgroupCount, facts)
        let entersUnified = cgroups.unifiedIndex != nil && !facts.staysOutsideCgroup
        // Once in the user namespace nobody but its owner may enter a cgroup that was given away; the
        // second of two processes is where the first is.
        let entersFirst = entersUnified && facts.cgroupHasOwner
        if needsSecondProcess, entersUnified, !entersFirst { keeping.append(.cgroupDirectory) }
        var toSocket = false
        if process.terminal, case .consoleSocket = facts.terminal {
            toSocket = true
            keeping.append(.consoleSocket)
        }
        keeping += facts.replacedStreams.map { .standardStream($0) }
        steps.add(
            .closeDescriptors(
                phase: 0, keeping: keeping, preserved: facts.preservedDescriptorCount),
            from: .runtime)
        if !facts.replacedStreams.isEmpty {
            steps.add(.setStandardStreams(facts.replacedStreams), from: .runtime)
        }
        steps.addIOPriority(of: process)
        steps.addCPUAffinity(of: process, .initial)
        if cgroupCount > 0, !needsSecondProcess {
            steps.add(.enterCgroups(count: cgroupCount), from: .runtime)
        }
        if let score = process.oomScoreAdj {
            steps.add(.setOOMScore(score), from: "process.oomScoreAdj")
        }
        // From here on the container's processes can see this one (CVE-2016-9962).
        steps.add(.forbidPtrace, from: .runtime)
        if process.hasSecurityLabel { steps.add(.openHostProc, from: .runtime) }
        Self.addJoining(
            namespaces, cgroups, facts,
            NamespaceUser(
                of: process, in: IDMaps(users: linux.uidMappings, groups: linux.gidMappings)),
            entersUnified: entersUnified && !entersFirst, to: &steps)
        steps.addCPUAffinity(of: process, .final)
        steps.add(.startSession, from: .runtime)
        steps.add(facts.sharesMounts ? .enterRootOfInit : .openRoot, from: .runtime)
        if process.terminal {
            steps.add(
                .openTerminal(
                    TerminalRequest(
                        of: process, toConsoleSocket: toSocket, mountsConsole: false)),
                from: "process.terminal")
        }
        steps.addSecurityLabels(
            of: process, joinsSessionKeyring: facts.joinsSessionKeyring)
        if facts.joinsSessionKeyring {
            steps.add(.joinSessionKeyring("_ses." + facts.id), from: .runtime)
        }
        identity.addPreparation(to: &steps)
        steps.add(.reportToParent(.ready), from: .runtime)
        steps.add(.waitForParent(.start), from: .runtime)
        identity.addExecution(to: &steps, channel: .rendezvous)
        self.init(
            plan: LaunchPlan(
                parentSteps: Self.parentSteps(
                    process, facts, identity, namespaces, needsSecondProcess: needsSecondProcess,
                    entersFirst: entersFirst, toSocket: toSocket),
                childSteps: steps.steps),
            cgroups: nil, listener: facts.listener)
    }

    /// What every process inherits of that to enter.
    private static func inheritedDescriptors(
        _ namespaces: NamespaceSet, cgroupCount: Int, _ facts: LaunchFacts
    ) -> [InheritedDescriptor] {
        var keeping: [InheritedDescriptor] = [.rendezvous, .process]
        if facts.sharesMounts { keeping.append(.rootOfInit) }
        if namespaces.contains(.user), namespaces.contains(.cgroup) {
            keeping.append(.namespace(NamespaceKind.cgroup.rawValue))
        }
        return keeping + (0..<cgroupCount).map { .cgroupTasks($0) }
    }

    /// The way into the container: its namespaces, its pids, its cgroup.
    private static func addJoining(
        _ namespaces: NamespaceSet, _ cgroups: CgroupLayout, _ facts: LaunchFacts,
        _ user: NamespaceUser, entersUnified: Bool,
        to steps: inout StepList
    ) {
        let dropsGroups = namespaces.contains(.user) && !facts.keepsGroups
        let cgroupCount = cgroups.v1DirectoryCount
        // The cgroup namespace from inside the cgroup: v2 lets nobody enter one of a namespace that he
        // is outside of.
        var first = namespaces
        first.remove(.cgroup)
        if dropsGroups { steps.add(.dropGroups, from: .runtime) }
        steps.add(.joinProcess(first), from: .runtime)
        if namespaces.contains(.pid) {
            steps.add(.continueInChild(intoCgroup: entersUnified), from: .runtime)
            steps.add(.waitForParent(.adopted), from: .runtime)
            // The first process never was in the cgroup, whose pids limit has room for one.
            if cgroupCount > 0 { steps.add(.enterCgroups(count: cgroupCount), from: .runtime) }
        }
        if namespaces.contains(.cgroup) {
            // From inside the user namespace, an init that was never started cannot be looked into.
            let isInUserNamespace = namespaces.contains(.user)
            steps.add(
                isInUserNamespace ? .joinNamespace(.cgroup) : .joinProcess([.cgroup]),
                from: .runtime)
        }
        if dropsGroups { steps.add(.dropGroups, from: .runtime) }
        if namespaces.contains(.user) { steps.add(.becomeNamespaceUser(user), from: .runtime) }
    }

    private static func parentSteps(
        _ process: Process, _ facts: LaunchFacts, _ identity: IdentityPlan,
        _ namespaces: NamespaceSet, needsSecondProcess: Bool, entersFirst: Bool, toSocket: Bool
    ) -> [PlannedParentStep] {
        var steps: [PlannedParentStep] = []
        func add(_ step: ParentStep, from origin: Origin = .runtime) {
            steps.append(PlannedParentStep(origin, step))
        }
        if let listener = facts.listener {
            add(.connectListener(path: listener.path), from: .config(SeccompListener.field))
        }
        add(.openProcess)
        if facts.sharesMounts { add(.openRootOfInit) }
        if namespaces.contains(.user), namespaces.contains(.cgroup) {
            let path = "/proc/\(facts.initPid)/ns/cgroup"
            add(.openNamespace(.cgroup, path: path, mustDiffer: false))
        }
        add(.openCgroups)
        if toSocket, case .consoleSocket(let path) = facts.terminal {
            add(.connectConsole(path: path.text), from: "process.terminal")
        }
        let isBornInside = !needsSecondProcess || entersFirst
        add(.startChild([], intoCgroup: isBornInside && !facts.staysOutsideCgroup))
        if needsSecondProcess { add(.adoptSecondChild) }
        if facts.staysOutsideCgroup, let (scope, path) = facts.scopeToEnter {
            add(.attachToScope(unit: scope.unit, below: path))
        }
        if needsSecondProcess { add(.release(.adopted)) }
        if !facts.resctrlGroups.isEmpty { add(.enterResctrlGroup(facts.resctrlGroups)) }
        if process.terminal, !toSocket { add(.receiveTerminal, from: "process.terminal") }
        add(.awaitChild(.ready))
        steps += identity.parentSteps
        if let path = facts.pidfdSocket { add(.sendPidfd(path: path, name: "setns")) }
        if let path = facts.pidFile { add(.writePidFile(path: path)) }
        add(.release(.start))
        if facts.listener != nil { add(.sendListener, from: .config(SeccompListener.field)) }
        add(.awaitExecution)
        return steps
    }
}
