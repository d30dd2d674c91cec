// SPDX-License-Identifier: Apache-2.0

/// A device node in a container.
///
/// Spec: config-linux.md, Devices.
public struct DeviceNode: Hashable, Sendable {
    /// The type of the node.
    public var kind: Kind
    /// Where the node is in the container, an absolute path.
    public var path: String
    /// The major number; not used for a pipe.
    public var major: Int64
    /// The minor number; not used for a pipe.
    public var minor: Int64
    /// The permission bits.
    public var fileMode: UInt32?
    /// The owner in the container.
    public var uid: UInt32?
    /// The group in the container.
    public var gid: UInt32?

    /// A value of the given fields.
    public init(
        kind: Kind, path: String, major: Int64 = 0, minor: Int64 = 0, fileMode: UInt32? = nil,
        uid: UInt32? = nil, gid: UInt32? = nil
    ) {
        self.kind = kind
        self.path = path
        self.major = major
        self.minor = minor
        self.fileMode = fileMode
        self.uid = uid
        self.gid = gid
    }
}

extension DeviceNode: SpecObject {
    static var blank: DeviceNode { DeviceNode(kind: .character, path: "") }
    static var section: String { "config-linux.md, Devices" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("type", &kind)
        visitor.required("path", &path)
        if kind == .fifo {
            visitor.kept("major", &major)
            visitor.kept("minor", &minor)
        } else {
            visitor.required("major", &major)
            visitor.required("minor", &minor)
        }
        visitor.optional("fileMode", &fileMode)
        visitor.optional("uid", &uid)
        visitor.optional("gid", &gid)
    }
}

extension DeviceNode {
    /// The type of a device node.
    ///
    /// Kernel: mknod(1).
    public enum Kind: String, CaseIterable, Equatable, Sendable {
        /// A block device.
        case block = "b"
        /// A character device.
        case character = "c"
        /// A character device; the same as `c` on Linux.
        case unbufferedCharacter = "u"
        /// A named pipe.
        case fifo = "p"
    }
}

extension DeviceNode.Kind: Vocabulary {
    static var noun: String { "a device type" }
}

/// A rule for access to devices; later rules override earlier ones.
///
/// Spec: config-linux.md, Allowed Device list.
public struct DeviceCgroupRule: Hashable, Sendable {
    /// Whether the rule allows or denies.
    public var allow: Bool
    /// The type of device; nil is all.
    public var kind: Kind?
    /// The major number; nil or -1 is any.
    public var major: Int64?
    /// The minor number; nil or -1 is any.
    public var minor: Int64?
    /// The access that the rule concerns: some of `r`, `w` and `m`.
    public var access: String?

    /// A value of the given fields.
    public init(
        allow: Bool, kind: Kind? = nil, major: Int64? = nil, minor: Int64? = nil,
        access: String? = nil
    ) {
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
    }
}

extension DeviceCgroupRule: SpecObject {
    static var blank: DeviceCgroupRule { DeviceCgroupRule(allow: false) }
    static var section: String { "config-linux.md, Allowed Device list" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("allow", &allow)
        visitor.word("type", &kind)
        visitor.optional("major", &major)
        visitor.optional("minor", &minor)
        visitor.text("access", &access)
    }
}

extension DeviceCgroupRule {
    /// The type of device that a rule is for.
    public enum Kind: String, CaseIterable, Equatable, Sendable {
        /// Every device.
        case all = "a"
        /// Character devices.
        case character = "c"
        /// Block devices.
        case block = "b"
    }
}

extension DeviceCgroupRule.Kind: Vocabulary {
    static var noun: String { "a device rule type" }
}
