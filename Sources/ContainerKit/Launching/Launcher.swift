// SPDX-License-Identifier: Apache-2.0

// Launching: the plan of a launch, and its execution.
//
//   LaunchPlan           all steps of a launch: the runtime's column and the child's
//   LaunchPlan+Check     checks that the two columns fit each other
//   LaunchPlan+Text, LaunchPlan+JSON  the plan for people, for programs
//   Steps/               the runtime's steps: one file per theme
//   BindMount            a bind mount that the runtime prepares
//   Launcher             the state of a launch, and the execution of its steps
//   Launcher+Undo        undoes the steps if one fails
//   Launcher+Rendezvous  the socket between the runtime and its child, and the child's requests
//   Launcher+Limit       what is still done when the caller's time is over
//   Launcher+Failure     the reason why the child ended
//   Launcher+Trace       records how long the steps take, the child's by what it has noted
//   Launcher+Log         logs the steps at level debug, the child's later than they happen
//   InitFailure, InitHint  turns instruction and errno into an error with field, call and hint

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Executes a planned launch, and holds the state that its steps share.
///
/// Each step knows how to perform itself. A launcher is used once. A failed launch leaves nothing
/// behind: no process, cgroup, state or pid file; but for a process that does not end after SIGKILL,
/// and what it holds.
final class Launcher {
    let plan: LaunchPlan
    /// The child's program, lowered while the kernel makes the child.
    private(set) lazy var image = plan.lowered(isTimed: options.trace?.recordsSpans == true)
    let options: LaunchOptions
    /// The path of the store, which has the state directories.
    let storePath: String
    /// The config for the state directory.
    let config: [UInt8]
    /// The pidfd of the process whose namespaces an exec joins.
    let joinedInit: CInt?
    /// The pid of that process.
    let joinedPid: Int32
    /// The systemd that manages the cgroup of a new container.
    let systemd: SystemdClient?
    /// Whether the caller will try another plan after this error.
    var isTriedAgainAfter: (ContainerError, Launcher) -> Bool = { _, _ in false }

    // MARK: The container's state

    /// The record of a new container, which the steps complete; nil for exec.
    var record: ContainerRecord?
    /// The caller's choices for the record.
    var choices: JSONValue?
    /// The container's state directory, locked while the steps run.
    var state: StateDirectory?

    // MARK: Descriptors

    /// The descriptors for the program's inputs; all but the caller's own are also in `owned`.
    var inputs = DescriptorTable<CInt>()
    private var owned: [CInt] = []
    /// The tree of the new root, through which files of the image are read.
    var rootTree: CInt = -1
    /// User namespaces for the ID mappings of mounts.
    var mappedNamespaces: [(maps: IDMaps, descriptor: CInt)] = []
    /// A mount that was made in a running container.
    var attachedMount: CInt = -1
    /// The connection to the seccomp listener.
    var listenerConnection: CInt = -1
    var terminalMaster: CInt?
    /// Terminals that are given to the process's user.
    var givenTerminals: [GivenStream] = []
    /// Forwards the container's readiness.
    var readiness: ReadinessRelay?

    // MARK: The cgroup

    var cgroup: Cgroup?
    var cgroupForClone: CInt?
    /// Keeps other creations out of the cgroup until init is in it.
    var cgroupLock: FileLock?
    /// The process that holds the scope until init is in it.
    var scopeKeeper: ScopeKeeper?
    /// The scope that systemd started for this launch.
    var startedScope: String?

    // MARK: The child

    var progress: ProgressPage?
    /// The start of the child, between the step that begins it and the step that takes the child
    /// over.
    var startingChild: (start: ChildStart, begun: ChildStart.Begun)?
    /// The parent's end of the rendezvous.
    var rendezvous: CInt = -1
    /// The child's end, until the child has it.
    var childRendezvous: CInt = -1
    var pid: Int32 = 0
    var pidfd: CInt = -1
    /// When the child started, in clock ticks after boot; 0 for exec, which records nothing.
    var startTime: UInt64 = 0
    /// The owner, in the child's user namespace, of the mount points that the child asks for.
    var mountPointOwner: NamespaceUser?
    /// When the program began, in nanoseconds since 1970; only noted if the launch is traced.
    var executionTime: Int?
    /// Whether the program runs; only noted if the time is limited.
    var hasStarted = false
    /// How many of the child's steps are logged; nil if debug lines are off.
    var loggedChildStepCount: Int?

    // MARK: Failure

    /// The actions that undo the steps so far.
    var undoList = UndoList()
    /// Whether this program must execute itself again from a read-only mount (`SealedExecutable`)
    /// before its child may be a copy of it.
    var isToBeSealed = false
    /// Whether it failed in a way that makes the caller try another plan.
    private(set) var isToBeTriedAgain = false
    /// A process in the container's cgroup, such as the child, that was killed and does not end.
    var stuckChild: Int32?
    /// Whether the container was deleted while it was being created.
    var wasDeleted = false

    /// A launcher of a plan.
    ///
    /// Without an `image` the child runs what the plan's steps are lowered to.
    init(
        _ plan: LaunchPlan, options: LaunchOptions, storePath: String, record: ContainerRecord?,
        config: [UInt8] = [], joinedInit: CInt? = nil, joinedPid: Int32 = 0,
        systemd: SystemdClient? = nil, image: ProgramImage? = nil
    ) {
        self.plan = plan
        self.options = options
        self.storePath = storePath
        self.record = record
        self.config = config
        self.joinedInit = joinedInit
        self.joinedPid = joinedPid
        self.systemd = systemd
        loggedChildStepCount = options.logger.logLevel <= .debug ? 0 : nil
        if let image { self.image = image }
    }

    deinit {
        closeAll()
    }

    /// Keeps a descriptor open until the deinit.
    func own(_ descriptor: consuming OwnedDescriptor) -> CInt {
        let number = descriptor.release()
        owned.append(number)
        return number
    }

    /// Closes a descriptor early.
    func close(_ number: CInt) {
        guard let index = owned.firstIndex(of: number) else { return }
        owned.remove(at: index)
        _ = OwnedDescriptor(taking: number)
    }

    /// Leaves a descriptor to the caller, who must close it.
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

    /// The size of a config from which its program may be too large for the machine.
    ///
    /// From this size on, the program is checked before anything is done, which takes more time.
    private static let largeConfigBytes = 64 << 10

    /// Checks that the child's program fits the machine, lowering it first if necessary.
    func checkImage() throws(ContainerError) {
        do throws(ProgramFault) {
            try image.check()
        } catch {
            throw ContainerError(
                .unsupported, "the plan is too large for the init program: \(error)",
                hint: "use fewer or shorter mounts, paths, arguments and variables")
        }
    }

    /// Performs the parent's steps; the state directory is locked meanwhile.
    func run() throws(ContainerError) {
        do throws(PlanFault) {
            try plan.check()
        } catch {
            throw ContainerError(
                .unsupported, "the plan is wrong: \(error)",
                hint: "this is a fault of the runtime: please report it, with the config")
        }
        if config.count > Self.largeConfigBytes { try checkImage() }
        defer { state = nil }
        StuckChildren.reap()
        if let record {
            state = try StateDirectory.make(record.id, in: storePath)
            takeBackOnFailure { $0.removeState() }
        }
        do throws(ContainerError) {
            for planned in plan.parentSteps {
                if loggedChildStepCount != nil { log(planned) }
                try perform(planned)
            }
            recordChildSteps()
        } catch {
            recordChildSteps()
            if loggedChildStepCount != nil { logStop() }
            isToBeTriedAgain = !isToBeSealed && isTriedAgainAfter(error, self)
            // A forced delete may have removed the directory. If that is unknown, everything is
            // undone, since nobody else would do it.
            wasDeleted = (try? state?.isCurrent()) == false
            undo()
            guard !wasDeleted else {
                throw ContainerError(
                    .wrongState, "the container was deleted while it was being created",
                    failure: error.failure, hint: stuckChild.map(stuckHint))
            }
            if isToBeSealed {
                try SealedExecutable.reenterIfNeeded(restoring: options.limits)
            }
            throw namingStuckChild(in: error)
        }
        undoList = UndoList()
        cgroupLock = nil
    }
}
#endif
