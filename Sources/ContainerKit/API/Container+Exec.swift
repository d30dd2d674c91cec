// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import Logging
public import RuntimeSpec
internal import SystemPackage

extension Container {
    /// The process of the container's config as it was at create: what a further one starts from.
    ///
    /// - Throws: `notFound`, `state`.
    public func template() throws(ContainerError) -> Process {
        let found = try find(locking: false)
        try Self.checkThatItIsMade(found)
        guard let process = try Self.recordedSpec(found.state).process else {
            throw ContainerError(.state, "the container's config has no process")
        }
        return process
    }

    /// Runs a further process in the container, and returns when it runs.
    ///
    /// - Parameters:
    ///   - process: what to run. Capabilities, limits, OOM score, scheduler, I/O priority, CPU affinity,
    ///     AppArmor profile and SELinux label that it leaves out are those of the container's own
    ///     process, as with runc; all else is as it says.
    ///   - options: streams, terminal, pid file.
    /// - Returns: The process, a child of the caller.
    /// - Throws: `wrongState` when the container is stopped or paused, `notRunning` when it is being
    ///   created, or ends before the process runs, `invalidSpec`, `unsupported`, `initFailed`,
    ///   `executableNotFound`.
    public func exec(_ process: Process, options: LaunchOptions = LaunchOptions())
        throws(ContainerError) -> ContainerProcess
    {
        try options.checkPreservedDescriptors()
        let found = try find(locking: false)
        try Self.checkThatItIsMade(found)
        switch found.status {
        case .created, .running: break
        case .paused where options.ignoresPause: break
        case .paused:
            throw ContainerError(
                .wrongState,
                "cannot exec in a paused container (use --ignore-paused to override)")
        default: throw ContainerError(.wrongState, "cannot exec in a stopped container")
        }
        guard let record = found.record else {
            throw ContainerError(.wrongState, "cannot exec in a stopped container")
        }
        let spec = try Self.recordedSpec(found.state)
        let process = Self.completed(process, from: spec.process)
        do {
            try process.check()
            try process.checkMapping(in: spec)
        } catch {
            throw ContainerError(error)
        }
        for warning in process.warnings { options.logger.warning("\(warning)") }
        try SecurityModules.check(process)
        try Creation.checkTerminal(process.terminal, options, startsAtOnce: true)

        let initProcess = try record.openInit()
        do throws(ContainerError) {
            return try exec(process, in: record, initProcess, spec, options)
        } catch {
            // Once its init is gone, each call is refused in another way, and the reason is the same.
            // Where it may have been killed with the container, that end is waited for a moment.
            let mayBeKilled =
                error.failure.map { $0.errno == .noMemory } ?? (error.code == .initFailed)
            guard record.isEnding(initProcess, within: mayBeKilled ? 100 : 0) else {
                throw error
            }
            throw ContainerError(.notRunning, "container not running")
        }
    }

    /// Runs the process in the container whose init is open.
    private func exec(
        _ process: Process, in record: ContainerRecord, _ initProcess: borrowing OwnedDescriptor,
        _ spec: Spec, _ options: LaunchOptions
    ) throws(ContainerError) -> ContainerProcess {
        let cgroup = Cgroup(try Self.entered(record, options.subcgroups))
        var facts = LaunchFacts(id: id, bundlePath: record.bundle, cgroups: .none)
        facts.preservedDescriptorCount = options.preservedDescriptorCount
        facts.terminal = options.terminal
        facts.pidFile = options.pidFile?.text
        facts.pidfdSocket = options.pidfdSocket?.text
        facts.startsAtOnce = true
        facts.limits = options.limits
        facts.resctrlGroups = record.resctrlGroups
        facts.joinsSessionKeyring = record.hasSessionKeyring
        facts.home = try Self.home(process, record)
        facts.initPid = record.pid
        facts.cgroupHasOwner =
            CgroupDelegation.owner(spec, isUnified: record.cgroups.isUnified) != nil
        facts.keepsGroups = record.annotations[ConfigAnnotation.keepGroups] != nil
        let (namespaces, own) = try Self.foreignNamespaces(record.pid)
        facts.rights.isInUserNamespace = own != RuntimeRights.firstUserNamespace
        facts.stayOutside(cgroup.layout, ofContainer: record.cgroups, options.logger)
        // Who enters a user namespace has all capabilities there.
        if !namespaces.contains(.user) {
            facts.limitCapabilities(of: process, options.logger)
        }
        if RuntimeRights.mayBeFewer { facts.rights.userID = effectiveUserID }
        facts.lookAtStreams(options.io, takesTerminal: process.terminal)
        facts.sharesMounts = !namespaces.contains(.mount)
        facts.listener = SeccompListener(
            spec.linux?.seccomp,
            state: State(
                ociVersion: RuntimeVersion.specVersion, id: id, pid: Int(record.pid),
                status: .running, bundle: record.bundle,
                annotations: record.annotations.isEmpty ? nil : record.annotations))
        let launch = Launch(
            entering: process, of: spec.linux ?? Linux(), namespaces: namespaces,
            cgroups: record.cgroups, facts: facts,
            filter: try compileFilter(
                spec.linux?.seccomp, annotations: record.annotations,
                SeccompCache(in: store.path.text), options.logger))
        let launcher = Launcher(
            launch, options: options, storePath: store.path.text, record: nil,
            target: initProcess.number, targetPid: record.pid,
            cgroup: cgroup)
        try launcher.run()
        return ContainerProcess(taking: launcher)
    }

    private static func completed(_ process: Process, from own: Process?) -> Process {
        var process = process
        process.capabilities = process.capabilities ?? own?.capabilities
        if (process.rlimits ?? []).isEmpty { process.rlimits = own?.rlimits }
        process.oomScoreAdj = process.oomScoreAdj ?? own?.oomScoreAdj
        if (process.apparmorProfile ?? "").isEmpty {
            process.apparmorProfile = own?.apparmorProfile
        }
        if (process.selinuxLabel ?? "").isEmpty { process.selinuxLabel = own?.selinuxLabel }
        process.scheduler = process.scheduler ?? own?.scheduler
        process.ioPriority = process.ioPriority ?? own?.ioPriority
        process.execCPUAffinity = process.execCPUAffinity ?? own?.execCPUAffinity
        return process
    }

    /// Refuses a container whose creation goes on, or died: it has no config yet.
    private static func checkThatItIsMade(_ found: borrowing FoundContainer) throws(ContainerError)
    {
        guard found.status == .creating else { return }
        throw ContainerError(.notRunning, "container not running: it is being created")
    }

    /// The config as it was at create: later changes of the bundle have no effect.
    static func recordedSpec(_ state: borrowing StateDirectory) throws(ContainerError) -> Spec {
        guard let bytes = try state.read(StateDirectory.configName),
            let spec = try? Spec(json: bytes)
        else {
            // Of what is being deleted, the mode is changed before the first file goes.
            if try state.isBeingRemoved() {
                throw ContainerError(
                    .notFound, "container does not exist: it is being deleted")
            }
            throw state.damage(to: StateDirectory.configName)
        }
        return try spec.followingAnnotations()
    }

    /// Where the process goes: the container's cgroups, or what the caller names below them.
    private static func entered(_ record: ContainerRecord, _ subcgroups: [String: String])
        throws(ContainerError) -> CgroupLayout
    {
        guard !subcgroups.isEmpty else { return presentCgroups(record) }
        let layout = try record.cgroups.entering(subcgroups)
        try Cgroup(layout).checkEntrance()
        return layout
    }

    /// The container's cgroups, or on v2 the one that init has moved to where the container's own takes no
    /// processes any more.
    ///
    /// A systemd in the container moves to a child first, so that its own can give controllers to it;
    /// a privileged one may have removed its own. On v1 a cgroup that is gone is an error, as with runc.
    private static func presentCgroups(_ record: ContainerRecord) -> CgroupLayout {
        guard record.cgroups.isUnified, let own = record.cgroups.directories.last,
            !Cgroup.takesProcesses(own)
        else { return record.cgroups }
        return Cgroup(record.cgroups).following(initProcess: record.pid)?.layout ?? record.cgroups
    }

    /// Read through init's root, so that mounts over /etc count.
    private static func home(_ process: Process, _ record: ContainerRecord)
        throws(ContainerError) -> String
    {
        guard process.lacksHome,
            let root = try? openFile("/proc/\(record.pid)/root", [.pathOnly, .directory])
        else { return "/" }
        return try homeDirectory(ofUser: process.user.uid, inRoot: root.number)
    }

    /// The namespaces of a process that are not the caller's own.
    ///
    /// setns(2) refuses to join the user namespace that one is in already.
    private static func foreignNamespaces(_ pid: Int32) throws(ContainerError) -> (
        foreign: NamespaceSet, ownUserNamespace: UInt64
    ) {
        var kinds: NamespaceSet = []
        var own: UInt64 = 0
        for kind in NamespaceKind.allCases {
            let name = kind.procName
            let theirs: clinux_statx
            do throws(SystemCallError) {
                theirs = try status(at: "/proc/\(pid)/ns/\(name)")
            } catch  where error.errno == .permissionDenied {
                // It forbids ptrace until its program runs; root looks all the same.
                throw ContainerError(
                    .wrongState,
                    "an ordinary user cannot exec in a container before it is started",
                    failure: error)
            } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .noSuchProcess {
                // An init that has just ended has no namespaces any more.
                throw ContainerError(.notRunning, "container not running")
            } catch {
                throw ContainerError(error, "unable to look at the container's namespaces")
            }
            let ours = try reporting { () throws(SystemCallError) in
                try status(at: "/proc/self/ns/\(name)")
            }
            let differs = theirs.stx_ino != ours.stx_ino
            if differs { kinds.insert(kind) }
            if kind == .user { own = ours.stx_ino }
        }
        return (kinds, own)
    }
}

extension LaunchFacts {
    /// Finds out whether an exec can enter its cgroup; who was started as root can.
    ///
    /// Where it cannot, and systemd is not there to move it, it stays in the caller's cgroup, as with
    /// runc: the container's user is the caller.
    mutating func stayOutside(
        _ cgroup: CgroupLayout, ofContainer own: CgroupLayout, _ logger: Logger
    ) {
        guard RuntimeRights.mayBeFewer || own.scope?.instance == .user,
            let index = cgroup.unifiedIndex,
            !CgroupHierarchies.mayEnter(cgroup.directories[index])
        else { return }
        staysOutsideCgroup = true
        let (base, entered) = (own.directories[index].cgroup, cgroup.directories[index].cgroup)
        // systemd moves into the scope only, which init may have left.
        if let scope = own.scope, "\(entered)/".begins(with: "\(base)/") {
            let below = entered.dropFirst(base.utf8.count)
            scopeToEnter = (scope, "\(scope.subgroup)\(below)")
        } else {
            let text =
                "the process stays outside of the container's cgroup: the runtime may not move it "
                + "from the cgroup that it is in itself"
            logger.debug("\(text)")
        }
    }
}
