// SPDX-License-Identifier: Apache-2.0

/// The part of a configuration that only Linux has.
///
/// Spec: config-linux.md.
public struct Linux: Hashable, Sendable {
    /// The mappings of user IDs in the user namespace.
    public var uidMappings: [IDMapping]?
    /// The mappings of group IDs in the user namespace.
    public var gidMappings: [IDMapping]?
    /// The kernel parameters that are set in the container.
    public var sysctl: [String: String]?
    /// The limits of the container's cgroup.
    public var resources: Resources?
    /// The path of the container's cgroup, or `slice:prefix:name` for systemd.
    public var cgroupsPath: String?
    /// The namespaces to create or join; all others are shared with the runtime.
    public var namespaces: [Namespace]?
    /// The device nodes in the container, in addition to the default ones.
    public var devices: [DeviceNode]?
    /// The network devices of the host that move to the container, by name.
    ///
    /// Since 1.3.0.
    public var netDevices: [String: NetDevice]?
    /// The system calls that the process may make.
    public var seccomp: Seccomp?
    /// How mounts under the root propagate.
    public var rootfsPropagation: Propagation?
    /// The paths of the container that cannot be read.
    public var maskedPaths: [String]?
    /// The paths of the container that are read-only.
    public var readonlyPaths: [String]?
    /// The SELinux context of the mounts.
    public var mountLabel: String?
    /// The cache and memory bandwidth of the container.
    public var intelRdt: IntelRdt?
    /// The NUMA nodes from which the process gets memory.
    ///
    /// Since 1.3.0.
    public var memoryPolicy: MemoryPolicy?
    /// The execution domain of the process.
    public var personality: Personality?
    /// How the clocks of a new time namespace differ from the host's, by clock.
    public var timeOffsets: [String: TimeOffset]?

    /// A value of the given fields.
    public init(
        uidMappings: [IDMapping]? = nil, gidMappings: [IDMapping]? = nil,
        sysctl: [String: String]? = nil, resources: Resources? = nil, cgroupsPath: String? = nil,
        namespaces: [Namespace]? = nil, devices: [DeviceNode]? = nil,
        netDevices: [String: NetDevice]? = nil, seccomp: Seccomp? = nil,
        rootfsPropagation: Propagation? = nil, maskedPaths: [String]? = nil,
        readonlyPaths: [String]? = nil, mountLabel: String? = nil, intelRdt: IntelRdt? = nil,
        memoryPolicy: MemoryPolicy? = nil, personality: Personality? = nil,
        timeOffsets: [String: TimeOffset]? = nil
    ) {
        self.uidMappings = uidMappings
        self.gidMappings = gidMappings
        self.sysctl = sysctl
        self.resources = resources
        self.cgroupsPath = cgroupsPath
        self.namespaces = namespaces
        self.devices = devices
        self.netDevices = netDevices
        self.seccomp = seccomp
        self.rootfsPropagation = rootfsPropagation
        self.maskedPaths = maskedPaths
        self.readonlyPaths = readonlyPaths
        self.mountLabel = mountLabel
        self.intelRdt = intelRdt
        self.memoryPolicy = memoryPolicy
        self.personality = personality
        self.timeOffsets = timeOffsets
    }
}

extension Linux: SpecObject {
    static var blank: Linux { Linux() }
    static var section: String { "config-linux.md" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("uidMappings", &uidMappings)
        visitor.optional("gidMappings", &gidMappings)
        visitor.optional("sysctl", &sysctl)
        visitor.optional("resources", &resources)
        visitor.text("cgroupsPath", &cgroupsPath)
        visitor.optional("namespaces", &namespaces)
        visitor.optional("devices", &devices)
        visitor.optional("netDevices", &netDevices)
        visitor.optional("seccomp", &seccomp)
        visitor.word("rootfsPropagation", &rootfsPropagation)
        visitor.optional("maskedPaths", &maskedPaths)
        visitor.optional("readonlyPaths", &readonlyPaths)
        visitor.text("mountLabel", &mountLabel)
        visitor.optional("intelRdt", &intelRdt)
        visitor.optional("memoryPolicy", &memoryPolicy)
        visitor.optional("personality", &personality)
        visitor.optional("timeOffsets", &timeOffsets)
    }
}

extension Linux {
    /// How mounts under the root filesystem propagate.
    ///
    /// Kernel: mount_namespaces(7).
    public enum Propagation: String, CaseIterable, Equatable, Sendable {
        /// To and from peer mounts.
        case shared
        /// To and from peer mounts, for all mounts below as well.
        case recursivelyShared = "rshared"
        /// From the host only.
        case slave
        /// From the host only, for all mounts below as well.
        case recursivelySlave = "rslave"
        /// Not at all.
        case `private`
        /// Not at all, for all mounts below as well.
        case recursivelyPrivate = "rprivate"
        /// Not at all, and the mount cannot be bound.
        case unbindable
        /// Not at all, and the mount cannot be bound, for all mounts below as well.
        case recursivelyUnbindable = "runbindable"
    }
}

extension Linux.Propagation: Vocabulary {
    static var noun: String { "a propagation mode" }
}

/// A namespace of a container.
///
/// Spec: config-linux.md, Namespaces.
public struct Namespace: Hashable, Sendable {
    /// What the namespace isolates.
    public var kind: Kind
    /// The file of the namespace to join, an absolute path; nil makes a new one.
    public var path: String?

    /// A value of the given fields.
    public init(kind: Kind, path: String? = nil) {
        self.kind = kind
        self.path = path
    }
}

extension Namespace: SpecObject {
    static var blank: Namespace { Namespace(kind: .mount) }
    static var section: String { "config-linux.md, Namespaces" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("type", &kind)
        visitor.text("path", &path)
    }
}

extension Namespace {
    /// What a namespace isolates.
    ///
    /// Kernel: namespaces(7).
    public enum Kind: String, CaseIterable, Equatable, Sendable {
        /// Mount points.
        case mount
        /// Process IDs.
        case pid
        /// Network devices, stacks and ports.
        case network
        /// System V IPC and POSIX message queues.
        case ipc
        /// Host name and domain name.
        case uts
        /// User and group IDs.
        case user
        /// The view of the cgroup hierarchy.
        case cgroup
        /// The monotonic and boot-time clocks.
        case time
    }
}

extension Namespace.Kind: Vocabulary {
    static var noun: String { "a namespace type" }
}

/// The offset of a clock of a time namespace from the host's clock.
///
/// Spec: config-linux.md, Offset for Time Namespace. Kernel: time_namespaces(7).
public struct TimeOffset: Hashable, Sendable {
    /// The whole seconds.
    public var seconds: Int64
    /// The nanoseconds to add to the seconds.
    public var nanoseconds: UInt32

    /// A value of the given fields.
    public init(seconds: Int64 = 0, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

extension TimeOffset: SpecObject {
    static var blank: TimeOffset { TimeOffset() }
    static var section: String { "config-linux.md, Offset for Time Namespace" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.defaulted("secs", &seconds, absent: 0)
        visitor.defaulted("nanosecs", &nanoseconds, absent: 0)
    }
}

/// A network device of the host that moves to the container.
///
/// Spec: config-linux.md, Network Devices.
public struct NetDevice: Hashable, Sendable {
    /// The name in the container; nil keeps the host's name.
    public var name: String?

    /// A value of the given fields.
    public init(name: String? = nil) {
        self.name = name
    }
}

extension NetDevice: SpecObject {
    static var blank: NetDevice { NetDevice() }
    static var section: String { "config-linux.md, Network Devices" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.text("name", &name)
    }
}

/// The execution domain of a process.
///
/// Spec: config-linux.md, Personality. Kernel: personality(2).
public struct Personality: Hashable, Sendable {
    /// The execution domain.
    public var domain: Domain
    /// Flags of the domain; the specification names none so far.
    public var flags: [String]?

    /// A value of the given fields.
    public init(domain: Domain, flags: [String]? = nil) {
        self.domain = domain
        self.flags = flags
    }
}

extension Personality: SpecObject {
    static var blank: Personality { Personality(domain: .linux) }
    static var section: String { "config-linux.md, Personality" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("domain", &domain)
        visitor.optional("flags", &flags)
    }
}

extension Personality {
    /// An execution domain.
    ///
    /// Kernel: personality(2).
    public enum Domain: String, CaseIterable, Equatable, Sendable {
        /// The native domain.
        case linux = "LINUX"
        /// `uname(2)` reports a 32-bit machine.
        case linux32 = "LINUX32"
    }
}

extension Personality.Domain: Vocabulary {
    static var noun: String { "a personality domain" }
}
