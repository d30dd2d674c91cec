// SPDX-License-Identifier: Apache-2.0

/// The help of a command or of the whole program, made from the same tables as the parsing.
///
/// The layout is that of urfave/cli, which runc uses.
enum HelpText {
    /// What `PROGRAM COMMAND --help` prints.
    static func of(_ command: Command, program: String) -> String {
        var usage = "\(program) \(command.name) [command options]"
        if !command.operands.isEmpty { usage += " \(command.operands)" }
        var text = section("NAME", ["\(program) \(command.name) - \(command.summary)"])
        text += "\n" + section("USAGE", [usage])
        if !command.details.isEmpty {
            text += "\n" + section("DESCRIPTION", lines(of: command.details))
        }
        return text + "\n" + section("OPTIONS", table(of: command.flags + [.help]))
    }

    /// What `PROGRAM --help` prints.
    static func of(program: String) -> String {
        let commands = Command.Name.allCases.map { name in
            (name.rawValue, name.command.summary)
        }
        let usage = "\(program) [global options] command [command options] [arguments]"
        return [
            section("NAME", ["\(program) - Open Container Initiative runtime"]),
            section("USAGE", [usage]),
            section("DESCRIPTION", lines(of: description(program: program))),
            section("COMMANDS", columns(commands + [("help", "show the help of a command")])),
            section("GLOBAL OPTIONS", table(of: GlobalFlags.all)),
        ].joined(separator: "\n")
    }

    static func description(program: String) -> String {
        """
        Runs containers from bundles: directories with a config.json and a root file system.

            mkdir -p bundle/rootfs        # fill it, for example from a busybox archive
            \(program) spec -b bundle         # writes bundle/config.json
            \(program) run -b bundle box      # runs it as container "box"
        """
    }

    private static func section(_ title: String, _ lines: [String]) -> String {
        title + ":\n" + lines.map { $0.isEmpty ? "\n" : "   \($0)\n" }.joined()
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private static func table(of flags: [Flag]) -> [String] {
        columns(flags.map { (spelling(of: $0), summary(of: $0)) })
    }

    private static func spelling(of flag: Flag) -> String {
        let value =
            switch flag.value {
            case .toggle: ""
            case .text, .bytes: " value"
            case .container: " id"
            case .number: " number"
            }
        let long = "--\(flag.name)\(value)"
        return flag.letter.map { "\(long), -\($0)\(value)" } ?? long
    }

    static func summary(of flag: Flag) -> String {
        flag.standard.map { "\(flag.summary) (default: \($0))" } ?? flag.summary
    }

    private static func columns(_ rows: [(left: String, right: String)]) -> [String] {
        let width = rows.reduce(0) { max($0, $1.left.count) } + 2
        return rows.map { row in
            row.left + String(repeating: " ", count: width - row.left.count) + row.right
        }
    }
}
