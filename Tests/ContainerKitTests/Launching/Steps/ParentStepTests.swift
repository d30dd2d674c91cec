// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

@Suite("Rules for every step of the runtime")
struct ParentStepTests {
    @Test("there is a sample of every step")
    func samplesAreComplete() throws {
        let folder = #filePath.split(separator: "/").dropLast(5).joined(separator: "/")
        let path = "/\(folder)/Sources/ContainerKit/Launching/Steps"
        // The cases of a theme are between the theme's declaration and its sentences.
        let declared = try directoryEntries(path).flatMap { name -> [String] in
            var isInTheme = false
            let text = String(decoding: try readFile("\(path)/\(name)"), as: UTF8.self)
            return text.split(separator: "\n").compactMap { line in
                if line.contains(": ParentAction {") { isInTheme = true }
                if line.contains("var sentence") { isInTheme = false }
                guard isInTheme, line.hasPrefix("    case ") else { return nil }
                return String(line.dropFirst(9).prefix { $0.isLetter })
            }
        }
        #expect(declared.count > 40)
        #expect(everyParentStep.map(Self.name).sorted() == declared.sorted())
    }

    private static func name(_ step: ParentStep) -> String {
        "\(step.action)".prefix { $0.isLetter }.description
    }

    @Test("every step of the runtime says in one line what it does", arguments: everyParentStep)
    func sentences(_ step: ParentStep) {
        #expect(!step.action.sentence.isEmpty)
        #expect(!step.action.sentence.contains("\n"))
    }

    @Test("no two steps say the same")
    func sentencesDiffer() {
        #expect(Set(everyParentStep.map(\.action.sentence)).count == everyParentStep.count)
    }
}
