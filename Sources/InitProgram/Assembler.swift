// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import KernelVocabulary
internal import SystemPackage

/// Builds a program: calls, memory, and forward jumps.
package struct Assembler {
    /// The program built so far.
    package private(set) var image = ProgramImage()
    /// The cells of descriptors that the child opens itself instead of inheriting them.
    private var opened = DescriptorTable<Cell>()
    /// Whether mounts are made in the host's own mount namespace.
    var mountsAmongTheHosts = true
    /// One scratch area for calls that fill a structure of up to 256 bytes (statx, statfs).
    private var scratchOffset: Int?

    /// The later instruction that a skip leads to.
    struct Label {
        fileprivate let skip: Int
    }

    /// The condition under which a skip is taken.
    enum Condition {
        case isNegative(Cell)
        case isNotNegative(Cell)
        case equals(Cell, Int)
        /// Memory at an offset of the data, masked, equals the value.
        case memory(Int, mask: Int, value: Int)
        case always
        /// The progress page at an offset, masked, equals the value.
        case progress(Int, mask: Int, value: Int)
        /// The progress page holds no error.
        case nothingFailed
    }

    /// An empty program.
    package init() {
        image.data.reserveCapacity(8192)
        // A typical container needs six or seven hundred instructions.
        image.packed.reserveCapacity(768)
        image.operands.reserveCapacity(2560)
    }

    /// Assigns the instructions that follow to step `index` of the plan.
    mutating func beginStep(_ index: Int) {
        while image.stepStarts.count <= index { image.stepStarts.append(image.packed.count) }
    }

    // MARK: Cells

    mutating func cell(_ name: String) -> Cell { cell(.own(name)) }

    private mutating func cell(_ name: CellName) -> Cell {
        image.cellNames.append(name)
        return Cell(index: image.cellNames.count - 1)
    }

    mutating func input(_ descriptor: InheritedDescriptor) -> Cell {
        if !opened.entries.isEmpty, let cell = opened[descriptor] { return cell }
        if let cell = image.inputs[descriptor] { return cell }
        let cell = cell(.inherited(descriptor))
        image.inputs[descriptor] = cell
        return cell
    }

    /// Uses a cell in place of an inherited descriptor.
    mutating func use(_ cell: Cell, for descriptor: InheritedDescriptor) {
        opened[descriptor] = cell
    }

    // MARK: Memory

    /// Reserves zeroed memory, aligned to eight bytes.
    mutating func reserve(_ size: Int) -> Int {
        let padding = (8 - image.data.count % 8) % 8
        let offset = image.data.count + padding
        image.data.append(contentsOf: repeatElement(0, count: padding + size))
        return offset
    }

    /// The offset of the area that statx and statfs fill; each use overwrites the one before.
    mutating func scratch() -> Int {
        if let scratchOffset { return scratchOffset }
        let offset = reserve(264)
        scratchOffset = offset
        return offset
    }

    mutating func bytes(_ bytes: [UInt8]) -> Int {
        let offset = reserve(0)
        image.data.append(contentsOf: bytes)
        return offset
    }

    /// Adds a structure of 64-bit words; returns its offset.
    mutating func words(_ words: [UInt64]) -> Int {
        let offset = reserve(0)
        for word in words { append(word) }
        return offset
    }

    /// Adds a structure of 32-bit words; returns its offset.
    mutating func words32(_ words: [UInt32]) -> Int {
        let offset = reserve(0)
        for word in words {
            withUnsafeBytes(of: word.littleEndian) { image.data.append(contentsOf: $0) }
        }
        return offset
    }

    private mutating func append(_ word: UInt64) {
        withUnsafeBytes(of: word.littleEndian) { image.data.append(contentsOf: $0) }
    }

    /// Adds `text` with a NUL behind it; returns its offset.
    ///
    /// Equal texts are stored twice: looking for duplicates would cost more than their bytes.
    mutating func textOffset(_ text: String) -> Int {
        let offset = image.data.count
        image.data.append(contentsOf: text.utf8)
        image.data.append(0)
        return offset
    }

    mutating func text(_ text: String) -> Operand {
        .text(textOffset(text))
    }

    mutating func text(_ text: ByteText) -> Operand {
        .text(textOffset(text))
    }

    /// Adds `text` with a NUL behind it; returns its offset.
    private mutating func textOffset(_ text: ByteText) -> Int {
        let offset = image.data.count
        image.data.append(contentsOf: text.bytes)
        image.data.append(0)
        return offset
    }

    /// Adds a NULL-terminated array of addresses of texts (argv, envp); returns its offset.
    mutating func textArray(_ texts: [ByteText]) -> Int {
        let targets = texts.map { textOffset($0) }
        let offset = reserve((targets.count + 1) * 8)
        for (index, target) in targets.enumerated() {
            image.relocations.append((at: offset + index * 8, target: target))
        }
        return offset
    }

    mutating func relocate(at offset: Int, to target: Int) {
        image.relocations.append((at: offset, target: target))
    }

    mutating func relocateToCell(at offset: Int, cell: Cell) {
        image.cellRelocations.append((at: offset, cell: cell))
    }

    mutating func relocateToProgress(at offset: Int, offset progress: Int) {
        image.progressRelocations.append((at: offset, offset: progress))
    }

    // MARK: Instructions

    private mutating func emit(
        _ kind: PackedInstruction.Kind, _ operands: UnsafeBufferPointer<Operand>,
        of call: SystemCall = .none, result: Cell? = nil, ignoring: [Errno] = [],
        retries: Int = 0, distance: Int = 0
    ) {
        let first = image.operands.count
        image.operands.append(contentsOf: operands)
        image.packed.append(
            PackedInstruction(
                kind, call, operands: first..<image.operands.count, result: result,
                ignoring: ignoring, retries: retries, distance: distance))
    }

    private mutating func emit<let count: Int>(
        _ kind: PackedInstruction.Kind, _ operands: InlineArray<count, Operand>,
        result: Cell? = nil, distance: Int = 0
    ) {
        operands.span.withUnsafeBufferPointer {
            emit(kind, $0, result: result, distance: distance)
        }
    }

    mutating func call<let count: Int>(
        _ call: SystemCall, _ operands: InlineArray<count, Operand>, into result: Cell? = nil,
        ignoring: [Errno] = [], retries: Int = 0, note: String? = nil
    ) {
        if let note {
            image.notes.append(ProgramNote(instruction: image.packed.count, text: note))
        }
        operands.span.withUnsafeBufferPointer {
            emit(.call, $0, of: call, result: result, ignoring: ignoring, retries: retries)
        }
    }

    mutating func copyTree(order: Int) {
        emit(.copyTree, [.address(order)])
    }

    mutating func copy(_ cell: Cell, to offset: Int, width: Int) {
        emit(.copy, [.address(offset), .literal(width)], result: cell)
    }

    /// Adds a jump that is taken under `condition`; `place` sets its target.
    ///
    /// The checker refuses a jump that was never placed.
    mutating func skip(when condition: Condition) -> Label {
        let sign = Int.min
        let test: (Operand, Int, Int) =
            switch condition {
            case .isNegative(let cell): (.cellAddress(cell), sign, sign)
            case .isNotNegative(let cell): (.cellAddress(cell), sign, 0)
            case .equals(let cell, let value): (.cellAddress(cell), -1, value)
            case .memory(let offset, let mask, let value): (.address(offset), mask, value)
            case .always: (.address(0), 0, 0)
            case .progress(let offset, let mask, let value): (.progress(offset), mask, value)
            // The first eight bytes of the page hold the index and, in the upper half, the error.
            case .nothingFailed: (.progress(0), ~Int(UInt32.max), 0)
            }
        emit(.skip, [test.0, .literal(test.1), .literal(test.2)], distance: -1)
        return Label(skip: image.packed.count - 1)
    }

    /// Makes the next instruction the target of a skip.
    mutating func place(_ label: Label) { image.endSkip(label.skip) }

    /// Stops the program with a reason of ours, by a call that always fails.
    mutating func refuse(_ note: String) {
        call(.close, [.literal(-1)], note: note)
    }

    /// Marks the next instruction as the one where a created container waits.
    mutating func markStartWait() {
        image.startWaitIndex = image.packed.count
    }
}

extension CellName {
    /// The name as `explain --calls` prints it.
    var text: String {
        switch self {
        case .own(let name): name
        case .inherited(let descriptor): descriptor.cellName
        }
    }
}

extension InheritedDescriptor {
    /// How `explain --calls` prints the descriptor.
    fileprivate var cellName: String {
        switch self {
        case .rendezvous: "rendezvous"
        case .startSocket: "start-socket"
        case .rootfsTree: "rootfs"
        case .mountTree(let index): "mount-" + index.decimalText
        case .cgroupTree(let index, let hierarchy): "mount-" + index.decimalText + "-" + hierarchy
        case .cgroupTasks(let index): "cgroup-" + index.decimalText
        case .cgroupDirectory: "cgroup"
        case .namespace(let kind): "\(kind)-namespace"
        case .process: "container-process"
        case .rootOfInit: "container-root"
        case .copySource: "source"
        case .copyTarget: "target"
        case .consoleSocket: "console-socket"
        case .standardStream(let number): "stream-" + number.decimalText
        case .kept(let index): "kept-" + index.decimalText
        case .gapStart(_, let index): "gap-" + index.decimalText + "-first"
        case .gapEnd(_, let index): "gap-" + index.decimalText + "-last"
        }
    }
}
#endif
