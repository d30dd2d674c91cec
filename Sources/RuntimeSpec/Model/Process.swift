// SPDX-License-Identifier: Apache-2.0

public import ByteText

/// A process in a container.
///
/// Spec: config.md, Process.
public struct Process: Hashable, Sendable {
    /// Whether a terminal is attached to the process.
    public var terminal: Bool
    /// The size of the terminal.
    public var consoleSize: Box?
    /// Who the process runs as; absent fields are 0, as for runc.
    public var user: User
    /// The program and its arguments, byte for byte; the program is looked up in the `PATH` of `env`.
    public var argBytes: [ByteText]?
    /// The environment, each entry as `NAME=value`, byte for byte.
    public var envBytes: [ByteText]?
    /// The working directory in the container, an absolute path.
    public var cwd: String
    /// The capability sets of the process.
    public var capabilities: Capabilities?
    /// The resource limits of the process.
    public var rlimits: [Rlimit]?
    /// Whether the process is kept from gaining privileges by `execve(2)`.
    public var noNewPrivileges: Bool
    /// The AppArmor profile.
    public var apparmorProfile: String?
    /// The value added to the process's OOM badness score, -1000 to 1000.
    ///
    /// Nil inherits the value of the runtime. Kernel: proc_pid_oom_score_adj(5).
    public var oomScoreAdj: Int?
    /// How the process is scheduled.
    public var scheduler: Scheduler?
    /// The SELinux context.
    public var selinuxLabel: String?
    /// The I/O priority of the process.
    public var ioPriority: IOPriority?
    /// The CPUs of a process that joins the container by `exec`.
    ///
    /// Since 1.2.1.
    public var execCPUAffinity: CPUAffinity?

    /// A value of the given fields.
    public init(
        terminal: Bool = false, consoleSize: Box? = nil, user: User = User(),
        args: [String]? = nil,
        env: [String]? = nil, cwd: String, capabilities: Capabilities? = nil,
        rlimits: [Rlimit]? = nil, noNewPrivileges: Bool = false, apparmorProfile: String? = nil,
        oomScoreAdj: Int? = nil, scheduler: Scheduler? = nil, selinuxLabel: String? = nil,
        ioPriority: IOPriority? = nil, execCPUAffinity: CPUAffinity? = nil
    ) {
        self.terminal = terminal
        self.consoleSize = consoleSize
        self.user = user
        argBytes = args?.map { ByteText($0) }
        envBytes = env?.map { ByteText($0) }
        self.cwd = cwd
        self.capabilities = capabilities
        self.rlimits = rlimits
        self.noNewPrivileges = noNewPrivileges
        self.apparmorProfile = apparmorProfile
        self.oomScoreAdj = oomScoreAdj
        self.scheduler = scheduler
        self.selinuxLabel = selinuxLabel
        self.ioPriority = ioPriority
        self.execCPUAffinity = execCPUAffinity
    }
}

extension Process {
    /// The program and its arguments as strings; bytes that are not UTF-8 are replaced.
    public var args: [String]? {
        get { argBytes?.map(\.description) }
        set { argBytes = newValue?.map { ByteText($0) } }
    }

    /// The environment as strings; bytes that are not UTF-8 are replaced.
    public var env: [String]? {
        get { envBytes?.map(\.description) }
        set { envBytes = newValue?.map { ByteText($0) } }
    }
}

extension Process: SpecObject {
    static var blank: Process { Process(cwd: "") }
    static var section: String { "config.md, Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.defaulted("terminal", &terminal, absent: false)
        visitor.optional("consoleSize", &consoleSize)
        visitor.kept("user", &user)
        visitor.optional("args", &argBytes)
        visitor.optional("env", &envBytes)
        visitor.required("cwd", &cwd)
        visitor.optional("capabilities", &capabilities)
        visitor.optional("rlimits", &rlimits)
        visitor.defaulted("noNewPrivileges", &noNewPrivileges, absent: false)
        visitor.text("apparmorProfile", &apparmorProfile)
        visitor.optional("oomScoreAdj", &oomScoreAdj)
        visitor.optional("scheduler", &scheduler)
        visitor.text("selinuxLabel", &selinuxLabel)
        visitor.optional("ioPriority", &ioPriority)
        visitor.optional("execCPUAffinity", &execCPUAffinity)
    }
}

/// The size of a terminal.
public struct Box: Hashable, Sendable {
    /// The height in characters.
    public var height: UInt
    /// The width in characters.
    public var width: UInt

    /// A value of the given fields.
    public init(height: UInt, width: UInt) {
        self.height = height
        self.width = width
    }
}

extension Box: SpecObject {
    static var blank: Box { Box(height: 0, width: 0) }
    static var section: String { "config.md, Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("height", &height)
        visitor.required("width", &width)
    }
}

/// The user and groups of a process.
///
/// Spec: config.md, User.
public struct User: Hashable, Sendable {
    /// The user ID in the container.
    public var uid: UInt32
    /// The group ID in the container.
    public var gid: UInt32
    /// The file mode creation mask; nil means 0o022.
    public var umask: UInt32?
    /// The supplementary groups in the container.
    public var additionalGids: [UInt32]?

    /// A value of the given fields.
    public init(
        uid: UInt32 = 0, gid: UInt32 = 0, umask: UInt32? = nil, additionalGids: [UInt32]? = nil
    ) {
        self.uid = uid
        self.gid = gid
        self.umask = umask
        self.additionalGids = additionalGids
    }
}

extension User: SpecObject {
    static var blank: User { User() }
    static var section: String { "config.md, User" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.kept("uid", &uid)
        visitor.kept("gid", &gid)
        visitor.optional("umask", &umask)
        visitor.optional("additionalGids", &additionalGids)
    }
}

/// The capability sets of a process, each a list of names such as `CAP_KILL`.
///
/// A nil set is empty. Spec: config.md, Linux Process. Kernel: capabilities(7).
public struct Capabilities: Hashable, Sendable {
    /// The capabilities that the process can ever gain.
    public var bounding: [String]?
    /// The capabilities that the kernel checks.
    public var effective: [String]?
    /// The capabilities that a program gains if the inheritable set of its file has them too.
    public var inheritable: [String]?
    /// The capabilities that the process may make effective.
    public var permitted: [String]?
    /// The capabilities kept when executing an unprivileged program; each must be permitted and
    /// inheritable.
    public var ambient: [String]?

    /// A value of the given fields.
    public init(
        bounding: [String]? = nil, effective: [String]? = nil, inheritable: [String]? = nil,
        permitted: [String]? = nil, ambient: [String]? = nil
    ) {
        self.bounding = bounding
        self.effective = effective
        self.inheritable = inheritable
        self.permitted = permitted
        self.ambient = ambient
    }
}

extension Capabilities: SpecObject {
    static var blank: Capabilities { Capabilities() }
    static var section: String { "config.md, Linux Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("bounding", &bounding)
        visitor.optional("effective", &effective)
        visitor.optional("inheritable", &inheritable)
        visitor.optional("permitted", &permitted)
        visitor.optional("ambient", &ambient)
    }
}

/// A resource limit.
///
/// Spec: config.md, POSIX process. Kernel: getrlimit(2).
public struct Rlimit: Hashable, Sendable {
    /// The resource, such as `RLIMIT_NOFILE`.
    public var type: String
    /// The ceiling of the soft limit; `UInt64.max` is no limit.
    public var hard: UInt64
    /// The limit that the kernel enforces; `UInt64.max` is no limit.
    public var soft: UInt64

    /// A value of the given fields.
    public init(type: String, hard: UInt64, soft: UInt64) {
        self.type = type
        self.hard = hard
        self.soft = soft
    }
}

extension Rlimit: SpecObject {
    static var blank: Rlimit { Rlimit(type: "", hard: 0, soft: 0) }
    static var section: String { "config.md, POSIX process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("type", &type)
        visitor.required("hard", &hard)
        visitor.required("soft", &soft)
    }
}

/// The CPUs of a process that joins a container, as lists such as `0-3,7`.
///
/// Spec: config.md, Linux Process.
public struct CPUAffinity: Hashable, Sendable {
    /// The CPUs while the process is still in the runtime's cgroup.
    public var initial: String?
    /// The CPUs once the process is in the container's cgroup.
    public var final: String?

    /// A value of the given fields.
    public init(initial: String? = nil, final: String? = nil) {
        self.initial = initial
        self.final = final
    }
}

extension CPUAffinity: SpecObject {
    static var blank: CPUAffinity { CPUAffinity() }
    static var section: String { "config.md, Linux Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.text("initial", &initial)
        visitor.text("final", &final)
    }
}
