// SPDX-License-Identifier: Apache-2.0

import ContainerKitInspection
import Foundation
import Testing

/// A file of spec-fixtures.
struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String
    let json: [UInt8]

    var testDescription: String { name }

    static let good = all(in: "good")
    static let bad = all(in: "bad")

    private static func all(in folder: String) -> [Fixture] {
        let directory = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "spec-fixtures/\(folder)")
        let files = try? FileManager.default.contentsOfDirectory(
            at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }
            .compactMap { url in
                guard let data = try? Data(contentsOf: url) else { return nil }
                return Fixture(
                    name: url.deletingPathExtension().lastPathComponent, json: [UInt8](data))
            }
    }
}

/// The report on a config for every host.
func report(_ json: String) throws -> ConfigReport {
    try ConfigReport(json: Array(json.utf8), host: nil)
}

/// A config that is right but for what is added to it.
func config(
    process: String = "", linux: String = "", mounts: String = "", top: String = ""
) -> String {
    """
    {"ociVersion": "1.3.0", "root": {"path": "rootfs"},
     "process": {"cwd": "/", "args": ["sh"]\(process)},
     "mounts": [\(mounts)],
     "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]\(linux)}\(top)}
    """
}

extension ConfigReport {
    /// The paths of the findings of a kind.
    func paths(_ kind: Finding.Kind) -> [String] {
        findings.filter { $0.kind == kind }.map(\.path.description)
    }

    /// The finding at a path.
    func finding(at path: JSONPath) throws -> Finding {
        try #require(findings.first { $0.path == path }, "\(findings.map(\.path))")
    }
}
