// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import Testing

@testable import InitProgram

@Suite("The times that init notes")
struct TimeMarkTests {
    private static let plain = InitStep.process(.forbidPtrace)
    private static let filter = InitStep.filter(.loadSeccomp(filter: [], flags: .empty))
    private static let end = InitStep.execution(
        .execute(candidates: ["/true"], arguments: ["true"], environment: []))

    private func marks(_ image: ProgramImage) -> [Int] {
        image.packed.indices.filter {
            if case .call(let call, _, _, _, _) = image.instruction($0) {
                call.name == "clock_gettime"
            } else {
                false
            }
        }
    }

    @Test("only a timed program reads the clock, once at the beginning of each step")
    func steps() throws {
        let steps = [Self.plain, Self.plain, Self.end]
        #expect(marks(ProgramImage(lowering: steps)) == [])
        #expect(ProgramImage(lowering: steps).timedSteps == [])
        let timed = ProgramImage(lowering: steps, isTimed: true)
        #expect(timed.timedSteps == [0, 1, 2])
        let places = marks(timed)
        #expect(places.map { timed.step(of: $0) } == [0, 1, 2])
        #expect(
            places.allSatisfy {
                timed.stepStarts.contains($0)
            })
        try timed.check()
    }

    @Test("no step after a filter of system calls reads the clock")
    func filters() {
        let steps = [Self.plain, Self.filter, Self.plain, Self.end]
        #expect(ProgramImage(lowering: steps, isTimed: true).timedSteps == [0, 1])
    }

    @Test("with more steps than marks, one of several has a mark, and all marks fit the page")
    func many() throws {
        let steps = [InitStep](repeating: Self.plain, count: TimeMark.limit) + [Self.end]
        let timed = ProgramImage(lowering: steps, isTimed: true)
        #expect(timed.timedSteps.count <= TimeMark.limit)
        #expect(timed.timedSteps.prefix(3) == [0, 2, 4])
        #expect(TimeMark.offset(TimeMark.limit) <= 4096)
        try timed.check()
    }

    @Test(
        "the checker refuses a mark outside of its place in the page", arguments: [512, 1030, 4096])
    func places(_ offset: Int) {
        var code = Assembler()
        code.call(
            SystemCall("clock_gettime", 228), [.literal(0), .progress(offset)])
        code.call(.exitGroup, [.literal(0)])
        #expect(throws: ProgramFault.self) { try code.image.check() }
    }
}
