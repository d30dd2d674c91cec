// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

extension Command {
    private static let format = Flag("format", "f", .text, "table or json", standard: "table")
    private static let access = Flag(
        "access", nil, .text, "what add permits: letters of rwm (read, write, mknod)",
        standard: "rwm")

    static var devices: Command {
        Command(
            name: "devices", summary: "give devices to a running container, and take them back",
            operands: "add|remove|list <container-id> [FILE|DEVICE]", operandCount: 2...3,
            details: """
                FILE has a list of devices in the form of linux.devices of config.json, or a single one; - is
                standard input. Such as {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}. DEVICE
                is a device of the host, such as /dev/fuse, which gets the same path in the container.

                add makes the nodes and permits their use in the container's cgroup. When one device fails,
                all are taken back. A node that is there already is used as it is.

                remove takes back the permission and the nodes that add has made, by the paths in FILE or by
                one path. What the config permits stays, and so does a node that was there before.

                list prints what was added and not removed.
                """,
            flags: [access, format],
            perform: { invocation throws(ContainerError) in
                let words = invocation.arguments.operands
                let container = try invocation.store.container(words[1])
                let action = try AdditionAction(words, of: "devices")
                let letters = invocation.arguments.text(access)
                guard letters == nil || action == .add else {
                    throw ContainerError(.invalidArgument, "--access is for devices add alone")
                }
                switch action {
                case .add: try container.addDevices(added(words, access: letters ?? "rwm"))
                case .remove: try container.removeDevices(removed(words, from: container))
                case .list:
                    try AdditionAction.checkList(words, of: "devices")
                    try print(
                        container.addedDevices(), invocation.arguments.text(format) ?? "table")
                }
                return 0
            })
    }

    private static func operand(_ words: [String]) throws(ContainerError) -> String {
        guard words.count == 3 else {
            throw ContainerError(
                .invalidArgument, "devices \(words[0]) needs a device, or a file with devices",
                hint: "- is standard input")
        }
        return words[2]
    }

    private static func added(_ words: [String], access: String) throws(ContainerError)
        -> [AddedDevice]
    {
        let word = try operand(words)
        if word != "-", let device = try? AddedDevice(ofHost: FilePath(word), access: access) {
            return [device]
        }
        return try nodes(word).map { AddedDevice($0, access: access) }
    }

    private static func removed(_ words: [String], from container: Container)
        throws(ContainerError) -> [FilePath]
    {
        let word = try operand(words)
        // The host's own node may be gone by now.
        let isAdded = try container.addedDevices().contains { $0.node.path == word }
        let isDevice = word != "-" && (try? AddedDevice(ofHost: FilePath(word))) != nil
        if isAdded || isDevice { return [FilePath(word)] }
        return try nodes(word).map { FilePath($0.path) }
    }

    private static func nodes(_ word: String) throws(ContainerError) -> [DeviceNode] {
        let (bytes, name) = try readFileOrInput(FilePath(word))
        do {
            return try DeviceNode.list(json: bytes)
        } catch {
            throw ContainerError(.invalidSpec, "\(name): \(error)")
        }
    }

    private static func print(_ devices: [AddedDevice], _ format: String) throws(ContainerError) {
        switch format {
        case "json":
            let list = JSONValue.array(
                devices.map { device in
                    guard case .object(var object) = device.node.encoded else { return .null }
                    object.append("access", .string(device.access))
                    return .object(object)
                })
            try StandardOutput.write(list.encoded(pretty: true) + [UInt8(ascii: "\n")])
        case "table":
            var table = ColumnTable(rows: [["PATH", "TYPE", "NUMBERS", "ACCESS"]])
            for device in devices {
                let node = device.node
                table.rows.append([
                    node.path, node.kind.rawValue, "\(node.major):\(node.minor)", device.access,
                ])
            }
            try StandardOutput.write(table.text)
        default:
            throw ContainerError(.invalidArgument, "invalid format option", hint: "table or json")
        }
    }
}
