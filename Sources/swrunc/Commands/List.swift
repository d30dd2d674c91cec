// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

extension Command {
    private static let format = Flag(
        "format", "f", .text, "table, json, or \"table COLUMN,...\"", standard: "table")
    private static let quiet = Flag("quiet", "q", .toggle, "print the ids alone")
    private static let filter = Flag(
        "filter", nil, .text, "only containers with KEY=VALUE, such as status=running; repeatable")

    static var list: Command {
        Command(
            name: "list", summary: "list the containers under --root", operandCount: 0...0,
            details: """
                Columns are id, pid, status, bundle, rootfs, created and owner. On a terminal, chosen
                columns show the time relative to now.

                Keys of --filter are status, id, bundle, owner and annotation.NAME. Of several filters
                with one key one must match, and of each key one.
                """,
            flags: [format, quiet, filter], isQuery: true, perform: performList)
    }

    private static func performList(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        let filters = try ListFilter(arguments.texts(filter))
        let name = arguments.text(format) ?? "table"
        let columns = try ListColumns(format: name)
        // On standard error, as in runc: engines parse the list on standard output.
        let states = try invocation.store.states { id, reason in
            StandardError.write("load container \(id): \(reason)\n")
        }.filter(filters.matches)
        if arguments.has(quiet) {
            try StandardOutput.write(states.map { $0.id + "\n" }.joined())
            return 0
        }
        if let columns {
            let now = StandardOutput.isTerminal ? Timestamp.now.seconds : nil
            try StandardOutput.write(columns.table(of: states, now: now))
            return 0
        }
        switch name {
        case "table": try StandardOutput.write(table(of: states))
        case "json": try StandardOutput.write(json(of: states))
        default:
            throw ContainerError(
                .invalidArgument, "invalid format option",
                hint: "table, json, or \"table COLUMN,...\"")
        }
        return 0
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

/// The conditions of `list --filter`.
struct ListFilter {
    private let conditions: [(key: String, value: String)]

    /// Reads conditions such as `status=running`.
    ///
    /// - Throws: `invalidArgument` for an unknown key or status.
    init(_ texts: [String]) throws(ContainerError) {
        var conditions: [(key: String, value: String)] = []
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw Self.error(text, "is not KEY=VALUE", hint: "such as status=running")
            }
            let (key, value) = (String(parts[0]), String(parts[1]))
            let isKnown =
                ["status", "id", "bundle", "owner"].contains(key)
                || key.hasPrefix(Self.annotation) && key != Self.annotation
            guard isKnown else {
                throw Self.error(
                    text, "has an unknown key", hint: "status, id, bundle, owner, annotation.NAME")
            }
            guard key != "status" || State.Status(rawValue: value) != nil else {
                throw Self.error(
                    text, "has an unknown status",
                    hint: State.Status.allCases.map(\.rawValue).joined(separator: ", "))
            }
            conditions.append((key, value))
        }
        self.conditions = conditions
    }

    private static let annotation = "annotation."

    private static func error(_ text: String, _ what: String, hint: String) -> ContainerError {
        ContainerError(.invalidArgument, "--filter: \(text.debugDescription) \(what)", hint: hint)
    }

    /// Whether a container has one of the values of each key.
    func matches(_ state: State) -> Bool {
        conditions.allSatisfy { condition in
            conditions.contains { other in
                other.key == condition.key && Self.value(of: other.key, in: state) == other.value
            }
        }
    }

    private static func value(of key: String, in state: State) -> String? {
        switch key {
        case "status": state.status.rawValue
        case "id": state.id
        case "bundle": state.bundle
        case "owner": state.owner
        default: state.annotations?[String(key.dropFirst(annotation.count))]
        }
    }
}
