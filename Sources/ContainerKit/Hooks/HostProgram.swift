// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A program of the host, run to its end as a child of the caller.
///
/// It is waited for by its descriptor only, and inherits nothing but its three streams.
struct HostProgram {
    /// An absolute path.
    let path: String
    /// All arguments, the name of the program first.
    let arguments: [ByteText]
    /// The whole environment; nil is the caller's own.
    let environment: [ByteText]?
    /// The working directory; one that is missing is not entered.
    var directory = "/"

    /// How a program came to its end.
    enum Outcome {
        case ended(ExitStatus)
        case tooSlow
        /// The container's init has ended first.
        case lostInit
        /// Somebody else has taken it out of the process table.
        case lostStatus
        /// Its arguments and environment are more than a program of the machine can hold.
        case tooLarge(ProgramFault)
    }

    static let lostStatusHint = "the program that uses the library must not ignore SIGCHLD"

    /// Runs the program with these streams.
    ///
    /// CLONE_VM and CLONE_VFORK: the child has this process's memory, on a stack of its own and without a
    /// copy, until it executes or ends. Once the clone returns, the program runs, or an error of the child's
    /// own instructions is in the progress page.
    ///
    /// - Parameters:
    ///   - streams: what it reads, and what becomes of its output.
    ///   - initProcess: the pidfd of an init whose end ends the program, too; -1 for none.
    ///   - timeoutSeconds: how long it may take; nil is for ever.
    /// - Returns: How it ended; it does not run any more.
    /// - Throws: a call that was refused before the program ran.
    func run(_ streams: HookStreams, initProcess: CInt = -1, timeoutSeconds: Int? = nil)
        throws(SystemCallError) -> Outcome
    {
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
        let outcome = try streams.attend(
            until: process.number, initProcess: initProcess, timeoutSeconds: timeoutSeconds)
        if outcome != .ended { try? sendSignal(process.number, 9) }
        let status = try? waitProcess(process.number)
        switch outcome {
        case .tooSlow: return .tooSlow
        case .lostInit: return .lostInit
        case .ended: return status.map { .ended($0) } ?? .lostStatus
        }
    }

    /// What PATH is taken to be where it is not set: engines call some commands without.
    static let standardSearchPath =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// The program in PATH, of which relative directories do not count.
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
        guard case .call(let call, let operands, _, _, _) = image.instructions[page.index] else {
            return SystemCallError("clone3", "", errno: Errno(rawValue: page.error))
        }
        return SystemCallError(
            call.name, image.renderedArguments(operands), errno: Errno(rawValue: page.error))
    }
}
