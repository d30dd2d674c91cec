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
        let limits = Limits(cells: cellNames.count, bytes: data.count, instructions: packed.count)
        let instructions = packed.span
        let operands = operands.span
        for index in instructions.indices {
            try check(instructions[index], at: index, operands, limits)
        }
        // Sixteen indices are left for the cells of the program that runs before this one.
        guard cellNames.count < Int(UInt16.max) - 16 else {
            throw ProgramFault(instruction: 0, rule: "a cell's index fits an instruction")
        }
        for relocation in progressRelocations {
            guard limits.hasWord(at: relocation.at),
                ProgressWords.isPlace(relocation.offset)
            else {
                throw ProgramFault(
                    instruction: packed.count, rule: "an address stands inside the data")
            }
        }
        for relocation in cellRelocations {
            guard limits.hasWord(at: relocation.at), limits.hasCell(relocation.cell) else {
                throw ProgramFault(
                    instruction: packed.count, rule: "an address is that of a cell")
            }
        }
        for relocation in relocations {
            guard limits.hasWord(at: relocation.at), limits.hasBytes(1, at: relocation.target)
            else {
                throw ProgramFault(
                    instruction: packed.count, rule: "an address stands inside the data")
            }
        }
        guard let last = packed.last, last.kind == .call else {
            throw ProgramFault(instruction: packed.count, rule: "the last one ends the process")
        }
        let refuses =
            last.call == .close && last.operands.count == 1
            && operands[last.operands.lowerBound] == .literal(-1)
            && !last.ignoredErrnos.contains(.badFileDescriptor)
        let executes = last.call == .execve && last.ignoredCount == 0
        guard last.call == .exitGroup || executes || refuses else {
            throw ProgramFault(
                instruction: packed.count - 1, rule: "the last one ends the process")
        }
    }

    /// What a program has, taken once for all its instructions.
    private struct Limits {
        let cells: Int
        let bytes: Int
        let instructions: Int

        func hasCell(_ cell: Cell) -> Bool { cell.index >= 0 && cell.index < cells }

        func hasBytes(_ count: Int, at offset: Int) -> Bool {
            offset >= 0 && offset <= bytes - count
        }

        func hasWord(at offset: Int) -> Bool { offset % 8 == 0 && hasBytes(8, at: offset) }
    }

    // Inlined, so that only the fields that count are loaded.
    @inline(__always)
    private func check(
        _ instruction: PackedInstruction, at index: Int, _ operands: Span<Operand>,
        _ limits: Limits
    ) throws(ProgramFault) {
        func fault(_ rule: String) -> ProgramFault { ProgramFault(instruction: index, rule: rule) }
        let places = instruction.operands
        func literal(_ place: Int) -> Int? {
            if case .literal(let value) = operands[places.lowerBound + place] { value } else { nil }
        }
        guard places.upperBound <= operands.count, instruction.kind.takes(places.count) else {
            throw fault("an instruction has its operands")
        }
        switch instruction.kind {
        case .call:
            guard places.count <= 6 else { throw fault("a call has at most six operands") }
            guard instruction.ignoresErrnos else { throw fault("at most four errnos are ignored") }
            guard (0...Int32(UInt16.max)).contains(instruction.retries) else {
                throw fault("retries are bounded")
            }
            guard instruction.call.number >= 0 else { throw fault("a call has a number") }
            if let result = instruction.result, !limits.hasCell(result) {
                throw fault("the result goes to a cell that exists")
            }
            for place in places where !isInside(operands[place], limits) {
                throw fault("operands name cells and memory that exist")
            }
        case .copy:
            guard let width = literal(1), width == 1 || width == 2 || width == 4 || width == 8
            else {
                throw fault("a copy is 1, 2, 4 or 8 bytes wide")
            }
            guard let cell = instruction.result, limits.hasCell(cell) else {
                throw fault("a copied cell exists")
            }
            guard case .address(let offset) = operands[places.lowerBound],
                limits.hasBytes(width, at: offset)
            else {
                throw fault("a copy goes into the data")
            }
        case .skip:
            let distance = Int(instruction.distance)
            guard (0...Int(UInt16.max)).contains(distance),
                index + distance + 1 < limits.instructions
            else {
                throw fault("a skip leads forward, to an instruction that exists")
            }
            guard literal(1) != nil, literal(2) != nil else {
                throw fault("a skip compares with numbers")
            }
            guard isInside(operands[places.lowerBound], readingBytes: 8, limits) else {
                throw fault("a skip reads memory that exists")
            }
        case .copyTree:
            guard case .address(let offset) = operands[places.lowerBound],
                limits.hasBytes(40, at: offset)
            else {
                throw fault("an order is of five words of the data")
            }
        }
    }

    private func isInside(
        _ operand: Operand, readingBytes count: Int = 0, _ limits: Limits
    ) -> Bool {
        switch operand {
        case .literal, .named: true
        case .cell(let cell), .cellAddress(let cell): limits.hasCell(cell)
        case .address(let offset), .text(let offset): limits.hasBytes(max(count, 1), at: offset)
        case .progress(let offset):
            ProgressWords.isPlace(offset) || (count == 0 && TimeMark.isPlace(offset))
        }
    }
}

extension PackedInstruction.Kind {
    /// Whether it has so many operands; a call may have any number here.
    fileprivate func takes(_ count: Int) -> Bool {
        switch self {
        case .call: true
        case .copy: count == 2
        case .skip: count == 3
        case .copyTree: count == 1
        }
    }
}

/// The words of `struct machine_progress` (CLinux.h).
enum ProgressWords {
    /// Whether one begins at this offset.
    static func isPlace(_ offset: Int) -> Bool {
        offset >= 0 && offset <= 12 && offset % 4 == 0
    }
}
#endif
