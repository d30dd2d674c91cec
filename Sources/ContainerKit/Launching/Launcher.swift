// SPDX-License-Identifier: Apache-2.0

// Launching: a plan, and how it becomes processes.
//
//   LaunchPlan           all that a launch will do: the runtime's column and the child's
//   LaunchPlan+Check     whether the two columns fit each other
//   LaunchPlan+Text, LaunchPlan+JSON  the plan for people, for programs
//   Steps/               what the runtime's steps are, say and do: a file a theme
//   BindMount            a bind mount as the runtime prepares it
//   Launcher             what a launch holds, and the run of the plan's steps
//   Launcher+Undo        how what was done is taken back when a step fails
//   Launcher+Rendezvous  the socket between the runtime and its child, and what the child asks for
//   Launcher+Failure     why the child ended
//   Launcher+Log         the steps as debug lines: the parent's as they begin, the child's as told
//   InitFailure, InitHint  index and errno as an error that names config field and call, and what to do

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Runs a planned launch, and holds what its steps share.
///
/// What a step does stands with the step. A launcher is used once. Nothing of a failed launch
/// stays: process, cgroup, state, pid file.
final class Launcher {
    let plan: LaunchPlan
    /// The child's program, made while the kernel makes the child.
    private(set) lazy var image = plan.lowered()
    let options: LaunchOptions
    /// Where the state directories are.
    let storePath: String
    /// The config to keep in the state directory.
    let config: [UInt8]
    /// The process whose namespaces an exec joins.
    let target: CInt?
    /// Its number.
    let targetPid: Int32
    /// The systemd that keeps the cgroup of a new container.
    let systemd: SystemdClient?
    /// Whether the caller tries another plan after this error of this launcher.
    var isTriedAgainAfter: (ContainerError, Launcher) -> Bool = { _, _ in false }

    // MARK: The container's state

    /// The record of a new container, completed on the way; nil for exec.
    var record: ContainerRecord?
    /// What the record is to keep of how the launch was called for.
    var choices: JSONValue?
    /// Its directory, locked while the steps run.
    var state: StateDirectory?

    // MARK: Descriptors

    /// Numbers for the program's inputs; all but the caller's own are in `owned`.
    var inputs = DescriptorTable<CInt>()
    private var owned: [CInt] = []
    /// The tree of the new root, for what is read from the image.
    var rootTree: CInt = -1
    /// User namespaces that map the ids of mounts.
    var mappedNamespaces: [(maps: IDMaps, descriptor: CInt)] = []
    /// The connection to the seccomp listener.
    var listenerConnection: CInt = -1
    var terminalMaster: CInt?
    /// Terminals that were given to the process's user.
    var givenTerminals: [GivenStream] = []
    /// What passes on that the container is ready.
    var readiness: ReadinessRelay?

    // MARK: The cgroup

    var cgroup: Cgroup?
    var cgroupForClone: CInt?
    /// What keeps other creations out of the cgroup until init is in it.
    var cgroupLock: FileLock?
    /// The process in the scope until init is there.
    var scopeKeeper: ScopeKeeper?
    /// The scope that systemd started for this launch.
    var startedScope: String?

    // MARK: The child

    var progress: ProgressPage?
    /// Its start, from the step that begins it to the one that takes the child.
    var birth: (start: ChildStart, begun: ChildStart.Begun)?
    /// The parent's end of the rendezvous.
    var rendezvous: CInt = -1
    /// The child's end, until the child has it.
    var childRendezvous: CInt = -1
    var pid: Int32 = 0
    var pidfd: CInt = -1
    /// When the child started, in clock ticks after boot; 0 for exec, which records nothing.
    var startTime: UInt64 = 0
    /// Who owns the mount points that the child asks for, in its user namespace.
    var mountPointOwner: NamespaceUser?
    /// How many of the child's steps the log has been told of; nil when nobody reads such lines.
    var loggedChildStepCount: Int?

    // MARK: Failure

    /// What takes back what was done.
    var undoList = UndoList()
    /// Whether this program must start itself again, sealed, before its child may be a copy of it.
    var isToBeSealed = false
    /// Whether it failed in a way that makes the caller try another plan.
    private(set) var isToBeTriedAgain = false
    /// Whether the container was deleted while it was being created.
    var wasDeleted = false

    /// A launcher of a plan.
    ///
    /// Without an `image` the child runs what the plan's steps are lowered to.
    init(
        _ plan: LaunchPlan, options: LaunchOptions, storePath: String, record: ContainerRecord?,
        config: [UInt8] = [], target: CInt? = nil, targetPid: Int32 = 0,
        systemd: SystemdClient? = nil, image: ProgramImage? = nil
    ) {
        self.plan = plan
        self.options = options
        self.storePath = storePath
        self.record = record
        self.config = config
        self.target = target
        self.targetPid = targetPid
        self.systemd = systemd
        loggedChildStepCount = options.logger.logLevel <= .debug ? 0 : nil
        if let image { self.image = image }
    }

    deinit {
        closeAll()
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

    func closeAll() {
        for number in owned { _ = OwnedDescriptor(taking: number) }
        owned = []
        cgroupLock = nil
        pidfd = -1
    }

    // MARK: Running

    /// From this size on the program of a config may be too large for the machine.
    ///
    /// So it is made and checked before anything is done, at the price of some time.
    private static let largeConfigBytes = 64 << 10

    /// Makes the child's program, unless that is done, and checks that it fits the machine.
    func checkImage() throws(ContainerError) {
        do throws(ProgramFault) {
            try image.check()
        } catch {
            throw ContainerError(
                .unsupported, "the plan is too large for the init program: \(error)")
        }
    }

    /// Runs the parent's steps; the state directory stays locked meanwhile.
    func run() throws(ContainerError) {
        do throws(PlanFault) {
            try plan.check()
        } catch {
            throw ContainerError(.unsupported, "the plan is wrong: \(error)")
        }
        if config.count > Self.largeConfigBytes { try checkImage() }
        defer { state = nil }
        if let record {
            state = try StateDirectory.make(record.id, in: storePath)
            takeBackOnFailure { $0.removeState() }
        }
        do throws(ContainerError) {
            for planned in plan.parentSteps {
                if loggedChildStepCount != nil { log(planned) }
                try planned.step.action.perform(on: self, for: planned.origin)
            }
        } catch {
            if loggedChildStepCount != nil { logStop() }
            isToBeTriedAgain = !isToBeSealed && isTriedAgainAfter(error, self)
            // A forced delete may have come first. Where that cannot be told, all is undone: nobody else
            // knows of what is left.
            wasDeleted = (try? state?.isCurrent()) == false
            undo()
            guard !wasDeleted else {
                throw ContainerError(
                    .wrongState, "the container was deleted while it was being created",
                    failure: error.failure)
            }
            if isToBeSealed {
                try SealedExecutable.reenterIfNeeded(restoring: options.limits)
            }
            throw error
        }
        undoList = UndoList()
        cgroupLock = nil
    }
}
