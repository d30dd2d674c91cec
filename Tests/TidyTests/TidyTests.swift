// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite("Tidy rules")
struct TidyTests {
    @Test("every file of the project follows the tidy rule", arguments: TidyRule.all)
    func filesKeep(_ rule: TidyRule) {
        let known = KnownViolation.all.filter { $0.rule == rule.sentence }.map(\.path)
        let found = Project.files.filter { !known.contains($0.path) }.flatMap { file in
            Set(rule.violations(file)).sorted().map { "\(file.path):\($0 + 1)" }
        }
        #expect(found == [], "\(rule.sentence)")
    }

    @Test(
        "a known violation is removed from the list once it is fixed", arguments: KnownViolation.all
    )
    func knownViolationsAreReal(_ known: KnownViolation) throws {
        let rule = try #require(TidyRule.all.first { $0.sentence == known.rule })
        let file = try #require(Project.files.first { $0.path == known.path })
        #expect(!rule.violations(file).isEmpty)
    }

    @Test("each tidy rule finds its bad example and accepts its good one", arguments: TidyRule.all)
    func ruleFinds(_ rule: TidyRule) {
        #expect(!rule.violations(rule.bad).isEmpty)
        #expect(rule.violations(rule.good).isEmpty)
    }

    @Test("the files of the project are found")
    func filesAreFound() {
        let paths = Set(Project.files.map(\.path))
        for path in ["Package.swift", "Makefile", "Sources/InitMachine/Machine.c"] {
            #expect(paths.contains(path))
        }
        #expect(!paths.contains { $0.hasPrefix(".git/") || $0.hasPrefix(".build") })
    }

    @Test("every target of Sources has its import rule")
    func targetsHaveRules() {
        let targets = Set(
            Project.files.filter { $0.isSource && $0.isSwift }.compactMap(\.target))
        #expect(targets == Set(TidyRule.allowedImports.keys))
    }
}
