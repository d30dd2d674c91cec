// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// A mount that was added to a running container, as its record has it.
struct AddedMount: Equatable, Sendable {
    /// The mount, with the destination as a path from the container's root.
    var mount: Mount
    /// The identity of the mount, which tells it from what the container mounts at the same place.
    var identity: UInt64
    /// Its ID in the container's table of mounts.
    var id: UInt64

    init(_ mount: Mount, identity: UInt64, id: UInt64) {
        self.mount = mount
        self.identity = identity
        self.id = id
    }

    var json: JSONValue {
        // A number of JSON has 63 bits here.
        .object([
            "mount": mount.encoded, "identity": .string(String(identity)),
            "id": .string(String(id)),
        ])
    }

    init?(_ value: JSONValue) {
        guard case .object(let object) = value, let encoded = object["mount"],
            let mount = try? Mount(encoded: encoded),
            let identity = object["identity"]?.text.flatMap({ UInt64($0) }),
            let id = object["id"]?.text.flatMap({ UInt64($0) })
        else { return nil }
        self.init(mount, identity: identity, id: id)
    }
}
#endif
