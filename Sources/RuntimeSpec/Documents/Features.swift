// SPDX-License-Identifier: Apache-2.0

/// What the runtime can do; nil is unknown, never none.
///
/// Spec: features.md.
public struct Features: Hashable, Sendable {
    /// The lowest version of the specification that the runtime supports.
    public var ociVersionMin: String
    /// The highest version of the specification that the runtime supports.
    public var ociVersionMax: String
    /// The supported kinds of hooks.
    public var hooks: [String]?
    /// The supported mount options, except those of single filesystems.
    public var mountOptions: [String]?
    /// The features that only Linux has.
    public var linux: Linux?
    /// Facts about the runtime, such as its version.
    public var annotations: [String: String]?
    /// Annotations that change how a container runs; one ending in `.` is a prefix.
    public var potentiallyUnsafeConfigAnnotations: [String]?

    /// A value of the given fields.
    public init(
        ociVersionMin: String, ociVersionMax: String, hooks: [String]? = nil,
        mountOptions: [String]? = nil, linux: Linux? = nil, annotations: [String: String]? = nil,
        potentiallyUnsafeConfigAnnotations: [String]? = nil
    ) {
        self.ociVersionMin = ociVersionMin
        self.ociVersionMax = ociVersionMax
        self.hooks = hooks
        self.mountOptions = mountOptions
        self.linux = linux
        self.annotations = annotations
        self.potentiallyUnsafeConfigAnnotations = potentiallyUnsafeConfigAnnotations
    }
}

extension Features: SpecObject {
    static var blank: Features { Features(ociVersionMin: "", ociVersionMax: "") }
    static var section: String { "features.md" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("ociVersionMin", &ociVersionMin)
        visitor.required("ociVersionMax", &ociVersionMax)
        visitor.optional("hooks", &hooks)
        visitor.optional("mountOptions", &mountOptions)
        visitor.optional("linux", &linux)
        visitor.optional("annotations", &annotations)
        visitor.optional("potentiallyUnsafeConfigAnnotations", &potentiallyUnsafeConfigAnnotations)
    }
}

extension Features {
    /// What the runtime can do on Linux.
    ///
    /// Spec: features-linux.md.
    public struct Linux: Hashable, Sendable {
        /// The supported namespace types.
        public var namespaces: [String]?
        /// The supported capabilities.
        public var capabilities: [String]?
        /// The supported kinds of cgroups.
        public var cgroup: Cgroup?
        /// The supported parts of seccomp.
        public var seccomp: Seccomp?
        /// Whether AppArmor profiles are supported.
        public var apparmor: Support?
        /// Whether SELinux labels are supported.
        public var selinux: Support?
        /// The supported parts of Intel RDT.
        public var intelRdt: IntelRdt?
        /// The supported parts of memory policies.
        public var memoryPolicy: MemoryPolicy?
        /// The supported extensions of mounts beyond mount(2).
        public var mountExtensions: MountExtensions?
        /// Whether network devices can be moved into a container.
        public var netDevices: Support?

        /// A value of the given fields.
        public init(
            namespaces: [String]? = nil, capabilities: [String]? = nil, cgroup: Cgroup? = nil,
            seccomp: Seccomp? = nil, apparmor: Support? = nil, selinux: Support? = nil,
            intelRdt: IntelRdt? = nil, memoryPolicy: MemoryPolicy? = nil,
            mountExtensions: MountExtensions? = nil, netDevices: Support? = nil
        ) {
            self.namespaces = namespaces
            self.capabilities = capabilities
            self.cgroup = cgroup
            self.seccomp = seccomp
            self.apparmor = apparmor
            self.selinux = selinux
            self.intelRdt = intelRdt
            self.memoryPolicy = memoryPolicy
            self.mountExtensions = mountExtensions
            self.netDevices = netDevices
        }
    }
}

extension Features.Linux: SpecObject {
    static var blank: Features.Linux { Features.Linux() }
    static var section: String { "features-linux.md" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("namespaces", &namespaces)
        visitor.optional("capabilities", &capabilities)
        visitor.optional("cgroup", &cgroup)
        visitor.optional("seccomp", &seccomp)
        visitor.optional("apparmor", &apparmor)
        visitor.optional("selinux", &selinux)
        visitor.optional("intelRdt", &intelRdt)
        visitor.optional("memoryPolicy", &memoryPolicy)
        visitor.optional("mountExtensions", &mountExtensions)
        visitor.optional("netDevices", &netDevices)
    }
}

extension Features {
    /// Whether the runtime supports one feature, whatever the host offers.
    public struct Support: Hashable, Sendable {
        /// Whether it is supported.
        public var enabled: Bool?

        /// A value of the given fields.
        public init(enabled: Bool? = nil) {
            self.enabled = enabled
        }
    }
}

extension Features.Support: SpecObject {
    static var blank: Features.Support { Features.Support() }
    static var section: String { "features-linux.md" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("enabled", &enabled)
    }
}

extension Features {
    /// The supported kinds of cgroups.
    ///
    /// Spec: features-linux.md, Cgroup.
    public struct Cgroup: Hashable, Sendable {
        /// Whether cgroup v1 is supported.
        public var v1: Bool?
        /// Whether cgroup v2 is supported.
        public var v2: Bool?
        /// Whether the system's instance of systemd can manage cgroups.
        public var systemd: Bool?
        /// Whether a user's instance of systemd can manage cgroups.
        public var systemdUser: Bool?
        /// Whether the RDMA controller is supported.
        public var rdma: Bool?

        /// A value of the given fields.
        public init(
            v1: Bool? = nil, v2: Bool? = nil, systemd: Bool? = nil, systemdUser: Bool? = nil,
            rdma: Bool? = nil
        ) {
            self.v1 = v1
            self.v2 = v2
            self.systemd = systemd
            self.systemdUser = systemdUser
            self.rdma = rdma
        }
    }
}

extension Features.Cgroup: SpecObject {
    static var blank: Features.Cgroup { Features.Cgroup() }
    static var section: String { "features-linux.md, Cgroup" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("v1", &v1)
        visitor.optional("v2", &v2)
        visitor.optional("systemd", &systemd)
        visitor.optional("systemdUser", &systemdUser)
        visitor.optional("rdma", &rdma)
    }
}

extension Features {
    /// The supported parts of seccomp.
    ///
    /// Spec: features-linux.md, Seccomp.
    public struct Seccomp: Hashable, Sendable {
        /// Whether filters are supported.
        public var enabled: Bool?
        /// The supported actions.
        public var actions: [String]?
        /// The supported comparison operators.
        public var operators: [String]?
        /// The supported architectures.
        public var archs: [String]?
        /// The flags that a configuration may name.
        public var knownFlags: [String]?
        /// The flags that the kernel and libseccomp support as well.
        public var supportedFlags: [String]?

        /// A value of the given fields.
        public init(
            enabled: Bool? = nil, actions: [String]? = nil, operators: [String]? = nil,
            archs: [String]? = nil, knownFlags: [String]? = nil, supportedFlags: [String]? = nil
        ) {
            self.enabled = enabled
            self.actions = actions
            self.operators = operators
            self.archs = archs
            self.knownFlags = knownFlags
            self.supportedFlags = supportedFlags
        }
    }
}

extension Features.Seccomp: SpecObject {
    static var blank: Features.Seccomp { Features.Seccomp() }
    static var section: String { "features-linux.md, Seccomp" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("enabled", &enabled)
        visitor.optional("actions", &actions)
        visitor.optional("operators", &operators)
        visitor.optional("archs", &archs)
        visitor.optional("knownFlags", &knownFlags)
        visitor.optional("supportedFlags", &supportedFlags)
    }
}

extension Features {
    /// The supported parts of Resource Director Technology.
    ///
    /// Spec: features-linux.md, Intel RDT.
    public struct IntelRdt: Hashable, Sendable {
        /// Whether any part of it is supported.
        public var enabled: Bool?
        /// Whether the field `schemata` is supported.
        public var schemata: Bool?
        /// Whether the field `enableMonitoring` is supported.
        public var monitoring: Bool?

        /// A value of the given fields.
        public init(enabled: Bool? = nil, schemata: Bool? = nil, monitoring: Bool? = nil) {
            self.enabled = enabled
            self.schemata = schemata
            self.monitoring = monitoring
        }
    }
}

extension Features.IntelRdt: SpecObject {
    static var blank: Features.IntelRdt { Features.IntelRdt() }
    static var section: String { "features-linux.md, Intel RDT" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("enabled", &enabled)
        visitor.optional("schemata", &schemata)
        visitor.optional("monitoring", &monitoring)
    }
}

extension Features {
    /// The supported parts of memory policies.
    ///
    /// Spec: features-linux.md, Memory policy.
    public struct MemoryPolicy: Hashable, Sendable {
        /// The supported modes.
        public var modes: [String]?
        /// The supported flags.
        public var flags: [String]?

        /// A value of the given fields.
        public init(modes: [String]? = nil, flags: [String]? = nil) {
            self.modes = modes
            self.flags = flags
        }
    }
}

extension Features.MemoryPolicy: SpecObject {
    static var blank: Features.MemoryPolicy { Features.MemoryPolicy() }
    static var section: String { "features-linux.md, Memory policy" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("modes", &modes)
        visitor.optional("flags", &flags)
    }
}

extension Features {
    /// The supported extensions of mounts beyond mount(2).
    ///
    /// Spec: features-linux.md, Mount extensions.
    public struct MountExtensions: Hashable, Sendable {
        /// Whether ID-mapped mounts are supported.
        public var idmap: Support?

        /// A value of the given fields.
        public init(idmap: Support? = nil) {
            self.idmap = idmap
        }
    }
}

extension Features.MountExtensions: SpecObject {
    static var blank: Features.MountExtensions { Features.MountExtensions() }
    static var section: String { "features-linux.md, Mount extensions" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("idmap", &idmap)
    }
}
