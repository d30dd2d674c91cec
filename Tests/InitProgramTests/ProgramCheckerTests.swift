// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import Testing

@testable import InitProgram

/// A program that breaks one rule, and the fault that the checker must report.
struct BrokenProgram: Sendable, CustomTestStringConvertible {
    var name: String
    var fault: ProgramFault
    var image: ProgramImage
    var testDescription: String { name }

    /// A valid program with one cell, 16 bytes of data and two instructions, which tests then
    /// break.
    static var sound: ProgramImage {
        var code = Assembler()
        _ = code.cell("result")
        _ = code.reserve(16)
        code.call(.getpid, [])
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }

    /// The valid program with another first instruction.
    init(_ name: String, _ rule: String, _ first: Instruction) {
        self.name = name
        fault = ProgramFault(instruction: 0, rule: rule)
        image = Self.sound
        image.replace(0, by: first)
    }

    /// The valid program with any change.
    init(_ name: String, at index: Int, _ rule: String, _ change: (inout ProgramImage) -> Void) {
        self.name = name
        fault = ProgramFault(instruction: index, rule: rule)
        image = Self.sound
        change(&image)
    }

    private static func call(
        _ operands: [Operand] = [], result: Cell? = nil, ignoring: [Errno] = [], retries: Int = 0
    ) -> Instruction {
        .call(.getpid, operands, result: result, ignoring: ignoring, retries: retries)
    }

    private static let missing = Cell(index: 1)
    private static let cell = Cell(index: 0)
    private static let operands = "operands name cells and memory that exist"
    private static let end = "the last one ends the process"
    private static let inside = "an address stands inside the data"

    static let calls: [BrokenProgram] = [
        BrokenProgram(
            "seven operands", "a call has at most six operands",
            call([Operand](repeating: .literal(0), count: 7))),
        BrokenProgram(
            "five ignored errnos", "at most four errnos are ignored",
            call(ignoring: (1...5).map(Errno.init(rawValue:)))),
        BrokenProgram(
            "an errno of zero is ignored", "at most four errnos are ignored",
            call(ignoring: [Errno(rawValue: 0)])),
        BrokenProgram(
            "a copy before the data", "a copy goes into the data",
            .copy(cell, to: .address(-8), width: 8)),
        BrokenProgram("an execve at the end that may fail", at: 1, end) { image in
            image.replace(
                1,
                by: .call(
                    .execve, [], result: nil, ignoring: [.noSuchFileOrDirectory], retries: 0))
        },
        BrokenProgram("a progress address outside the data", at: 2, inside) { image in
            image.progressRelocations = [(at: 4096, offset: 8)]
        },
        BrokenProgram(
            "a skip whose end was never placed",
            "a skip leads forward, to an instruction that exists",
            .skip(test: .address(0), mask: 0, value: 0, distance: -1)),
        BrokenProgram("retries below zero", "retries are bounded", call(retries: -1)),
        BrokenProgram("too many retries", "retries are bounded", call(retries: 65536)),
        BrokenProgram(
            "a call without a number", "a call has a number",
            .call(SystemCall("none", -1), [], result: nil, ignoring: [], retries: 0)),
        BrokenProgram(
            "a result without a cell", "the result goes to a cell that exists",
            call(result: missing)),
        BrokenProgram(
            "a result before the cells", "the result goes to a cell that exists",
            call(result: Cell(index: -1))),
        BrokenProgram(
            "an errno below zero is ignored", "at most four errnos are ignored",
            call(ignoring: [Errno(rawValue: -65535)])),
        BrokenProgram("an operand without a cell", operands, call([.cell(missing)])),
        BrokenProgram("the address of no cell", operands, call([.cellAddress(missing)])),
        BrokenProgram("memory behind the data", operands, call([.literal(0), .address(16)])),
        BrokenProgram("memory before the data", operands, call([.address(-1)])),
        BrokenProgram("text behind the data", operands, call([.text(99)])),
        BrokenProgram("behind the progress page", operands, call([.progress(16)])),
    ]

    static let others: [BrokenProgram] = [
        BrokenProgram(
            "a copy of three bytes", "a copy is 1, 2, 4 or 8 bytes wide",
            .copy(cell, to: .address(0), width: 3)),
        BrokenProgram(
            "a copy from no cell", "a copied cell exists",
            .copy(missing, to: .address(0), width: 8)),
        BrokenProgram(
            "a copy that runs out of the data", "a copy goes into the data",
            .copy(cell, to: .address(9), width: 8)),
        BrokenProgram(
            "a copy into a number", "a copy goes into the data",
            .copy(cell, to: .literal(0), width: 8)),
        BrokenProgram(
            "a skip backward", "a skip leads forward, to an instruction that exists",
            .skip(test: .cellAddress(cell), mask: 0, value: 0, distance: -1)),
        BrokenProgram(
            "a skip over the end", "a skip leads forward, to an instruction that exists",
            .skip(test: .cellAddress(cell), mask: 0, value: 0, distance: 1)),
        BrokenProgram(
            "a skip that reads past the data", "a skip reads memory that exists",
            .skip(test: .address(9), mask: 0, value: 0, distance: 0)),
        BrokenProgram(
            "a skip on no cell", "a skip reads memory that exists",
            .skip(test: .cellAddress(missing), mask: 0, value: 0, distance: 0)),
        BrokenProgram("operands that are gone", at: 1, "an instruction has its operands") {
            $0.operands.removeLast()
        },
        BrokenProgram("a copy of one operand", at: 0, "an instruction has its operands") {
            $0.packed[0] = PackedInstruction(.copy, operands: 0..<1, result: cell)
        },
        BrokenProgram("a skip that compares with memory", at: 0, "a skip compares with numbers") {
            $0.operands += [.address(0), .address(0), .literal(0)]
            $0.packed[0] = PackedInstruction(.skip, operands: 1..<4)
        },
        BrokenProgram("no instruction", at: 0, end) {
            $0.packed = []
        },
        BrokenProgram("no end", at: 1, end) { $0.replace(1, by: call()) },
        BrokenProgram("a copy at the end", at: 2, end) {
            $0.replace(1, by: .copy(cell, to: .address(0), width: 8))
        },
        BrokenProgram("an end that is ignored", at: 1, end) {
            $0.replace(
                1,
                by: .call(
                    .close, [.literal(-1)], result: nil, ignoring: [.badFileDescriptor],
                    retries: 0))
        },
        BrokenProgram("an odd relocation", at: 2, "an address stands inside the data") {
            $0.relocations = [(at: 4, target: 0)]
        },
        BrokenProgram("a relocation behind the data", at: 2, "an address stands inside the data") {
            $0.relocations = [(at: 16, target: 0)]
        },
        BrokenProgram("a target behind the data", at: 2, "an address stands inside the data") {
            $0.relocations = [(at: 8, target: 16)]
        },
    ]
}

@Suite("The program checker")
struct ProgramCheckerTests {
    @Test(
        "the program checker refuses a program that breaks a rule, and names the rule",
        arguments: BrokenProgram.calls + BrokenProgram.others)
    func brokenPrograms(_ program: BrokenProgram) {
        #expect(fault(of: program.image) == program.fault)
    }

    private func fault(of image: ProgramImage) -> ProgramFault? {
        do throws(ProgramFault) {
            try image.check()
            return nil
        } catch {
            return error
        }
    }

    @Test("the program from which the broken ones are made is valid")
    func soundProgram() throws {
        try BrokenProgram.sound.check()
    }

    @Test("a fault in a program prints its place and its rule")
    func faultText() {
        let fault = ProgramFault(instruction: 3, rule: "retries are bounded")
        #expect(fault.description == "instruction 3: retries are bounded")
    }
}
