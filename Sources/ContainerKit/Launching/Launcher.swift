// SPDX-License-Identifier: Apache-2.0

// Launching: a plan becomes processes.
//
//   Launcher                runs the parent's steps in order; undoes them when one fails
//   Launcher+Prepare        descriptors, mount trees, cgroups: everything before the clone
//   Launcher+Child          the clone, the rendezvous, and what follows
//   Launcher+Log            the steps as debug lines: the parent's as they begin, the child's as told
//   Launcher+UserNamespace  what nobody may do in a user namespace: maps, devices, limits
//   Launcher+Scope          a scope of systemd
//   Launcher+Listener       the descriptor of seccomp's notifications
//   InitFailure, InitHint   index and errno as an error that names config field and call, and what to do

internal import CLinux
internal import InitMachine
internal import InitProgram
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Runs a planned launch.
///
/// A launcher is used once. Nothing of a failed launch stays: process, cgroup, state, pid file.
final class Launcher {
    let launch: Launch
    let image: ProgramImage
    let options: LaunchOptions
    /// The record of a new container, completed on the way; nil for exec.
    var record: ContainerRecord?
    /// The config to keep in the state directory.
    let config: [UInt8]
    /// The process whose namespaces an exec joins.
    let target: CInt?
    /// Its number.
    let targetPid: Int32

    /// Numbers for the program's inputs; all but the caller's own are in `owned`.
    var inputs = DescriptorTable<CInt>()
    private var owned: [CInt] = []

    /// User namespaces that map the ids of mounts.
    var mappedNamespaces: [(maps: IDMaps, descriptor: CInt)] = []
    var cgroup: Cgroup?
    /// The systemd that keeps the cgroup of a new container.
    let systemd: SystemdClient?
    /// The process in the scope until init is there.
    var scopeKeeper: ScopeKeeper?
    /// Whether systemd started the scope for this launch.
    var startedScope = false
    var cgroupForClone: CInt?
    /// What keeps other creations out of the cgroup until init is in it.
    var cgroupLock: FileLock?
    /// The tree of the new root, for what is read from the image.
    var rootTree: CInt = -1
    var progress: ProgressPage?
    /// The parent's end of the rendezvous.
    var rendezvous: CInt = -1
    /// The child's end, until the child has it.
    var childRendezvous: CInt = -1
    var pid: Int32 = 0
    var pidfd: CInt = -1
    /// When the child started, in clock ticks after boot; 0 for exec, which records nothing.
    private var startTime: UInt64 = 0
    /// Who owns the mount points that the child asks for, in its user namespace.
    private(set) var mountPointOwner: NamespaceUser?
    /// The connection to the seccomp listener.
    var listenerConnection: CInt = -1
    var terminalMaster: CInt?
    /// What of the standard streams was given to the process's user.
    var givenTerminals: [GivenStream] = []
    var givenPipes: [GivenStream] = []
    /// What passes on that the container is ready.
    var readiness: ReadinessRelay?
    /// The groups of resctrl that were made.
    private var resctrl: ResctrlGroup?
    /// What was moved into the container's network namespace.
    private var netDevices: NetDevices?
    private var writtenPidFile: String?
    /// How many of the child's steps the log has been told of; nil when nobody reads such lines.
    var loggedChildStepCount: Int?
    /// Whether this launch made the state directory.
    private var madeState = false
    let storePath: String
    /// Whether the plan took rights for granted that nobody has looked at.
    var mayBeTriedAgain = false
    /// Whether this program must start itself again, sealed, before its child may be a copy of it.
    var isToBeSealed = false
    /// Whether it failed for want of them: the caller tries another plan.
    private(set) var isToBeTriedAgain = false

    /// A launcher of a plan.
    ///
    /// Without an `image` the child runs what the plan's steps are lowered to.
    init(
        _ launch: Launch, options: LaunchOptions, storePath: String, record: ContainerRecord?,
        config: [UInt8] = [], target: CInt? = nil, targetPid: Int32 = 0,
        cgroup: Cgroup? = nil, systemd: SystemdClient? = nil, image: ProgramImage? = nil
    ) {
        self.launch = launch
        self.options = options
        self.storePath = storePath
        self.record = record
        self.config = config
        self.target = target
        self.targetPid = targetPid
        self.cgroup = cgroup
        self.systemd = systemd
        self.image = image ?? launch.plan.lowered()
        loggedChildStepCount = options.logger.logLevel <= .debug ? 0 : nil
    }

    /// Keeps a descriptor open until the launcher goes away.
    func own(_ descriptor: consuming OwnedDescriptor) -> CInt {
        let number = descriptor.release()
        owned.append(number)
        return number
    }

    /// Closes a descriptor before its time.
    func close(_ number: CInt) {
        guard let index = owned.firstIndex(of: number) else { return }
        owned.remove(at: index)
        _ = OwnedDescriptor(taking: number)
    }

    /// Gives up a descriptor to the caller.
    func disown(_ number: CInt) {
        owned.removeAll { $0 == number }
    }

    private func closeAll() {
        for number in owned { _ = OwnedDescriptor(taking: number) }
        owned = []
        cgroupLock = nil
        pidfd = -1
    }

    deinit {
        closeAll()
    }

    // MARK: Running

    /// Runs the parent's steps; the state directory stays locked meanwhile.
    func run() throws(ContainerError) {
        do throws(ProgramFault) {
            try image.check()
        } catch {
            throw ContainerError(
                .unsupported, "the plan is too large for the init program: \(error)")
        }
        var state: StateDirectory?
        if let record {
            state = try StateDirectory.make(record.id, in: storePath)
            madeState = true
        }
        do throws(ContainerError) {
            for planned in launch.plan.parentSteps {
                if loggedChildStepCount != nil { log(planned) }
                try perform(planned, &state)
            }
        } catch {
            if loggedChildStepCount != nil { logStop() }
            isToBeTriedAgain =
                !isToBeSealed && (mayLackRights(error) || meetsUnbindableMount(error))
            // A forced delete may have gone ahead. Where that cannot be told, nobody else knows of what is
            // left.
            guard (try? state?.isCurrent()) != false else {
                undo(state, wasDeleted: true)
                throw ContainerError(
                    .wrongState, "the container was deleted while it was being created",
                    failure: error.failure)
            }
            undo(state, wasDeleted: false)
            if isToBeSealed {
                try SealedExecutable.reenterIfNeeded(restoring: options.limits)
            }
            throw error
        }
        cgroupLock = nil
    }

    private func perform(_ planned: PlannedParentStep, _ state: inout StateDirectory?)
        throws(ContainerError)
    {
        let field = planned.origin.path
        switch planned.step {
        case .recordCreating: try recordCreating(&state)
        case .startScope(let unit, _): try startScope(unit)
        case .attachToScope(let unit, let path): try attachToScope(unit, below: path)
        case .leaveScope: try leaveScope()
        case .createCgroups: try createCgroups()
        case .makeResctrlGroup(let plan): try makeResctrlGroup(plan)
        case .enterResctrlGroup(let directories): try ResctrlGroup.enter(directories, pid)
        case .openCgroups: try openCgroups()
        case .prepareRootfs(let path, let changes): try prepareRootfs(path, changes, field)
        case .openRootfs(let path): try openRootfs(path, field)
        case .prepareBindMount(let bind): try prepareBindMount(bind, field)
        case .prepareTmpfsCopy(let index, let mount): try prepareTmpfsCopy(index, mount, field)
        case .prepareCgroupMount(let index, let name, let readOnly):
            try prepareCgroupMount(index, name, readOnly, field)
        case .openNamespace(let kind, let path, let mustDiffer):
            try openNamespace(kind, path, mustDiffer, field)
        case .prepareMappedFilesystem(let index, let mount, let map):
            try prepareMappedFilesystem(index, mount, map, field)
        case .prepareDevice(let index, let path, let device):
            try prepareDevice(index, path, device, field)
        case .makeDevice(let index, let device, let label):
            try makeDevice(index, device, label, field)
        case .delegateCgroup(let userID): try delegateCgroup(to: userID)
        case .enableControllers(let path): cgroup?.enableControllers(below: path)
        case .setOOMScore(let score): try setOOMScore(score, field)
        case .writeIDMaps(let maps, let writer): try writeIDMaps(maps, by: writer, field)
        case .checkIDMaps(let maps): try checkIDMaps(maps, field)
        case .mapClonedTree(let map, let destination):
            try mapClonedTree(map, destination, field)
        case .setLimits(let limits): try setLimits(limits, field)
        case .openProcess: inputs[.process] = target
        case .openRootOfInit: try openRootOfInit()
        case .recordRootMount(let path): try recordRootMount(path, &state, field)
        case .connectConsole(let path): try connectConsole(path)
        case .prepareReadiness(let listens): try prepareReadiness(listens: listens, &state)
        case .listenForStart: try listenForStart(&state)
        case .startChild(let kinds, let intoCgroup):
            try startChild(kinds, intoCgroup: intoCgroup, &state)
        case .moveNetDevices(let devices): try moveNetDevices(devices)
        case .sendPreparedTree(let tree): try sendPreparedTree(tree, field)
        case .release: try release()
        case .makeMountPoints(let owner): mountPointOwner = owner
        case .adoptSecondChild: try adoptSecondChild()
        case .receiveTerminal: try receiveTerminal()
        case .awaitChild(let event):
            try awaitEvent(event)
            if event == .ready, loggedChildStepCount != nil { logChildSteps() }
        case .recordProcess: try recordProcess(&state)
        case .runHooks(let hooks):
            // The container runs: what a poststart hook does to it must not wait for this lock.
            if hooks.first?.point == .poststart { state?.unlock() }
            try runHooks(hooks)
        case .superviseHooks(let hooks): try superviseHooks(hooks)
        case .giveStreams(let streams, let owner): try giveStreams(streams, to: owner)
        case .sendPidfd(let path, let name): try sendPidfd(to: path, named: name)
        case .stageRecord: try stageRecord(&state)
        case .recordCreated: try state?.putRecordInPlace()
        case .writePidFile(let path): try writePidFile(path)
        case .findListener: try findListener()
        case .connectListener: try connectListener()
        case .sendListener: try sendListener()
        case .awaitExecution:
            try awaitExecution()
            if loggedChildStepCount != nil { logChildSteps(untilEnd: true) }
        }
    }

    private func makeResctrlGroup(_ plan: ResctrlPlan) throws(ContainerError) {
        var group = ResctrlGroup(plan)
        defer { resctrl = group }
        try group.make()
    }

    private func moveNetDevices(_ devices: [NetDeviceMove]) throws(ContainerError) {
        let socket = try receiveFromChild()
        let netDevices = try reporting(field: "linux.netDevices") { () throws(SystemCallError) in
            try NetDevices(container: OwnedDescriptor(taking: socket))
        }
        self.netDevices = netDevices
        for device in devices { try netDevices.move(device) }
    }

    // MARK: State

    private func recordCreating(_ state: inout StateDirectory?) throws(ContainerError) {
        guard let record else { return }
        try state?.stage(record)
        try state?.putFirstRecordInPlace()
    }

    private func recordProcess(_ state: inout StateDirectory?) throws(ContainerError) {
        guard var record else { return }
        record.pid = pid
        record.startTime = startTime
        self.record = record
        try state?.stage(record)
        try state?.putRecordInPlace()
    }

    /// Notes what tells the child from a later process of its number: without that nobody could end it.
    func noteChild() throws(ContainerError) {
        guard record != nil else { return }
        let number = pid
        let started: UInt64?
        do throws(SystemCallError) {
            started = try ContainerKit.startTime(of: number)
        } catch {
            throw ContainerError(
                error, "unable to tell the container's process from others",
                hint: ContainerError.hiddenProcessHint(error))
        }
        guard let started else { throw childFailure() }
        startTime = started
        progress?.note(pid: pid, startTime: started)
    }

    /// Together with the config, which nobody reads earlier: the child has its own work meanwhile.
    private func stageRecord(_ state: inout StateDirectory?) throws(ContainerError) {
        guard var record else { return }
        try state?.writeConfig(config)
        record.pid = pid
        record.startTime = startTime
        record.isComplete = true
        record.startWaitIndex = startWaitIndex
        record.lastInstructions = launch.instructionsAfterReport(image)
        self.record = record
        try state?.stage(record)
    }

    /// Where init waits for start: the marked instruction, or the wait for the parent's last word.
    private var startWaitIndex: Int {
        if let index = image.startWaitIndex { return index }
        let step = launch.plan.childSteps.lastIndex { $0.step == .waitForParent(.start) } ?? 0
        return image.instructionsOfStep(step).first ?? 0
    }

    private func writePidFile(_ path: String) throws(ContainerError) {
        // Beside it, hidden, until it is whole.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let nameStart = slash.map { path.utf8.index(after: $0) } ?? path.startIndex
        let temporary = String(path[..<nameStart]) + "." + String(path[nameStart...])
        let process = pid
        try reporting("unable to write the pid file") { () throws(SystemCallError) in
            let file = try Self.makeFile(temporary)
            do throws(SystemCallError) {
                try writeAll(
                    Array("\(process)".utf8), to: file.number, named: "\"\(temporary)\"")
                try renameFile(temporary, to: path, at: currentDirectory)
            } catch {
                try? removeFile(temporary)
                throw error
            }
        }
        writtenPidFile = path
    }

    /// Makes a file that was not there; one that a killed launch left behind is removed first.
    private static func makeFile(_ path: String) throws(SystemCallError) -> OwnedDescriptor {
        let flags: OpenFlags = [.writeOnly, .create, .exclusive]
        do throws(SystemCallError) {
            return try openFile(path, flags, mode: 0o666)
        } catch  where error.errno == .fileExists {
            try removeFile(path)
            return try openFile(path, flags, mode: 0o666)
        }
    }

    // MARK: Undoing

    /// Takes back what was done, in reverse; errors on the way leave the rest to be tried.
    ///
    /// Of a container that was deleted meanwhile, the cgroup may be the next one's.
    private func undo(_ state: borrowing StateDirectory?, wasDeleted: Bool) {
        // Before the namespace ends with the child, and virtual devices with it.
        netDevices?.takeBack()
        killChild()
        takeStreamsBack()
        // Where descriptors have run out, the way back needs those of the way there.
        closeAll()
        if let writtenPidFile { try? removeFile(writtenPidFile) }
        if record != nil {
            if !wasDeleted { try? cgroup?.killAll() }
            stopScope()
            cgroup?.removeMadeDirectories()
        }
        if let resctrl { try? ResctrlGroup.remove(resctrl.made) }
        if let record { try? record.detachRootMount() }
        guard madeState else { return }
        try? state?.remove()
        if isToBeTriedAgain || isToBeSealed || wasDeleted { return }
        let logger = options.logger
        record?.runPoststopHooks { logger.warning("\($0)") }
    }

    /// Kills and reaps what was started.
    func killChild() {
        // One that is not adopted yet ends by itself.
        progress?.tell(.second, goOn: false)
        guard pidfd >= 0 else { return }
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
    }
}
