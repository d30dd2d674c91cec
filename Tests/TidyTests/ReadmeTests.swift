// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite("The README tells the truth")
struct ReadmeTests {
    private static let top = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.top.appending(path: path), encoding: .utf8)
    }

    @Test("its example is the program that the tests compile")
    func example() throws {
        let program = try text("Tests/EmbeddingExample/main.swift")
        let code = try #require(program.range(of: "// Runs a program"))
        let shown = program[code.lowerBound...].trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(try text("README.md").contains("```swift\n\(shown)\n```"))
    }
}
