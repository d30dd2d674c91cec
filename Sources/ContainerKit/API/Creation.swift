// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Prepares a new container for the launcher: checks, facts, plan.
struct Creation {
    let id: String
    let bundle: Bundle
    let store: ContainerStore
    let options: LaunchOptions
    let launch: Launch
    /// The connection to the systemd that manages the cgroup, if one does.
    let systemd: SystemdClient?
    /// CRIU's names of the standard streams, which a checkpoint must distinguish from the
    /// container's own files.
    private let externalStreams: [String]
    /// What the record keeps in order to make the plan again.
    private let choices: CallerChoices

    /// - Parameters:
    ///   - id: the ID of the new container.
    ///   - bundle: its config.
    ///   - store: its store.
    ///   - options: the caller's options.
    ///   - startsAtOnce: whether it is also started.
    ///   - explainsOnly: whether nothing will be launched.
    ///   - looksAtRights: whether to check the runtime's rights even where all could be assumed.
    ///   - hasUnbindableSources: whether the kernel has refused to clone a mount.
    ///   - former: the choices recorded when the container was created; nothing will be launched
    ///     then.
    /// - Throws: `invalidSpec`, `unsupported`, or the error of a failed look at the host.
    init(
        _ id: String, _ bundle: Bundle, _ store: ContainerStore, _ options: LaunchOptions,
        startsAtOnce: Bool, explainsOnly: Bool = false, looksAtRights: Bool = false,
        hasUnbindableSources: Bool = false, former: CallerChoices? = nil
    ) throws(ContainerError) {
        try Container.check(id)
        if former == nil { try options.checkPreservedDescriptors() }
        let spec = bundle.spec
        if let limit = options.timeLimit {
            try PathLook(spec, bundle, options).check(within: limit)
        }
        if startsAtOnce, spec.process == nil {
            // The text is runc's.
            throw ContainerError(
                .invalidSpec, "process property must not be empty", field: "process")
        }
        for warning in spec.warnings { options.logger.warning("\(warning)") }
        if !explainsOnly {
            try SecurityModules.check(spec.process, mountLabel: spec.linux?.mountLabel)
            try Self.checkTerminal(
                spec.process?.terminal == true, options, startsAtOnce: startsAtOnce)
        }

        var facts = CreateFacts(
            id: id, bundlePath: bundle.path.text, host: HostFacts(cgroups: try Self.hostCgroups()))
        (systemd, facts.host.systemd) = try Self.systemd(options)
        let looksAtRights =
            former?.looksAtRights
            ?? (explainsOnly || looksAtRights || options.rootless == true
                || RuntimeRights.mayBeFewer || facts.host.systemd?.instance == .user)
        if looksAtRights {
            facts.host.rights = RuntimeRights.discovered(mayGoWithoutCgroups: options.rootless)
        }
        facts.hasUnbindableSources = hasUnbindableSources && Self.hasOwnMounts(spec)
        facts.host.adoptedCgroup =
            if let former { former.adoptedCgroup } else {
                try Self.adopted(options, spec.linux?.cgroupsPath, id, facts.host.cgroups)
            }
        facts.host.limitCgroups(to: spec.linux?.cgroupsPath, of: id)
        facts.host.pageBytes = memoryPageBytes
        facts.caller = CallerFacts(options, spec.annotations)
        facts.startsAtOnce = startsAtOnce
        facts.listen(options.notifySocket, "\(store.path.text)/\(id)")
        try Self.lookAtSources(spec, bundle, options, &facts)
        let userNamespace = spec.linux?.namespace(.user)
        facts.isInUserNamespace = Self.isOwn(userNamespace)
        if userNamespace != nil || facts.host.rights.isInUserNamespace {
            facts.sourceAttributes = Self.sourceAttributes(spec, bundle)
        }
        // A process that enters a user namespace has all capabilities in it. If an ordinary user's
        // config has no user namespace, the plan refuses it.
        let needsNamespace = userNamespace == nil && facts.host.rights.isOrdinaryUser
        if !needsNamespace, userNamespace == nil || facts.isInUserNamespace {
            facts.host.limitCapabilities(of: spec.process, options.logger)
        }
        if let former {
            facts.caller.replacedStreams = former.replacedStreams
            facts.caller.streams = former.streams
        } else {
            facts.caller.lookAtStreams(options.io, takesTerminal: spec.process?.terminal == true)
        }
        externalStreams = facts.caller.externalStreams
        choices = CallerChoices(options, facts, looksAtRights: looksAtRights)
        var cache = SeccompCache(in: store.path.text)
        cache.keeps = !explainsOnly
        let filter = try compileFilter(
            spec.linux?.seccomp, annotations: spec.annotations, cache, options.logger)
        do {
            launch = try Launch(
                creating: Self.withSocketVariables(spec, options), facts: facts, filter: filter)
        } catch {
            throw ContainerError(error)
        }
        self.id = id
        self.bundle = bundle
        self.store = store
        self.options = options
        for warning in launch.warnings { options.logger.warning("\(warning)") }
        warnOfUnknownProcesses()
    }

    /// Looks at the files of host and image that the config names, and at the kernel, as far as the
    /// plan depends on them.
    private static func lookAtSources(
        _ spec: Spec, _ bundle: Bundle, _ options: LaunchOptions, _ facts: inout CreateFacts
    ) throws(ContainerError) {
        facts.labelOption = try labelOption(spec)
        facts.sourceLinks = try sourceLinks(spec, bundle)
        facts.coveredModes = coveredModes(spec, bundle)
        if spec.linux?.intelRdt != nil {
            facts.host.resctrl = try reporting { () throws(SystemCallError) in
                try ResctrlTree.discover()
            }
        }
        if let landlock = try spec.landlock() {
            facts.landlock = try LandlockPlan(landlock, abi: landlockVersion())
        }
        if options.movesRoot { facts.kernelTrees = try kernelTrees() }
        facts.caller.home = try home(spec, bundle)
        facts.traceVariable = options.trace?.hookVariable
        let hooks = spec.hooks
        if hooks?.createContainer?.contains(where: { $0.env == nil }) == true
            || facts.traceVariable != nil && hooks != nil
        {
            facts.environment = ownEnvironment()
        }
    }

    /// Warns; the middle of the text is runc's, which people search for.
    private func warnOfUnknownProcesses() {
        guard launch.cannotTellProcessesApart(bundle.spec) else { return }
        options.logger.warning(
            """
            the container has no cgroup and no private pid namespace. Such configuration is \
            strongly discouraged: orphans of its processes, and those of exec, are not found
            """)
    }

    /// The config with the environment variables that tell its process about its sockets.
    private static func withSocketVariables(_ spec: Spec, _ options: LaunchOptions) -> Spec {
        var environment = options.activation?.environment ?? []
        if options.notifySocket != nil { environment += ReadinessSocket.environment }
        guard !environment.isEmpty else { return spec }
        var spec = spec
        let configured = spec.process?.envBytes ?? []
        spec.process?.envBytes = configured + environment
        return spec
    }

    private static func systemd(_ options: LaunchOptions) throws(ContainerError)
        -> (SystemdClient?, SystemdHost?)
    {
        guard options.cgroupDriver == .systemd else { return (nil, nil) }
        guard SystemdClient.isRunning else {
            // The text is runc's.
            throw ContainerError(
                .cgroup, "systemd not running on this host, cannot use systemd cgroups manager",
                hint: "leave --systemd-cgroup out")
        }
        do throws(SystemdError) {
            let client = try SystemdClient(
                SystemdClient.ownInstance, within: options.timeLimit)
            return (client, try client.host())
        } catch {
            if let limit = options.timeLimit, limit.isOver {
                throw limit.passed("systemd does not answer", failure: error.failure)
            }
            throw ContainerError(CgroupError(error, "unable to use systemd"))
        }
    }

    /// The cgroup that the caller has made, if there is one.
    private static func adopted(
        _ options: LaunchOptions, _ cgroupsPath: String?, _ id: String, _ host: CgroupHierarchies
    ) throws(ContainerError) -> CgroupLayout? {
        guard let adopted = options.adoptedCgroup else { return nil }
        guard options.cgroupDriver == .cgroupfs else {
            throw ContainerError(
                .invalidArgument,
                "the cgroup \(adopted.path) cannot be adopted with the cgroup driver of systemd, "
                    + "which makes a scope for each container")
        }
        return try CgroupLayout(
            adopting: adopted, cgroupsPath: cgroupsPath, id: id, in: host)
    }

    /// Whether the mount namespace is new, so that its mounts can be changed freely.
    private static func hasOwnMounts(_ spec: Spec) -> Bool {
        guard let namespace = spec.linux?.namespace(.mount) else { return false }
        return (namespace.path ?? "").isEmpty
    }

    /// Whether the config joins the user namespace that the runtime is in.
    static func isOwn(_ namespace: Namespace?) -> Bool {
        guard let path = namespace?.path, !path.isEmpty, let theirs = try? status(at: path),
            let ours = try? status(at: "/proc/self/ns/user")
        else { return false }
        return theirs.stx_ino == ours.stx_ino && theirs.stx_dev_major == ours.stx_dev_major
            && theirs.stx_dev_minor == ours.stx_dev_minor
    }

    static func hostCgroups() throws(ContainerError) -> CgroupHierarchies {
        try reporting { () throws(CgroupError) in try CgroupHierarchies.discover() }
    }

    static func labelOption(_ spec: Spec) throws(ContainerError) -> String {
        guard let option = spec.annotations?[ConfigAnnotation.labelOption] else { return "context" }
        guard ConfigAnnotation.labelOptions.contains(option) else {
            throw ContainerError(
                .invalidSpec,
                "\(option.debugDescription) is none of "
                    + ConfigAnnotation.labelOptions.joined(separator: ", "),
                field: "annotations.\(ConfigAnnotation.labelOption)")
        }
        return option
    }

    /// The mount points of procfs and sysfs.
    private static func kernelTrees() throws(ContainerError) -> [String] {
        try reporting { () throws(SystemCallError) in
            try mountTable().filter { $0.type == "proc" || $0.type == "sysfs" }.map(\.mountPoint)
        }
    }

    /// Checks the terminal options; the texts are runc's, which tests and engines know.
    static func checkTerminal(_ wants: Bool, _ options: LaunchOptions, startsAtOnce: Bool)
        throws(ContainerError)
    {
        if wants, options.terminal == nil || (!startsAtOnce && options.terminal == .master) {
            throw ContainerError(
                .invalidArgument,
                "cannot allocate tty if runc will detach without setting console socket",
                field: "process.terminal")
        }
        if !wants, options.terminal != nil {
            throw ContainerError(
                .invalidArgument,
                "cannot use console socket if runc will not detach or allocate tty",
                field: "process.terminal")
        }
    }

    /// The home directory of the user; the image is read only if the config names none.
    private static func home(_ spec: Spec, _ bundle: Bundle) throws(ContainerError) -> String {
        guard let process = spec.process, spec.root != nil, process.lacksHome else { return "/" }
        if let users = mountedPasswordFile(spec, bundle) {
            return PasswordFile.home(ofUser: process.user.uid, in: users) ?? "/"
        }
        guard let directory = try? openFile(rootPath(spec, bundle), .pathOnly | .directory) else {
            return "/"
        }
        return try homeDirectory(ofUser: process.user.uid, inRoot: directory.number)
    }

    /// The contents of a host file that is bound to /etc/passwd, as engines do.
    private static func mountedPasswordFile(_ spec: Spec, _ bundle: Bundle) -> [UInt8]? {
        let root = RootPath(rootPath(spec, bundle))
        let mount = (spec.mounts ?? []).last { root.destination($0.destination) == "/etc/passwd" }
        guard let source = mount?.source else { return nil }
        let path = bundle.absolute(source)
        guard let file = try? openFile(path, .readOnly | .nonBlocking | .noTerminal),
            let status = try? status(of: file.number), status.kind == .regular
        else { return nil }
        return try? readFile(file.number, named: path)
    }

    func launcher() -> Launcher {
        let launcher = Launcher(
            launch.plan, options: options, storePath: store.path.text, record: record,
            config: bundle.config, systemd: systemd)
        launcher.choices = choices.json
        return launcher
    }

    /// The record of the container for the store.
    var record: ContainerRecord {
        let spec = bundle.spec
        // A plan of a new container always has cgroups.
        guard let layout = launch.cgroups else { preconditionFailure("no cgroups planned") }
        var record = ContainerRecord(
            id: id, ociVersion: spec.ociVersion, bundle: bundle.path.text,
            rootfs: Self.rootPath(spec, bundle),
            created: Timestamp.now.description, annotations: spec.annotations ?? [:],
            cgroups: layout)
        record.hooks = spec.hooks?.afterCreate
        record.externalStreams = externalStreams
        for planned in launch.plan.parentSteps {
            guard case .resctrl(.make(let plan)) = planned.step else { continue }
            record.resctrlGroups = plan.entered
            record.ownResctrlGroups = plan.removed
        }
        record.hasSessionKeyring = !options.keepsSessionKeyring
        record.hasPidNamespace =
            spec.linux?.namespace(.pid).map { ($0.path ?? "").isEmpty } ?? false
        return record
    }
}

/// Compiles the seccomp profile of a config, if it has one; an annotation may replace it by a BPF
/// program.
func compileFilter(
    _ profile: Seccomp?, annotations: [String: String]?, _ cache: SeccompCache, _ logger: Logger
) throws(ContainerError) -> SeccompFilter? {
    let given = annotations?[ConfigAnnotation.seccompProgram]
    guard given != nil || profile != nil else { return nil }
    let filter: SeccompFilter
    do throws(SeccompError) {
        if let given { return try SeccompFilter(base64: given) }
        guard let profile else { return nil }
        filter = try cache.filter(of: profile)
    } catch {
        throw ContainerError(error)
    }
    guard !filter.unknownSystemCalls.isEmpty else { return filter }
    let names = filter.unknownSystemCalls.joined(separator: " ")
    if annotations?[ConfigAnnotation.failOnUnknownSystemCall] != nil {
        throw ContainerError(
            .invalidSpec, "unknown system calls: \(names)", field: "linux.seccomp.syscalls")
    }
    logger.debug("seccomp: unknown system calls: \(names)")
    return filter
}

extension CallerFacts {
    /// The caller's options, combined with annotations that have the same meaning.
    init(_ options: LaunchOptions, _ annotations: [String: String]?) {
        preservedDescriptorCount = options.preservedDescriptorCount
        terminal = options.terminal
        pidFile = options.pidFile?.text
        pidfdSocket = options.pidfdSocket?.text ?? annotations?[ConfigAnnotation.pidfdReceiver]
        limits = options.limits
        joinsSessionKeyring = !options.keepsSessionKeyring
        keepsAccounting = options.keepsAccounting
        keepsGroups = annotations?[ConfigAnnotation.keepGroups] != nil
    }
}
#endif
