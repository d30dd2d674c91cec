// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import InitProgram

@Suite("Rules for every step")
struct EveryStepTests {
    @Test("there is a sample of every step")
    func samplesAreComplete() {
        #expect(everyInitStep.map(StepName.init) == StepName.allCases)
    }

    @Test(
        "every step lowers to instructions, and the program passes the checker",
        arguments: everyInitStep)
    func lowers(_ step: InitStep) throws {
        let image = ProgramImage(of: step)
        #expect(!image.ofStep.isEmpty)
        try image.check()
    }

    @Test("every skip of every step leads somewhere", arguments: everyInitStep)
    func skipsArePlaced(_ step: InitStep) {
        for instruction in ProgramImage(of: step).ofStep {
            guard case .skip(_, _, _, let distance) = instruction else { continue }
            #expect(distance > 0, "a label that is never placed skips nothing")
        }
    }

    @Test("all steps together are a program that passes the checker")
    func allTogether() throws {
        let image = ProgramImage(lowering: everyInitStep)
        try image.check()
        #expect(Set(image.stepOfInstruction) == Set(everyInitStep.indices))
        #expect(image.stepOfInstruction == image.stepOfInstruction.sorted())
    }

    @Test(
        "a program without candidates still ends",
        arguments: [[], ["/a"], ["/a", "/b", "/c"]] as [[ByteText]])
    func executeEnds(_ candidates: [ByteText]) throws {
        let image = ProgramImage(lowering: [
            .findExecutable(name: "a", candidates: candidates),
            .execute(candidates: candidates, arguments: ["a"], environment: []),
        ])
        try image.check()
    }

    @Test("every step says in one line what it does", arguments: everyInitStep)
    func summaries(_ step: InitStep) {
        #expect(step.summary != "\(step)", "the default of an enum is not a summary")
        #expect(!step.summary.isEmpty)
        #expect(!step.summary.contains("\n"))
        #expect(!step.summary.contains("InitProgram."))
    }

    @Test("no two steps say the same")
    func summariesDiffer() {
        #expect(Set(everyInitStep.map(\.summary)).count == everyInitStep.count)
    }

    @Test("every instruction of every step can be printed", arguments: everyInitStep)
    func instructionsPrint(_ step: InitStep) {
        let image = ProgramImage(of: step)
        for index in image.instructionsOfStep(1) {
            let text = image.rendered(index)
            #expect(!text.isEmpty)
            #expect(!text.contains("Operand") && !text.contains("InitProgram"))
        }
    }
}
