// SPDX-License-Identifier: Apache-2.0

// Hooks: programs of the host, and those that the config names for fixed points of a container's life.
//
//   HookRun      the hooks of a container: in the runtime's namespaces, or in init's
//   HookStreams  what a hook reads, and what it says
//   HostProgram  a program of the host as a child of the runtime: hooks, newuidmap

internal import CLinux
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// Hooks of one container, as create, start and delete run them.
struct HookRun {
    /// What every hook reads on its standard input.
    private let state: [UInt8]
    /// The working directory of hooks in the runtime's namespaces.
    private let bundle: String
    private let outlets: HookOutlets

    /// The hooks of the container of `record`, told that it is `status` with `pid`.
    init(_ record: ContainerRecord, _ status: State.Status, pid: Int32) {
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
    ///   - hooks: those of one list.
    ///   - initProcess: the pidfd of an init whose end ends the hooks, too; -1 for none.
    /// - Throws: `hookFailed`.
    func run(_ hooks: [PlannedHook], initProcess: CInt = -1) throws(ContainerError) {
        for hook in hooks { try run(hook, initProcess) }
    }

    private func run(_ hook: PlannedHook, _ initProcess: CInt) throws(ContainerError) {
        let streams = try makeStreams(for: hook)
        let program = HostProgram(
            path: hook.path, arguments: hook.arguments, environment: hook.environment,
            directory: bundle)
        let outcome: HostProgram.Outcome
        do throws(SystemCallError) {
            outcome = try program.run(
                streams, initProcess: initProcess, timeoutSeconds: hook.timeoutSeconds)
        } catch {
            throw ContainerError(
                .hookFailed, hook.failureText, field: hook.field, failure: error)
        }
        switch outcome {
        case .ended(let status):
            if let words = status.failureWords { throw streams.failure(of: hook, words) }
        case .tooSlow: throw streams.failure(of: hook, hook.timeoutText)
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

    private func makeStreams(for hook: PlannedHook) throws(ContainerError) -> HookStreams {
        try reporting(hook.failureText, field: hook.field) { () throws(SystemCallError) in
            try HookStreams(state, outlets)
        }
    }

    // MARK: In the container's namespaces

    /// Gives each hook that init runs its streams, and waits for its end.
    ///
    /// - Parameters:
    ///   - hooks: those of one list, in the order in which init runs them.
    ///   - socket: what init reads its orders from.
    /// - Returns: Whether init told the end of all; if not, it has ended, and its progress page tells
    ///   why.
    /// - Throws: `hookFailed`; a hook that is too slow still runs then.
    func supervise(_ hooks: [PlannedHook], over socket: CInt) throws(ContainerError) -> Bool {
        for hook in hooks {
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
                try streams.attend(until: socket, timeoutSeconds: hook.timeoutSeconds)
            }
            guard outcome == .ended else { throw streams.failure(of: hook, hook.timeoutText) }
            guard let status = Self.receiveStatus(from: socket) else { return false }
            if let words = status.failureWords { throw streams.failure(of: hook, words) }
        }
        return true
    }

    /// Nil when init ended instead.
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

extension DescriptorTable<CInt> {
    /// Tells a program which descriptors to close: all between those that it keeps.
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
    /// Init's pid as the container sees it.
    ///
    /// Kernel: NSpid of proc_pid_status(5), one number for each pid namespace, the innermost last.
    func pidInside() throws(ContainerError) -> Int32 {
        if hasPidNamespace { return 1 }
        let number = pid
        let status = try reporting("unable to tell the pid that a hook is told") {
            () throws(SystemCallError) in
            try readFile("/proc/\(number)/status")
        }
        let line = status.split(separator: UInt8(ascii: "\n")).first {
            $0.starts(with: Array("NSpid:".utf8))
        }
        let last = line?.split(whereSeparator: { $0 == 9 || $0 == 32 }).last
        return last.flatMap { Int32(String(decoding: $0, as: UTF8.self)) } ?? pid
    }

    /// Runs the poststop hooks of a container that is gone.
    ///
    /// One that fails is told and keeps no other from running. Spec: runtime.md, Lifecycle.
    func runPoststopHooks(_ warn: (String) -> Void) {
        guard let hooks = hooks?.planned(.poststop), !hooks.isEmpty else { return }
        let run = HookRun(self, .stopped, pid: 0)
        for hook in hooks {
            do throws(ContainerError) {
                try run.run([hook])
            } catch {
                warn("\(error)")
            }
        }
    }
}
