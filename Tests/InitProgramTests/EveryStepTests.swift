// SPDX-License-Identifier: Apache-2.0

import Foundation
import SystemPackage
import Testing

@testable import InitProgram

@Suite("Rules for every step")
struct EveryStepTests {
    @Test("there is a sample of every step")
    func samplesAreComplete() {
        #expect(everyInitStep.map(CaseName.init).sorted() == CaseName.inSources.sorted())
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
            .execution(.findExecutable(name: "a", candidates: candidates)),
            .execution(.execute(candidates: candidates, arguments: ["a"], environment: [])),
        ])
        try image.check()
    }

    @Test("every step says in one line what it does", arguments: everyInitStep)
    func summaries(_ step: InitStep) {
        #expect(step.sentence != "\(step)", "the default of an enum is not a summary")
        #expect(!step.sentence.isEmpty)
        #expect(!step.sentence.contains("\n"))
        #expect(!step.sentence.contains("InitProgram."))
    }

    @Test("no two steps say the same")
    func summariesDiffer() {
        #expect(Set(everyInitStep.map(\.sentence)).count == everyInitStep.count)
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

    @Test(
        "a step says of each descriptor that its instructions use that it needs it",
        arguments: everyInitStep)
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

    @Test("a theme has a hint to a refusal of its own, and others have none")
    func hints() {
        let refusal = Refusal("capset", "", errno: .notPermitted)
        let knowing = StepTheme.allCases.filter { $0.hint(for: refusal) != nil }
        #expect(knowing == [.hook, .identity], "a hook's process sets rights of its own")
    }
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

/// A case of a theme, such as `MountStep.attachMount`.
struct CaseName: Comparable {
    let text: String

    init(_ text: String) { self.text = text }

    init(_ step: InitStep) {
        let content = step.content
        let name = Mirror(reflecting: content).children.first?.label ?? "\(content)"
        text = "\(type(of: content)).\(name)"
    }

    static func < (one: CaseName, other: CaseName) -> Bool { one.text < other.text }

    /// The cases that the files of the themes declare.
    static var inSources: [CaseName] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/InitProgram/Steps")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var names: [CaseName] = []
        for case let file as URL in files ?? FileManager.DirectoryEnumerator() {
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
            var theme: Substring?
            for line in text.split(separator: "\n") {
                if let name = line.firstMatch(of: /^package enum (\w+): ChildStep/)?.1 {
                    theme = name
                }
                if line == "}" { theme = nil }
                if let theme, let name = line.firstMatch(of: /^    case (\w+)/)?.1 {
                    names.append(CaseName("\(theme).\(name)"))
                }
            }
        }
        return names
    }
}
