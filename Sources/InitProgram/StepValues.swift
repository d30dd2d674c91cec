// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import KernelVocabulary

// Values in the steps of child and parent.

/// The child's request for a mount point, sent with its root and an eventfd(2) for the answer.
///
/// Layout: the byte `mountPointMissing`; 1 if a link at the end is followed, else 0; the mode of
/// the source, two bytes; the path.
package enum MountPointRequest {
    /// The offset of the path.
    package static let pathOffset = 4
}

/// The user and group that make files in a user namespace.
package struct NamespaceUser: Equatable, Sendable {
    /// The user.
    package let userID: UInt32
    /// The group.
    package let groupID: UInt32

    /// A user and a group.
    package init(userID: UInt32, groupID: UInt32) {
        self.userID = userID
        self.groupID = groupID
    }
}

/// The connection to the process that lets this one go on.
///
/// Hooks get their streams over it, and the number of a seccomp listener is sent over it.
package enum StartChannel: Equatable, Sendable {
    /// To the runtime that launches the process.
    case rendezvous
    /// To the `start` command that lets it go on.
    case startConnection
}

/// An offset of one clock in a new time namespace.
///
/// Kernel: time_namespaces(7).
package struct TimeNamespaceOffset: Equatable, Sendable {
    /// `monotonic` or `boottime`.
    package let clock: String
    /// Whole seconds.
    package let seconds: Int64
    /// Nanoseconds, 0 to 999,999,999.
    package let nanoseconds: UInt32

    /// An offset of seconds and nanoseconds.
    package init(clock: String, seconds: Int64, nanoseconds: UInt32) {
        self.clock = clock
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// The new owner of a standard stream.
package enum StreamOwner: Equatable, Sendable {
    /// A user ID in the runtime's user namespace.
    case user(UInt32)
    /// A user ID in the child's user namespace.
    case childUser(UInt32)
}

/// The mount point to make if the destination does not exist.
package enum MountPointKind: Equatable, Sendable {
    /// A directory.
    case directory
    /// The same type as the source: a directory, or an empty file.
    case likeSource
    /// Like `likeSource`; a link at the end of the path is mounted over, not followed.
    case likeSourceOverLink
}

/// A propagation type, with or without the mounts below.
///
/// Kernel: mount_namespaces(7).
package struct MountPropagation: Equatable, Sendable {
    /// MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE.
    package let flag: MountFlags
    /// Whether the mounts below change too.
    package let recursive: Bool
    /// The word of the specification, such as `rslave`.
    package let name: String

    /// A propagation type.
    package init(flag: MountFlags, recursive: Bool, name: String) {
        self.flag = flag
        self.recursive = recursive
        self.name = name
    }
}

/// A change of mount attributes, as mount_setattr(2) takes it.
package struct MountChange: Equatable, Sendable {
    /// The attributes to set.
    package var set: MountAttributes
    /// The attributes to clear.
    package var clear: MountAttributes
    /// Whether the mounts below change too.
    package var recursive: Bool
    /// The propagation type to set; empty leaves it unchanged.
    package var propagation: MountFlags

    /// A change of attributes or propagation.
    package init(
        set: MountAttributes = .empty, clear: MountAttributes = .empty, recursive: Bool = false,
        propagation: MountFlags = .empty
    ) {
        self.set = set
        self.clear = clear
        self.recursive = recursive
        self.propagation = propagation
    }
}

/// A new instance of a file system.
package struct FilesystemMount: Equatable, Sendable {
    /// The type, as in /proc/filesystems.
    package var type: String
    /// The source that /proc/self/mountinfo shows.
    package var source: String
    /// The destination inside the rootfs.
    package var destination: String
    /// Options of the file system: `mode=755` or a bare flag.
    package var options: [String]
    /// The MS_* flags of a mount that only mount(2) can make; nil for fsopen(2).
    package var mountFlags: MountFlags?
    /// The attributes that fsmount(2) sets.
    package var attributes: MountAttributes
    /// Further changes, in order, before the mount is attached.
    package var changes: [MountChange]
    /// The SELinux label of the root directory alone, for a file system without a `context` option.
    package var rootLabel: String?

    /// A mount to make.
    package init(
        type: String, source: String, destination: String, options: [String] = [],
        mountFlags: MountFlags? = nil, attributes: MountAttributes = .empty,
        changes: [MountChange] = [],
        rootLabel: String? = nil
    ) {
        self.rootLabel = rootLabel
        self.type = type
        self.source = source
        self.destination = destination
        self.options = options
        self.mountFlags = mountFlags
        self.attributes = attributes
        self.changes = changes
    }
}

/// A mount tree of the host that the child clones itself.
package struct HostTree: Equatable, Sendable {
    /// The kind of file that the path must lead to.
    package enum Kind: Equatable, Sendable {
        /// Anything.
        case any
        /// A directory.
        case directory
        /// A device node of this type and number.
        case device(Device)
    }

    /// An absolute path of the host.
    package var path: String
    /// Whether the mounts below are cloned too.
    package var recursive: Bool
    /// Whether a link at the end of the path is followed; otherwise the link itself is cloned.
    package var followsLink: Bool
    /// The kind of file that must be there.
    package var kind: Kind
    /// Attribute and propagation changes, in order.
    package var changes: [MountChange]

    /// A tree to clone.
    package init(
        path: String, recursive: Bool = false, followsLink: Bool = true, kind: Kind = .any,
        changes: [MountChange] = []
    ) {
        self.path = path
        self.recursive = recursive
        self.followsLink = followsLink
        self.kind = kind
        self.changes = changes
    }
}

/// A mount tree of the container itself, which the child clones.
package struct ContainerTree: Equatable, Sendable {
    /// A path in the root file system.
    package var path: String
    /// Whether the mounts below are cloned too.
    package var recursive: Bool
    /// Whether a link at the end of the path is itself cloned; otherwise it is refused.
    package var clonesLink: Bool
    /// Attribute and propagation changes, in order.
    package var changes: [MountChange]

    /// A tree to clone.
    package init(
        path: String, recursive: Bool = false, clonesLink: Bool = false,
        changes: [MountChange] = []
    ) {
        self.path = path
        self.recursive = recursive
        self.clonesLink = clonesLink
        self.changes = changes
    }
}

/// A symbolic link.
package struct SymbolicLink: Equatable, Sendable {
    /// The link's name in its directory.
    package let name: String
    /// The link's text.
    package let target: String

    /// A link to make.
    package init(name: String, target: String) {
        self.name = name
        self.target = target
    }
}

/// One v1 hierarchy of a cgroup mount.
package struct CgroupHierarchyMount: Equatable, Sendable {
    /// The directory's name, such as `cpu,cpuacct`.
    package let name: String
    /// The controllers that get a link to the directory, such as `cpu`.
    package let links: [String]

    /// A hierarchy to attach.
    package init(name: String, links: [String]) {
        self.name = name
        self.links = links
    }
}

/// A device node.
///
/// Spec: config-linux.md, Devices.
package struct Device: Equatable, Sendable {
    /// The node's name in its directory.
    package var name: String
    /// File type and permission bits (S_IFCHR|0666).
    package var mode: FileMode
    /// Major number.
    package var major: UInt32
    /// Minor number.
    package var minor: UInt32
    /// Owner.
    package var userID: UInt32
    /// Group.
    package var groupID: UInt32
    /// Whether an existing file of that name stays, from the image or from a mount of the config.
    package var keepsExisting: Bool
    /// Whether the host's node is attached read-only, which protects its mode, owner and times.
    package var isReadOnly = false

    /// A node to make.
    package init(
        name: String, mode: FileMode, major: UInt32, minor: UInt32, userID: UInt32 = 0,
        groupID: UInt32 = 0, keepsExisting: Bool = false
    ) {
        self.keepsExisting = keepsExisting
        self.name = name
        self.mode = mode
        self.major = major
        self.minor = minor
        self.userID = userID
        self.groupID = groupID
    }
}

extension Device {
    /// The type of the file.
    package var type: FileKind { FileKind(mode: mode.number) ?? .characterDevice }

    /// The permission bits of the mode.
    package var permissions: Int { mode.number & FileMode.permissionMask }

    /// Major and minor number as one, as mknod(2) takes them.
    package var number: DeviceNumber {
        DeviceNumber(major: major, minor: minor)
    }
}

/// A device node that the parent provides.
package struct AttachedDevice: Equatable, Sendable {
    /// The node's name in its directory.
    package let name: String
    /// The index of the tree that the parent prepared.
    package let tree: Int
    /// Whether the tree is a tmpfs with a node that the parent made, not the host's own node.
    package let isMade: Bool

    /// A node to attach.
    package init(name: String, tree: Int, isMade: Bool = false) {
        self.name = name
        self.tree = tree
        self.isMade = isMade
    }
}

/// One range of user or group IDs of a user namespace.
///
/// Kernel: user_namespaces(7).
package struct IDRange: Equatable, Sendable {
    /// The first ID inside.
    package let inside: UInt32
    /// The first ID outside.
    package let outside: UInt32
    /// The number of IDs.
    package let count: UInt32

    /// A range.
    package init(inside: UInt32, outside: UInt32, count: UInt32) {
        self.inside = inside
        self.outside = outside
        self.count = count
    }
}

/// How the ID maps of a child are written.
///
/// Kernel: user_namespaces(7).
package enum IDMapWriter: Equatable, Sendable {
    /// The runtime, which may map any ID that it has itself.
    case runtime
    /// The runtime as an ordinary user, who may map only its own IDs, and groups only where the
    /// namespace denies setgroups(2).
    case user
    /// The programs newuidmap(1) and newgidmap(1), which check /etc/subuid and /etc/subgid.
    case tools
}

/// The ID maps of a user namespace: the contents of uid_map and gid_map.
package struct IDMaps: Equatable, Sendable {
    /// User IDs.
    package var users: [IDRange]
    /// Group IDs.
    package var groups: [IDRange]

    /// Two maps.
    package init(users: [IDRange], groups: [IDRange]) {
        self.users = users
        self.groups = groups
    }
}

extension [IDRange] {
    /// The outside ID that `id` maps to; nil if it is not mapped.
    package func outside(_ id: UInt32) -> UInt32? {
        for range in self where id >= range.inside && id - range.inside < range.count {
            return range.outside + (id - range.inside)
        }
        return nil
    }
}

/// The ID mapping of a mount's files.
///
/// Kernel: mount_setattr(2), MOUNT_ATTR_IDMAP.
package struct MountIDMap: Equatable, Sendable {
    /// The maps; nil means those of the user namespace that the container joins.
    package var maps: IDMaps?
    /// Whether the mounts below are mapped too.
    package var recursive: Bool

    /// An ID map of a mount.
    package init(_ maps: IDMaps?, recursive: Bool) {
        self.maps = maps
        self.recursive = recursive
    }
}

/// One kernel parameter (sysctl).
package struct KernelParameter: Equatable, Sendable {
    /// The key as written in the config.
    package let key: String
    /// The file below /proc/sys.
    package let path: String
    /// The text to write.
    package let value: String

    /// A parameter and its value.
    package init(key: String, path: String, value: String) {
        self.key = key
        self.path = path
        self.value = value
    }
}

/// A network device of the host that moves to the container.
///
/// Spec: config-linux.md, Network Devices.
package struct NetDeviceMove: Equatable, Sendable {
    /// Its name on the host.
    package let name: String
    /// Its name in the container.
    package let newName: String
    /// The field of config.json that names it.
    package let field: String

    /// A device to move.
    package init(name: String, newName: String, field: String) {
        self.name = name
        self.newName = newName
        self.field = field
    }
}

/// The groups of resctrl that a container's processes belong to.
///
/// Spec: config-linux.md, IntelRdt. Kernel: Documentation/filesystems/resctrl.rst.
package struct ResctrlPlan: Equatable, Sendable {
    /// Where resctrl is mounted.
    package let root: String
    /// The directory of the class of service.
    package let directory: String
    /// Whether the directory must exist already; otherwise it is made.
    package let mustExist: Bool
    /// The lines for its `schemata` file.
    package let schemata: [String]
    /// The field of config.json that the lines come from.
    package let schemataField: String
    /// The directory of the container's own monitoring group; nil if it has none.
    package let monitoringDirectory: String?
    /// Whether the directory of the class is removed with the container.
    package let removesDirectory: Bool

    /// The groups to make and to enter.
    package init(
        root: String, directory: String, mustExist: Bool, schemata: [String],
        schemataField: String, monitoringDirectory: String?, removesDirectory: Bool
    ) {
        self.root = root
        self.directory = directory
        self.mustExist = mustExist
        self.schemata = schemata
        self.schemataField = schemataField
        self.monitoringDirectory = monitoringDirectory
        self.removesDirectory = removesDirectory
    }
}

/// The terminal to open and the receiver of its master.
package struct TerminalRequest: Equatable, Sendable {
    /// The rows; nil leaves the kernel's size of 0 by 0.
    package var rows: UInt16?
    /// The columns.
    package var columns: UInt16?
    /// Whether the master is sent to the console socket; otherwise to the parent over the
    /// rendezvous.
    package var toConsoleSocket: Bool
    /// Whether the slave is also mounted on /dev/console.
    package var mountsConsole: Bool

    /// A terminal to open.
    package init(
        rows: UInt16? = nil, columns: UInt16? = nil, toConsoleSocket: Bool, mountsConsole: Bool
    ) {
        self.rows = rows
        self.columns = columns
        self.toConsoleSocket = toConsoleSocket
        self.mountsConsole = mountsConsole
    }
}
#endif
