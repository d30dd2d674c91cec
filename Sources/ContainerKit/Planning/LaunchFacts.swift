// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// What the host is and lets the runtime do.
struct HostFacts {
    /// The cgroups of the host.
    var cgroups: CgroupHierarchies
    /// The systemd that keeps the container's cgroup; nil when the runtime makes it.
    var systemd: SystemdHost?
    /// Whether the host has cgroup v2 alone, also where the container gets no cgroup.
    var hasUnifiedCgroups = false
    /// The caller's own v1 cgroups, where a container without one is shown these.
    var ownCgroups: [CgroupDirectory] = []
    /// Whether the child is moved into its v2 cgroup by systemd, where there is a scope, or stays
    /// outside: the kernel lets nobody move from a cgroup whose common parent he may not write to.
    var staysOutsideCgroup = false
    /// The host's resctrl, where the config needs it.
    var resctrl: ResctrlTree?
    /// What the runtime may do.
    var rights = RuntimeRights()
    /// The capabilities that the runtime itself holds, as a mask.
    var grantableCapabilities: UInt64 = .max
    /// The size of a page of memory.
    var pageBytes = 4096
}

/// What the caller chose and has, for a new container as for a further process.
struct CallerFacts {
    /// How many descriptors behind 2 the process inherits.
    var preservedDescriptorCount = 0
    /// Whether the process keeps the caller's supplementary groups.
    var keepsGroups = false
    /// Limits that the process gets where its config says nothing of them.
    var limits: [Rlimit] = []
    /// Which standard streams the caller replaces.
    var replacedStreams: [Int] = []
    /// What the standard streams are, where no terminal takes their place.
    var streams: [StandardStream] = []
    /// Where the terminal's master goes.
    var terminal: TerminalOutlet?
    /// The unix socket that is sent a pidfd.
    var pidfdSocket: String?
    /// The pid file.
    var pidFile: String?
    /// Whether the container has a session keyring of its own, rather than the caller's.
    var joinsSessionKeyring = true
    /// The home directory of the user inside the rootfs, for HOME.
    var home = "/"
}

/// What the plan of a new container depends on, beside its config.
struct CreateFacts {
    /// The container's id.
    var id: String
    /// The absolute path of the bundle, without a slash at the end.
    var bundlePath: String
    var host: HostFacts
    var caller = CallerFacts()
    /// Whether the container is started at once (`run`), or waits for `start`.
    var startsAtOnce = false
    /// Where the container tells that it is ready: a directory that is mounted into it.
    var readinessDirectory: String?
    /// The socket of the service manager that is told so.
    var notifySocket: String?
    /// The mount option that labels of SELinux are given by.
    var labelOption = "context"
    /// The environment of the runtime, where a hook that init runs gets it.
    var environment: [ByteText] = []
    /// With `--no-pivot`, where procfs and sysfs are mounted on the host, each after what it is in;
    /// nil where the root is changed by pivot_root(2).
    var kernelTrees: [String]?
    /// What the sources of mounts with `copy-symlink` say that are links, by the index in `mounts`.
    var sourceLinks: MountFacts<String> = [:]
    /// The modes of the image's directories that a tmpfs without `mode=` covers, by the index in `mounts`.
    var coveredModes: MountFacts<UInt16> = [:]
    /// What the mounts of bind mounts' sources have, by the index in `mounts`, where the container may
    /// not clear it.
    var sourceAttributes: MountFacts<MountAttributes> = [:]
    /// Whether the user namespace that the config joins is the runtime's own, which setns(2) refuses.
    var isInUserNamespace = false
    /// Whether the rootfs or a source is on an unbindable mount, which nobody can clone: the child
    /// does so once the mounts of its namespace are private.
    var hasUnbindableSources = false

    /// Whether the runtime prepares the mounts; else the child does.
    var preparesMounts: Bool { host.rights.preparesMounts && !hasUnbindableSources }
}

/// What the plan of a further process depends on, beside its config.
struct ExecFacts {
    /// The container's id.
    var id: String
    var host = HostFacts(cgroups: .none)
    var caller = CallerFacts()
    /// The container's init.
    var initPid: Int32 = 0
    /// The namespaces of init that are not the caller's own.
    var namespaces: NamespaceSet = []
    /// The cgroups that are entered.
    var cgroups: CgroupLayout
    /// Whether the process goes where init is by now, rather than to a cgroup that the caller names.
    var followsInit = false
    /// Whether the v2 cgroup was given to a user of the container.
    var cgroupHasOwner = false
    /// The scope that systemd moves the process into, and the path of the cgroup below it.
    var scopeToEnter: (SystemdScope, path: String)?
    /// The groups of resctrl that are entered.
    var resctrlGroups: [String] = []
    /// Who is notified by seccomp of the process's calls.
    var listener: SeccompListener?

    /// Whether the container's mounts are the caller's, and so not its root.
    var sharesMounts: Bool { !namespaces.contains(.mount) }
}
