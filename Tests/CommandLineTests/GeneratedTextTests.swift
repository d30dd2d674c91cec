// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Testing

@testable import swrunc

@Suite("Completion and manual pages")
struct GeneratedTextTests {
    @Test(
        "every flag of every command is in the completion of each shell",
        arguments: Shell.allCases)
    func completionIsWhole(_ shell: Shell) {
        let script = CompletionScript(program: "swrunc").text(for: shell)
        for command in Command.Name.allCases.map(\.command) {
            #expect(script.contains(command.name))
            for flag in command.flags {
                let spelling = shell == .fish ? "-l \(flag.name)" : "--\(flag.name)"
                #expect(script.contains(spelling), "\(command.name) \(flag.name)")
            }
        }
    }

    @Test(
        "bash completion offers commands, flags, values of flags and operands",
        arguments: [
            (["swrunc", "cre"], ["create"]),
            (["swrunc", "--roo"], ["--root", "--rootless"]),
            (["swrunc", "--root", "/nowhere", "sta"], ["start", "state"]),
            (["swrunc", "--root", "=", "/nowhere", "--debug", "sta"], ["start", "state"]),
            (
                ["swrunc", "--log-format", "json", "create", "--pid"],
                ["--pid-file", "--pidfd-socket"]
            ),
            (["swrunc", "create", "--bundle", "/dev/nul"], ["/dev/null"]),
            (["swrunc", "create", "--bundle", "=", "/dev/nul"], ["/dev/null"]),
            (["swrunc", "completion", "b"], ["bash"]),
            (["swrunc", "help", "fea"], ["features"]),
            (["swrunc", "metrics", "--lab"], ["--labels"]),
            (["swrunc", "doctor", "--form"], ["--format"]),
            (["swrunc", "--root", "/nowhere", "metrics", ""], []),
            (["swrunc", "run", ""], []),
            // IDs of containers: there are none; otherwise it would complete files.
            (["swrunc", "explain", "--container", ""], []),
            (["swrunc", "explain", "--config", "/dev/nul"], ["/dev/null"]),
        ])
    func bashCompletes(_ words: [String], _ expected: [String]) throws {
        let call = #"""
            source /dev/stdin
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _swrunc 2>/dev/null
            printf '%s\n' "${COMPREPLY[@]}"
            """#
        let script = CompletionScript(program: "swrunc").text(for: .bash)
        let output = try Self.run("bash", ["-c", call, "bash"] + words, input: script)
        #expect(output.split(separator: "\n").map(String.init) == expected)
    }

    @Test(
        "the completion script of every other installed shell is read without complaint",
        arguments: [Shell.zsh, .fish])
    func syntax(_ shell: Shell) throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/\(shell.rawValue)") else {
            print("skipped: the syntax of the completion for \(shell): it is not installed")
            return
        }
        let script = CompletionScript(program: "swrunc").text(for: shell)
        let file = FileManager.default.temporaryDirectory
            .appending(path: "swrunc-\(UUID()).\(shell)")
        try script.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try Self.run(shell.rawValue, ["-n", file.path], input: "") == "")
    }

    @Test(
        "the manual page of a command has everything that its help has, in man's macros",
        arguments: Command.Name.allCases)
    func manualPage(_ name: Command.Name) {
        let command = name.command
        let page = ManualPage.of(command, program: "swrunc")
        let plain = page.replacingOccurrences(of: "\\-", with: "-")
        #expect(plain.contains("swrunc-\(command.name) - \(command.summary)"))
        for flag in command.flags { #expect(plain.contains("\\fB--\(flag.name)\\fR")) }
        Self.expectMacrosOnly(page)
    }

    @Test("the program's manual page lists the commands and the global flags")
    func programPage() {
        let page = ManualPage.of(program: "swrunc")
        let plain = page.replacingOccurrences(of: "\\-", with: "-")
        for name in Command.Name.allCases {
            #expect(plain.contains("\\fBswrunc-\(name.rawValue)\\fR(8)"))
        }
        for flag in GlobalFlags.all { #expect(plain.contains("\\fB--\(flag.name)\\fR")) }
        Self.expectMacrosOnly(page)
    }

    /// Checks that no line is parsed as a macro by accident.
    private static func expectMacrosOnly(_ page: String) {
        for line in page.split(separator: "\n") where line.hasPrefix(".") || line.hasPrefix("'") {
            let macros = [".SH", ".TH", ".TP", ".PP", ".nf", ".fi", ".\\\""]
            #expect(macros.contains { line.hasPrefix($0) }, "\(line)")
        }
    }

    private static func run(
        _ program: String, _ arguments: [String], input: String
    ) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let (source, sink) = (Pipe(), Pipe())
        process.standardInput = source
        process.standardOutput = sink
        process.standardError = sink
        try process.run()
        try source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try source.fileHandleForWriting.close()
        let output = try sink.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
