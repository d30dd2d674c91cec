// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

@Suite("Rules for every step")
struct EveryStepTests {
    @Test("every kind of step occurs in a plan that is kept as text")
    func plansAreComplete() {
        let ofTheChild = CaseName.declared(in: "InitProgram/Steps", kind: "ChildStep")
        #expect(ofTheChild.count > 70)
        let missing = Set(ofTheChild).subtracting(
            EveryStep.ofTheChild.map { CaseName(of: $0.content) })
        #expect(missing.sorted() == [])
        let ofTheParent = CaseName.declared(
            in: "ContainerKit/Launching/Steps", kind: "ParentAction")
        #expect(ofTheParent.count > 40)
        let missingOfTheParent = Set(ofTheParent).subtracting(
            EveryStep.ofTheParent.map { CaseName(of: $0.action) })
        #expect(missingOfTheParent.sorted() == [])
    }

    @Test(
        "every step lowers to instructions that the program checker accepts",
        arguments: EveryStep.ofTheChild)
    func lowers(_ step: InitStep) throws {
        let image = ProgramImage(of: step)
        #expect(!image.ofStep.isEmpty)
        try image.check()
    }

    @Test(
        "every skip instruction of every step has a valid target", arguments: EveryStep.ofTheChild)
    func skipsArePlaced(_ step: InitStep) {
        for instruction in ProgramImage(of: step).ofStep {
            guard case .skip(_, _, _, let distance) = instruction else { continue }
            #expect(distance > 0, "a label that is never placed skips nothing")
        }
    }

    @Test("every step of a plan has its instructions, in the plan's order")
    func instructionsAreInOrder() {
        for plan in EveryStep.plans {
            let image = plan.lowered()
            #expect(image.stepStarts.count == plan.childSteps.count)
            #expect(image.stepStarts.first == 0)
            for step in plan.childSteps.indices {
                let instructions = image.instructions(ofStep: step)
                #expect(!instructions.isEmpty)
                #expect(instructions.allSatisfy { image.step(of: $0) == step })
            }
        }
    }

    @Test(
        "a program without candidate paths still ends",
        arguments: [[], ["/a"], ["/a", "/b", "/c"]] as [[ByteText]])
    func executeEnds(_ candidates: [ByteText]) throws {
        let image = ProgramImage(lowering: [
            .execution(.findExecutable(name: "a", candidates: candidates)),
            .execution(.execute(candidates: candidates, arguments: ["a"], environment: [])),
        ])
        try image.check()
    }

    @Test("every step of init is described in one line", arguments: EveryStep.ofTheChild)
    func summaries(_ step: InitStep) {
        #expect(step.sentence != "\(step)", "the default of an enum is not a summary")
        #expect(!step.sentence.isEmpty)
        #expect(!step.sentence.contains("\n"))
        #expect(!step.sentence.contains("InitProgram."))
    }

    @Test(
        "every step of the runtime is described in one line", arguments: EveryStep.ofTheParent)
    func sentences(_ step: ParentStep) {
        #expect(!step.action.sentence.isEmpty)
        #expect(!step.action.sentence.contains("\n"))
    }

    @Test("no two steps have the same description")
    func sentencesDiffer() {
        #expect(
            Set(EveryStep.ofTheChild.map(\.sentence)).count == EveryStep.ofTheChild.count)
        #expect(
            Set(EveryStep.ofTheParent.map(\.action.sentence)).count
                == EveryStep.ofTheParent.count)
    }

    @Test("every instruction of every step can be printed", arguments: EveryStep.ofTheChild)
    func instructionsPrint(_ step: InitStep) {
        let image = ProgramImage(of: step)
        for index in image.instructions(ofStep: image.place) {
            let text = image.rendered(index)
            #expect(!text.isEmpty)
            #expect(!text.contains("Operand") && !text.contains("InitProgram"))
        }
    }

    @Test(
        "a step declares every descriptor that its instructions use",
        arguments: EveryStep.ofTheChild)
    func inputs(_ step: InitStep) {
        let image = ProgramImage(of: step)
        for (descriptor, cell) in image.inputs.entries where descriptor != .rootfsTree {
            switch descriptor {
            case .gapStart, .gapEnd: continue
            default: break
            }
            let isUsed = image.ofStep.contains { $0.uses(cell) }
            #expect(!isUsed || step.inputs.contains(descriptor), "\(descriptor)")
        }
    }

    @Test("only the identity and hook themes have a hint to a refused capset")
    func hints() {
        let refusal = Refusal("capset", "", errno: .notPermitted)
        let knowing = StepTheme.allCases.filter { $0.hint(for: refusal) != nil }
        #expect(knowing == [.hook, .identity], "a hook's process sets rights of its own")
    }
}

extension ProgramImage {
    /// A program of one step below a root, and the end that every program has.
    fileprivate init(of step: InitStep) {
        var steps: [InitStep] = [.root(.attachRootfs(hostPath: "/rootfs"))]
        if case .mount(.sendAttachedMount(let path)) = step {
            let mount = FilesystemMount(type: "tmpfs", source: "tmpfs", destination: path)
            steps.append(.mount(.mountFilesystem(mount)))
        }
        if case .landlock = step {
            let rights = LandlockRights(files: .execute, ports: .empty, scopes: .empty)
            steps.append(.landlock(.makeRuleset(rights)))
        }
        steps.append(step)
        if case .execution(.execute) = step {
        } else {
            steps.append(
                .execution(.execute(candidates: ["/bin/true"], arguments: [], environment: [])))
        }
        self.init(lowering: steps)
    }

    /// The place of that step: the last but for the end, unless it is the end.
    fileprivate var place: Int { max(stepStarts.count - 2, 1) }

    /// The instructions of that step.
    fileprivate var ofStep: [Instruction] { instructions(ofStep: place).map(instruction) }
}

extension Instruction {
    fileprivate func uses(_ cell: Cell) -> Bool {
        switch self {
        case .call(_, let operands, _, _, _): operands.contains(.cell(cell))
        case .copy(let copied, _, _): copied == cell
        case .skip(let test, _, _, _): test == .cellAddress(cell)
        case .copyTree: false
        }
    }
}
