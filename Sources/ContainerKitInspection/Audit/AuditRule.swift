// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One way in which a container can be weaker than Docker's default.
///
/// Identifiers are stable: a rule that is given up leaves a gap, and no rule takes its number.
public struct AuditRule: Hashable, Sendable {
    /// How much of the host is at stake.
    public enum Severity: String, CaseIterable, Comparable, Hashable, Sendable {
        /// A hardening that Docker does not set by default either.
        case low
        /// It makes an escape easier, or tells of the host.
        case medium
        /// It removes a wall between container and host.
        case high
        /// Root in the container is as good as root on the host.
        case critical

        /// Whether less is at stake.
        public static func < (one: Severity, other: Severity) -> Bool {
            allCases.firstIndex(of: one) ?? 0 < allCases.firstIndex(of: other) ?? 0
        }
    }

    /// The identifier: `SWA` and three digits.
    public let id: String
    /// A short name in words.
    public let name: String
    /// The severity of most findings; a finding may have another one.
    public let severity: Severity
    /// Why it matters.
    public let reason: String
    /// What to do about it.
    public let remedy: String

    init(
        _ id: String, _ name: String, _ severity: Severity, because reason: String,
        remedy: String
    ) {
        self.id = id
        self.name = name
        self.severity = severity
        self.reason = reason
        self.remedy = remedy
    }
}

extension AuditRule {
    /// All rules in the order of their identifiers.
    public static let all =
        namespaceRules + processRules + kernelRules + deviceRules + mountRules + limitRules

    static let hostPid = AuditRule(
        "SWA001", "host pid namespace", .high,
        because:
            "the container sees and can signal the host's processes, and read their memory and "
            + "files through /proc",
        remedy: "add {\"type\": \"pid\"} to linux.namespaces")
    static let hostNetwork = AuditRule(
        "SWA002", "host network namespace", .high,
        because:
            "it reaches what listens on the host's loopback and abstract sockets, and can take "
            + "the host's ports",
        remedy: "add {\"type\": \"network\"} to linux.namespaces")
    static let hostIPC = AuditRule(
        "SWA003", "host ipc namespace", .medium,
        because:
            "it shares memory segments, semaphores and message queues with the host's programs",
        remedy: "add {\"type\": \"ipc\"} to linux.namespaces")
    static let hostUTS = AuditRule(
        "SWA004", "host uts namespace", .medium,
        because: "with CAP_SYS_ADMIN it renames the host",
        remedy: "add {\"type\": \"uts\"} to linux.namespaces")
    static let hostMount = AuditRule(
        "SWA005", "host mount namespace", .critical,
        because: "it has the host's mounts, and changes them for the host",
        remedy: "add {\"type\": \"mount\"} to linux.namespaces")
    static let hostCgroup = AuditRule(
        "SWA006", "host cgroup namespace", .low,
        because: "it sees the paths of the host's cgroups, and so the names of its neighbours",
        remedy: "add {\"type\": \"cgroup\"} to linux.namespaces")
    static let noUserNamespace = AuditRule(
        "SWA007", "no user namespace", .low,
        because: "root in the container is root on the host once it gets out",
        remedy: "add {\"type\": \"user\"} to linux.namespaces, with uidMappings and gidMappings")

    private static let namespaceRules = [
        hostPid, hostNetwork, hostIPC, hostUTS, hostMount, hostCgroup, noUserNamespace,
    ]

    static let rootCapability = AuditRule(
        "SWA010", "capability as good as root", .critical,
        because: "the capability leads to all rights on the host",
        remedy: "remove it from all sets of process.capabilities")
    static let furtherCapability = AuditRule(
        "SWA011", "capability beyond Docker's", .medium,
        because: "Docker does not give it by default",
        remedy: "remove it from all sets of process.capabilities")
    static let ambientCapabilities = AuditRule(
        "SWA012", "ambient capabilities", .medium,
        because: "every program that the process starts has them, also as an ordinary user",
        remedy: "empty process.capabilities.ambient")
    static let inheritableCapabilities = AuditRule(
        "SWA013", "inheritable capabilities", .low,
        because: "programs with such file capabilities gain them, also for ordinary users "
            + "(CVE-2022-24769)",
        remedy: "empty process.capabilities.inheritable")
    static let newPrivileges = AuditRule(
        "SWA014", "new privileges allowed", .low,
        because:
            "set-user-ID programs and file capabilities of the image raise the rights of a user",
        remedy: "set process.noNewPrivileges to true")
    static let noLabel = AuditRule(
        "SWA015", "no mandatory access control", .low,
        because: "neither AppArmor nor SELinux stands behind the other walls",
        remedy: "set process.apparmorProfile or process.selinuxLabel")
    static let unconfined = AuditRule(
        "SWA016", "mandatory access control turned off", .medium,
        because: "the profile or label allows everything",
        remedy: "name a profile or a type made for containers")
    static let oomScore = AuditRule(
        "SWA017", "spared when memory runs out", .low,
        because: "the kernel kills processes of the host in its place",
        remedy: "remove process.oomScoreAdj, or make it 0 or more")

    private static let processRules = [
        rootCapability, furtherCapability, ambientCapabilities, inheritableCapabilities,
        newPrivileges, noLabel, unconfined, oomScore,
    ]

    static let noSeccomp = AuditRule(
        "SWA020", "no seccomp profile", .high,
        because: "every system call of the kernel can be tried, also those with most of its bugs",
        remedy: "set linux.seccomp, such as Seccomp.sandbox() or Docker's default profile")
    static let openSeccomp = AuditRule(
        "SWA021", "seccomp profile that lets everything", .high,
        because: "a call without a rule is allowed",
        remedy: "set defaultAction to SCMP_ACT_ERRNO, and allow what is needed")
    static let dangerousCalls = AuditRule(
        "SWA022", "dangerous system calls allowed", .medium,
        because: "Docker's profile refuses them without further capabilities",
        remedy: "take them out of the rules that allow them")
    static let opaqueSeccomp = AuditRule(
        "SWA023", "seccomp profile that cannot be read", .medium,
        because: "a program in an annotation replaces linux.seccomp, and may allow anything",
        remedy: "use linux.seccomp in place of the annotation")
    static let writableSys = AuditRule(
        "SWA024", "writable /sys", .high,
        because:
            "settings of the host's kernel and devices lead to programs that the host runs, such "
            + "as a uevent helper",
        remedy: "mount it with ro")
    static let writableProcSys = AuditRule(
        "SWA025", "writable /proc/sys", .high,
        because: "kernel parameters such as kernel.core_pattern name programs that the host runs",
        remedy: "add /proc/sys to linux.readonlyPaths")
    static let unmaskedPaths = AuditRule(
        "SWA026", "paths that Docker masks", .medium,
        because: "they tell of the host or its kernel",
        remedy: "add them to linux.maskedPaths")
    static let writableProcPaths = AuditRule(
        "SWA027", "paths that Docker makes read-only", .medium,
        because: "writing there changes the host's kernel, as /proc/sysrq-trigger does",
        remedy: "add them to linux.readonlyPaths")
    static let writableCgroups = AuditRule(
        "SWA028", "writable cgroups", .medium,
        because:
            "it can raise its own limits; with cgroup v1, release_agent runs a program on the host",
        remedy: "mount /sys/fs/cgroup with ro")
    static let hostSysctl = AuditRule(
        "SWA029", "kernel parameter of the host", .high,
        because: "it belongs to no namespace of the container, so it is changed for the host",
        remedy: "remove it, or give the container its namespace")

    private static let kernelRules = [
        noSeccomp, openSeccomp, dangerousCalls, opaqueSeccomp, writableSys, writableProcSys,
        unmaskedPaths, writableProcPaths, writableCgroups, hostSysctl,
    ]

    static let allDevices = AuditRule(
        "SWA030", "all devices allowed", .critical,
        because: "with CAP_MKNOD it makes a node for any disk, and reads and writes it",
        remedy: "begin linux.resources.devices with {\"allow\": false, \"access\": \"rwm\"}")
    static let rawDevice = AuditRule(
        "SWA031", "raw disk or memory", .critical,
        because: "it reads and writes the host's files or memory past all permissions",
        remedy: "remove the device, or mount a file system in its place")
    static let noDeviceRules = AuditRule(
        "SWA032", "no device rules", .medium,
        because:
            "nothing but the nodes themselves keeps devices away, and CAP_MKNOD makes any node",
        remedy: "add {\"allow\": false, \"access\": \"rwm\"} to linux.resources.devices")

    private static let deviceRules = [allDevices, rawDevice, noDeviceRules]

    static let engineSocket = AuditRule(
        "SWA040", "socket of an engine", .critical,
        because: "who can ask the engine starts a container with all rights on the host",
        remedy: "remove the mount; let a proxy answer the few requests that are needed")
    static let hostPath = AuditRule(
        "SWA041", "sensitive path of the host", .high,
        because: "the files there hold secrets of the host, or decide what it runs",
        remedy: "mount only what is needed of it, with ro")
    static let sharedMount = AuditRule(
        "SWA042", "mount shared with the host", .medium,
        because: "mounts that the container makes below it appear on the host",
        remedy: "use rprivate or rslave")
    static let sharedRoot = AuditRule(
        "SWA043", "root file system shared with the host", .medium,
        because: "mounts that the container makes appear on the host",
        remedy: "remove linux.rootfsPropagation, or set it to rprivate or rslave")
    static let hooks = AuditRule(
        "SWA044", "hook", .low,
        because: "it is a program of the host that runs with the rights of the runtime",
        remedy: "check who can change the program and the config")

    private static let mountRules = [engineSocket, hostPath, sharedMount, sharedRoot, hooks]

    static let noMemoryLimit = AuditRule(
        "SWA050", "no memory limit", .low,
        because: "it can take all memory of the host",
        remedy: "set linux.resources.memory.limit")
    static let noPidsLimit = AuditRule(
        "SWA051", "no limit of processes", .low,
        because: "a fork bomb takes all process IDs of the host",
        remedy: "set linux.resources.pids.limit")

    private static let limitRules = [noMemoryLimit, noPidsLimit]
}
#endif
