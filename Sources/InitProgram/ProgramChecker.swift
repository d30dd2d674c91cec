// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

/// A rule of the machine that a program breaks.
package struct ProgramFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The index of the instruction, or the program's length if its end is wrong.
    package let instruction: Int
    /// The rule.
    package let rule: String

    /// The rule with its place.
    package var description: String { "instruction \(instruction): \(rule)" }
}

extension ProgramImage {
    /// Checks all that the machine relies on, since it checks nothing itself.
    ///
    /// - Throws: `ProgramFault` for the first rule that is broken.
    package func check() throws(ProgramFault) {
        guard stepOfInstruction.count == instructions.count else {
            throw ProgramFault(
                instruction: instructions.count, rule: "every instruction has a step")
        }
        for (index, instruction) in instructions.enumerated() {
            try check(instruction, at: index)
        }
        // Sixteen indices are left for the cells of the program that runs before this one.
        guard cellNames.count < Int(UInt16.max) - 16 else {
            throw ProgramFault(instruction: 0, rule: "a cell's index fits an instruction")
        }
        for relocation in progressRelocations {
            guard relocation.at % 8 == 0, relocation.at >= 0, relocation.at + 8 <= data.count,
                ProgressWords.offsets.contains(relocation.offset)
            else {
                throw ProgramFault(
                    instruction: instructions.count, rule: "an address stands inside the data")
            }
        }
        for relocation in cellRelocations {
            guard relocation.at % 8 == 0, relocation.at >= 0, relocation.at + 8 <= data.count,
                cellNames.indices.contains(relocation.cell.index)
            else {
                throw ProgramFault(
                    instruction: instructions.count, rule: "an address is that of a cell")
            }
        }
        for relocation in relocations {
            guard relocation.at % 8 == 0, relocation.at >= 0, relocation.at + 8 <= data.count,
                (0..<data.count).contains(relocation.target)
            else {
                throw ProgramFault(
                    instruction: instructions.count, rule: "an address stands inside the data")
            }
        }
        guard case .call(let last, let operands, _, let ignoring, _) = instructions.last else {
            throw ProgramFault(
                instruction: instructions.count, rule: "the last one ends the process")
        }
        let refuses =
            last == .close && operands == [.literal(-1)] && !ignoring.contains(.badFileDescriptor)
        guard last == .exitGroup || (last == .execve && ignoring.isEmpty) || refuses else {
            throw ProgramFault(
                instruction: instructions.count - 1, rule: "the last one ends the process")
        }
    }

    private func check(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
        func fault(_ rule: String) -> ProgramFault { ProgramFault(instruction: index, rule: rule) }
        switch instruction {
        case .call(let call, let operands, let result, let ignoring, let retries):
            guard operands.count <= 6 else { throw fault("a call has at most six operands") }
            guard ignoring.count <= 4, ignoring.allSatisfy({ $0.rawValue > 0 }) else {
                throw fault("at most four errnos are ignored")
            }
            guard (0...Int(UInt16.max)).contains(retries) else {
                throw fault("retries are bounded")
            }
            guard call.number >= 0 else { throw fault("a call has a number") }
            if let result, !cellNames.indices.contains(result.index) {
                throw fault("the result goes to a cell that exists")
            }
            for operand in operands where !isInside(operand) {
                throw fault("operands name cells and memory that exist")
            }
        case .copy(let cell, let target, let width):
            guard [1, 2, 4, 8].contains(width) else {
                throw fault("a copy is 1, 2, 4 or 8 bytes wide")
            }
            guard cellNames.indices.contains(cell.index) else {
                throw fault("a copied cell exists")
            }
            guard case .address(let offset) = target, offset >= 0,
                offset + width <= data.count
            else {
                throw fault("a copy goes into the data")
            }
        case .skip(let test, _, _, let distance):
            guard (0...Int(UInt16.max)).contains(distance),
                index + distance + 1 < instructions.count
            else {
                throw fault("a skip leads forward, to an instruction that exists")
            }
            guard isInside(test, readingBytes: 8) else {
                throw fault("a skip reads memory that exists")
            }
        case .copyTree(let order):
            guard case .address(let offset) = order, offset >= 0, offset + 40 <= data.count else {
                throw fault("an order is of five words of the data")
            }
        }
    }

    private func isInside(_ operand: Operand, readingBytes count: Int = 0) -> Bool {
        switch operand {
        case .literal, .named: true
        case .cell(let cell), .cellAddress(let cell): cellNames.indices.contains(cell.index)
        case .address(let offset), .text(let offset, _):
            offset >= 0 && offset + max(count, 1) <= data.count
        case .progress(let offset):
            ProgressWords.offsets.contains(offset) || (count == 0 && TimeMark.isPlace(offset))
        }
    }
}

/// The words of `struct machine_progress` (CLinux.h).
enum ProgressWords {
    /// Where they begin.
    static let offsets = stride(from: 0, through: 12, by: 4)
}
#endif
