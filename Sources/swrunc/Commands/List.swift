// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let format = Flag("format", "f", .text, "table or json", standard: "table")
    private static let quiet = Flag("quiet", "q", .toggle, "print the ids alone")

    static var list: Command {
        Command(
            name: "list", summary: "list the containers under --root", operandCount: 0...0,
            flags: [format, quiet],
            isQuery: true,
            perform: { invocation throws(ContainerError) in
                let arguments = invocation.arguments
                // On standard error, as in runc: engines parse the list on standard output.
                let states = try invocation.store.states { id, reason in
                    StandardError.write("load container \(id): \(reason)\n")
                }
                if arguments.has(quiet) {
                    try StandardOutput.write(states.map { $0.id + "\n" }.joined())
                    return 0
                }
                switch arguments.text(format) ?? "table" {
                case "table":
                    try StandardOutput.write(table(of: states))
                case "json":
                    try StandardOutput.write(json(of: states))
                default:
                    throw ContainerError(
                        .invalidArgument, "invalid format option", hint: "table or json")
                }
                return 0
            })
    }

    /// The table with runc's columns.
    static func table(of states: [State]) -> String {
        var table = ColumnTable(rows: [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]])
        for state in states {
            table.rows.append([
                state.id, "\(state.pid)", state.status.rawValue, state.bundle,
                state.created ?? "", state.owner ?? "",
            ])
        }
        return table.text
    }

    /// One line of JSON; `null` if there are no containers, as in runc.
    static func json(of states: [State]) -> String {
        let value = states.isEmpty ? JSONValue.null : .array(states.map(\.encoded))
        return String(decoding: value.encoded(), as: UTF8.self) + "\n"
    }
}
