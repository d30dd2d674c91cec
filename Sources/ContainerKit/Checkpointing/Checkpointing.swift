// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// A checkpoint of a running container: what CRIU is asked, and what is done at CRIU's
/// notifications.
///
/// CRIU lets the processes go on if it fails, or if we answer that something failed. So the image
/// is complete and has its name before CRIU ends the processes.
struct Checkpointing {
    let record: ContainerRecord
    let spec: Spec
    let options: CheckpointOptions
    let logger: Logger
    private let limit: TimeLimit?
    private let image: CheckpointImage

    init(
        _ record: ContainerRecord, _ spec: Spec, to path: String, _ options: CheckpointOptions,
        within limit: TimeLimit?, _ logger: Logger
    ) throws(ContainerError) {
        self.record = record
        self.spec = spec
        self.options = options
        self.limit = limit
        self.logger = logger
        try Self.check(options)
        try spec.refuseLandlock()
        try CriuRights.check(logger)
        try options.checkParent(of: path)
        let version = try CriuSession.checkVersion(within: limit)
        if options.connections.networkLock != nil {
            try CriuSession.require(version, .withNetworkLock, for: "a choice of the network lock")
        }
        var features = CriuFeatures()
        features.tracksMemory = options.dumpsMemoryOnly
        features.lazyPages = options.connections.usesLazyPages
        try CriuSession.check(features, within: limit)
        image = try CheckpointImage(
            making: path, work: options.workPath?.text,
            inPlace: options.connections.usesLazyPages)
    }

    private static func check(_ options: CheckpointOptions) throws(ContainerError) {
        if options.dumpsMemoryOnly, options.connections.usesLazyPages {
            throw ContainerError(
                .invalidArgument,
                "a dump of memory alone (--pre-dump) and lazy pages (--lazy-pages) exclude each other"
            )
        }
        guard let descriptor = options.readyDescriptor else { return }
        let flags = statusFlags(of: descriptor)
        guard let flags, !flags.isDisjoint(with: .writeOnly | .readWrite) else {
            throw ContainerError(
                .invalidArgument,
                "invalid --status-fd argument \(descriptor): "
                    + (flags == nil ? "it is not open" : "not writable"))
        }
    }

    // MARK: Running

    /// Makes the image; afterwards the processes have ended, if the options say so.
    ///
    /// - Throws: what went wrong; the container then goes on as before.
    func run(wasPaused: Bool) throws(ContainerError) {
        var session: CriuSession?
        do throws(ContainerError) {
            var request = CriuRequest(options.dumpsMemoryOnly ? .preDump : .dump)
            request.options = try criuOptions()
            var provision = CriuSession.Provision()
            // The process that should fetch the pages may never come.
            provision.endsWithRuntime = options.connections.usesLazyPages
            provision.survivesFileSizeLimit = limit != nil
            let criu = try CriuSession(provision)
            session = criu
            let watch = ProgressWatch(options.progress, image)
            watch.reach(.asked)
            _ = try criu.serve(
                request, log: image.log,
                // CRIU ends the processes of a complete image: nothing brings them back.
                within: watch.hasDumped && !options.connections.usesLazyPages ? nil : limit,
                meanwhile: watch.tick
            ) { (response, _) throws(ContainerError) in
                try attend(response, watch)
            }
            // After a dump of memory only, CRIU waits for another request.
            if options.dumpsMemoryOnly {
                try image.putInPlace()
            } else if let words = try criu.awaitEnd(within: limit).failureWords {
                // The answer reported success.
                logger.warning("criu ended with \(words) after the checkpoint")
            }
            if !options.leavesRunning, !options.dumpsMemoryOnly { awaitNumber() }
        } catch {
            session?.end()
            image.discard()
            thaw(unless: wasPaused)
            if session?.leavesNetworkLocked == true { unlockNetwork() }
            throw error
        }
    }

    /// In a shared pid namespace, the number of an ended init stays in use until its parent has
    /// reaped it, and a restore needs that number.
    private func awaitNumber() {
        guard !record.hasPidNamespace else { return }
        for _ in 0..<200 {
            guard let found = try? stat(of: record.pid), found.hasStarted(at: record.startTime)
            else { return }
            wait(milliseconds: 10)
        }
    }

    /// A process that freezes a cgroup and dies leaves it frozen.
    private func thaw(unless wasPaused: Bool) {
        guard !wasPaused else { return }
        do throws(CgroupError) {
            let cgroup = try Cgroup.open(record.cgroups)
            guard (try? cgroup.isFrozen) == true else { return }
            try cgroup.thaw()
        } catch {
            logger.error("the container stays frozen: \(error)")
        }
    }

    private func unlockNetwork() {
        do throws(ContainerError) {
            try NetworkUnlock(of: record.pid, options.connections.networkLock).run()
        } catch {
            logger.warning("the container's network may stay locked: \(error)")
        }
    }

    private func attend(_ response: CriuResponse, _ watch: ProgressWatch) throws(ContainerError) {
        guard let script = response.script else { return }
        logger.debug("criu: \(script)")
        switch script {
        case "network-lock": watch.reach(.frozen)
        case "status-ready": tellReady()
        case "post-dump":
            // After this, CRIU ends the processes.
            try image.putInPlace()
            watch.reach(.dumped)
        default: break
        }
    }

    /// A program that waits for the byte may also wait for the end of the descriptor.
    private func tellReady() {
        guard let descriptor = options.readyDescriptor else { return }
        let ready = OwnedDescriptor(taking: descriptor)
        do throws(SystemCallError) {
            try writeAll([0], to: ready.number, named: "status descriptor")
        } catch {
            logger.warning("unable to tell --status-fd that the pages can be fetched: \(error)")
        }
    }

    // MARK: What CRIU is told

    private func criuOptions() throws(ContainerError) -> CriuOptions {
        var result = CriuOptions(imageDirectory: Int(image.number), logFile: image.log.name)
        result.workDirectory = image.workNumber.map(Int.init)
        result.take(options.connections, annotations: record.annotations)
        if spec.hooksMakeNetwork { result.emptyNetwork() }
        result.pid = Int(record.pid)
        result.root = record.rootfs
        result.leavesRunning = options.leavesRunning
        result.tcpSkipsInFlight = options.skipsConnectionsInFlight
        result.remapsLinks = options.remapsLinks
        result.frozenCgroup = frozenCgroup
        result.parentImage = options.parentPath?.text
        result.tracksMemory = options.parentPath != nil || options.dumpsMemoryOnly
        result.pageServer = options.pageServer.map { ($0.address, Int($0.port)) }
        let joined = try joinedNamespaces()
        for (kind, inode) in joined where kind == .network || kind == .pid {
            result.external.append("\(kind.procName)[\(inode)]:\(kind.externalKey)")
        }
        guard !options.dumpsMemoryOnly else { return result }

        let mounts = try ContainerMounts(of: record, spec, bundlePath: record.bundle)
        result.externalMounts = mounts.external.map { ($0.mountPoint, $0.name) }
        // As they were at the creation: a shell may be redirecting one at this moment, and then has
        // the original under another number.
        result.external += record.externalStreams.filter { $0.hasPrefix("file[") }
        try image.write(streams: record.externalStreams)
        try image.write(
            CheckpointNotes(
                id: record.id, mounts: mounts.external, joined: joined.map(\.0.rawValue),
                hasEmptyNetwork: result.emptyNamespaces != nil))
        return result
    }

    /// The cgroup with which CRIU freezes the processes; without it, CRIU stops them one by one.
    private var frozenCgroup: String? {
        if record.cgroups.isUnified { return record.cgroups.directories.first?.path }
        return record.cgroups.index(of: "freezer").map { record.cgroups.directories[$0].path }
    }

    /// The namespaces that the config joins, with the inode numbers that identify them.
    private func joinedNamespaces() throws(ContainerError) -> [(NamespaceKind, UInt64)] {
        var found: [(NamespaceKind, UInt64)] = []
        for namespace in spec.linux?.namespaces ?? [] where !(namespace.path ?? "").isEmpty {
            guard let kind = NamespaceKind(rawValue: namespace.kind.rawValue) else { continue }
            // Through init, since the path may no longer exist.
            let path = "/proc/\(record.pid)/ns/\(kind.procName)"
            let inode = try reporting("unable to look at the container's namespaces") {
                () throws(SystemCallError) in try status(at: path).stx_ino
            }
            found.append((kind, inode))
        }
        return found
    }
}

/// Reports the progress of a checkpoint or a restore.
final class ProgressWatch {
    private let receive: (@Sendable (CheckpointProgress) -> Void)?
    private let image: CheckpointImage
    private let trace: LaunchTrace?
    private var phase = CheckpointPhase.asked
    /// When that phase was reached, in nanoseconds since 1970; nil before CRIU is asked, and
    /// without a trace.
    private var since: Int?

    init(
        _ receive: (@Sendable (CheckpointProgress) -> Void)?, _ image: CheckpointImage,
        _ trace: LaunchTrace? = nil
    ) {
        self.receive = receive
        self.image = image
        self.trace = trace
    }

    /// Whether the image is complete.
    var hasDumped: Bool { phase == .dumped }

    func reach(_ phase: CheckpointPhase) {
        record()
        self.phase = phase
        receive?(CheckpointProgress(phase: phase, memoryBytes: image.memoryBytes))
    }

    /// Records how long the present phase has lasted.
    func record(hasFailed: Bool = false) {
        guard let trace, trace.recordsSpans else { return }
        let now = LaunchTrace.now
        if let since {
            trace.add(
                "runtime.criu", phase.work, nil, .runtime, from: since, to: now,
                hasFailed: hasFailed)
        }
        since = now
    }

    /// Is called while nothing happens; nil if no progress is reported.
    var tick: (() -> Void)? {
        guard let receive else { return nil }
        return { [self] in
            receive(CheckpointProgress(phase: phase, memoryBytes: image.memoryBytes))
        }
    }
}

extension CheckpointPhase {
    /// What is done in this phase of a restore.
    fileprivate var work: String {
        switch self {
        case .asked: "CRIU reads the image, and makes the namespaces"
        case .namespaces: "hooks, and CRIU makes the processes"
        case .restored: "the processes are compared with the config"
        case .verified: "the processes are told to go on"
        case .frozen, .dumped, .running: "CRIU ends"
        }
    }
}

extension NamespaceKind {
    /// CRIU's key for an external namespace of this kind; runc's name.
    var externalKey: String {
        let name = procName
        return "extRoot\(name.prefix(1).uppercased())\(name.dropFirst())NS"
    }
}

extension Spec {
    /// Whether hooks may give the container its network, as Docker's does; they do so again at a
    /// restore, so CRIU must not.
    var hooksMakeNetwork: Bool {
        !(hooks?.prestart ?? []).isEmpty || !(hooks?.createRuntime ?? []).isEmpty
    }
}

extension CriuOptions {
    /// Sets the options that checkpoint and restore have in common.
    mutating func take(_ options: ConnectionOptions, annotations: [String: String]) {
        tcpEstablished = options.allowsEstablishedTCP
        externalSockets = options.allowsExternalSockets
        shellJob = options.allowsShellJob
        fileLocks = options.keepsFileLocks
        lazyPages = options.usesLazyPages
        removesDuplicates = options.removesDuplicates
        cgroupsMode = options.cgroupsMode
        networkLock = options.networkLock
        if options.emptiesNetwork { emptyNetwork() }
        configFile = Self.configFile(annotations)
    }

    /// Leaves the contents of the network namespace out.
    mutating func emptyNetwork() {
        emptyNamespaces = NamespaceKind.network.cloneFlag.rawValue
    }

    /// The file of settings that override CRIU's options: the container's, or one of the host's.
    ///
    /// As in runc, a container that names an empty file has none.
    private static func configFile(_ annotations: [String: String]) -> String? {
        if let file = annotations[ConfigAnnotation.criuConfig] { return file.isEmpty ? nil : file }
        return ["/etc/criu/swrunc.conf", "/etc/criu/runc.conf"].first {
            (try? status(at: $0)) != nil
        }
    }
}

extension CheckpointOptions {
    /// Checks the directory of an earlier dump, which must be relative to the new image, as CRIU
    /// stores it.
    func checkParent(of path: String) throws(ContainerError) {
        guard let parent = parentPath?.text else { return }
        guard !parent.begins(with: "/") else {
            throw ContainerError(
                .invalidArgument, "--parent-path must be relative",
                hint: "it is resolved from the directory of --image-path, such as ../first")
        }
        let place = FilePath(path).appending(parent).lexicallyNormalized().text
        do throws(SystemCallError) {
            _ = try openFile(place, .pathOnly | .directory)
        } catch {
            throw ContainerError(
                .invalidArgument, "invalid --parent-path", failure: error,
                hint: "it names the directory of an earlier dump, seen from --image-path")
        }
    }
}

/// Whether this process may dump and restore others.
enum CriuRights {
    static func check(_ logger: Logger) throws(ContainerError) {
        guard effectiveUserID == 0 else {
            throw ContainerError(.unsupported, "checkpoint and restore require root")
        }
        guard RuntimeRights.mayBeFewer, isInsideUserNamespace else { return }
        logger.warning(
            "in a user namespace CRIU lacks rights that checkpoint and restore need: expect it to fail"
        )
    }
}

extension Spec {
    /// Refuses rules of Landlock, which CRIU does not know: restored processes would be free of
    /// them.
    func refuseLandlock() throws(ContainerError) {
        guard annotations?[ConfigAnnotation.landlock] != nil else { return }
        throw ContainerError(
            .unsupported,
            "CRIU does not keep what processes have given up by Landlock: restored ones would have "
                + "it again", field: ConfigAnnotation.landlockPath.description)
    }
}
#endif
