// SPDX-License-Identifier: Apache-2.0

import Foundation
import RuntimeSpec
import Testing

/// A file of spec-fixtures.
struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String
    let json: [UInt8]
    let url: URL

    var testDescription: String { name }

    /// The path of the expected text of a bad fixture.
    var textURL: URL { url.deletingPathExtension().appendingPathExtension("txt") }

    static let good = all(in: "good")
    static let bad = all(in: "bad")

    static func good(_ name: String) throws -> Fixture {
        try #require(good.first { $0.name == name })
    }

    private static func all(in folder: String) -> [Fixture] {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let directory = root.appending(path: "spec-fixtures/\(folder)")
        let files = try? FileManager.default.contentsOfDirectory(
            at: directory, includingPropertiesForKeys: nil)
        return (files ?? [])
            .filter { $0.pathExtension == "json" }
            .sorted { $0.path < $1.path }
            .compactMap { url in
                guard let data = try? Data(contentsOf: url) else { return nil }
                let name = url.deletingPathExtension().lastPathComponent
                return Fixture(name: name, json: [UInt8](data), url: url)
            }
    }
}

func bytes(_ text: String) -> [UInt8] {
    Array(text.utf8)
}

func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes, as: UTF8.self)
}
