// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The last instructions in the record")
struct LastInstructionsTests {
    /// If init fails between its report and its wait, it may still exist when `start` looks for it.
    @Test("the record keeps the name of every call after the report to create")
    func afterReport() throws {
        let facts = CreateFacts(id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .planV2))
        let launch = try Launch(creating: .template, facts: facts, filter: nil)
        let image = launch.plan.lowered()
        let kept = launch.plan.instructionsAfterReport(image)

        let report = try #require(
            launch.plan.childSteps.lastIndex { $0.step == .exchange(.reportToParent(.ready)) })
        let write = try #require(image.instructions(ofStep: report).last)
        let calls = image.packed.indices.filter { index in
            guard index > write, case .call(let call, _, _, _, _) = image.instruction(index)
            else { return false }
            return call.name != "exit_group"
        }
        #expect(kept.map(\.index) == calls)
        #expect(kept.first?.call == "close_range")
        let executes = kept.contains { $0.isExecution }
        #expect(executes)
    }
}
