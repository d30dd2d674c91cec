// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitInspection
internal import Testing

@testable import swrunc

@Suite("Reports as text")
struct ReportTextTests {
    private func report(_ json: String) throws -> ConfigReport {
        try ConfigReport(json: Array(json.utf8), host: nil)
    }

    @Test("a report is grouped by kind, with path, message, hint and section of each finding")
    func text() throws {
        let report = try report(
            """
            {"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "hostnmae": "box",
             "process": {"cwd": "srv", "args": ["sh"]}}
            """)
        let page = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md"
        #expect(
            ReportText.of(report, named: "config.json", forHost: false) == """
                config.json: 1 error, 1 warning

                The specification says otherwise
                  error    process.cwd
                           "srv" is not an absolute path
                           hint: begin the path with /
                           config.md, Process: \(page)#process

                Unknown fields
                  warning  hostnmae
                           is not a field of the specification, and has no effect
                           hint: did you mean hostname?
                           config.md: \(page)

                """)
    }

    @Test("what a config contains cannot control the terminal, nor fill it")
    func escapes() throws {
        let long = String(repeating: "x", count: 100_000)
        let report = try report(
            #"{"ociVersion": "\u001b[31m", "root": {"path": "r"}, "\u202e\n": 1, "\#(long)": 2}"#)
        let text = ReportText.of(report, named: "a\u{1b}b", forHost: false)
        let isPlain = text.unicodeScalars.allSatisfy { $0 == "\n" || !Printable.isControl($0) }
        #expect(isPlain)
        #expect(text.utf8.count < 10_000)
        let styled = ReportText.of(
            report, named: "c", forHost: false, TerminalStyle(isOn: true))
        #expect(styled.contains("\u{1b}[1mc\u{1b}[0m") && !styled.contains("\u{1b}[31m[31m"))
    }

    @Test("a config without findings is told in one line")
    func clean() throws {
        let report = try report(
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["a"]}}"#
        )
        #expect(
            ReportText.of(report, named: "c", forHost: false) == "c: keeps the specification\n")
        #expect(
            ReportText.of(report, named: "c", forHost: true)
                == "c: keeps the specification, and this host can run it\n")
    }
}
