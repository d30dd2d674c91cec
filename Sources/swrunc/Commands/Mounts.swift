// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

extension Command {
    private static let format = Flag("format", "f", .text, "table or json", standard: "table")

    static var mounts: Command {
        Command(
            name: "mounts", summary: "add mounts to a running container, and remove them",
            operands: "add|remove|list <container-id> [FILE]", operandCount: 2...3,
            details: """
                FILE has a list of mounts in the form of mounts of config.json, or a single one; - is standard
                input. Such as {"destination": "/data", "source": "/srv/data", "options": ["bind", "ro"]}.

                add mounts them in order, with the options that mounts of a new container have. When one
                fails, those before it are unmounted again. A mount point that is missing is made, and stays.

                remove unmounts what add has mounted at the destinations in FILE; nothing else of them is
                used. Mounts of the config stay, and so does what the container has mounted itself.

                list prints what was added and not removed.
                """,
            flags: [format],
            perform: { invocation throws(ContainerError) in
                let words = invocation.arguments.operands
                let container = try invocation.store.container(words[1])
                let action = try AdditionAction(words, of: "mounts")
                switch action {
                case .add: try container.addMounts(mounts(words))
                case .remove:
                    try container.removeMounts(mounts(words).map { FilePath($0.destination) })
                case .list:
                    try AdditionAction.checkList(words, of: "mounts")
                    try print(
                        container.addedMounts(), invocation.arguments.text(format) ?? "table")
                }
                return 0
            })
    }

    private static func mounts(_ words: [String]) throws(ContainerError) -> [Mount] {
        guard words.count == 3 else {
            throw ContainerError(
                .invalidArgument, "mounts \(words[0]) needs a file with the mounts",
                hint: "- is standard input")
        }
        let (bytes, name) = try readFileOrInput(FilePath(words[2]))
        do {
            return try Mount.list(json: bytes)
        } catch {
            throw ContainerError(.invalidSpec, "\(name): \(error)")
        }
    }

    private static func print(_ mounts: [Mount], _ format: String) throws(ContainerError) {
        switch format {
        case "json":
            let list = JSONValue.array(mounts.map(\.encoded)).encoded(pretty: true)
            try StandardOutput.write(list + [UInt8(ascii: "\n")])
        case "table":
            var table = ColumnTable(rows: [["DESTINATION", "TYPE", "SOURCE", "OPTIONS"]])
            for mount in mounts {
                table.rows.append([
                    mount.destination, mount.type ?? "", mount.source ?? "",
                    (mount.options ?? []).joined(separator: ","),
                ])
            }
            try StandardOutput.write(table.text)
        default:
            throw ContainerError(.invalidArgument, "invalid format option", hint: "table or json")
        }
    }
}
