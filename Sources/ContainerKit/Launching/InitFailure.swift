// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

extension LaunchPlan {
    /// The instructions of init after its report that all is prepared, which its creator does not
    /// wait for.
    func instructionsAfterReport(_ image: ProgramImage) -> [RecordedInstruction] {
        let report = childSteps.lastIndex {
            if case .exchange(.reportToParent(.ready)) = $0.step { true } else { false }
        }
        let next = (report ?? -1) + 1
        return recordedInstructions(image, from: image.instructions(ofStep: next).lowerBound)
    }

    /// The instruction at which init waits for start: the marked one, or the wait for the parent's
    /// last word.
    func startWaitIndex(in image: ProgramImage) -> Int {
        if let index = image.startWaitIndex { return index }
        let step = childSteps.lastIndex { $0.step == .exchange(.waitForParent(.start)) } ?? 0
        return image.instructions(ofStep: step).lowerBound
    }

    /// The instructions from `index` on, in the form in which an error names them.
    func recordedInstructions(_ image: ProgramImage, from index: Int) -> [RecordedInstruction] {
        image.packed.indices.dropFirst(max(index, 0)).compactMap { index in
            // exit_group cannot fail.
            guard case .call(let call, let operands, _, _, _) = image.instruction(index),
                call.name != "exit_group"
            else { return nil }
            let refuses = operands == [.literal(-1)]
            let planned = childSteps[image.step(of: index) ?? 0]
            return RecordedInstruction(
                index: index, origin: planned.origin, theme: StepTheme(planned.step),
                call: refuses ? "" : call.name,
                arguments: refuses ? "" : image.renderedArguments(operands),
                note: image.note(of: index) ?? "")
        }
    }
}

extension ContainerError {
    /// The error of a child that stopped at `instruction` with `errno`.
    ///
    /// - Parameters:
    ///   - instruction: where it stopped; nil if unknown.
    ///   - errno: the error that the kernel returned.
    ///   - view: the file system in which its program's file can be examined.
    init(_ instruction: RecordedInstruction?, errno: CInt, in view: ImageView?) {
        guard let instruction else {
            self.init(
                .initFailed,
                "init failed with \(Errno(rawValue: errno).words), at a step that is not recorded",
                failure: nil)
            return
        }
        let field = instruction.origin.path
        let isExecutable = field?.begins(with: "process.args") == true
        let code: Code =
            isExecutable
            ? .executableNotFound
            : field?.begins(with: "hooks.") == true ? .hookFailed : .initFailed
        guard !instruction.call.isEmpty else {
            self.init(code, instruction.note, field: field)
            return
        }
        let failure = SystemCallError(
            instruction.call, instruction.arguments, errno: Errno(rawValue: errno))
        // The messages about args[0] are runc's, which engines search for; the call would only
        // repeat them.
        if isExecutable, !instruction.note.isEmpty {
            let file = ProgramFile(
                instruction.path ?? "", in: view, call: failure.call, errno: errno)
            self.init(
                code, "\(instruction.note): \(failure.errno.words)", field: field,
                hint: OuterFilter.hint(for: failure) ?? file.hint, detail: file.reason)
            return
        }
        // "filesystem ... must be mounted on ordinary directory" (`Assembler+Filesystems`) is a reason,
        // and used only with the errnos that it causes.
        let isReason = instruction.note.begins(with: "filesystem ")
        let holds = failure.errno == .notDirectory || failure.errno == .tooManySymbolicLinkLevels
        self.init(
            code, isReason && !holds ? "" : instruction.note, field: field, failure: failure,
            hint: instruction.hint(errno))
    }
}

extension RecordedInstruction {
    /// The first quoted text among the call's arguments.
    fileprivate var path: String? {
        let bytes = arguments.utf8
        guard let start = bytes.firstIndex(of: UInt8(ascii: "\"")),
            let end = bytes.lastIndex(of: UInt8(ascii: "\"")), start < end
        else { return nil }
        return String(bytes[bytes.index(after: start)..<end])
    }
}
#endif
