// SPDX-License-Identifier: Apache-2.0

/// Something that is mounted over the root filesystem.
///
/// Spec: config.md, Mounts.
public struct Mount: Hashable, Sendable {
    /// The path in the container; a relative path counts from `/`.
    public var destination: String
    /// The filesystem type, as in `/proc/filesystems`; not used for bind mounts.
    public var type: String?
    /// A device, a directory or file of the host, or a name.
    public var source: String?
    /// The mount options of fstab(5) and those that the specification adds.
    public var options: [String]?
    /// How user IDs of the files appear, for an ID-mapped mount.
    public var uidMappings: [IDMapping]?
    /// How group IDs of the files appear, for an ID-mapped mount.
    public var gidMappings: [IDMapping]?

    /// A value of the given fields.
    public init(
        destination: String, type: String? = nil, source: String? = nil, options: [String]? = nil,
        uidMappings: [IDMapping]? = nil, gidMappings: [IDMapping]? = nil
    ) {
        self.destination = destination
        self.type = type
        self.source = source
        self.options = options
        self.uidMappings = uidMappings
        self.gidMappings = gidMappings
    }
}

extension Mount: SpecObject {
    static var blank: Mount { Mount(destination: "") }
    static var section: String { "config.md, Mounts" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("destination", &destination)
        visitor.text("type", &type)
        visitor.text("source", &source)
        visitor.optional("options", &options)
        visitor.optional("uidMappings", &uidMappings)
        visitor.optional("gidMappings", &gidMappings)
    }
}

/// A range of IDs in a container and the range of host IDs it maps to.
///
/// Spec: config-linux.md, User namespace mappings. Kernel: user_namespaces(7).
public struct IDMapping: Hashable, Sendable {
    /// The first ID in the container.
    public var containerID: UInt32
    /// The first ID on the host.
    public var hostID: UInt32
    /// How many IDs are mapped.
    public var size: UInt32

    /// A value of the given fields.
    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }
}

extension IDMapping: SpecObject {
    static var blank: IDMapping { IDMapping(containerID: 0, hostID: 0, size: 0) }
    static var section: String { "config-linux.md, User namespace mappings" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("containerID", &containerID)
        visitor.required("hostID", &hostID)
        visitor.required("size", &size)
    }
}
