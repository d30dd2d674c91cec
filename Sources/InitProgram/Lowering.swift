// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

// Lowering: each step becomes a handful of instructions, mechanically. One function a step, grouped by
// theme in Lowering+*.swift. What a lowering needs to know of the others stands in LoweringState.

/// What flows from one step's lowering to the next.
struct LoweringState {
    /// The cell of the root directory that paths are resolved in, once a step has made it.
    var openedRoot: Cell?

    /// The root for a step that needs it: a plan that has the steps in another order is a mistake of
    /// ours, and must not drop a step.
    var root: Cell {
        guard let openedRoot else {
            preconditionFailure("a path is resolved before there is a root")
        }
        return openedRoot
    }
    /// Mounts that later steps change or make things in, with their descriptors.
    private var mounts: [(path: String, tree: Cell)] = []
    /// Where those mounts go.
    private let keptPaths: Set<String>
    /// The host's procfs, from the step that opens it to the one that uses it.
    var hostProc: Cell?
    /// The connection of `start`, once it is there.
    var startConnection: Cell?
    /// Where each filter stands in the data: a program may load one in several processes.
    var filters: [(filter: [UInt8], offset: Int)] = []
    /// The cell with the result of `tryDirectory`.
    var triedDirectory: Cell?
    /// Cells with the result of looking for each executable candidate.
    var executableChecks: [Cell] = []

    init(of steps: [InitStep] = []) {
        keptPaths = Set(steps.compactMap(\.usedMount))
    }

    /// Keeps the descriptor of a mount that is in its place, or closes it: there may be more mounts than
    /// a process may have descriptors.
    mutating func attached(_ tree: Cell, at path: String, in code: inout Assembler) {
        if keptPaths.contains(path) {
            mounts.append((path, tree))
        } else {
            code.close(tree)
        }
    }

    /// The mount that was attached last at a destination, for a step that has it as its `usedMount`.
    func mount(at path: String) -> Cell? {
        mounts.last { $0.path.isSame(path) }?.tree
    }
}

extension ProgramImage {
    /// Lowers `steps` to a program.
    ///
    /// The last step must be `execute`.
    package init(lowering steps: [InitStep]) {
        var code = Assembler()
        var state = LoweringState(of: steps)
        for (index, step) in steps.enumerated() {
            code.beginStep(index)
            step.lower(into: &code, &state)
        }
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        self = code.image
    }
}

extension InitStep {
    /// The destination of a mount of the config that this step changes, or makes something in.
    fileprivate var usedMount: String? {
        switch self {
        case .makeLinks(let directory, _), .copyLink(let directory, _),
            .makeDevices(let directory, _), .attachDevices(let directory, _):
            directory
        case .makeReadOnly(let path): path
        case .openTerminal: "/dev"
        default: nil
        }
    }

    func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .closeDescriptors(let phase, let keeping, _):
            code.closeDescriptors(phase, gapCount: keeping.count + 1)
        case .setStandardStreams(let numbers): code.setStandardStreams(numbers)
        case .forbidPtrace: code.prctl(.setDumpable, 0)
        case .permitPtrace: code.prctl(.setDumpable, 1)
        case .startSession: code.call(.setsid, [], ignoring: [.notPermitted])
        case .enterCgroups(let count): code.enterCgroups(count)
        // Where there are v1 cgroups nothing is delegated.
        case .enterDelegatedCgroup: code.enterCgroups(1)
        case .setOOMScore(let score): code.setOOMScore(score)
        case .waitForParent: code.waitForParent()
        case .reportToParent(let event): code.reportToParent(event)
        case .waitForStart: state.startConnection = code.waitForStart()
        case .waitForStartOrSignal: state.startConnection = code.waitForStartOrSignal()
        case .runHook(let hook, let preparing, let underFilter):
            code.runHook(hook, preparing, underFilter: underFilter, &state)
        case .enterHostDirectory(let path): code.enterHostDirectory(path)
        case .joinNamespace, .joinUserNamespace, .becomeNamespaceUser, .joinProcess,
            .unshareNamespaces, .enterNewTimeNamespace, .continueInChild,
            .bringUpLoopback, .sendNetworkSocket, .setHostname, .setDomainname:
            lowerNamespace(into: &code, &state)
        case .cloneHostTree, .isolateMounts, .attachRootfs, .searchRootfs, .openRoot, .enterRoot,
            .dropKernelTrees,
            .moveRoot,
            .changeRoot, .enterRootOfInit, .setRootPropagation,
            .mountFilesystem, .mountFilesystemOrAttach, .attachMount, .mountCgroupHierarchies,
            .cloneContainerTree, .receiveMountTree, .sendMountTree, .changeMount, .makeReadOnly,
            .maskPaths,
            .protectPaths:
            lowerMount(into: &code, &state)
        case .makeLinks, .copyLink, .makeDirectory, .makeDevices, .attachDevices,
            .setSysctl, .openTerminal, .tryDirectory, .enterDirectory:
            lowerFile(into: &code, &state)
        case .openHostProc, .setSecurityLabels: lowerLabel(into: &code, &state)
        case .setCPUAffinity, .resetCPUAffinity, .setScheduler, .setIOPriority, .setMemoryPolicy,
            .setPersonality:
            lowerAttribute(into: &code, &state)
        default:
            lowerIdentity(into: &code, &state)
        }
    }
}

// MARK: - The process itself and waiting

extension Assembler {
    mutating func prctl(_ option: ProcessControl, _ value: Int) {
        prctl(option, .literal(value))
    }

    mutating func prctl(_ option: ProcessControl, _ value: Operand) {
        call(.prctl, [.named(option), value, .literal(0), .literal(0), .literal(0)])
    }

    mutating func close(_ descriptor: Cell) {
        call(.close, [.cell(descriptor)])
    }

    /// An empty gap has its first descriptor behind its last, which the kernel answers with EINVAL.
    mutating func closeDescriptors(_ phase: Int, gapCount: Int) {
        for index in 0..<gapCount {
            let first = input(.gapStart(phase: phase, index))
            let last = input(.gapEnd(phase: phase, index))
            call(
                .closeRange, [.cell(first), .cell(last), .literal(0)],
                ignoring: [.invalidArgument])
        }
    }

    /// "0" stands for the writer itself.
    ///
    /// Kernel: cgroups(7).
    mutating func enterCgroups(_ count: Int) {
        for index in 0..<count {
            let tasks = input(.cgroupTasks(index))
            call(.write, [.cell(tasks), text("0"), .literal(1)], retries: 5)
            call(.close, [.cell(tasks)])
        }
    }

    /// A path of the host's procfs: this step comes before the root file system is touched.
    mutating func setOOMScore(_ score: Int) {
        let file = openHostFile("/proc/self/oom_score_adj", "oom-score")
        let value = String(score)
        call(.write, [.cell(file), text(value), .literal(value.utf8.count)])
        call(.close, [.cell(file)])
    }

    /// Opens a file of the host for writing, while its paths still mean the host's.
    mutating func openHostFile(_ path: String, _ name: String) -> Cell {
        let file = cell(name)
        open(text(path), .writeOnly, into: file)
        return file
    }

    mutating func waitForParent() {
        let byte = scratch()
        let count = cell("received")
        let rendezvous = input(.rendezvous)
        call(
            .read, [.cell(rendezvous), .address(byte), .literal(1)], into: count,
            retries: 1000)
        let received = skip(when: .equals(count, 1))
        // The parent is gone: nobody is left to report to.
        call(.exitGroup, [.literal(0)])
        place(received)
    }

    mutating func reportToParent(_ event: ChildEvent) {
        let byte = bytes([event.rawValue])
        let rendezvous = input(.rendezvous)
        call(
            .write, [.cell(rendezvous), .address(byte), .literal(1)], retries: 1000)
    }

    mutating func waitForStart() -> Cell {
        markStartWait()
        return acceptStart()
    }

    /// The signals by which one asks a process to end: HUP, INT, QUIT, ABRT and TERM.
    ///
    /// They end runc's waiting init, too. Source: signal(7).
    static let endingSignals: [SignalNumber] = [.hangUp, .interrupt, .quit, .abort, .terminate]

    /// A signal that came before wins over a `start`: nothing of it is lost, since all are blocked.
    ///
    /// The exit status is what a shell says of a process that a signal has ended.
    mutating func waitForStartOrSignal() -> Cell {
        let signals = cell("signals")
        let mask = words([Self.endingSignals.reduce(0) { $0 | $1.bit }])
        call(
            .signalfd4,
            [
                .literal(-1), .address(mask), .literal(SignalNumber.maskBytes),
                .named(SignalQueueFlags.closeOnExec),
            ], into: signals)
        let polled = pollEntries(signals, .readable, input(.startSocket), .readable)
        markStartWait()
        poll(polled)
        let isStart = skip(when: .isNotReadable(polled))
        // struct signalfd_siginfo begins with the number.
        let received = reserve(128)
        call(.read, [.cell(signals), .address(received), .literal(128)])
        let ends = Self.endingSignals.map { number in
            (number, skip(when: .isWord(received, number.rawValue)))
        }
        for (number, isThis) in ends {
            place(isThis)
            call(.exitGroup, [.literal(128 + number.rawValue)])
        }
        place(isStart)
        call(.close, [.cell(signals)])
        return acceptStart()
    }

    private mutating func acceptStart() -> Cell {
        let connection = cell("start-connection")
        let socket = input(.startSocket)
        // The connection itself is the order, so that a `start` that dies half-way loses nothing. It
        // stays open until execve closes it, which tells `start` that all went well.
        call(
            .accept4,
            [
                .cell(socket), .literal(0), .literal(0), .named(AcceptFlags.closeOnExec),
            ], into: connection, retries: 1000)
        call(.close, [.cell(socket)])
        return connection
    }
}
