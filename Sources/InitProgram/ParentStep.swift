// SPDX-License-Identifier: Apache-2.0

/// One thing that the runtime does for a launch, outside the child.
///
/// The launcher runs them in order and undoes what was done when one fails.
public enum ParentStep: Equatable, Sendable {
    /// Makes the state directory and records that the container is being created.
    case recordCreating
    /// Lets systemd start the container's scope, with a process that waits in it until init is there.
    case startScope(unit: String, properties: [String])
    /// Lets systemd move the child into its scope, or a cgroup below, which the runtime may not do from
    /// the cgroup that it is in.
    case attachToScope(unit: String, below: String)
    /// Ends the process that waited in the scope, which is the container's alone from here on.
    case leaveScope
    /// Makes the container's cgroups and applies the limits, given as `file = text` lines.
    case createCgroups(paths: [String], writes: [String])
    /// Makes the container's groups of resctrl.
    case makeResctrlGroup(ResctrlPlan)
    /// Writes the child's pid to the `tasks` files of these groups of resctrl.
    case enterResctrlGroup([String])
    /// Opens what the child enters its cgroups by.
    case openCgroups
    /// Clones the rootfs as a detached mount tree.
    case prepareRootfs(path: String, changes: [MountChange])
    /// Opens the rootfs, for a child that clones its tree itself.
    case openRootfs(path: String)
    /// Clones a bind source as a detached tree and sets its attributes.
    case prepareBindMount(BindMount)
    /// Mounts a new instance of a file system as a detached tree with mapped ids.
    case prepareMappedFilesystem(Int, FilesystemMount, MountIDMap)
    /// Fills a tmpfs with a copy of the rootfs directory that it will cover.
    case prepareTmpfsCopy(Int, FilesystemMount)
    /// Clones a device node of the host, whose type and number are verified.
    case prepareDevice(Int, path: String, Device)
    /// Makes a device node, with ids of the host, on a tmpfs of its own; `label` is the tmpfs's SELinux
    /// context.
    case makeDevice(Int, Device, label: String?)
    /// Clones the container's own directory of one cgroup hierarchy.
    case prepareCgroupMount(Int, name: String, readOnly: Bool)
    /// Opens a namespace to join and checks its type.
    case openNamespace(NamespaceKind, path: String, mustDiffer: Bool)
    /// Gives the container's v2 cgroup to a user, who may make cgroups of its own below.
    case delegateCgroup(userID: UInt32)
    /// Gives the cgroups from the container's to the delegated one their controllers.
    case enableControllers(below: String)
    /// Opens the process whose namespaces are joined.
    case openProcess
    /// Opens the root directory of that process.
    case openRootOfInit
    /// Records the mount of the root tree: it is going to be on this path in the host's own table of
    /// mounts, from which delete takes it.
    case recordRootMount(path: String)
    /// Connects to the socket that takes the terminal's master.
    case connectConsole(path: String)
    /// Looks whether the socket that takes the seccomp listener is there; `start` connects to it.
    case findListener(path: String)
    /// Connects to the socket that takes the seccomp listener.
    case connectListener(path: String)
    /// Waits for the child's listener and sends it.
    case sendListener
    /// Makes the directory of the socket on which the container tells that it is ready; and that socket.
    case prepareReadiness(listens: Bool)
    /// Makes the socket on which `start` gives its order.
    case listenForStart
    /// Clones the child into new namespaces.
    case startChild(NamespaceSet, intoCgroup: Bool)
    /// Moves network devices of the host into the child's network namespace, through a socket that the
    /// child made there.
    case moveNetDevices([NetDeviceMove])
    /// Sets the child's OOM score adjustment, which a process of a user namespace may only raise.
    case setOOMScore(Int)
    /// Writes the id maps of the child's user namespace.
    case writeIDMaps(IDMaps, by: IDMapWriter)
    /// Compares the id maps of the child's user namespace, which it joined, with the config's.
    case checkIDMaps(IDMaps)
    /// Maps the ids of a tree that the child cloned for a mount, which it sends.
    case mapClonedTree(MountIDMap, destination: String)
    /// Sends the child a tree prepared for one of its mounts.
    case sendPreparedTree(InheritedDescriptor)
    /// Lets the child go on.
    case release(ParentEvent)
    /// From here on makes the mount points that the child asks for: those behind links to nothing.
    ///
    /// They belong to this user of the child's user namespace, or, without one, to the runtime.
    case makeMountPoints(for: NamespaceUser?)
    /// Waits for the first child to end and takes over the second.
    case adoptSecondChild
    /// Takes the terminal's master from the child.
    case receiveTerminal
    /// Writes the container's record beside the old one, while the child works.
    case stageRecord
    /// Waits for the child's word, or its end.
    case awaitChild(ChildEvent)
    /// Records which process is being created, so that it can be deleted while its hooks run.
    case recordProcess
    /// Runs hooks of one list as children of the runtime, each to its end.
    case runHooks([PlannedHook])
    /// Gives the hooks that the child runs their streams, and waits for each to end.
    case superviseHooks([PlannedHook])
    /// Sets the child's resource limits, which a process of a user namespace may only lower.
    case setLimits([PlannedLimit])
    /// Gives standard streams to the child's user, who could not reopen them otherwise.
    case giveStreams([Int], to: StreamOwner)
    /// Sends the child's pidfd to whoever listens on a unix socket.
    case sendPidfd(path: String, name: String)
    /// Puts the staged record in place: the container is created.
    case recordCreated
    /// Writes the pid file.
    case writePidFile(path: String)
    /// Waits until the child has become the user's process.
    case awaitExecution
}

/// A parent's step and what asks for it.
public struct PlannedParentStep: Equatable, Sendable {
    /// What asks for it.
    public let origin: Origin
    /// What is done.
    public let step: ParentStep

    /// A step and where it comes from.
    public init(_ origin: Origin, _ step: ParentStep) {
        self.origin = origin
        self.step = step
    }
}

/// A bind mount as the parent prepares it.
public struct BindMount: Equatable, Sendable {
    /// The index in `mounts`.
    public var index: Int
    /// The source, a path of the host.
    public var source: String
    /// Whether the mounts below the source come along.
    public var recursive: Bool
    /// Whether a link at the end of the source is followed, or is itself what is bound.
    public var followsLink = true
    /// Attribute and propagation changes, in order.
    public var changes: [MountChange]
    /// How the ids of its files are mapped, if they are.
    public var idMap: MountIDMap?
    /// Where it will go (for the error's text).
    public var destination: String

    /// A bind mount to prepare.
    public init(
        index: Int, source: String, recursive: Bool, changes: [MountChange],
        idMap: MountIDMap? = nil, destination: String
    ) {
        self.index = index
        self.source = source
        self.recursive = recursive
        self.changes = changes
        self.idMap = idMap
        self.destination = destination
    }
}

/// One resource limit.
///
/// Kernel: prlimit(2).
public struct PlannedLimit: Equatable, Sendable {
    /// The name, such as `RLIMIT_NOFILE`.
    public let name: String
    /// The number of linux/resource.h.
    public let resource: Int
    /// Soft limit.
    public let soft: UInt64
    /// Hard limit.
    public let hard: UInt64

    /// A limit.
    public init(name: String, resource: Int, soft: UInt64, hard: UInt64) {
        self.name = name
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }
}
