// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Prepares another process in a container for the launcher: facts and plan.
struct Execution {
    let store: ContainerStore
    let options: LaunchOptions
    let launch: Launch
    private let initPid: Int32

    /// - Parameters:
    ///   - process: the process to run, checked and complete.
    ///   - record: the running container.
    ///   - spec: its config as it was at create.
    ///   - store: the store that has its state.
    ///   - options: the caller's options.
    /// - Throws: `invalidSpec`, or the error of a failed look at the container.
    init(
        _ process: Process, in record: ContainerRecord, of spec: Spec, _ store: ContainerStore,
        _ options: LaunchOptions
    ) throws(ContainerError) {
        self.store = store
        self.options = options
        initPid = record.pid
        var facts = ExecFacts(
            id: record.id, cgroups: try Self.entered(record, options.subcgroups))
        facts.caller = CallerFacts(options, record.annotations)
        facts.caller.pidfdSocket = options.pidfdSocket?.text
        facts.caller.joinsSessionKeyring = record.hasSessionKeyring
        facts.caller.home = try Self.home(process, record)
        facts.initPid = record.pid
        facts.followsInit = options.subcgroups.isEmpty
        facts.resctrlGroups = record.resctrlGroups
        facts.cgroupHasOwner =
            CgroupDelegation.owner(spec, isUnified: record.cgroups.isUnified) != nil
        let (namespaces, own) = try Self.foreignNamespaces(record.pid)
        facts.namespaces = namespaces
        facts.host.rights.isInUserNamespace = own != FirstNamespace.user
        facts.stayOutside(ofContainer: record.cgroups, options.logger)
        // A process that enters a user namespace has all capabilities in it.
        if !namespaces.contains(.user) {
            facts.host.limitCapabilities(of: process, options.logger)
        }
        if RuntimeRights.mayBeFewer { facts.host.rights.userID = effectiveUserID }
        facts.caller.lookAtStreams(options.io, takesTerminal: process.terminal)
        if let landlock = try spec.landlock() {
            // Create has warned of what the kernel lacks.
            facts.landlock = try LandlockPlan(landlock, abi: landlockVersion())
        }
        facts.listener = SeccompListener(
            spec.linux?.seccomp,
            state: State(
                ociVersion: RuntimeVersion.specVersion, id: record.id, pid: Int(record.pid),
                status: .running, bundle: record.bundle,
                annotations: record.annotations.isEmpty ? nil : record.annotations))
        launch = Launch(
            entering: process, of: spec.linux ?? Linux(), facts: facts,
            filter: try compileFilter(
                spec.linux?.seccomp, annotations: record.annotations,
                SeccompCache(in: store.path.text), options.logger))
    }

    /// The launcher of the process.
    ///
    /// - Parameter initProcess: a pidfd of the container's init.
    /// - Returns: a launcher that has not run yet.
    func launcher(joining initProcess: CInt) -> Launcher {
        Launcher(
            launch.plan, options: options, storePath: store.path.text, record: nil,
            joinedInit: initProcess, joinedPid: initPid)
    }

    /// The cgroups of the process: the container's, or those below it that the caller names.
    private static func entered(_ record: ContainerRecord, _ subcgroups: [String: String])
        throws(ContainerError) -> CgroupLayout
    {
        guard !subcgroups.isEmpty else { return try presentCgroups(record) }
        guard try record.openCgroup().exists || record.cgroups.adopted == nil else {
            throw ContainerError(.cgroup, "the container's cgroup is gone")
        }
        let layout = try record.cgroups.entering(subcgroups)
        try Cgroup(layout).checkEntrance()
        return layout
    }

    /// The container's cgroups; on v2 init's present cgroup, if the container's own takes no
    /// processes any more.
    ///
    /// A systemd in the container first moves to a child cgroup, so that its own can pass
    /// controllers on; a privileged one may have removed its own. On v1 a missing cgroup is an
    /// error, as with runc.
    private static func presentCgroups(_ record: ContainerRecord) throws(ContainerError)
        -> CgroupLayout
    {
        let cgroup = try record.openCgroup()
        guard record.cgroups.isUnified, let own = cgroup.layout.directories.last,
            !Cgroup.takesProcesses(own)
        else { return record.cgroups }
        return cgroup.following(initProcess: record.pid)?.layout ?? record.cgroups
    }

    /// The user's home directory, read through init's root, so that mounts over /etc are seen.
    private static func home(_ process: Process, _ record: ContainerRecord)
        throws(ContainerError) -> String
    {
        guard process.lacksHome,
            let root = try? openFile("/proc/\(record.pid)/root", .pathOnly | .directory)
        else { return "/" }
        return try homeDirectory(ofUser: process.user.uid, inRoot: root.number)
    }

    /// The namespaces of a process that differ from the caller's.
    ///
    /// setns(2) refuses to join the user namespace that a process is already in.
    static func foreignNamespaces(_ pid: Int32) throws(ContainerError) -> (
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
                // Init forbids ptrace until its program runs; root may inspect it nevertheless.
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

extension ExecFacts {
    /// Finds out whether a process of exec can enter its cgroup; one started as root can.
    ///
    /// If it cannot, and systemd cannot move it either, it stays in the caller's cgroup, as with
    /// runc.
    fileprivate mutating func stayOutside(ofContainer own: CgroupLayout, _ logger: Logger) {
        guard RuntimeRights.mayBeFewer || own.scope?.instance == .user,
            let index = cgroups.unifiedIndex,
            !CgroupHierarchies.mayEnter(cgroups.directories[index])
        else { return }
        host.staysOutsideCgroup = true
        let (base, entered) = (own.directories[index].cgroup, cgroups.directories[index].cgroup)
        // systemd moves processes into the scope only, which init may have left.
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
#endif
