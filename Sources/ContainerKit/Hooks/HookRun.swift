// SPDX-License-Identifier: Apache-2.0

// Hooks: the programs that the config names for points of the lifecycle, and other programs of the
// host.
//
//   HookRun      runs the hooks of a container: in the runtime's namespaces, or in init's
//   HookStreams  the input and output of a hook
//   HostProgram  runs a program of the host as a child of the runtime: hooks, newuidmap

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// Runs the hooks of one container, for create, start and delete.
struct HookRun {
    /// The container's state, for the standard input of every hook.
    private let state: [UInt8]
    /// The working directory of hooks in the runtime's namespaces.
    private let bundle: String
    private let outlets: HookOutlets
    /// The caller's limit for all of them.
    private let limit: TimeLimit?
    private let trace: LaunchTrace?

    /// The hooks of the container of `record`; its state says `status` and `pid`.
    init(
        _ record: ContainerRecord, _ status: State.Status, pid: Int32, within limit: TimeLimit?,
        _ trace: LaunchTrace? = nil
    ) {
        self.limit = limit
        self.trace = trace
        let state = State(
            ociVersion: record.ociVersion, id: record.id, pid: Int(pid), status: status,
            bundle: record.bundle,
            annotations: record.annotations.isEmpty ? nil : record.annotations)
        self.state = state.encoded.encoded()
        bundle = record.bundle
        outlets = HookOutlets(annotations: record.annotations)
    }

    // MARK: In the runtime's namespaces

    /// Runs each hook in turn, up to the first that fails.
    ///
    /// - Parameters:
    ///   - hooks: the hooks of one list.
    ///   - initProcess: the pidfd of an init whose end also ends the hooks; -1 for none.
    /// - Throws: `hookFailed`, `timedOut`.
    func run(_ hooks: [PlannedHook], initProcess: CInt = -1) throws(ContainerError) {
        for hook in hooks {
            try trace.measure(hook.spanName, hook.path, field: hook.field) {
                () throws(ContainerError) in
                try run(hook, initProcess)
            }
        }
    }

    private func run(_ hook: PlannedHook, _ initProcess: CInt) throws(ContainerError) {
        let streams = try makeStreams(for: hook)
        let program = HostProgram(
            path: hook.path, arguments: hook.arguments, environment: hook.environment,
            directory: bundle)
        let outcome: HostProgram.Outcome
        do throws(SystemCallError) {
            outcome = try program.run(
                streams, initProcess: initProcess, timeoutSeconds: hook.timeoutSeconds,
                before: limit?.deadline)
        } catch {
            throw ContainerError(
                .hookFailed, hook.failureText, field: hook.field, failure: error)
        }
        switch outcome {
        case .ended(let status):
            if let words = status.failureWords { throw streams.failure(of: hook, words) }
        case .tooSlow(let stuck):
            let error = tooSlow(hook, streams)
            throw stuck.map { error.with(hint: stuckHint($0)) } ?? error
        case .lostInit: throw streams.failure(of: hook, "init ended meanwhile")
        case .lostStatus:
            throw ContainerError(
                .hookFailed, "\(hook.failureText): its exit status is lost", field: hook.field,
                hint: HostProgram.lostStatusHint)
        case .tooLarge(let fault):
            throw ContainerError(
                .unsupported, "\(hook.failureText): the program is too large: \(fault)",
                field: hook.field)
        }
    }

    /// The error of a hook that has taken too long for its own timeout or for the caller.
    private func tooSlow(_ hook: PlannedHook, _ streams: HookStreams) -> ContainerError {
        if let limit, limit.isOver { return hook.overdue(limit) }
        return streams.failure(of: hook, hook.timeoutText)
    }

    private func makeStreams(for hook: PlannedHook) throws(ContainerError) -> HookStreams {
        try reporting(hook.failureText, field: hook.field) { () throws(SystemCallError) in
            try HookStreams(state, outlets)
        }
    }

    // MARK: In the container's namespaces

    /// Sends each hook that init runs its streams, and waits for its end.
    ///
    /// - Parameters:
    ///   - hooks: the hooks of one list, in the order in which init runs them.
    ///   - socket: the socket from which init reads.
    /// - Returns: whether init has reported the end of all hooks; if not, init has ended, and its
    ///   progress page has the reason.
    /// - Throws: `hookFailed`, `timedOut`; after a timeout, the hook still runs.
    func supervise(_ hooks: [PlannedHook], over socket: CInt) throws(ContainerError) -> Bool {
        for hook in hooks {
            let hasEnded = try trace.measure(
                hook.spanName, "\(hook.path) in the container's namespaces", field: hook.field
            ) { () throws(ContainerError) in
                try supervise(hook, over: socket)
            }
            guard hasEnded else { return false }
        }
        return true
    }

    private func supervise(_ hook: PlannedHook, over socket: CInt) throws(ContainerError) -> Bool {
        let streams = try makeStreams(for: hook)
        for number in streams.hookEnds {
            do throws(SystemCallError) {
                try sendDescriptor(number, text: "+", over: socket)
            } catch {
                return false
            }
        }
        streams.closeOutputEnds()
        let outcome = try reporting(hook.failureText, field: hook.field) {
            () throws(SystemCallError) in
            try streams.attend(
                until: socket, timeoutSeconds: hook.timeoutSeconds, before: limit?.deadline)
        }
        guard outcome == .ended else { throw tooSlow(hook, streams) }
        guard let status = Self.receiveStatus(from: socket) else { return false }
        if let words = status.failureWords { throw streams.failure(of: hook, words) }
        return true
    }

    /// Reads init's report on a hook; nil if init has ended instead.
    private static func receiveStatus(from socket: CInt) -> ExitStatus? {
        let size = HookReport.sizeBytes
        guard let report = try? readAvailable(socket, limitBytes: size), report.count == size else {
            return nil
        }
        // CLD_EXITED
        let hasExited = word(report, HookReport.codeOffset) == 1
        let status = word(report, HookReport.statusOffset)
        return hasExited ? .exited(status) : .signaled(status)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> Int32 {
        (0..<4).reduce(0) { $0 | Int32(bytes[offset + $1]) << (8 * $1) }
    }
}

extension PlannedHook {
    /// The name of the hook's span.
    fileprivate var spanName: String { "hook.\(point.rawValue)" }
}

extension DescriptorTable<CInt> {
    /// Fills in the ranges of descriptors that a program closes: all between those that it keeps.
    mutating func fillGaps(between steps: [InitStep]) {
        for step in steps {
            guard case .process(.closeDescriptors(let phase, let keeping, let preserved)) = step
            else {
                continue
            }
            let kept = keeping.compactMap { self[$0] }.sorted()
            var first = CInt(3 + preserved)
            for (index, number) in kept.enumerated() {
                self[.gapStart(phase: phase, index)] = first
                self[.gapEnd(phase: phase, index)] = number - 1
                first = number + 1
            }
            self[.gapStart(phase: phase, kept.count)] = first
            self[.gapEnd(phase: phase, kept.count)] = CInt.max
        }
    }
}

extension ContainerRecord {
    /// Init's pid as seen in the container.
    ///
    /// Kernel: NSpid of proc_pid_status(5), one number for each pid namespace, the innermost last.
    func pidInside() throws(ContainerError) -> Int32 {
        if hasPidNamespace { return 1 }
        let number = pid
        let status = try reporting("unable to find the pid for the state that a hook reads") {
            () throws(SystemCallError) in
            try readFile("/proc/\(number)/status")
        }
        let line = status.split(separator: UInt8(ascii: "\n")).first {
            $0.starts(with: Array("NSpid:".utf8))
        }
        let last = line?.split(whereSeparator: { $0 == 9 || $0 == 32 }).last
        return last.flatMap { Int32(String(decoding: $0, as: UTF8.self)) } ?? pid
    }

    /// Runs the poststop hooks of a deleted container.
    ///
    /// A failure is only a warning, and the other hooks still run. Spec: runtime.md, Lifecycle.
    func runPoststopHooks(_ warn: (String) -> Void) {
        guard let hooks = hooks?.planned(.poststop), !hooks.isEmpty else { return }
        let run = HookRun(self, .stopped, pid: 0, within: nil)
        for hook in hooks {
            do throws(ContainerError) {
                try run.run([hook])
            } catch {
                warn("\(error)")
            }
        }
    }
}
#endif
