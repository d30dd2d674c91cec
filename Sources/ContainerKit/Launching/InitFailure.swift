// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

extension Launch {
    /// What init still does once its creator, told that all is prepared, listens to it no more.
    func instructionsAfterReport(_ image: ProgramImage) -> [RecordedInstruction] {
        let report = plan.childSteps.lastIndex {
            if case .reportToParent(.ready) = $0.step { true } else { false }
        }
        let first = image.stepOfInstruction.firstIndex { $0 > report ?? -1 }
        return recordedInstructions(image, from: first ?? 0)
    }

    /// What the instructions from `index` on are, as an error would name them.
    func recordedInstructions(_ image: ProgramImage, from index: Int) -> [RecordedInstruction] {
        image.instructions.indices.dropFirst(max(index, 0)).compactMap { index in
            // exit_group cannot fail.
            guard case .call(let call, let operands, _, _, _) = image.instructions[index],
                call.name != "exit_group"
            else { return nil }
            let refuses = operands == [.literal(-1)]
            return RecordedInstruction(
                index: index, field: plan.childSteps[image.stepOfInstruction[index]].field,
                call: refuses ? "" : call.name,
                arguments: refuses ? "" : image.renderedArguments(operands),
                note: image.note(of: index) ?? "")
        }
    }
}

extension ContainerError {
    /// The error of a child that stopped at `instruction` with `errno`.
    init(_ instruction: RecordedInstruction?, errno: CInt) {
        guard let instruction else {
            self.init(.initFailed, "init failed", failure: nil)
            return
        }
        let field = instruction.field == "swrunc" ? nil : instruction.field
        let isExecutable = instruction.field.begins(with: "process.args")
        let code: Code =
            isExecutable
            ? .executableNotFound
            : instruction.field.begins(with: "hooks.") ? .hookFailed : .initFailed
        guard !instruction.call.isEmpty else {
            self.init(code, instruction.note, field: field)
            return
        }
        let failure = SystemCallError(
            instruction.call, instruction.arguments, errno: Errno(rawValue: errno))
        // The texts of args[0] are runc's, which engines search; the call would only repeat them.
        if isExecutable, !instruction.note.isEmpty {
            self.init(code, "\(instruction.note): \(failure.errno.words)", field: field)
            return
        }
        self.init(
            code, instruction.note, field: field, failure: failure,
            hint: Self.hint(for: instruction, errno))
    }

    private static func hint(for instruction: RecordedInstruction, _ errno: CInt) -> String? {
        switch (instruction.call, errno) {
        case ("capset", 1), ("prctl", 1), ("prlimit64", 1):
            "the runtime itself lacks a capability that the config asks for"
        case ("sched_setattr", 1):
            instruction.note.ends(with: "SCHED_DEADLINE")
                ? "process scheduler can't be used together with AllowedCPUs "
                    + "(linux.resources.cpu.cpus), and needs CAP_SYS_NICE"
                : "it needs CAP_SYS_NICE, and a real-time policy also real-time shares of the "
                    + "cgroup (linux.resources.cpu.realtimeRuntime) where the kernel counts them"
        case ("ioprio_set", 1): "IOPRIO_CLASS_RT takes CAP_SYS_NICE or CAP_SYS_ADMIN"
        case ("sched_setaffinity", 22): "none of the CPUs is there, or the cpuset has none of them"
        case ("set_mempolicy", 22):
            "nodes that this machine or the cpuset lacks, or flags that the mode does not take"
        case ("setgroups", 22), ("setuid", 22), ("setgid", 22):
            "the id has no mapping in the container's user namespace"
        case ("setgroups", 1): "the user namespace denies groups (setgroups in /proc)"
        case ("fsconfig", 22) where !instruction.note.isEmpty, ("fsetxattr", 22):
            "the policy does not know the label (linux.mountLabel, or an option of the mount)"
        case ("fsopen", 1), ("fsconfig", 1), ("fsmount", 1):
            "in a user namespace proc needs a pid namespace of its own, sysfs a network namespace, "
                + "mqueue an ipc namespace, and the host's proc and sysfs must not be covered"
        case ("mkdirat", 13), ("mknodat", 13), ("mkdirat", 75), ("mknodat", 75):
            "the container's root user may not write there: does it own the rootfs?"
        case ("seccomp", 16): "a filter that the runtime itself runs under has a listener already"
        case ("fsopen", 19): "this kernel does not know the file system type"
        case ("pivot_root", 22): "the rootfs may be on the initial ramfs"
        default: nil
        }
    }
}
