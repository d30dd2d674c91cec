// SPDX-License-Identifier: Apache-2.0

// Planning: from a bundle to a LaunchPlan, without touching anything.
//
//   Launch                 a planned launch: the plan and what the launcher needs beside it; the facts
//   Launch+Create          a plan for a new container
//   CreateRecipe           its steps: the child's
//   CreateRecipe+Parent    the runtime's
//   Launch+Exec            the recipe for a further process in a running container
//   AttributePlan          scheduler, I/O priority, CPU affinity, memory policy, personality
//   IdentityPlan           user, groups, capabilities, seccomp, the program: shared by both recipes
//   GrantableCapabilities  those that the runtime does not hold itself
//   StreamPlan             the standard streams: whose they are, and the container's own devices
//   SecurityLabels         AppArmor profile, SELinux label
//   HookPlan               hooks, by the point at which they run
//   RootEntry, RootPath    how init gets into its root, and where that lies on the host
//   MountPlan              mounts: what the parent prepares, what the child attaches
//   MountPlan+Cgroups, MountPlan+Devices, MountPlan+UserNamespace  cgroup mounts; /dev; mapped ids
//   MountFacts             what is known of single mounts before they are planned
//   TreeSupply             how prepared trees reach the child
//   UnprivilegedMounts     the same as steps of the child, where the runtime may not prepare them
//   HiddenPaths            masked and read-only paths
//   Device+Node            device nodes: mode, owner, number
//   MountOptions, MountOptionWords, MountAttributes, Propagation  the words of options, for the kernel
//   RuntimeRights          what the runtime may do, where it is not root of the host
//   NamespacePlan          which namespaces are new, joined, or shared with the host
//   UserNamespacePlan      how the container comes into its user namespace, and its id maps
//   IDMapLimits            how long a map of ids may be
//   ResctrlPlan            linux.intelRdt: its groups and their schemata
//   ConfigAnnotation       the annotations that change what is done

internal import ByteText
public import InitProgram
internal import RuntimeSpec

/// A launch as it is planned: nothing has been made yet.
public struct Launch: Sendable {
    /// What the runtime and the init process will do, step by step.
    public let plan: LaunchPlan
    /// The cgroup to make, or nil when an existing one is entered.
    let cgroups: CgroupPlan?
    /// Who gets the descriptor of seccomp's notifications, if the profile has any.
    let listener: SeccompListener?
    /// What of the config has no effect.
    var warnings: [String] = []
}

/// What the host and the caller contribute to a plan.
struct LaunchFacts {
    /// The container's id.
    var id: String
    /// The absolute path of the bundle, without a slash at the end.
    var bundlePath: String
    /// The cgroups of the host.
    var cgroups: CgroupHierarchies
    /// The systemd that keeps the container's cgroup; nil when the runtime makes it.
    var systemd: SystemdHost?
    /// How many descriptors behind 2 the container inherits.
    var preservedDescriptorCount = 0
    /// Where the container tells that it is ready: a directory that is mounted into it.
    var readinessDirectory: String?
    /// The mount option that labels of SELinux are given by.
    var labelOption = "context"
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
    /// Who is notified by seccomp of an exec's calls.
    var listener: SeccompListener?
    /// The unix socket that is sent a pidfd.
    var pidfdSocket: String?
    /// The pid file.
    var pidFile: String?
    /// Whether the container is started at once (`run`), or waits for `start`.
    var startsAtOnce = false
    /// Whether the container has a session keyring of its own, rather than the caller's.
    var joinsSessionKeyring = true
    /// The home directory of the user inside the rootfs, for HOME.
    var home = "/"
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
    /// The host's resctrl, where the config needs it.
    var resctrl: ResctrlTree?
    /// The groups of resctrl that an exec enters.
    var resctrlGroups: [String] = []
    /// Whether an exec enters a container whose mounts are the caller's, and so not its root.
    var sharesMounts = false
    /// The scope that systemd moves an exec into, and the path of the cgroup below it.
    var scopeToEnter: (SystemdScope, path: String)?
    /// The init process of the container that an exec enters.
    var initPid: Int32 = 0
    /// Whether the user namespace that the config joins is the runtime's own, which setns(2) refuses.
    var isInUserNamespace = false
    /// The size of a page of memory.
    var pageBytes = 4096
    /// What the runtime may do on the host.
    var rights = RuntimeRights()
    /// Whether the rootfs or a source is on an unbindable mount, which nobody can clone: the child
    /// does so once the mounts of its namespace are private.
    var hasUnbindableSources = false
    /// Whether the runtime prepares the mounts; else the child does.
    var preparesMounts: Bool { rights.preparesMounts && !hasUnbindableSources }
    /// Whether the child is moved into its v2 cgroup by systemd, where there is a scope, or stays
    /// outside: the kernel lets nobody move from a cgroup whose common parent he may not write to.
    var staysOutsideCgroup = false
    /// Whether the v2 cgroup that an exec enters was given to a user of the container.
    var cgroupHasOwner = false
    /// The caller's own v1 cgroups, where a container without one is shown these.
    var ownCgroups: [CgroupDirectory] = []
    /// Whether the host has cgroup v2 alone, also where the container gets no cgroup.
    var hasUnifiedCgroups = false
    /// The capabilities that the runtime itself holds, as a mask.
    var grantableCapabilities: UInt64 = .max
}
