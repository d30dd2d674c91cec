// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("validate and audit of the command line")
struct ConfigReportTests {
    /// Calls a command on a file with this text, which is gone afterwards.
    private func call(_ text: String?, _ words: [String]) throws -> FinishedCommand {
        var template = Array("/tmp/swrunc-it-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
        defer {
            _ = try? RunningCommand([Host.busybox, "rm", "-r", directory], token: "none").wait()
        }
        if let text { try writeText(text, to: "\(directory)/config.json") }
        try #require(mkfifo("\(directory)/pipe", 0o600) == 0)
        var options = CommandOptions()
        options.directory = directory
        options.input = text ?? ""
        options.timeLimitSeconds = 20
        return try RunningCommand([Host.runtime] + words, options, token: "none").wait()
    }

    private let good = """
        {"ociVersion": "1.3.0", "root": {"path": "/"}, "process": {"cwd": "/", "args": ["sh"]}}
        """
    private let bad = """
        {"ociVersion": "1.3.0", "root": {"path": ""}, "process": {"cwd": 7, "args": []},
         "annotations": {"a\\u001b[31m": 5}, "extra": 1}
        """

    /// The words after the command, and the status for a good config.
    private static let statuses: [(words: [String], status: Int32)] = [
        (["--spec-only", "config.json"], 0), (["--spec-only", "-"], 0),
        (["--spec-only", "--strict", "--format", "json"], 0), (["absent"], 2), (["pipe"], 2),
        (["."], 2), (["/dev/zero"], 2), (["--format", "xml"], 2), (["--nothing"], 2),
        (["--bundle", ".", "config.json"], 2), (["--bundle", "absent"], 2), (["a", "b"], 2),
    ]

    @Test("the status of validate is 0 without errors, and 2 without a config")
    func statusesOfGood() throws {
        for (words, status) in Self.statuses {
            let done = try call(good, ["validate"] + words)
            #expect(done.status == status, "\(words): \(done)")
            #expect(done.error.isEmpty == (status == 0), "\(words): \(done)")
        }
    }

    @Test("validate names every error, and no control character of the config reaches the terminal")
    func errors() throws {
        let done = try call(bad, ["validate", "--spec-only"])
        #expect(done.status == 1)
        for part in ["root.path", "process.cwd", "process.args", "annotations", "extra", "hint: "] {
            #expect(done.output.contains(part), "\(part) in \(done.output)")
        }
        #expect(!done.output.contains("\u{1b}"))
        #expect(try call(bad, ["validate", "-"]).status == 1)
        #expect(try call(#"{"a": "\#u{01}"}"#, ["validate"]).status == 2)
        #expect(
            try call("{]", ["validate"]).error.contains("config.json is not JSON: line 1, column 2")
        )
        #expect(try call(nil, ["validate"]).status == 2)
    }

    @Test("the status of audit is 0 without findings, 1 with findings, 2 without a config")
    func audit() throws {
        for format in ["text", "json", "sarif"] {
            let done = try call(good, ["audit", "--format", format])
            #expect(done.status == 1, "\(done)")
            #expect(done.output.contains("SWA020"))
            if format != "text" { _ = try JSONValue(json: Array(done.output.utf8)) }
        }
        #expect(try call(good, ["audit", "-"]).status == 1)
        for words in [["absent"], ["pipe"], ["."], ["--format", "xml"]] {
            #expect(try call(good, ["audit"] + words).status == 2, "\(words)")
        }
        let undecodable = try call(bad, ["audit"])
        #expect(undecodable.status == 2 && undecodable.error.contains("process.cwd"))
        var spec = try Spec.sandbox(["sh"], memory: 1 << 26, pids: 100)
        spec.process?.apparmorProfile = "box"
        spec.linux?.namespaces?.append(Namespace(kind: .user))
        let text = String(decoding: spec.encoded.encoded(), as: UTF8.self)
        let clean = try call(text, ["audit"])
        #expect(clean.status == 0, "\(clean)")
    }
}
