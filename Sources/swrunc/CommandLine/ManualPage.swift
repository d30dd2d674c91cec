// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// The manual page of a command or of the whole program, made from the same tables as the help.
///
/// The form is roff with the macros of man(7).
enum ManualPage {
    /// The page `PROGRAM-COMMAND(8)`.
    static func of(_ command: Command, program: String) -> String {
        let name = "\(program)-\(command.name)"
        var synopsis = [(command.flags.isEmpty ? "" : "[options]"), command.operands]
        synopsis.removeAll(where: \.isEmpty)
        return heading(name) + section("NAME", escaped("\(name) - \(command.summary)"))
            + section(
                "SYNOPSIS",
                bold("\(program) \(command.name)") + " " + escaped(synopsis.joined(separator: " ")))
            + (command.details.isEmpty ? "" : section("DESCRIPTION", text(command.details)))
            + section("OPTIONS", entries(of: command.flags + [.help]))
            + section("SEE ALSO", reference(to: program))
    }

    /// The page `PROGRAM(8)`.
    static func of(program: String) -> String {
        let commands = Command.Name.allCases.map(\.command)
        return heading(program)
            + section("NAME", escaped("\(program) - Open Container Initiative runtime"))
            + section(
                "SYNOPSIS",
                bold(program) + escaped(" [global options] command [command options] [arguments]"))
            + section("DESCRIPTION", text(HelpText.description(program: program)))
            + section(
                "COMMANDS",
                commands.map { command in
                    ".TP\n" + reference(to: "\(program)-\(command.name)") + "\n"
                        + escaped(command.summary)
                }.joined(separator: "\n"))
            + section("GLOBAL OPTIONS", entries(of: GlobalFlags.all))
    }

    private static func heading(_ name: String) -> String {
        """
        .\\" Made by the command manual; changes would be lost.
        .TH \(escaped(uppercased(name))) 8 "" "swrunc \(RuntimeVersion.string)"

        """
    }

    private static func uppercased(_ name: String) -> String {
        name.uppercased()
    }

    private static func section(_ title: String, _ text: String) -> String {
        ".SH \(title)\n\(text)\n"
    }

    private static func bold(_ text: String) -> String {
        "\\fB\(escaped(text))\\fR"
    }

    private static func reference(to page: String) -> String {
        bold(page) + "(8)"
    }

    private static func entries(of flags: [Flag]) -> String {
        flags.map { flag in
            let value =
                switch flag.value {
                case .toggle: ""
                case .text, .bytes: " \\fIvalue\\fR"
                case .container: " \\fIid\\fR"
                case .number: " \\fInumber\\fR"
                }
            let names = ["--\(flag.name)"] + (flag.letter.map { ["-\($0)"] } ?? [])
            let spelling = names.map { bold($0) + value }.joined(separator: ", ")
            return ".TP\n\(spelling)\n\(escaped(HelpText.summary(of: flag)))"
        }.joined(separator: "\n")
    }

    /// Makes paragraphs; indented lines are kept as they are.
    private static func text(_ text: String) -> String {
        var result: [String] = []
        var isLiteral = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let isIndented = line.hasPrefix(" ")
            if line.isEmpty {
                if !isLiteral { result.append(".PP") }
                continue
            }
            if isIndented != isLiteral { result.append(isIndented ? ".nf" : ".fi") }
            isLiteral = isIndented
            result.append(escaped(String(line)))
        }
        if isLiteral { result.append(".fi") }
        return result.joined(separator: "\n")
    }

    /// Escapes text for roff: its control characters, hyphens as minus signs, no request at a
    /// line's start.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            default: result.append(character)
            }
        }
        return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
    }
}
