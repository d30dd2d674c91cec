// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import Testing

@testable import InitProgram

extension ProgramImage {
    /// A program with one step below a root, and the usual end of a program.
    init(of step: InitStep) {
        var steps: [InitStep] = [.root(.attachRootfs(hostPath: "/rootfs"))]
        steps.append(step)
        if case .execution(.execute) = step {} else { steps.append(Self.end) }
        self.init(lowering: steps)
    }

    static let end = InitStep.execution(
        .execute(candidates: ["/bin/true"], arguments: [], environment: []))

    /// The instructions, in order.
    var instructions: [Instruction] { packed.indices.map(instruction) }

    /// Puts another instruction in the place of one.
    mutating func replace(_ index: Int, by instruction: Instruction) {
        let first = operands.count
        func added(_ more: [Operand]) -> Range<Int> {
            operands += more
            return first..<operands.count
        }
        packed[index] =
            switch instruction {
            case .call(let call, let operands, let result, let ignoring, let retries):
                PackedInstruction(
                    .call, call, operands: added(operands), result: result, ignoring: ignoring,
                    retries: retries)
            case .copy(let cell, let target, let width):
                PackedInstruction(.copy, operands: added([target, .literal(width)]), result: cell)
            case .copyTree(let order): PackedInstruction(.copyTree, operands: added([order]))
            case .skip(let test, let mask, let value, let distance):
                PackedInstruction(
                    .skip, operands: added([test, .literal(mask), .literal(value)]),
                    distance: distance)
            }
    }

    /// The instructions of the second step, which was given to `init(of:)`.
    var ofStep: [Instruction] { instructions(ofStep: 1).map(instruction) }

    /// The operands of the step's calls with this name, in order.
    func operands(of name: String) -> [[Operand]] {
        ofStep.compactMap { instruction in
            guard case .call(let call, let operands, _, _, _) = instruction, call.name == name
            else { return nil }
            return operands
        }
    }

    /// The text that an operand points to, if it does.
    func text(_ operand: Operand) -> String? {
        if case .text(let offset) = operand { text(at: offset) } else { nil }
    }

    /// The memory conditions of the step's skips: offset, mask, value.
    var memoryTests: [MemoryTest] {
        ofStep.compactMap { instruction in
            guard case .skip(.address(let offset), let mask, let value, _) = instruction, mask != 0
            else { return nil }
            return MemoryTest(offset: offset, mask: mask, value: value)
        }
    }

    /// A kernel structure in the data.
    func structure<Layout: BitwiseCopyable>(at operand: Operand, as type: Layout.Type) throws
        -> Layout
    {
        let offset = try #require(operand.offset)
        try #require(offset + MemoryLayout<Layout>.size <= data.count)
        return data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}

/// The condition of a skip.
struct MemoryTest: Equatable {
    var offset: Int
    var mask: Int
    var value: Int
}

extension Operand {
    /// The offset of the memory that the operand names.
    var offset: Int? {
        switch self {
        case .address(let offset), .text(let offset): offset
        default: nil
        }
    }

    /// The number, if the operand is a number.
    var value: Int? {
        switch self {
        case .literal(let value): value
        case .named(let number): number.number
        default: nil
        }
    }
}
