// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let format = Flag("format", "f", .text, "table or json", standard: "table")

    static var ps: Command {
        Command(
            name: "ps", summary: "list the processes of a container",
            operands: "<container-id> [ps options]", operandCount: 1...Int.max,
            details: """
                The table is that of ps(1) of the host with the options given (-ef if there are none),
                without the processes of others; it needs the column PID. The JSON is a list of pids,
                and takes no options.
                """,
            flags: [format], stopsAtOperand: true, isQuery: true, perform: listProcesses)
    }

    private static func listProcesses(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        let format = arguments.text(format) ?? "table"
        guard format == "table" || format == "json" else {
            throw ContainerError(.invalidArgument, "invalid format option", hint: "table or json")
        }
        let pids = try invocation.container().processes()
        if format == "json" {
            // Without processes the output is `null`, as in runc.
            let value = pids.isEmpty ? JSONValue.null : .array(pids.map { .integer(Int64($0)) })
            try StandardOutput.write(value.encoded() + [UInt8(ascii: "\n")])
            return 0
        }
        var options = arguments.operands.dropFirst()
        // Some engines pass the options of their users as a single word.
        if options.count == 1, let words = options.first?.split(separator: " "), words.count > 1 {
            options = words.map(String.init)[...]
        }
        let table = try ProcessTable(of: options.isEmpty ? ["-ef"] : Array(options))
        try StandardOutput.write(table.lines(of: Set(pids)))
        return 0
    }
}

/// The output of ps(1).
struct ProcessTable {
    private let header: Substring
    private let rows: ArraySlice<Substring>

    /// Runs ps(1).
    init(of options: [String]) throws(ContainerError) {
        let output: ProgramOutput
        do {
            output = try ProgramOutput(of: ["ps"] + options)
        } catch {
            throw .file("cannot run ps", call: "posix_spawnp", "ps", error)
        }
        guard output.status == 0 else {
            throw ContainerError(
                .invalidArgument,
                "ps failed with exit status \(output.status): "
                    + output.text.split(separator: "\n").joined(separator: "; "))
        }
        self.init(output.text)
    }

    /// Parses the output of ps(1).
    init(_ text: String) {
        let lines = text.split(separator: "\n")
        header = lines.first ?? ""
        rows = lines.dropFirst()
    }

    /// The header, and the rows of the given processes.
    func lines(of pids: Set<Int>) throws(ContainerError) -> String {
        guard let column = Self.words(of: header).firstIndex(of: "PID") else {
            throw ContainerError(
                .invalidArgument, "couldn't find PID field in ps output",
                hint: "add the column: -o pid")
        }
        var text = "\(header)\n"
        for row in rows {
            let words = Self.words(of: row)
            guard column < words.count, let pid = Int(words[column]) else {
                throw ContainerError(.invalidArgument, "unable to parse pid: \(row)")
            }
            if pids.contains(pid) { text += "\(row)\n" }
        }
        return text
    }

    private static func words(of line: Substring) -> [Substring] {
        line.split { $0 == " " || $0 == "\t" }
    }
}
