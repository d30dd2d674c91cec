// SPDX-License-Identifier: Apache-2.0

/// The configuration of a container: all of config.json that concerns Linux.
///
/// Fields that the specification does not name, and the sections of other platforms, are not kept.
/// Spec: config.md.
public struct Spec: Hashable, Sendable {
    /// The version of the specification that the bundle follows, as SemVer.
    public var ociVersion: String
    /// The process that runs in the container; needed to start it.
    public var process: Process?
    /// The root filesystem.
    public var root: Root?
    /// The host name in the UTS namespace.
    public var hostname: String?
    /// The NIS domain name in the UTS namespace.
    public var domainname: String?
    /// The mounts over the root filesystem, in this order.
    public var mounts: [Mount]?
    /// The commands that run at points of the lifecycle.
    public var hooks: Hooks?
    /// Metadata for the programs that know the keys.
    public var annotations: [String: String]?
    /// Namespaces, cgroups and everything else that only Linux has.
    public var linux: Linux?

    /// A value of the given fields.
    public init(
        ociVersion: String, process: Process? = nil, root: Root? = nil, hostname: String? = nil,
        domainname: String? = nil, mounts: [Mount]? = nil, hooks: Hooks? = nil,
        annotations: [String: String]? = nil, linux: Linux? = nil
    ) {
        self.ociVersion = ociVersion
        self.process = process
        self.root = root
        self.hostname = hostname
        self.domainname = domainname
        self.mounts = mounts
        self.hooks = hooks
        self.annotations = annotations
        self.linux = linux
    }
}

extension Spec: SpecObject {
    static var blank: Spec { Spec(ociVersion: "") }
    static var section: String { "config.md" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("ociVersion", &ociVersion)
        visitor.optional("process", &process)
        visitor.optional("root", &root)
        visitor.text("hostname", &hostname)
        visitor.text("domainname", &domainname)
        visitor.optional("mounts", &mounts)
        visitor.optional("hooks", &hooks)
        visitor.optional("annotations", &annotations)
        visitor.optional("linux", &linux)
    }
}

/// The root filesystem of a container.
///
/// Spec: config.md, Root.
public struct Root: Hashable, Sendable {
    /// The path of the root filesystem, absolute or relative to the bundle.
    public var path: String
    /// Whether the root filesystem is read-only inside the container.
    public var readonly: Bool

    /// A value of the given fields.
    public init(path: String, readonly: Bool = false) {
        self.path = path
        self.readonly = readonly
    }
}

extension Root: SpecObject {
    static var blank: Root { Root(path: "") }
    static var section: String { "config.md, Root" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("path", &path)
        visitor.defaulted("readonly", &readonly, absent: false)
    }
}
