// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitMachine
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A program laid out with all addresses filled in: a `machine_program`, the instructions, the
/// cells and the data.
///
/// It runs in this process's memory, in a copy of it, or in a process that is born empty.
final class LoadedProgram {
    private let memory: UnsafeMutableRawPointer
    /// The size in bytes.
    let size: Int
    /// The address of the program when it runs, and that of the progress page.
    private let base: Int
    private let progress: Int
    private let cellsOffset: Int
    private let dataOffset: Int

    /// Lays out `image` for a child that shares this process's memory or has a copy of it.
    ///
    /// - Parameters:
    ///   - image: a program that the checker has passed.
    ///   - inputs: the numbers of the inherited descriptors.
    ///   - progress: the page shared with the child.
    convenience init(
        _ image: ProgramImage, inputs: DescriptorTable<CInt>, progress: ProgressPage
    ) {
        self.init(image, inputs, at: nil, Int(bitPattern: progress.pointer))
    }

    /// Lays out the prologue of a child that is born empty, which then enters the rest of the
    /// file.
    convenience init(
        prologue: ProgramImage, inputs: DescriptorTable<CInt>, entering file: CInt
    ) {
        self.init(
            prologue, inputs, at: Int(machine_image_address), Int(machine_page_address),
            entering: file)
    }

    /// Lays out `image` for a child that is born empty, behind its prologue.
    convenience init(
        _ image: ProgramImage, inputs: DescriptorTable<CInt>, after prologue: LoadedProgram
    ) {
        self.init(image, inputs, at: prologue.base + prologue.size, Int(machine_page_address))
    }

    private init(
        _ image: ProgramImage, _ inputs: DescriptorTable<CInt>, at base: Int?, _ progress: Int,
        entering file: CInt? = nil
    ) {
        let stride = MemoryLayout<machine_instruction>.stride
        let instructionsOffset = 64
        let instructionsEnd = instructionsOffset + image.packed.count * stride
        cellsOffset = instructionsEnd + (file == nil ? 0 : stride)
        dataOffset = Self.aligned(cellsOffset + image.cellNames.count * 8)
        let pageBytes = Int(getauxval(UInt(AT_PAGESZ)))
        let end = dataOffset + image.data.count
        // The rest of the file begins on a page, because it is mapped separately.
        size = file == nil ? Self.aligned(end) : (end + pageBytes - 1) & -pageBytes
        memory = .allocate(byteCount: size, alignment: 64)
        self.base = base ?? Int(bitPattern: memory)
        self.progress = progress
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: instructionsOffset)
        let zeroed = memory + cellsOffset
        zeroed.initializeMemory(as: UInt8.self, repeating: 0, count: size - cellsOffset)

        // Instructions before the plan's own program have negative numbers.
        let origin = file == nil ? instructionsOffset : instructionsEnd
        var words = [instructionsOffset, origin, cellsOffset].map { $0 + self.base }
        words.append(progress)
        if let base, let index = image.startWaitIndex {
            // While init waits, the pages before the cells are unused and unchanged, so they can be
            // given back.
            let idle = Int(machine_image_address)
            words += [
                base + origin + index * stride, idle, (base + cellsOffset - idle) & -pageBytes,
            ]
        }
        for (index, word) in words.enumerated() {
            memory.storeBytes(of: word, toByteOffset: index * 8, as: Int.self)
        }
        place(image, instructionsAt: instructionsOffset, inputs)
        if let file {
            var enter = machine_instruction()
            enter.kind = UInt8(MACHINE_ENTER)
            enter.operand.0 = Int64(self.base + size)
            enter.operand.1 = Int64(file)
            enter.operand.2 = Int64(size)
            (memory + instructionsEnd).storeBytes(of: enter, as: machine_instruction.self)
        }
    }

    deinit {
        memory.deallocate()
    }

    private static func aligned(_ offset: Int) -> Int { (offset + 15) & ~15 }

    private func place(
        _ image: ProgramImage, instructionsAt offset: Int, _ inputs: DescriptorTable<CInt>
    ) {
        for (descriptor, cell) in image.inputs.entries {
            guard let number = inputs[descriptor] else {
                preconditionFailure("no descriptor for \(descriptor)")
            }
            memory.storeBytes(
                of: Int64(number),
                toByteOffset: cellsOffset + cell.index * 8, as: Int64.self)
        }
        image.data.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
                (memory + dataOffset).copyMemory(from: start, byteCount: bytes.count)
            }
        }
        func store(_ word: Int, at place: Int) {
            memory.storeBytes(of: word, toByteOffset: dataOffset + place, as: Int.self)
        }
        for relocation in image.relocations {
            store(base + dataOffset + relocation.target, at: relocation.at)
        }
        for relocation in image.cellRelocations {
            store(address(of: relocation.cell), at: relocation.at)
        }
        for relocation in image.progressRelocations {
            store(progress + relocation.offset, at: relocation.at)
        }
        let first = (memory + offset).bindMemory(
            to: machine_instruction.self, capacity: image.packed.count)
        let instructions = image.packed.span
        let operands = image.operands.span
        for index in instructions.indices {
            encode(instructions[index], operands, at: first + index)
        }
    }

    private func address(of cell: Cell) -> Int { base + cellsOffset + cell.index * 8 }

    // MARK: Starting

    /// Clones a child that runs the program in a copy of this memory, or with CLONE_VM in this
    /// memory.
    ///
    /// Until execve the child has no exit signal, so that no wait4(-1) of the host program takes
    /// its status. execve makes the exit signal SIGCHLD.
    ///
    /// - Parameters:
    ///   - kinds: its new namespaces.
    ///   - flags: further flags for clone3(2).
    ///   - cgroup: the v2 cgroup directory it is cloned into; nil for the caller's cgroup.
    /// - Returns: the child.
    /// - Throws: the refusal of clone3(2).
    func start(
        _ kinds: NamespaceSet, flags: CloneFlags = .clearHandlers,
        intoCgroup cgroup: CInt? = nil
    ) throws(SystemCallError) -> ChildProcess {
        var arguments = clinux_clone_args()
        var flags = flags.union(kinds.cloneFlags | .tellsPidfd)
        if let cgroup {
            flags |= .intoCgroup
            arguments.cgroup = UInt64(cgroup)
        }
        arguments.flags = UInt64(flags.rawValue)
        let program = memory.assumingMemoryBound(to: machine_program.self)
        return try Self.clone(&arguments, kinds) { machine_start($0, program) }
    }

    private static func clone(
        _ arguments: inout clinux_clone_args, _ kinds: NamespaceSet,
        _ start: (UnsafePointer<clinux_clone_args>) -> Int
    ) throws(SystemCallError) -> ChildProcess {
        var descriptor: CInt = -1
        let result = withUnsafeMutablePointer(to: &descriptor) { pidfd in
            arguments.pidfd = UInt64(UInt(bitPattern: pidfd))
            return start(&arguments)
        }
        guard result > 0 else {
            throw SystemCallError(
                "clone3", kinds.isEmpty ? "" : kinds.cloneFlags.description,
                errno: Errno(rawValue: CInt(-result)))
        }
        return ChildProcess(pid: Int32(result), pidfd: descriptor)
    }

    /// Appends the program to the file of an image: first the prologue, then the plan's.
    func write(to file: CInt) throws(SystemCallError) {
        try writeAll(Int(bitPattern: memory), size, to: file, named: "init's image")
    }

    /// Clones a child that is born empty: it starts `executable`, which maps an image and a
    /// progress page.
    ///
    /// - Parameters:
    ///   - executable: the machine's executable.
    ///   - image: the file that `write` has filled.
    ///   - size: the size of the prologue at its beginning.
    ///   - page: the progress page, which must have a file.
    ///   - kept: further descriptors that the child keeps, under the same numbers.
    ///   - rights: the capabilities that the exec must not change.
    /// - Returns: the child; if one of its calls was refused, it has ended.
    /// - Throws: the refusal of clone3(2).
    static func startBornEmpty(
        _ executable: CInt, image: CInt, size: Int, page: ProgressPage, keeping kept: [CInt],
        _ rights: CallerRights
    ) throws(SystemCallError) -> ChildProcess {
        var arguments = clinux_clone_args()
        let flags: CloneFlags =
            .memory | .waitsForExec | .tellsPidfd | .tellsParentNumber | .clearHandlers
        arguments.flags = UInt64(flags.rawValue)
        arguments.parent_tid = page.noteCreator()
        var start = machine_executable_start()
        start.executable = executable
        let kept = kept + [image, page.file]
        start.kept_count = UInt(kept.count)
        start.ambient = rights.carried
        if let sets = rights.capabilities, sets.permitted & ~sets.inheritable != 0 {
            start.sets_capabilities = 1
            let inheritable = sets.inheritable | sets.permitted
            let masks = [sets.effective, sets.permitted, inheritable]
            withUnsafeMutableBytes(of: &start.capabilities) { bytes in
                for (index, mask) in masks.enumerated() {
                    let low = UInt32(truncatingIfNeeded: mask)
                    let high = UInt32(truncatingIfNeeded: mask >> 32)
                    bytes.storeBytes(of: low, toByteOffset: index * 4, as: UInt32.self)
                    bytes.storeBytes(of: high, toByteOffset: 12 + index * 4, as: UInt32.self)
                }
            }
        }
        // "init" is the name of the machine's routine.
        let texts = Array("init\0\(image)\0\(page.file)\0\(size)\0".utf8)
            .map(CChar.init(bitPattern:))
        let second = 5
        let third = (texts[second...].firstIndex(of: 0) ?? 0) + 1
        let fourth = (texts[third...].firstIndex(of: 0) ?? 0) + 1
        var outcome: Result<ChildProcess, SystemCallError>?
        kept.withUnsafeBufferPointer { kept in
            texts.withUnsafeBufferPointer { texts in
                let first = texts.baseAddress
                let words = [
                    calling_name(), first, first.map { $0 + second }, first.map { $0 + third },
                    first.map { $0 + fourth }, nil,
                ]
                words.withUnsafeBufferPointer { words in
                    start.kept = kept.baseAddress
                    start.arguments = words.baseAddress
                    do throws(SystemCallError) {
                        outcome = .success(
                            try clone(&arguments, []) { machine_start_executable($0, &start) })
                    } catch {
                        outcome = .failure(error)
                    }
                }
            }
        }
        guard var child = try outcome?.get() else { preconditionFailure("no outcome") }
        guard start.error != 0 else { return child }
        let name =
            switch start.refused_call {
            case Int64(__NR_capset): "capset"
            case Int64(__NR_prctl): "prctl"
            default: "execveat"
            }
        child.refused = SystemCallError(name, "init", errno: Errno(rawValue: start.error))
        return child
    }

    // MARK: Instructions

    // Inlined, so that only the fields that count are loaded.
    @inline(__always)
    private func encode(
        _ instruction: PackedInstruction, _ operands: Span<Operand>,
        at place: UnsafeMutablePointer<machine_instruction>
    ) {
        place.initialize(to: machine_instruction())
        place.pointee.result = UInt16(instruction.result?.index ?? Int(MACHINE_NO_CELL))
        switch instruction.kind {
        case .call:
            place.pointee.kind = UInt8(MACHINE_CALL)
            place.pointee.number = Int64(instruction.call.number)
            place.pointee.retries = UInt16(instruction.retries)
            withUnsafeMutableBytes(of: &place.pointee.ignored) {
                $0.storeBytes(of: instruction.ignored, as: UInt64.self)
            }
        case .copy: place.pointee.kind = UInt8(MACHINE_COPY)
        case .copyTree: place.pointee.kind = UInt8(MACHINE_COPY_TREE)
        case .skip:
            place.pointee.kind = UInt8(MACHINE_SKIP)
            place.pointee.distance = UInt16(instruction.distance)
        }
        var cellOperands: UInt8 = 0
        withUnsafeMutableBytes(of: &place.pointee.operand) { bytes in
            let words = bytes.assumingMemoryBound(to: Int64.self)
            // As the machine takes them: numbers, addresses, and the indices of cells.
            let first = instruction.operands.lowerBound
            for argument in 0..<instruction.operands.count {
                let word: Int
                switch operands[first + argument] {
                case .literal(let value): word = value
                case .named(let named): word = named.number
                case .cell(let cell):
                    word = cell.index
                    cellOperands |= 1 << UInt8(argument)
                case .address(let offset), .text(let offset): word = base + dataOffset + offset
                case .cellAddress(let cell): word = address(of: cell)
                case .progress(let offset): word = progress + offset
                }
                words[argument] = Int64(word)
            }
        }
        // Only a call takes the values of cells.
        if instruction.kind == .call { place.pointee.cell_operands = cellOperands }
    }
}
#endif
