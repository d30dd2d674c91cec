// SPDX-License-Identifier: Apache-2.0

/// One thing the init process does, in the order in which it does it.
///
/// A step is a plain value: it can be compared, printed (`summary`) and lowered to instructions
/// (`Lowering.swift`). Paths are inside the root file system unless a step says otherwise.
public enum InitStep: Equatable, Sendable {
    // MARK: The process itself

    /// Closes every descriptor but 0, 1, 2, the preserved ones behind them, and those named.
    ///
    /// The numbers are known at launch only: the launcher fills in the gaps between them. `phase`
    /// tells the first use in a program (0) from the second (1).
    case closeDescriptors(phase: Int, keeping: [InheritedDescriptor], preserved: Int)
    /// Makes inherited descriptors the standard input, output and error.
    case setStandardStreams([Int])
    /// Forbids ptrace and /proc access to this process until execve.
    ///
    /// Kernel: PR_SET_DUMPABLE.
    case forbidPtrace
    /// Becomes leader of a session of its own.
    ///
    /// Kernel: setsid(2).
    case startSession
    /// Enters `count` v1 cgroups through their `tasks` files, which the parent opened.
    ///
    /// A process that moves itself by `tasks` is spared the RCU grace period that a move by
    /// `cgroup.procs` from outside waits for.
    case enterCgroups(count: Int)
    /// Sets the OOM score adjustment.
    ///
    /// Kernel: proc_pid_oom_score_adj(5).
    case setOOMScore(Int)

    // MARK: Waiting for the parent

    /// Waits for one byte from the parent; ends when the parent is gone.
    case waitForParent(ParentEvent)
    /// Sends one byte to the parent.
    case reportToParent(ChildEvent)
    /// Waits until `start` connects.
    ///
    /// Its connection is closed by a successful execve.
    case waitForStart

    // MARK: Namespaces

    /// Enters a namespace that the parent opened.
    ///
    /// Kernel: setns(2).
    case joinNamespace(NamespaceKind)
    /// Enters namespaces of a running container.
    ///
    /// Kernel: setns(2) on a pidfd, Linux 5.8.
    case joinProcess(NamespaceSet)
    /// Enters new namespaces.
    ///
    /// Kernel: unshare(2).
    case unshareNamespaces(NamespaceSet)
    /// Enters a new time namespace, whose offsets are written before.
    case enterNewTimeNamespace([TimeNamespaceOffset])
    /// Clones a second process that goes on in this one's place, a child of the same parent: a joined
    /// pid namespace is for children only.
    ///
    /// Kernel: clone3(2) with CLONE_PARENT.
    case continueInChild(intoCgroup: Bool)
    /// Sets the loopback interface up.
    case bringUpLoopback
    /// Names the host.
    ///
    /// Kernel: sethostname(2).
    case setHostname(String)
    /// Names the NIS domain.
    ///
    /// Kernel: setdomainname(2).
    case setDomainname(String)

    // MARK: The root file system

    /// Cuts the new mount namespace off from the host's, so that no mount leaks out.
    case isolateMounts(private: Bool)
    /// Puts the prepared root tree onto the rootfs directory, a path of the host.
    case attachRootfs(hostPath: String)
    /// Uses "/" of the joined mount namespace as root.
    case openRoot
    /// Mounts a new instance of a file system.
    case mountFilesystem(FilesystemMount)
    /// Attaches a tree that the parent prepared.
    case attachMount(Int, at: String, kind: MountPointKind)
    /// Mounts a tmpfs and attaches v1 hierarchies in it, which the parent prepared; a hierarchy of
    /// several controllers gets links of their names.
    case mountCgroupHierarchies(Int, FilesystemMount, [CgroupHierarchyMount])
    /// Makes symbolic links in one directory; those that exist stay.
    case makeLinks(directory: String, [SymbolicLink])
    /// Makes a directory and those above it; one that exists stays.
    case makeDirectory(String)
    /// Makes device nodes, all in one directory.
    case makeDevices(directory: String, [Device])
    /// Replaces /dev/ptmx by a link to pts/ptmx.
    case linkPtmx
    /// Sets a kernel parameter through a procfs of our own.
    case setSysctl([KernelParameter])
    /// Hides paths.
    ///
    /// A missing path is not an error. Spec: config-linux.md, Masked Paths.
    case maskPaths([String])
    /// Makes paths read-only.
    ///
    /// A missing path is not an error. Spec: config-linux.md, Readonly Paths.
    case protectPaths([String])
    /// Makes a mount read-only after its contents are made.
    case makeReadOnly(String)
    /// Changes the root to the prepared tree and drops the host's.
    ///
    /// Kernel: pivot_root(2).
    case enterRoot
    /// Sets the propagation of the root mount.
    case setRootPropagation(MountPropagation)

    // MARK: The terminal

    /// Opens a pseudo-terminal of the container, hands its master out and makes it the
    /// controlling terminal.
    case openTerminal(TerminalRequest)

    // MARK: Identity

    /// Sets resource limits, while the process may still raise them.
    ///
    /// Kernel: prlimit(2).
    case setLimits([PlannedLimit])
    /// Joins the session keyring of this name, made when missing: the caller's keys stay its own.
    ///
    /// Kernel: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING; session-keyring(7).
    case joinSessionKeyring(String)
    /// Gives the standard streams to the user, so that it can reopen them through /proc/self/fd.
    case ownStandardStreams(userID: UInt32)
    /// Changes into the working directory.
    case enterDirectory(String)
    /// Keeps capabilities over the change of user.
    ///
    /// Kernel: PR_SET_KEEPCAPS.
    case keepCapabilities
    /// Drops capabilities from the bounding set (bit n is capability n).
    case limitBoundingSet(keeping: UInt64, last: Int)
    /// Sets the supplementary groups; nil leaves them.
    case setGroups([UInt32])
    /// Sets real, effective and saved group.
    ///
    /// Kernel: setgid(2).
    case setGroupID(UInt32)
    /// Sets real, effective and saved user.
    ///
    /// Kernel: setuid(2).
    case setUserID(UInt32)
    /// Sets the effective, permitted and inheritable sets.
    ///
    /// Kernel: capset(2).
    case setCapabilities(CapabilitySets)
    /// Clears the ambient set and raises these.
    ///
    /// Kernel: PR_CAP_AMBIENT.
    case setAmbientCapabilities(UInt64)
    /// Raises all permitted capabilities for the steps that remain before the last capset.
    case raisePermitted(UInt64)
    /// Sets the file mode creation mask.
    case setUmask(UInt32)
    /// Gives up gaining privileges through execve.
    ///
    /// Kernel: PR_SET_NO_NEW_PRIVS.
    case forbidNewPrivileges

    // MARK: Becoming the user's process

    /// Looks for the program, so that a missing one is told at create.
    case findExecutable(name: String, candidates: [String])
    /// Loads a seccomp filter.
    ///
    /// Kernel: seccomp(2).
    case loadSeccomp(filter: [UInt8], flags: UInt32)
    /// Gives every signal its default action back: what the caller ignores, such as SIGPIPE, is not
    /// the container's business, and a clone only drops handlers.
    case resetSignals
    /// Unblocks all signals.
    case unblockSignals
    /// Replaces this program by the user's.
    case execute(candidates: [String], arguments: [String], environment: [String])
}

/// The kinds of namespace, in the spelling of the runtime-spec.
public enum NamespaceKind: String, Hashable, Sendable, CaseIterable {
    case user, pid, network, ipc, uts, mount, cgroup, time

    /// The clone flag of linux/sched.h.
    public var cloneFlag: UInt64 {
        switch self {
        case .user: 0x1000_0000
        case .pid: 0x2000_0000
        case .network: 0x4000_0000
        case .ipc: 0x0800_0000
        case .uts: 0x0400_0000
        case .mount: 0x0002_0000
        case .cgroup: 0x0200_0000
        case .time: 0x80
        }
    }

    /// The name of the flag in linux/sched.h.
    public var cloneFlagName: String {
        switch self {
        case .user: "CLONE_NEWUSER"
        case .pid: "CLONE_NEWPID"
        case .network: "CLONE_NEWNET"
        case .ipc: "CLONE_NEWIPC"
        case .uts: "CLONE_NEWUTS"
        case .mount: "CLONE_NEWNS"
        case .cgroup: "CLONE_NEWCGROUP"
        case .time: "CLONE_NEWTIME"
        }
    }

    /// The file name under /proc/PID/ns.
    ///
    /// Kernel: namespaces(7).
    public var procName: String {
        switch self {
        case .user: "user"
        case .pid: "pid"
        case .network: "net"
        case .ipc: "ipc"
        case .uts: "uts"
        case .mount: "mnt"
        case .cgroup: "cgroup"
        case .time: "time"
        }
    }
}

/// Some kinds of namespace, as the clone flags of linux/sched.h.
public struct NamespaceSet: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The flags, ready for clone3(2), unshare(2) and setns(2).
    public private(set) var cloneFlags: UInt64 = 0

    /// The kinds given.
    public init(arrayLiteral elements: NamespaceKind...) {
        for kind in elements { insert(kind) }
    }

    /// Whether there is none.
    public var isEmpty: Bool { cloneFlags == 0 }

    /// The kinds, in the order of `NamespaceKind`.
    public var kinds: [NamespaceKind] { NamespaceKind.allCases.filter { contains($0) } }

    /// Whether `kind` is among them.
    public func contains(_ kind: NamespaceKind) -> Bool {
        cloneFlags & kind.cloneFlag != 0
    }

    /// Adds `kind`.
    public mutating func insert(_ kind: NamespaceKind) {
        cloneFlags |= kind.cloneFlag
    }

    /// Takes `kind` out.
    public mutating func remove(_ kind: NamespaceKind) {
        cloneFlags &= ~kind.cloneFlag
    }
}

/// What a child waits for.
public enum ParentEvent: String, Equatable, Sendable {
    /// What only the parent may do is done: the work may begin.
    case prepared
    /// The parent saw the second process.
    case adopted
    /// Everything is done: become the user's process.
    case start
}

/// What a child tells; the byte is the raw value.
public enum ChildEvent: UInt8, Equatable, Sendable {
    /// All is prepared but the last steps.
    case ready = 1
}

/// An offset of one clock in a new time namespace.
///
/// Kernel: time_namespaces(7).
public struct TimeNamespaceOffset: Equatable, Sendable {
    /// `monotonic` or `boottime`.
    public let clock: String
    /// Whole seconds.
    public let seconds: Int64
    /// Nanoseconds, 0..<1,000,000,000.
    public let nanoseconds: UInt32

    /// An offset of seconds and nanoseconds.
    public init(clock: String, seconds: Int64, nanoseconds: UInt32) {
        self.clock = clock
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// What is made where a mount goes when nothing is there.
public enum MountPointKind: Equatable, Sendable {
    /// A directory.
    case directory
    /// Whatever the source is: a directory, or an empty file.
    case likeSource
}

/// A propagation type with its reach.
///
/// Kernel: mount_namespaces(7).
public struct MountPropagation: Equatable, Sendable {
    /// MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE.
    public let flag: UInt64
    /// Whether mounts below are changed too.
    public let recursive: Bool
    /// The spec's word, such as `rslave`.
    public let name: String

    /// A propagation type.
    public init(flag: UInt64, recursive: Bool, name: String) {
        self.flag = flag
        self.recursive = recursive
        self.name = name
    }
}

/// A change of mount attributes, as mount_setattr(2) takes it.
public struct MountChange: Equatable, Sendable {
    /// MOUNT_ATTR_* bits to set.
    public var set: UInt64
    /// MOUNT_ATTR_* bits to clear.
    public var clear: UInt64
    /// Whether mounts below are changed too.
    public var recursive: Bool
    /// Propagation type to set, or 0.
    public var propagation: UInt64

    /// A change of attributes or propagation.
    public init(
        set: UInt64 = 0, clear: UInt64 = 0, recursive: Bool = false, propagation: UInt64 = 0
    ) {
        self.set = set
        self.clear = clear
        self.recursive = recursive
        self.propagation = propagation
    }
}

/// A new instance of a file system.
public struct FilesystemMount: Equatable, Sendable {
    /// The type, as in /proc/filesystems.
    public var type: String
    /// What /proc/self/mountinfo shows as source.
    public var source: String
    /// The destination inside the rootfs.
    public var destination: String
    /// Options of the file system: `mode=755` or a bare flag.
    public var options: [String]
    /// MOUNT_ATTR_* bits for fsmount(2).
    public var attributes: UInt64
    /// Further changes, in order, before the mount is attached.
    public var changes: [MountChange]

    /// A mount to make.
    public init(
        type: String, source: String, destination: String, options: [String] = [],
        attributes: UInt64 = 0, changes: [MountChange] = []
    ) {
        self.type = type
        self.source = source
        self.destination = destination
        self.options = options
        self.attributes = attributes
        self.changes = changes
    }
}

/// A symbolic link.
public struct SymbolicLink: Equatable, Sendable {
    /// Its name in the directory.
    public let name: String
    /// What it says.
    public let target: String

    /// A link to make.
    public init(name: String, target: String) {
        self.name = name
        self.target = target
    }
}

/// One v1 hierarchy of a cgroup mount.
public struct CgroupHierarchyMount: Equatable, Sendable {
    /// The directory's name, such as `cpu,cpuacct`.
    public let name: String
    /// Controllers that get a link to it, such as `cpu`.
    public let links: [String]

    /// A hierarchy to attach.
    public init(name: String, links: [String]) {
        self.name = name
        self.links = links
    }
}

/// A device node.
///
/// Spec: config-linux.md, Devices.
public struct Device: Equatable, Sendable {
    /// Its name in the directory.
    public var name: String
    /// File type and permission bits (S_IFCHR|0666).
    public var mode: UInt32
    /// Major number.
    public var major: UInt32
    /// Minor number.
    public var minor: UInt32
    /// Owner.
    public var userID: UInt32
    /// Group.
    public var groupID: UInt32

    /// A node to make.
    public init(
        name: String, mode: UInt32, major: UInt32, minor: UInt32, userID: UInt32 = 0,
        groupID: UInt32 = 0
    ) {
        self.name = name
        self.mode = mode
        self.major = major
        self.minor = minor
        self.userID = userID
        self.groupID = groupID
    }
}

/// One sysctl.
public struct KernelParameter: Equatable, Sendable {
    /// The key as in the config.
    public let key: String
    /// The file below /proc/sys.
    public let path: String
    /// The text to write.
    public let value: String

    /// A parameter and its value.
    public init(key: String, path: String, value: String) {
        self.key = key
        self.path = path
        self.value = value
    }
}

/// How a terminal is made and where its master goes.
public struct TerminalRequest: Equatable, Sendable {
    /// Rows and columns; nil leaves the kernel's 0 by 0.
    public var rows: UInt16?
    /// Columns.
    public var columns: UInt16?
    /// Whether the master goes to the console socket; else over the rendezvous to the parent.
    public var toConsoleSocket: Bool
    /// Whether the slave is also mounted on /dev/console.
    public var mountsConsole: Bool

    /// A terminal to open.
    public init(
        rows: UInt16? = nil, columns: UInt16? = nil, toConsoleSocket: Bool, mountsConsole: Bool
    ) {
        self.rows = rows
        self.columns = columns
        self.toConsoleSocket = toConsoleSocket
        self.mountsConsole = mountsConsole
    }
}

/// The three sets of capset(2), as bit masks.
public struct CapabilitySets: Equatable, Sendable {
    /// Effective.
    public var effective: UInt64
    /// Permitted.
    public var permitted: UInt64
    /// Inheritable.
    public var inheritable: UInt64

    /// Three masks.
    public init(effective: UInt64, permitted: UInt64, inheritable: UInt64) {
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
    }
}
