// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// A further process between the caller's wish and the launcher: facts and plan.
struct Execution {
    let store: ContainerStore
    let options: LaunchOptions
    let launch: Launch
    private let initPid: Int32

    /// - Parameters:
    ///   - process: what to run, checked and complete.
    ///   - record: the running container.
    ///   - spec: its config as it was at create.
    ///   - store: where its state is.
    ///   - options: what the caller chose.
    /// - Throws: what keeps the caller from looking at the container; `invalidSpec`.
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
        // Who enters a user namespace has all capabilities there.
        if !namespaces.contains(.user) {
            facts.host.limitCapabilities(of: process, options.logger)
        }
        if RuntimeRights.mayBeFewer { facts.host.rights.userID = effectiveUserID }
        facts.caller.lookAtStreams(options.io, takesTerminal: process.terminal)
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
            target: initProcess, targetPid: initPid)
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
            let root = try? openFile("/proc/\(record.pid)/root", .pathOnly | .directory)
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

extension ExecFacts {
    /// Finds out whether an exec can enter its cgroup; who was started as root can.
    ///
    /// Where it cannot, and systemd is not there to move it, it stays in the caller's cgroup, as with
    /// runc: the container's user is the caller.
    fileprivate mutating func stayOutside(ofContainer own: CgroupLayout, _ logger: Logger) {
        guard RuntimeRights.mayBeFewer || own.scope?.instance == .user,
            let index = cgroups.unifiedIndex,
            !CgroupHierarchies.mayEnter(cgroups.directories[index])
        else { return }
        host.staysOutsideCgroup = true
        let (base, entered) = (own.directories[index].cgroup, cgroups.directories[index].cgroup)
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
