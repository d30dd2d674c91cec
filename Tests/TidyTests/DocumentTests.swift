// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite("Documents and the code that they describe")
struct DocumentTests {
    private static let catalog = "Sources/ContainerKit/ContainerKit.docc/"

    private func lines(_ path: String) throws -> [String] {
        try #require(Project.files.first { $0.path == path }, "\(path)").lines
    }

    @Test("the README's example is the program that the tests compile")
    func example() throws {
        let program = try lines("Tests/EmbeddingExample/main.swift")
        let begin = try #require(program.firstIndex { $0.hasPrefix("// Runs a program") })
        let shown = (["```swift"] + program[begin...] + ["```"]).joined(separator: "\n")
        #expect(try lines("README.md").joined(separator: "\n").contains(shown))
    }

    @Test(
        "every snippet in the articles is compiled as it is printed",
        arguments: [
            ("Embedding", "Snippets", 8), ("JudgeService", "JudgeService", 7),
            ("Timings", "Timings", 1),
        ])
    func snippets(_ name: String, _ file: String, _ count: Int) throws {
        let program = try lines("Tests/EmbeddingSnippets/\(file).swift").joined(separator: "\n")
        let article = try lines(Self.catalog + "\(name).md")
        let starts = article.indices.filter { article[$0] == "```swift" }
        #expect(starts.count >= count)
        for start in starts {
            let end = try #require(article[start...].firstIndex(of: "```"))
            let piece = article[(start + 1)..<end].joined(separator: "\n")
            #expect(program.contains(piece), "\(name).md:\(start + 1)")
        }
    }

    @Test("the index of decisions lists each decision with its number and title")
    func decisions() throws {
        let index = try lines(Self.catalog + "Decisions.md")
        let decisions = Project.files.filter { $0.path.hasPrefix(Self.catalog + "Decisions/") }
        #expect(decisions.count > 20)
        for decision in decisions {
            let name = decision.name.dropLast(".md".count)
            let title = try #require(decision.lines.first).dropFirst("# ".count)
            #expect(index.contains("| \(name.prefix(4)) | [\(title)](doc:\(name)) |"))
            #expect(index.contains("- <doc:\(name)>"), "under Topics")
        }
        let numbers = Set(decisions.map { $0.name.prefix(4) })
        #expect(numbers.count == decisions.count, "each has a number of its own")
    }

    @Test("every link between articles has a target, and every article can be reached")
    func links() throws {
        let articles = Project.files.filter {
            $0.path.hasPrefix(Self.catalog) && $0.path.hasSuffix(".md")
        }
        let names = Set(articles.map { String($0.name.dropLast(".md".count)) })
        var linked: Set<String> = []
        for article in articles {
            for line in article.lines {
                linked.formUnion(line.matches(of: /[<(]doc:([\w-]+)[>)]/).map { String($0.1) })
            }
        }
        #expect(linked.subtracting(names) == [])
        #expect(names.subtracting(linked) == ["ContainerKit"], "the landing page alone")
    }

    @Test("every project file that a document links to exists")
    func paths() throws {
        let present = Set(Project.files.map(\.path))
        let documents = Project.files.filter {
            $0.path.hasSuffix(".md") && !$0.path.hasPrefix(Self.catalog)
        }
        #expect(documents.count >= 5)
        for document in documents {
            let folder = document.path.split(separator: "/").dropLast().map(String.init)
            for match in document.lines.joined(separator: " ").matches(of: /\]\(([^)#:]+)[)#]/) {
                var parts = folder
                for part in match.1.split(separator: "/") {
                    if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
                }
                let path = parts.joined(separator: "/")
                #expect(
                    present.contains(path) || present.contains { $0.hasPrefix(path + "/") },
                    "\(document.path) links to \(path)")
            }
        }
    }

    @Test(
        "the article on kernels has each version after the oldest supported that the sources name")
    func kernels() throws {
        let article = try lines(Self.catalog + "Kernels.md").joined(separator: "\n")
        var found: Set<String> = []
        for file in Project.files where file.isSource && (file.isSwift || file.isC) {
            for line in file.lines where line.contains("Linux ") {
                for match in line.matches(of: /Linux (\d+)\.(\d+)/) {
                    guard let major = Int(match.1), let minor = Int(match.2) else { continue }
                    if (major, minor) > (5, 14) { found.insert("\(major).\(minor)") }
                }
            }
        }
        #expect(found.count > 5)
        for version in found.sorted() {
            #expect(article.contains("| \(version) |"), "Linux \(version)")
        }
    }

    @Test("documents name the version that the runtime has")
    func version() throws {
        let source = try lines("Sources/ContainerKit/Model/RuntimeVersion.swift")
        let found = source.compactMap { $0.firstMatch(of: /static let string = "(\d+\.\d+)\./)?.1 }
        let version = try #require(found.first)
        for document in ["README.md", ".github/SECURITY.md"] {
            #expect(
                try lines(document).contains { $0.hasPrefix("This is version \(version)") },
                "\(document)")
        }
        let changes = try lines("CHANGELOG.md").compactMap {
            $0.firstMatch(of: /^## (Unreleased, to become )?(\d+\.\d+)\./)?.2
        }
        #expect(changes.first == version, "the newest version of the change log")
    }

    @Test("make help lists every target")
    func help() throws {
        let makefile = try lines("Makefile")
        let phony = try #require(makefile.first { $0.hasPrefix(".PHONY: ") })
        for target in phony.split(separator: " ").dropFirst() {
            #expect(
                makefile.contains {
                    $0.firstMatch(of: /^([a-z-]+):.* ## \S/)?.1 == target
                }, "\(target)")
        }
    }
}
