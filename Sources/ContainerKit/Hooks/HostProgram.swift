// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// Runs a program of the host to its end, as a child of the caller.
///
/// The child is waited for only by its pidfd, and inherits nothing but its three streams.
struct HostProgram {
    /// An absolute path.
    let path: String
    /// All arguments, the name of the program first.
    let arguments: [ByteText]
    /// The whole environment; nil means the caller's.
    let environment: [ByteText]?
    /// The working directory; it is not entered if it is missing.
    var directory = "/"

    /// How the program ended.
    enum Outcome {
        case ended(ExitStatus)
        /// It was killed; its pid, if it has not ended since.
        case tooSlow(stuck: Int32?)
        /// The container's init has ended first.
        case lostInit
        /// Another part of this program has waited for the child.
        case lostStatus
        /// The arguments and environment do not fit a program of the machine.
        case tooLarge(ProgramFault)
    }

    static let lostStatusHint = "the program that uses the library must not ignore SIGCHLD"

    /// Runs the program with these streams.
    ///
    /// CLONE_VM and CLONE_VFORK: the child uses this process's memory, with a stack of its own,
    /// until it executes or ends. When the clone returns, the program runs, or an error of the
    /// child's own instructions is in the progress page.
    ///
    /// - Parameters:
    ///   - streams: the input and output of the program.
    ///   - initProcess: the pidfd of an init whose end also ends the program; -1 for none.
    ///   - timeoutSeconds: how long it may take; nil means for ever.
    ///   - limit: when it is ended in any case.
    /// - Returns: how it ended; it does not run any more, but may be stuck in the kernel.
    /// - Throws: the refusal of a call before the program ran.
    func run(
        _ streams: HookStreams, initProcess: CInt = -1, timeoutSeconds: Int? = nil,
        before limit: Deadline? = nil
    ) throws(SystemCallError) -> Outcome {
        let steps: [InitStep] = [
            .process(
                .closeDescriptors(
                    phase: 0, keeping: (0...2).map { .standardStream($0) }, preserved: 0)),
            .stream(.setStandardStreams([0, 1, 2])), .hook(.enterHostDirectory(directory)),
            .process(.resetSignals),
            .process(.unblockSignals),
            .execution(
                .execute(
                    candidates: [ByteText(path)], arguments: arguments,
                    environment: environment ?? ownEnvironment())),
        ]
        let image = ProgramImage(lowering: steps)
        do throws(ProgramFault) {
            try image.check()
        } catch {
            return .tooLarge(error)
        }
        var inputs = DescriptorTable<CInt>()
        for (stream, number) in streams.hookEnds.enumerated() {
            inputs[.standardStream(stream)] = number
        }
        inputs.fillGaps(between: steps)
        let page = try ProgressPage()
        let loaded = LoadedProgram(image, inputs: inputs, progress: page)
        let child = try loaded.start(
            [], flags: .memory | .waitsForExec | .clearHandlers)
        let process = OwnedDescriptor(taking: child.pidfd)
        if page.error != 0 {
            _ = try? waitProcess(process.number)
            throw Self.failure(image, page)
        }
        streams.closeOutputEnds()
        let end = try streams.attend(
            until: process.number, initProcess: initProcess, timeoutSeconds: timeoutSeconds,
            before: limit)
        var stuck: Int32?
        if end != .ended {
            try? sendSignal(process.number, Signal.kill.rawValue)
            if !killedEnds(process.number, child.pid) {
                stuck = child.pid
                StuckChildren.add(process.number)
            }
        }
        let status = stuck == nil ? try? waitProcess(process.number) : nil
        switch end {
        case .tooSlow: return .tooSlow(stuck: stuck)
        case .lostInit: return .lostInit
        case .ended: return status.map { .ended($0) } ?? .lostStatus
        }
    }

    /// The search path if PATH is not set: engines call some commands without it.
    static let standardSearchPath =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Finds the program in PATH; relative directories in PATH are ignored.
    static func find(_ name: String) -> String? {
        let path = environmentVariable("PATH") ?? standardSearchPath
        for directory in path.split(separator: ":") where directory.begins(with: "/") {
            let candidate = "\(directory)/\(name)"
            if let status = try? status(at: candidate), status.kind == .regular,
                status.isExecutable
            {
                return candidate
            }
        }
        return nil
    }

    static func failure(_ image: ProgramImage, _ page: ProgressPage) -> SystemCallError {
        guard case .call(let call, let operands, _, _, _) = image.instruction(page.index) else {
            return SystemCallError("clone3", "", errno: Errno(rawValue: page.error))
        }
        return SystemCallError(
            call.name, image.renderedArguments(operands), errno: Errno(rawValue: page.error))
    }
}
#endif
