// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitMachine
internal import InitProgram
internal import SystemPackage

/// A program at its address: what the child runs from its copy of this memory.
final class LoadedProgram {
    let instructions: UnsafeMutablePointer<machine_instruction>
    let cells: UnsafeMutablePointer<Int64>
    private let memory: UnsafeMutableRawPointer
    private let image: ProgramImage

    /// Places `image` in memory and fills in all addresses.
    ///
    /// - Parameters:
    ///   - image: a program that the checker has passed.
    ///   - inputs: the numbers of the inherited descriptors.
    ///   - progress: the page shared with the child.
    init(
        _ image: ProgramImage, inputs: DescriptorTable<CInt>,
        progress: UnsafeMutablePointer<machine_progress>
    ) {
        self.image = image
        instructions = .allocate(capacity: image.instructions.count)
        cells = .allocate(capacity: max(image.cellNames.count, 1))
        cells.initialize(repeating: 0, count: max(image.cellNames.count, 1))
        memory = .allocate(byteCount: max(image.data.count, 8), alignment: 16)
        image.data.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
                memory.copyMemory(from: start, byteCount: bytes.count)
            }
        }
        for relocation in image.relocations {
            memory.storeBytes(
                of: Int(bitPattern: memory + relocation.target), toByteOffset: relocation.at,
                as: Int.self)
        }
        for relocation in image.cellRelocations {
            memory.storeBytes(
                of: Int(bitPattern: cells + relocation.cell.index), toByteOffset: relocation.at,
                as: Int.self)
        }
        for relocation in image.progressRelocations {
            memory.storeBytes(
                of: Int(bitPattern: progress) + relocation.offset, toByteOffset: relocation.at,
                as: Int.self)
        }
        for (descriptor, cell) in image.inputs.entries {
            guard let number = inputs[descriptor] else {
                preconditionFailure("no descriptor for \(descriptor)")
            }
            cells[cell.index] = Int64(number)
        }
        for (index, instruction) in image.instructions.enumerated() {
            (instructions + index).initialize(to: encoded(instruction, progress))
        }
    }

    /// Clones a child that runs the program.
    ///
    /// - Parameters:
    ///   - kinds: its new namespaces.
    ///   - cgroup: the v2 directory that it is born in; nil for the caller's.
    ///   - page: where it says how far it is.
    /// - Returns: The child's pid or -errno, and a descriptor of the child.
    func start(_ kinds: NamespaceSet, intoCgroup cgroup: CInt? = nil, _ page: ProgressPage) -> (
        result: Int, pidfd: CInt
    ) {
        var arguments = clinux_clone_args()
        var flags = kinds.cloneFlags
        flags |= UInt64(CLONE_PIDFD) | clinux_clone_clear_sighand
        if let cgroup {
            flags |= clinux_clone_into_cgroup
            arguments.cgroup = UInt64(cgroup)
        }
        arguments.flags = flags
        // No exit signal: until execve the child is this launcher's alone, and no wait4(-1) of the
        // host takes its status. execve makes it SIGCHLD.
        arguments.exit_signal = 0
        var descriptor: CInt = -1
        let result = withUnsafeMutablePointer(to: &descriptor) { pidfd in
            arguments.pidfd = UInt64(UInt(bitPattern: pidfd))
            return InitMachine.startChild(
                &arguments, running: instructions, cells: cells, progress: page.pointer)
        }
        return (result, descriptor)
    }

    deinit {
        instructions.deallocate()
        cells.deallocate()
        memory.deallocate()
    }

    /// Clones a child that runs the program; gives its pidfd.
    ///
    /// Kernel: clone3(2), with CLONE_PIDFD besides `flags`, and without an exit signal.
    func start(_ flags: UInt64, progress: ProgressPage) throws(SystemCallError) -> OwnedDescriptor {
        var arguments = clinux_clone_args()
        arguments.flags = flags | UInt64(CLONE_PIDFD)
        var descriptor: CInt = -1
        let result = withUnsafeMutablePointer(to: &descriptor) { pidfd in
            arguments.pidfd = UInt64(UInt(bitPattern: pidfd))
            return InitMachine.startChild(
                &arguments, running: instructions, cells: cells, progress: progress.pointer)
        }
        guard result > 0 else {
            throw SystemCallError("clone3", "", errno: Errno(rawValue: CInt(-result)))
        }
        return OwnedDescriptor(taking: descriptor)
    }

    private func encoded(
        _ instruction: Instruction, _ progress: UnsafeMutablePointer<machine_progress>
    ) -> machine_instruction {
        var result = machine_instruction()
        result.result = UInt16(MACHINE_NO_CELL)
        switch instruction {
        case .call(let call, let operands, let cell, let ignoring, let retries):
            result.kind = UInt8(MACHINE_CALL)
            result.number = Int64(call.number)
            if let cell { result.result = UInt16(cell.index) }
            result.retries = UInt16(retries)
            withUnsafeMutableBytes(of: &result.ignored) { errnos in
                for (index, errno) in ignoring.enumerated() {
                    errnos.storeBytes(of: errno, toByteOffset: index * 2, as: Int16.self)
                }
            }
            for (index, operand) in operands.enumerated() {
                set(&result, index, to: operand, progress)
                if case .cell = operand { result.cell_operands |= 1 << UInt8(index) }
            }
        case .copy(let cell, let target, let width):
            result.kind = UInt8(MACHINE_COPY)
            result.result = UInt16(cell.index)
            set(&result, 0, to: target, progress)
            set(&result, 1, to: .literal(width), progress)
        case .skip(let test, let mask, let value, let distance):
            result.kind = UInt8(MACHINE_SKIP)
            result.distance = UInt16(distance)
            set(&result, 0, to: test, progress)
            set(&result, 1, to: .literal(mask), progress)
            set(&result, 2, to: .literal(value), progress)
        }
        return result
    }

    private func set(
        _ instruction: inout machine_instruction, _ index: Int, to operand: Operand,
        _ progress: UnsafeMutablePointer<machine_progress>
    ) {
        let value: Int =
            switch operand {
            case .literal(let value), .named(let value, _): value
            case .cell(let cell): cell.index
            case .address(let offset), .text(let offset, _): Int(bitPattern: memory + offset)
            case .cellAddress(let cell): Int(bitPattern: cells + cell.index)
            case .progress(let offset): Int(bitPattern: progress) + offset
            }
        withUnsafeMutableBytes(of: &instruction.operand) { operands in
            operands.storeBytes(of: Int64(value), toByteOffset: index * 8, as: Int64.self)
        }
    }
}
