// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// A restore: the runtime makes a container's surroundings (state, cgroups, mount points), CRIU
/// makes the processes, and before they run, their rights are checked.
///
/// CRIU works in its own mount namespace, so that no mount of a restore is ever in the host's mount
/// table. The first process that CRIU makes becomes a child of this process. What a failed restore
/// has made is undone.
final class Restoration {
    let spec: Spec
    let options: RestoreOptions
    /// Holds what the steps of a creation make; a restore performs some of these steps.
    let launcher: Launcher
    private let record: ContainerRecord
    private let image: CheckpointImage
    private let request: RestoreRequest
    /// The CRIU process, once it runs.
    private var session: CriuSession?
    /// CRIU's cgroups, which are also the container's.
    private var cgroupRoots: [(controllers: String, path: String)] = []
    private var isVerified = false
    /// Kills the container when this process ends, until the container has been checked.
    private var guardian: Guardian?
    private let watch: ProgressWatch

    private var logger: Logger { options.launch.logger }
    private var limit: TimeLimit? { options.launch.timeLimit }

    /// Prepares the restore of a container that the launcher would otherwise create.
    ///
    /// - Parameters:
    ///   - launcher: its plan starts the container at once; it is used only for this restore.
    ///   - spec: the config of the plan.
    ///   - path: the directory of the image.
    ///   - options: the options of the restore.
    /// - Throws: `criu` for an invalid image, or a missing or outdated CRIU; `unsupported`.
    init(_ launcher: Launcher, _ spec: Spec, from path: String, _ options: RestoreOptions)
        throws(ContainerError)
    {
        guard var record = launcher.record else { preconditionFailure("no new container") }
        record.isRestored = true
        launcher.record = record
        self.launcher = launcher
        self.spec = spec
        self.options = options
        self.record = record
        try spec.refuseLandlock()
        try CriuRights.check(options.launch.logger)
        let limit = options.launch.timeLimit
        let version = try CriuSession.checkVersion(within: limit)
        if options.connections.networkLock != nil {
            try CriuSession.require(version, .withNetworkLock, for: "a choice of the network lock")
        }
        var features = CriuFeatures()
        features.lazyPages = options.connections.usesLazyPages
        try CriuSession.check(features, within: limit)
        image = try CheckpointImage(restoring: path, work: options.workPath?.text)
        request = try RestoreRequest(
            spec, options, record, image, statePath: "\(launcher.storePath)/\(record.id)")
        watch = ProgressWatch(options.progress, image, options.launch.trace)
        try image.checkSharing(spec, options)
    }

    // MARK: Running

    /// Restores the container, and returns when it runs.
    func run() throws(ContainerError) {
        launcher.state = try StateDirectory.make(record.id, in: launcher.storePath)
        launcher.takeBackOnFailure { $0.removeState() }
        defer { launcher.state = nil }
        do throws(ContainerError) {
            try prepare()
            try restore()
            launcher.cgroupLock = nil
        } catch {
            watch.record(hasFailed: true)
            let isOutOfMemory = error.code == .criu && (launcher.cgroup?.oomKillCount ?? 0) > 0
            // A forced delete may have come first; then the cgroup may belong to the next
            // container.
            launcher.wasDeleted = (try? launcher.state?.isCurrent()) == false
            launcher.undo()
            guard isOutOfMemory else { throw launcher.namingStuckChild(in: error) }
            throw ContainerError(
                .criu, "\(error.message) (OOM-killed: memory limit too low?)",
                field: "linux.resources.memory.limit",
                hint: "CRIU counts against the container's limits while it restores")
        }
    }

    /// Makes the surroundings of a restored process, by the same steps as a creation.
    private func prepare() throws(ContainerError) {
        for planned in try launcher.plan.stepsBeforeRestore() {
            try launcher.perform(planned)
        }
        // After the record: a directory with a config alone tells nobody which processes are the
        // container's.
        try launcher.state?.writeConfig(launcher.config)
        launcher.progress = try makeProgress()
    }

    private func makeProgress() throws(ContainerError) -> ProgressPage? {
        guard let file = try launcher.state?.makeProgressFile().release() else { return nil }
        return try reporting("unable to make the progress page") { () throws(SystemCallError) in
            let page = try ProgressPage(OwnedDescriptor(taking: file))
            // Past the wait for start: restored processes have been started before.
            page.pointer.pointee.index = 1
            return page
        }
    }

    private func recordRunning() throws(ContainerError) {
        guard var record = launcher.record else { return }
        record.isComplete = true
        record.startWaitIndex = 0
        launcher.record = record
        try launcher.state?.stage(record)
        try launcher.state?.putRecordInPlace()
    }

    private func restore() throws(ContainerError) {
        for warning in try request.missingMounts() { logger.warning("\(warning)") }
        let points = MountPoints(
            spec, bundlePath: record.bundle, rootPath: record.rootfs, root: launcher.rootTree)
        try points.make()
        try points.check(request.notes?.mounts ?? [])
        // CRIU before 4.2 leaves a read-only root writable, unless what it binds is read-only.
        if spec.root?.readonly == true {
            points.makeEntrance()
            let tree = launcher.rootTree
            try reporting("unable to make the root read-only", field: "root.readonly") {
                () throws(SystemCallError) in
                try changeMount(tree, MountChange(set: .readOnly))
            }
        }

        var criu = try request.criuOptions(logFile: image.log.name) { kind in
            joined(kind).map {
                JoinedNamespace(descriptor: $0, path: "/proc/\(ownProcessID)/fd/\($0)")
            }
        }
        var provision = CriuSession.Provision()
        provision.kept = [NamespaceKind.network, .pid].compactMap { joined($0) }
        // The container's own terminal replaces the streams.
        provision.io = spec.process?.terminal == true ? nil : options.launch.io
        provision.keyring = options.launch.keepsSessionKeyring ? nil : "_ses." + record.id
        provision.trees = [(launcher.rootTree, record.rootfs)]
        // The pages that a process waits for may never come.
        provision.endsWithRuntime = options.connections.usesLazyPages
        // Only the image's owner can read it, and in a new user namespace that user is not mapped.
        // So for such a container, the image is mounted in the state directory, which CRIU does not
        // use otherwise, as owned by that namespace's root.
        var entrance: ImageEntrance?
        if let maps = launcher.plan.idMaps, joined(.user) == nil {
            let made = ImageEntrance(
                path: request.statePath, number: launcher.own(try image.entrance()))
            provision.trees.append((made.number, made.path))
            let mapped = launcher.own(try image.tree(ownedIn: maps))
            provision.trees.append((mapped, "\(made.path)/\(ImageEntrance.imageName)"))
            entrance = made
        }
        let session = try CriuSession(provision)
        self.session = session
        launcher.takeBackOnFailure(whileOpen: true) { [self] in takeProcessesBack($0) }
        do throws(CgroupError) {
            try launcher.cgroup?.attach(Int(session.pid))
        } catch {
            throw ContainerError(error)
        }
        let directories = try image.reopened(in: session.pid, by: entrance)
        criu.imageDirectory = Int(directories.image.number)
        criu.workDirectory = Int(directories.work.number)
        cgroupRoots = try Self.cgroupRoots(of: session.pid)
        criu.cgroupRoots = cgroupRoots.map { ($0.controllers, $0.path) }
        var message = CriuRequest(.restore)
        message.options = criu
        watch.reach(.asked)
        _ = try session.serve(
            message, log: image.log, within: limit, meanwhile: watch.tick
        ) { (response, descriptor) throws(ContainerError) in
            try attend(response, descriptor)
        }
        _ = consume directories
        if let words = try session.awaitEnd(within: limit).failureWords {
            logger.warning("criu ended with \(words) after the restore")
        }
        guard isVerified else {
            throw ContainerError(.criu, "criu let the processes run before they were checked")
        }
        watch.reach(.running)
    }

    private func joined(_ kind: NamespaceKind) -> CInt? {
        launcher.inputs[.namespace(kind.rawValue)]
    }

    // MARK: What CRIU tells of

    private func attend(_ response: CriuResponse, _ descriptor: CInt) throws(ContainerError) {
        guard let script = response.script else { return }
        logger.debug("criu: \(script)")
        switch script {
        case "orphan-pts-master": try handOver(terminal: descriptor)
        case "setup-namespaces":
            try adopt(response.pid)
            watch.reach(.namespaces)
            try runHooks()
        case "post-restore":
            try adopt(response.pid)
            watch.reach(.restored)
        // The last moment before any of the processes runs.
        case "pre-resume": try admit(response.pid)
        default: break
        }
    }

    /// Records init, so that it is known even if this process dies.
    private func adopt(_ pid: Int32?) throws(ContainerError) {
        guard launcher.pidfd < 0 else { return }
        guard let pid, pid > 0 else {
            throw ContainerError(.criu, "criu sent no pid of the first process")
        }
        let started = try reporting("unable to open the restored process") {
            () throws(SystemCallError) -> UInt64? in
            launcher.pidfd = launcher.own(try openProcess(pid))
            return try startTime(of: pid)
        }
        guard let started else { throw ContainerError(.criu, "the restored process has ended") }
        guardian = try session?.guardian(over: launcher.pidfd)
        launcher.pid = pid
        launcher.record?.pid = pid
        launcher.record?.startTime = started
        launcher.progress?.note(pid: pid, startTime: started)
    }

    private func runHooks() throws(ContainerError) {
        for planned in launcher.plan.hooksOfRestore {
            try launcher.perform(planned)
        }
    }

    private func handOver(terminal: CInt) throws(ContainerError) {
        guard terminal >= 0 else {
            throw ContainerError(.criu, "criu sent no descriptor of the terminal")
        }
        if let socket = launcher.inputs[.consoleSocket] {
            return try reporting("unable to send the terminal", field: "process.terminal") {
                () throws(SystemCallError) in
                try sendDescriptor(terminal, text: "/dev/pts/0", over: socket)
            }
        }
        guard launcher.terminalMaster == nil, options.launch.terminal == .master else { return }
        let master = try reporting("unable to keep the terminal", field: "process.terminal") {
            () throws(SystemCallError) in launcher.own(try duplicate(terminal, from: 3))
        }
        ForegroundRelay.prepare(terminal: master)
        launcher.terminalMaster = master
    }

    /// Checks the processes and completes the container; if either fails, no process will run.
    private func admit(_ pid: Int32?) throws(ContainerError) {
        do throws(ContainerError) {
            try adopt(pid)
            try RestoredTree(launcher, spec, options, roots: cgroupRoots).check()
            watch.reach(.verified)
            try recordRunning()
            for planned in launcher.plan.stepsAfterRestore {
                try launcher.perform(planned)
            }
            isVerified = true
            guardian?.dismiss()
        } catch {
            // CRIU lets the processes run, whatever we answer.
            killAll()
            throw error
        }
    }

    // MARK: Undoing

    private func killAll() {
        if launcher.pidfd >= 0 { try? sendSignal(launcher.pidfd, Signal.kill.rawValue) }
        try? launcher.cgroup?.killAll()
    }

    private func takeProcessesBack(_ launcher: Launcher) {
        session?.killAll()
        session?.end()
        guardian?.dismiss()
        if launcher.wasDeleted { return launcher.killChild() }
        killAll()
        launcher.killChild()
    }
}
#endif
