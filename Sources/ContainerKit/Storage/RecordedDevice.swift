// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// A device that was added to a running container, as its record has it.
struct RecordedDevice: Equatable, Sendable {
    /// The way in which the container got the node.
    enum Placement: Equatable, Sendable {
        /// The node was there before; it stays when the device is removed.
        case present
        /// The runtime made the node.
        case made
        /// The host's node is mounted, since no node can be made in a user namespace.
        case attached(AddedMount)
    }

    /// The device, with the node's path from the container's root.
    var device: AddedDevice
    var placement: Placement

    init(_ device: AddedDevice, _ placement: Placement) {
        self.device = device
        self.placement = placement
    }

    var json: JSONValue {
        var object: JSONObject = [
            "node": device.node.encoded, "access": .string(device.access),
        ]
        switch placement {
        case .present: object.append("placement", .string("present"))
        case .made: object.append("placement", .string("made"))
        case .attached(let mount): object.append("attached", mount.json)
        }
        return .object(object)
    }

    init?(_ value: JSONValue) {
        guard case .object(let object) = value, let encoded = object["node"],
            let node = try? DeviceNode(encoded: encoded), let access = object["access"]?.text
        else { return nil }
        let device = AddedDevice(node, access: access)
        switch object["placement"]?.text {
        case "present": self.init(device, .present)
        case "made": self.init(device, .made)
        default:
            guard let mount = object["attached"].flatMap(AddedMount.init) else { return nil }
            self.init(device, .attached(mount))
        }
    }
}
#endif
