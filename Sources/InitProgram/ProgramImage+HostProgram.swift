// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import KernelVocabulary

extension ProgramImage {
    /// A process that runs a program of the host and keeps descriptors under their own numbers.
    ///
    /// - Parameters:
    ///   - path: an absolute path.
    ///   - arguments: all of them, the name of the program first.
    ///   - environment: the whole environment.
    ///   - streams: the standard streams that it gets in place of the caller's.
    ///   - kept: how many descriptors it keeps.
    ///   - keyring: the session keyring that it joins; nil keeps the caller's.
    ///   - mounting: directories of the host on which prepared trees (`.mountTree`) are mounted, in
    ///     a mount namespace of its own, so that nobody else sees them; if empty, the program keeps
    ///     the caller's namespace.
    ///   - parent: the ID of its parent process, if it must end with the thread that starts it.
    ///   - blocksFileSizeSignal: whether a write beyond RLIMIT_FSIZE is an error for it, not the
    ///     end, since SIGXFSZ is blocked.
    /// - Returns: the program, and the step that says which descriptors it closes.
    package static func hostProgram(
        _ path: ByteText, _ arguments: [ByteText], _ environment: [ByteText], streams: [Int],
        kept: Int, keyring: String?, mounting: [String], endingWith parent: Int32?,
        blocksFileSizeSignal: Bool = false
    ) -> (image: ProgramImage, closing: InitStep) {
        let trees = mounting.indices.map { InheritedDescriptor.mountTree($0) }
        let closing = InitStep.process(
            .closeDescriptors(
                phase: 0,
                keeping: streams.map { .standardStream($0) } + (0..<kept).map { .kept($0) } + trees,
                preserved: 0))
        var steps: [InitStep] = [closing, .stream(.setStandardStreams(streams))]
        if !mounting.isEmpty {
            steps += [
                .namespace(.unshareNamespaces([.mount])), .root(.isolateMounts(private: false)),
            ]
        }
        if let keyring { steps.append(.process(.joinSessionKeyring(keyring))) }
        steps += [
            .hook(.enterHostDirectory("/")), .process(.resetSignals),
        ]
        var code = Assembler()
        var state = LoweringState()
        if let parent { code.endWithParent(parent) }
        for step in steps { step.lower(into: &code, &state) }
        code.unblockSignals(except: blocksFileSizeSignal ? [.fileSize] : [])
        for (index, path) in mounting.enumerated() {
            let place = code.openDirectory(path, "directory-\(index)")
            code.moveMount(code.input(.mountTree(index)), onto: place)
        }
        for index in 0..<kept {
            code.call(
                .fcntl,
                [
                    .cell(code.input(.kept(index))), .named(FileCommand.setDescriptorFlags),
                    .literal(0),
                ])
        }
        ExecutionStep.execute(candidates: [path], arguments: arguments, environment: environment)
            .lower(into: &code, &state)
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        return (code.image, closing)
    }
}
#endif
