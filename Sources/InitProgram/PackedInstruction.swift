// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// An instruction as a program keeps it: numbers alone, since a launch makes, checks and copies
/// hundreds of them; its operands lie in the program's list.
package struct PackedInstruction: Sendable {
    /// What it does; see `Instruction`.
    package enum Kind: Sendable {
        case call
        case copy
        case skip
        case copyTree
    }

    package let kind: Kind
    /// The call; only of a call.
    package let call: SystemCall
    private let resultIndex: Int32
    /// The errnos that do not stop the program, 16 bits each from the low end; on a machine that is
    /// little-endian, as all supported ones are, `ignored` of `struct machine_instruction`.
    package let ignored: UInt64
    /// How many errnos were named; the checker refuses more than `ignored` holds.
    let ignoredCount: Int32
    package let retries: Int32
    /// How many instructions a skip leaves out.
    package fileprivate(set) var distance: Int32
    private let firstOperand: Int32
    private let operandCount: Int32

    /// The cell that gets the result, or that is copied.
    package var result: Cell? { resultIndex < 0 ? nil : Cell(index: Int(resultIndex)) }

    /// The places of its operands in the program's list.
    package var operands: Range<Int> {
        Int(firstOperand)..<Int(firstOperand) + Int(operandCount)
    }

    init(
        _ kind: Kind, _ call: SystemCall = .none, operands: Range<Int>, result: Cell? = nil,
        ignoring: [Errno] = [], retries: Int = 0, distance: Int = 0
    ) {
        self.kind = kind
        self.call = call
        // What does not fit becomes something that the checker refuses.
        resultIndex = result.map { $0.index < 0 ? .max : Int32(clamping: $0.index) } ?? -1
        var ignored: UInt64 = 0
        for index in 0..<min(ignoring.count, 4) {
            ignored |= UInt64(UInt16(exactly: ignoring[index].rawValue) ?? 0) << (16 * index)
        }
        self.ignored = ignored
        ignoredCount = Int32(clamping: ignoring.count)
        self.retries = Int32(clamping: retries)
        self.distance = Int32(clamping: distance)
        firstOperand = Int32(operands.lowerBound)
        operandCount = Int32(operands.count)
    }

    /// Whether its ignored errnos, if any, are at most four, and errnos.
    var ignoresErrnos: Bool {
        guard ignoredCount <= 4 else { return false }
        for place in 0..<Int(ignoredCount) {
            let errno = ignored >> (16 * place) & UInt64(UInt16.max)
            guard errno > 0, errno <= UInt64(Int16.max) else { return false }
        }
        return true
    }

    /// The errnos that do not stop the program.
    var ignoredErrnos: [Errno] {
        (0..<min(Int(ignoredCount), 4)).map {
            Errno(rawValue: CInt(truncatingIfNeeded: ignored >> (16 * $0)) & CInt(UInt16.max))
        }
    }
}

extension ProgramImage {
    /// The step of one instruction; nil if the index is none of an instruction.
    package func step(of index: Int) -> Int? {
        guard packed.indices.contains(index) else { return nil }
        // The last step that begins here or before: those without instructions begin where the
        // next one does.
        return stepStarts.lastIndex { $0 <= index } ?? 0
    }

    /// The instructions of one step.
    package func instructions(ofStep step: Int) -> Range<Int> {
        guard stepStarts.indices.contains(step) else { return 0..<0 }
        let next = step + 1
        let end = next < stepStarts.count ? stepStarts[next] : packed.count
        return stepStarts[step]..<end
    }

    /// One instruction.
    package func instruction(_ index: Int) -> Instruction {
        let packed = packed[index]
        let operands = operands[packed.operands]
        func literal(_ place: Int) -> Int {
            guard case .literal(let value) = operands[operands.startIndex + place] else { return 0 }
            return value
        }
        let cell = packed.result ?? Cell(index: -1)
        return switch packed.kind {
        case .call:
            .call(
                packed.call, Array(operands), result: packed.result,
                ignoring: packed.ignoredErrnos, retries: Int(packed.retries))
        case .copy: .copy(cell, to: operands[operands.startIndex], width: literal(1))
        case .copyTree: .copyTree(order: operands[operands.startIndex])
        case .skip:
            .skip(
                test: operands[operands.startIndex], mask: literal(1), value: literal(2),
                distance: Int(packed.distance))
        }
    }

    /// Lets the skip at `index` lead to the next instruction that is added.
    mutating func endSkip(_ index: Int) {
        packed[index].distance = Int32(clamping: packed.count - index - 1)
    }
}
#endif
