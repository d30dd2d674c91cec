// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A text file of the project.
struct SourceFile: Sendable {
    /// The path from the project's folder.
    var path: String
    var lines: [String]

    init(_ path: String, _ text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
    var isSwift: Bool { path.hasSuffix(".swift") }
    var isC: Bool { path.hasSuffix(".h") || path.hasSuffix(".c") }
    var isSource: Bool { path.hasPrefix("Sources/") }
    var isTest: Bool { path.hasPrefix("Tests/") }
    /// The target that the file belongs to.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && (isSource || isTest) ? String(parts[1]) : nil
    }

    /// The indices of the lines that contain `word` and match `pattern`.
    ///
    /// Patterns are slow, and most lines do not contain the word.
    func lines(with word: String, matching pattern: Regex<some Any>) -> [Int] {
        lines.indices.filter {
            lines[$0].contains(word)
                && lines[$0].firstMatch(of: pattern) != nil
        }
    }
}

/// All files of the project: everything except build folders and the history.
enum Project {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static let files: [SourceFile] = {
        var files: [SourceFile] = []
        var folders = [""]
        while let folder = folders.popLast() {
            let url = root.appending(path: folder)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
            for name in names.sorted() where !isForeign(name) {
                let path = folder.isEmpty ? name : "\(folder)/\(name)"
                let file = root.appending(path: path)
                let kind = try? file.resourceValues(forKeys: [.isDirectoryKey, .isRegularFileKey])
                if kind?.isDirectory == true {
                    folders.append(path)
                } else if kind?.isRegularFile == true,
                    let text = try? String(contentsOf: file, encoding: .utf8)
                {
                    files.append(SourceFile(path, text))
                }
            }
        }
        return files
    }()

    /// Build folders, the history, and files of editors.
    private static func isForeign(_ name: String) -> Bool {
        name == ".git" || name.hasPrefix(".build") || name == ".swiftpm" || name.hasSuffix(".swp")
    }
}
