// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// Facts about the host.
struct HostFacts {
    /// The cgroups of the host.
    var cgroups: CgroupHierarchies
    /// The systemd that manages the container's cgroup; nil if the runtime makes it.
    var systemd: SystemdHost?
    /// Whether the host has only cgroup v2, even if the container gets no cgroup.
    var hasUnifiedCgroups = false
    /// The cgroup of the caller's that the container is to use.
    var adoptedCgroup: CgroupLayout?
    /// The caller's own v1 cgroups, which a container without cgroups sees.
    var ownCgroups: [CgroupDirectory] = []
    /// Whether the child cannot enter its v2 cgroup: systemd moves it into its scope, or else it
    /// stays outside.
    ///
    /// The kernel requires write access to the common parent of both cgroups.
    var staysOutsideCgroup = false
    /// The host's resctrl, if the config needs it.
    var resctrl: ResctrlTree?
    /// The rights of the runtime.
    var rights = RuntimeRights()
    /// The capabilities that the runtime itself holds, as a mask.
    var grantableCapabilities: UInt64 = .max
    /// The size of a memory page in bytes.
    var pageBytes = 4096
}

/// Facts about the caller, for a new container and for another process.
struct CallerFacts {
    /// The number of descriptors from 3 on that the process inherits.
    var preservedDescriptorCount = 0
    /// Whether the process keeps the caller's supplementary groups.
    var keepsGroups = false
    /// Limits for the process if its config does not set them.
    var limits: [Rlimit] = []
    /// The standard streams that the caller replaces.
    var replacedStreams: [Int] = []
    /// The types of the standard streams, unless a terminal replaces them.
    var streams: [StandardStream] = []
    /// CRIU's names of the three standard streams; none if a terminal replaces them.
    var externalStreams: [String] = []
    /// The receiver of the terminal's master.
    var terminal: TerminalOutlet?
    /// The unix socket to which a pidfd is sent.
    var pidfdSocket: String?
    /// The pid file.
    var pidFile: String?
    /// Whether the container has its own session keyring instead of the caller's.
    var joinsSessionKeyring = true
    /// Whether the cgroup stays after the container's end, even if systemd manages it.
    var keepsAccounting = false
    /// The user's home directory inside the rootfs, for HOME.
    var home = "/"
}

/// The facts for the plan of a new container, in addition to its config.
struct CreateFacts {
    /// The container's ID.
    var id: String
    /// The absolute path of the bundle, without a trailing slash.
    var bundlePath: String
    var host: HostFacts
    var caller = CallerFacts()
    /// Whether the container is started at once (`run`) or waits for `start`.
    var startsAtOnce = false
    /// The directory with the container's readiness socket, which is mounted into it.
    var readinessDirectory: String?
    /// The socket of the service manager to notify.
    var notifySocket: String?
    /// The mount option for SELinux labels.
    var labelOption = "context"
    /// The environment of the runtime, for hooks of init that inherit it, and for all hooks that
    /// inherit it and also get the variable of a trace.
    var environment: [ByteText] = []
    /// The variable that tells hooks of the trace that the launch is part of.
    var traceVariable: ByteText?
    /// With `--no-pivot`, the mount points of procfs and sysfs on the host, each after the mount
    /// that contains it; nil if the root is changed by pivot_root(2).
    var kernelTrees: [String]?
    /// The texts of links that are sources of mounts with `copy-symlink`, by the index in `mounts`.
    var sourceLinks: MountFacts<String> = [:]
    /// The modes of image directories covered by a tmpfs without `mode=`, by the index in `mounts`.
    var coveredModes: MountFacts<UInt16> = [:]
    /// The attributes of mounts that contain sources of bind mounts, by the index in `mounts`, if
    /// the container may not clear them.
    var sourceAttributes: MountFacts<MountAttributes> = [:]
    /// The rules of Landlock, as far as this kernel knows their rights.
    var landlock: LandlockPlan?
    /// Whether the config joins the runtime's own user namespace, which setns(2) refuses.
    var isInUserNamespace = false
    /// Whether the rootfs or a source is on an unbindable mount, which cannot be cloned: the child
    /// clones it after making the mounts of its namespace private.
    var hasUnbindableSources = false

    /// Whether the runtime prepares the mounts; otherwise the child does.
    var preparesMounts: Bool { host.rights.preparesMounts && !hasUnbindableSources }
}

/// The facts for the plan of another process, in addition to its config.
struct ExecFacts {
    /// The container's ID.
    var id: String
    var host = HostFacts(cgroups: .none)
    var caller = CallerFacts()
    /// The pid of the container's init.
    var initPid: Int32 = 0
    /// The namespaces of init that differ from the caller's.
    var namespaces: NamespaceSet = []
    /// The cgroups to enter.
    var cgroups: CgroupLayout
    /// Whether the process enters init's present cgroup, unless the caller names another one.
    var followsInit = false
    /// Whether a user of the container owns the v2 cgroup.
    var cgroupHasOwner = false
    /// The scope into which systemd moves the process, and the path of the cgroup below it.
    var scopeToEnter: (SystemdScope, path: String)?
    /// The groups of resctrl to enter.
    var resctrlGroups: [String] = []
    /// The container's rules of Landlock, as far as this kernel knows their rights.
    var landlock: LandlockPlan?
    /// The listener of seccomp notifications for the process.
    var listener: SeccompListener?

    /// Whether the container shares the caller's mounts, and so differs only in its root directory.
    var sharesMounts: Bool { !namespaces.contains(.mount) }
}
#endif
