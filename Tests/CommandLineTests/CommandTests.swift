// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Testing

@testable import swrunc

@Suite("Commands and their flags")
struct CommandTests {
    @Test("every command is found under its own name", arguments: Command.Name.allCases)
    func names(_ name: Command.Name) {
        #expect(Command.named(name.rawValue)?.name == name.rawValue)
    }

    @Test(
        "no command has two flags of the same name, or one named like a help flag",
        arguments: Command.Name.allCases)
    func flagNamesAreUnique(_ name: Command.Name) {
        let flags = name.command.flags + [.help]
        let names = flags.flatMap { [$0.name] + ($0.letter.map { [$0] } ?? []) }
        #expect(Set(names).count == names.count)
    }

    @Test(
        "a wrong number of operands is reported in runc's words",
        arguments: [
            ("state", 0, #""state" requires exactly 1 argument(s)"#),
            ("state", 2, #""state" requires exactly 1 argument(s)"#),
            ("list", 1, #""list" requires exactly 0 argument(s)"#),
            ("kill", 0, #""kill" requires a minimum of 1 argument(s)"#),
            ("kill", 3, #""kill" requires a maximum of 2 argument(s)"#),
            ("exec", 0, #""exec" requires a minimum of 1 argument(s)"#),
            ("explain", 2, #""explain" requires a maximum of 1 argument(s)"#),
        ])
    func wrongCounts(_ name: String, _ count: Int, _ complaint: String) throws {
        let command = try #require(Command.named(name))
        #expect(command.complaint(aboutOperandCount: count) == complaint)
    }

    @Test(
        "an allowed number of operands is accepted",
        arguments: [
            ("state", 1), ("kill", 1), ("kill", 2), ("exec", 9), ("list", 0), ("explain", 0),
        ])
    func rightCounts(_ name: String, _ count: Int) throws {
        #expect(try #require(Command.named(name)).complaint(aboutOperandCount: count) == nil)
    }

    @Test("the command lines that engines use are accepted", arguments: engineCalls)
    func enginesAreUnderstood(_ words: [String]) throws {
        let globals = try Arguments(
            parsing: words, flags: GlobalFlags.all, stoppingAtOperand: true)
        #expect(globals.unsupported == nil)
        let command = try #require(Command.named(globals.operands[0]))
        let arguments = try command.parse(globals.operands.dropFirst())
        #expect(arguments.unsupported == nil)
        #expect(command.complaint(aboutOperandCount: arguments.operands.count) == nil)
    }

    @Test(
        "a command or flag that is not implemented yet is recognized and refused",
        arguments: [
            ["run", "--no-subreaper=false", "id"], ["create", "--detach=0", "id"],
        ])
    func refusedFlags(_ words: [String]) throws {
        let command = try #require(Command.named(words[0]))
        #expect(try command.parse(words.dropFirst()).unsupported != nil)
    }

    @Test(
        "the help of a command lists every flag, in runc's layout", arguments: Command.Name.allCases
    )
    func help(_ name: Command.Name) throws {
        let text = HelpText.of(name.command, program: "swrunc")
        #expect(text == (try snapshot(name.rawValue, renewing: text)))
    }

    @Test("the program's help lists the commands and the global flags")
    func programHelp() throws {
        let text = HelpText.of(program: "swrunc")
        #expect(text == (try snapshot("swrunc", renewing: text)))
    }

    /// The expected help; `UPDATE_SNAPSHOTS=1` rewrites it.
    private func snapshot(_ name: String, renewing text: String) throws -> String {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Help/\(name).txt")
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        return try String(contentsOf: file, encoding: .utf8)
    }
}

/// Command lines as containerd, conmon, CRI-O, Podman and BuildKit use them.
private let engineCalls = [
    "--root /r/default --log /b/log.json --log-format json create --bundle /b --pid-file /p"
        + " --console-socket /s --detach id",
    "--root /r --rootless=false start id",
    "--root /r --systemd-cgroup=false --debug exec --process /f --detach --pid-file /p id",
    "--log-format=json --log /l kill id 9",
    "kill --all id KILL",
    "kill -a id 9",
    "delete --force id",
    "run --bundle /b --keep id",
    "run -d -no-subreaper --preserve-fds 2 -b /b id",
    "create --bundle /b --pid-file /p id",
    "list --format=json",
    "list -q",
    "events --stats id",
    "events --interval=5s id",
    "update --resources=- id",
    "update --resources - id",
    "update id --memory 64M --memory-swap -1",
    "pause id",
    "resume id",
    "ps --format json id",
    "ps --format table id -o,pid,comm",
    "exec --ignore-paused id sh",
    "exec --cgroup cpu,cpuacct:a --cgroup memory:b id sh",
    "state id",
    "features",
    "exec -t -e A=B --cwd / -u 1:1 --cap CAP_KILL id sh -c x",
    "explain --bundle /b --calls --format json",
    "explain --container id --calls",
    "spec --bundle /b",
].map { $0.split(separator: " ").map(String.init) }
