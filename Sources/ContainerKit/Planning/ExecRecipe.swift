// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Launch {
    /// Plans another process in a running container.
    ///
    /// - Parameters:
    ///   - process: the process to run.
    ///   - linux: the container's own settings, which apply to all of its processes.
    ///   - facts: the state of the container, the host and the caller.
    ///   - filter: the container's compiled seccomp profile.
    init(
        entering process: Process, of linux: Linux = Linux(), facts: ExecFacts,
        filter: SeccompFilter?
    ) {
        let recipe = ExecRecipe(process, linux, facts, filter)
        self.init(
            plan: LaunchPlan(parentSteps: recipe.parentSteps, childSteps: recipe.childSteps),
            cgroups: nil)
    }
}

/// The recipe for another process in a running container.
private struct ExecRecipe {
    let process: Process
    let facts: ExecFacts
    let identity: IdentityPlan
    /// The owner of files that are made in the container's user namespace.
    let user: NamespaceUser

    init(_ process: Process, _ linux: Linux, _ facts: ExecFacts, _ filter: SeccompFilter?) {
        self.process = process
        self.facts = facts
        let isInUserNamespace = facts.namespaces.contains(.user)
        identity = IdentityPlan(
            process: process, linux: linux, filter: filter, landlock: facts.landlock,
            home: facts.caller.home, grantable: facts.host.grantableCapabilities,
            isInUserNamespace: isInUserNamespace,
            mayDenyGroups: facts.host.rights.isInUserNamespace,
            keepsGroups: facts.caller.keepsGroups,
            streams: StreamPlan(
                process, facts.caller.streams, facts.host.rights,
                entersUserNamespace: isInUserNamespace), callerLimits: facts.caller.limits)
        user = NamespaceUser(
            of: process, in: IDMaps(users: linux.uidMappings, groups: linux.gidMappings))
    }

    /// Only child processes enter a joined pid namespace.
    private var needsSecondProcess: Bool { facts.namespaces.contains(.pid) }

    private var entersUnified: Bool {
        facts.cgroups.unifiedIndex != nil && !facts.host.staysOutsideCgroup
    }

    /// Whether the first of two processes enters the v2 cgroup, so that the second starts in it.
    ///
    /// Inside the user namespace, only the new owner may enter a cgroup that was given to a user.
    private var entersFirst: Bool { entersUnified && facts.cgroupHasOwner }

    private var consoleSocket: FilePath? {
        guard process.terminal, case .consoleSocket(let path) = facts.caller.terminal else {
            return nil
        }
        return path
    }

    /// Whether the cgroup namespace is opened by its path, because from inside the user namespace
    /// an init that was never started may not be inspected.
    private var opensCgroupNamespace: Bool {
        facts.namespaces.contains(.user) && facts.namespaces.contains(.cgroup)
    }

    private var dropsGroups: Bool {
        facts.namespaces.contains(.user) && !facts.caller.keepsGroups
    }

    // MARK: The child

    var childSteps: [PlannedStep] {
        var steps = StepList()
        steps.add(
            .process(
                .closeDescriptors(
                    phase: 0, preserved: facts.caller.preservedDescriptorCount)), from: .runtime)
        if !facts.caller.replacedStreams.isEmpty {
            steps.add(.stream(.setStandardStreams(facts.caller.replacedStreams)), from: .runtime)
        }
        steps.addIOPriority(of: process)
        steps.addCPUAffinity(of: process, .initial)
        if !needsSecondProcess { addCgroups(to: &steps) }
        if let score = process.oomScoreAdj {
            steps.add(.attribute(.setOOMScore(score)), from: "process.oomScoreAdj")
        }
        // From here on the container's processes can see this one (CVE-2016-9962).
        steps.add(.process(.forbidPtrace), from: .runtime)
        if process.hasSecurityLabel { steps.add(.label(.openHostProc), from: .runtime) }
        addJoining(to: &steps)
        steps.addCPUAffinity(of: process, .final)
        steps.add(.process(.startSession), from: .runtime)
        steps.add(.root(facts.sharesMounts ? .enterRootOfInit : .openRoot), from: .runtime)
        if process.terminal {
            steps.add(
                .terminal(
                    .openTerminal(
                        TerminalRequest(
                            of: process, toConsoleSocket: consoleSocket != nil,
                            mountsConsole: false))),
                from: "process.terminal")
        }
        steps.addSecurityLabels(
            of: process, joinsSessionKeyring: facts.caller.joinsSessionKeyring)
        if facts.caller.joinsSessionKeyring {
            steps.add(.process(.joinSessionKeyring("_ses." + facts.id)), from: .runtime)
        }
        identity.addPreparation(to: &steps)
        steps.add(.exchange(.reportToParent(.ready)), from: .runtime)
        steps.add(.exchange(.waitForParent(.start)), from: .runtime)
        identity.addExecution(to: &steps, channel: .rendezvous)
        return steps.steps.keepingWhatIsNeeded()
    }

    private func addCgroups(to steps: inout StepList) {
        let count = facts.cgroups.v1DirectoryCount
        if count > 0 { steps.add(.process(.enterCgroups(count: count)), from: .runtime) }
    }

    /// Adds the steps into the container: its namespaces and its cgroup.
    private func addJoining(to steps: inout StepList) {
        // The cgroup namespace is joined from inside the cgroup: v2 lets no process enter a cgroup
        // outside its cgroup namespace.
        var first = facts.namespaces
        first.remove(.cgroup)
        if dropsGroups { steps.add(.identity(.dropGroups), from: .runtime) }
        steps.add(.namespace(.joinProcess(first)), from: .runtime)
        if needsSecondProcess {
            steps.add(
                .namespace(.continueInChild(intoCgroup: entersUnified && !entersFirst)),
                from: .runtime)
            steps.add(.exchange(.waitForParent(.adopted)), from: .runtime)
            // The first process never enters the cgroup, whose pids limit may have room for one
            // process only.
            addCgroups(to: &steps)
        }
        if facts.namespaces.contains(.cgroup) {
            steps.add(
                .namespace(
                    opensCgroupNamespace ? .joinNamespace(.cgroup) : .joinProcess([.cgroup])),
                from: .runtime)
        }
        if dropsGroups { steps.add(.identity(.dropGroups), from: .runtime) }
        if facts.namespaces.contains(.user) {
            steps.add(.namespace(.becomeNamespaceUser(user)), from: .runtime)
        }
    }

    // MARK: The runtime

    var parentSteps: [PlannedParentStep] {
        var steps = ParentStepList()
        if let listener = facts.listener {
            steps.add(.listener(.connect(listener)), from: .config(SeccompListener.field))
        }
        steps.add(.namespace(.openProcess))
        if facts.sharesMounts { steps.add(.namespace(.openRootOfInit)) }
        if opensCgroupNamespace {
            let path = "/proc/\(facts.initPid)/ns/cgroup"
            steps.add(.namespace(.open(.cgroup, path: path, mustDiffer: false)))
        }
        steps.add(.cgroup(.open(facts.cgroups, delegated: "", follows: facts.followsInit)))
        if let consoleSocket {
            steps.add(
                .socket(.connectConsole(path: consoleSocket.text)), from: "process.terminal")
        }
        steps.add(
            .child(.start([], intoCgroup: entersUnified && (!needsSecondProcess || entersFirst))))
        steps.add(.child(.take))
        if needsSecondProcess { steps.add(.child(.adoptSecond)) }
        if facts.host.staysOutsideCgroup, let (scope, path) = facts.scopeToEnter {
            steps.add(.cgroup(.attachToScope(unit: scope.unit, below: path)))
        }
        if needsSecondProcess { steps.add(.child(.release(.adopted))) }
        if !facts.resctrlGroups.isEmpty { steps.add(.resctrl(.enter(facts.resctrlGroups))) }
        if process.terminal, consoleSocket == nil {
            steps.add(.socket(.receiveTerminal), from: "process.terminal")
        }
        steps.add(.child(.expect(.ready)))
        steps.append(identity.parentSteps)
        if let path = facts.caller.pidfdSocket {
            steps.add(.socket(.sendPidfd(path: path, name: "setns")))
        }
        if let path = facts.caller.pidFile { steps.add(.record(.pidFile(path: path))) }
        steps.add(.child(.release(.start)))
        if let listener = facts.listener {
            steps.add(.listener(.send(listener)), from: .config(SeccompListener.field))
        }
        steps.add(.child(.awaitExecution))
        return steps.steps
    }
}
#endif
