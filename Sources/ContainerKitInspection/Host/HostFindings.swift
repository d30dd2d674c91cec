// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import ContainerKit
internal import RuntimeSpec
internal import SystemPackage

/// What was found on a machine; `HostReport` judges it.
struct HostFindings: Equatable {
    /// The result of a trial.
    enum Trial: Equatable {
        case worked
        /// The refusal, and a hint if there is one.
        case refused(String, hint: String?)
        /// Not tried, for a reason.
        case skipped(String)
    }

    /// A text, or why there is none.
    enum Answer<Value: Equatable>: Equatable {
        case found(Value)
        case failed(String)
    }

    /// A range of `/etc/subuid` or `/etc/subgid`.
    struct SubordinateRange: Equatable {
        var first: UInt32
        var count: UInt32
    }

    /// A limit of this process; nil is unlimited.
    struct Limit: Equatable {
        var name: String
        var soft: UInt64?
        var hard: UInt64?
    }

    // MARK: The kernel

    var kernel = ""
    /// The contents of files of /proc and /sys without white space at the ends, by path; a file
    /// that cannot be read is absent.
    var files: [String: String] = [:]
    var answers: [KernelCall: Errno] = [:]
    var childStart = HostProbe.ChildStart.bornEmpty
    var namespaces: [Namespace.Kind: Trial] = [:]
    var mappedMount = Trial.worked

    // MARK: This process

    var userID: UInt32 = 0
    /// The names of the user, for /etc/subuid: its ID, and its name if it has one.
    var userNames: [String] = []
    var isInUserNamespace = false
    /// The sets of /proc/self/status by their keys, such as `CapEff`.
    var capabilities: [String: UInt64] = [:]
    /// Three of them as libcap writes them.
    var capabilityText: String?
    var noNewPrivileges = false
    /// 2 if a seccomp filter applies.
    var seccompMode = 0
    var limits: [Limit] = []

    // MARK: Users

    var subordinateUsers: [SubordinateRange] = []
    var subordinateGroups: [SubordinateRange] = []
    var tools: [String: ProgramRights] = [:]

    // MARK: Cgroups and systemd

    var cgroups = Answer<HostProbe.Cgroups>.failed("not looked at")
    var deviceProgram = Trial.worked
    var hasSystemd = false
    var asksUserSystemd = false
    var systemd = Answer<HostProbe.Systemd>.failed("not looked at")
    /// Where a bpf file system is mounted.
    var bpfMount: String?

    // MARK: Security and the rest

    var seccompActions: [Seccomp.Action] = []
    var hasAppArmor = false
    var hasSELinux = false
    var criu = Answer<String>.failed("not looked at")
    /// The use of keys by this user: `used/limit` of their number and bytes, from /proc/key-users.
    var keyUse: [String] = []
    var rootPath = ""
    var root = Answer<HostProbe.Place>.failed("not looked at")

    /// Whether this process has CAP_SYS_ADMIN, and so needs no user namespace.
    var isPrivileged: Bool { has(21, in: "CapEff") }

    /// Whether a set contains the capability with this number.
    func has(_ number: UInt64, in set: String) -> Bool {
        (capabilities[set] ?? 0) & 1 << number != 0
    }

    /// The number in a file; nil if it cannot be read or has no number.
    func number(_ path: String) -> UInt64? { files[path].flatMap { UInt64($0) } }
}

// MARK: - Collecting

extension HostFindings {
    /// The files whose contents are judged.
    static let paths = [
        "/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone",
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "/proc/sys/vm/memfd_noexec",
        "/proc/sys/kernel/seccomp/actions_avail", "/proc/sys/kernel/keys/maxkeys",
        "/proc/sys/kernel/keys/maxbytes", "/proc/sys/kernel/keys/root_maxkeys",
        "/proc/sys/kernel/keys/root_maxbytes", "/sys/kernel/security/lsm",
        "/proc/self/attr/current", "/sys/fs/selinux/enforce",
    ]

    /// Looks at this machine; `root` is the path of the store.
    static func collected(for root: String) -> HostFindings {
        var found = HostFindings()
        found.kernel = text("/proc/sys/kernel/osrelease") ?? ""
        for path in paths { found.files[path] = text(path) }
        found.lookAtProcess()
        for call in KernelCall.allCases { found.answers[call] = call.answer }
        found.childStart = HostProbe.startOfChild()
        found.tryNamespaces()
        found.lookAtUsers()
        found.lookAtCgroups()
        found.lookAtSecurity()
        found.rootPath = root
        found.root = answer { () throws(ContainerError) in try HostProbe.place(of: root) }
        found.tryMappedMount()
        return found
    }

    /// The contents of a file as text, without white space at the ends.
    private static func text(_ path: String) -> String? {
        guard let bytes = try? readFile(path) else { return nil }
        let isSpace: (UInt8) -> Bool = { $0 <= UInt8(ascii: " ") }
        let end = bytes.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? 0
        return String(decoding: bytes[..<end].drop(while: isSpace), as: UTF8.self)
    }

    private static func answer<Value: Equatable>(
        _ body: () throws(ContainerError) -> Value
    ) -> Answer<Value> {
        do throws(ContainerError) {
            return .found(try body())
        } catch {
            return .failed(error.description)
        }
    }

    private static func trial(_ error: ContainerError?) -> Trial {
        error.map { Trial.refused($0.description, hint: $0.hint) } ?? .worked
    }

    private mutating func lookAtProcess() {
        userID = effectiveUserID
        isInUserNamespace = isInsideUserNamespace
        for line in (Self.text("/proc/self/status") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let value = words(of: Array(parts[1].utf8)).first else {
                continue
            }
            switch parts[0] {
            case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
                capabilities[String(parts[0])] = UInt64(value, radix: 16)
            case "NoNewPrivs": noNewPrivileges = value == "1"
            case "Seccomp": seccompMode = Int(value) ?? 0
            default: break
            }
        }
        for line in (Self.text("/proc/self/limits") ?? "").split(separator: "\n") {
            for name in ["Max open files", "Max processes", "Max locked memory"]
            where String(line).begins(with: name) {
                let words = words(of: Array(line.utf8.dropFirst(name.utf8.count)))
                guard words.count >= 2 else { continue }
                limits.append(Limit(name: name, soft: UInt64(words[0]), hard: UInt64(words[1])))
            }
        }
        capabilityText = CapabilityNames.ownText
        keyUse = Self.keyUse(of: userID, in: Self.text("/proc/key-users") ?? "")
    }

    /// The last two columns of the user's line, such as `3/200` keys and `40/20000` bytes.
    static func keyUse(of user: UInt32, in table: String) -> [String] {
        for line in table.split(separator: "\n") {
            let words = words(of: Array(line.utf8))
            if words.count >= 5, words[0] == "\(user):" { return Array(words.suffix(2)) }
        }
        return []
    }

    /// Each kind by itself; for an ordinary user together with a user namespace, which gives the
    /// right to the others.
    private mutating func tryNamespaces() {
        for kind in Namespace.Kind.allCases where !HostProbe.hasNamespaces(kind) {
            namespaces[kind] = .refused("this kernel has none", hint: nil)
        }
        if namespaces[.user] == nil {
            namespaces[.user] = Self.trial(HostProbe.refusal(ofNew: [.user]))
        }
        let first: [Namespace.Kind] = isPrivileged ? [] : [.user]
        for kind in Namespace.Kind.allCases where namespaces[kind] == nil {
            if !isPrivileged, namespaces[.user] != .worked {
                namespaces[kind] = .skipped("needs a user namespace")
            } else if kind == .cgroup || kind == .time {
                // Made by init itself, which needs the same right as for the others.
                namespaces[kind] = .worked
            } else {
                namespaces[kind] = Self.trial(HostProbe.refusal(ofNew: first + [kind]))
            }
        }
    }

    private mutating func tryMappedMount() {
        guard case .found(let place) = root else {
            mappedMount = .skipped("there is no directory to try it on")
            return
        }
        guard isPrivileged, answers[.mappedMounts] == .badFileDescriptor else {
            mappedMount = .skipped("")
            return
        }
        mappedMount = Self.trial(HostProbe.refusalOfMappedMount(at: place.path))
    }

    private mutating func lookAtUsers() {
        userNames = ["\(userID)"]
        for line in (Self.text("/etc/passwd") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == "\(userID)" {
                userNames.append(String(fields[0]))
                break
            }
        }
        subordinateUsers = Self.ranges(of: userNames, in: Self.text("/etc/subuid") ?? "")
        subordinateGroups = Self.ranges(of: userNames, in: Self.text("/etc/subgid") ?? "")
        for name in ["newuidmap", "newgidmap"] { tools[name] = HostProbe.program(name) }
    }

    /// The ranges of a user: lines such as `alice:100000:65536`.
    static func ranges(of names: [String], in text: String) -> [SubordinateRange] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, names.contains(where: { fields[0] == $0 }),
                let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0
            else { return nil }
            return SubordinateRange(first: first, count: count)
        }
    }

    private mutating func lookAtCgroups() {
        cgroups = Self.answer { () throws(ContainerError) in try HostProbe.cgroups() }
        deviceProgram =
            HostProbe.refusalOfDeviceProgram().map { Trial.refused($0.description, hint: nil) }
            ?? .worked
        hasSystemd = HostProbe.hasSystemd
        asksUserSystemd = HostProbe.asksUserSystemd
        if hasSystemd {
            systemd = Self.answer { () throws(ContainerError) in try HostProbe.systemd() }
        }
        bpfMount = ((try? mountTable()) ?? []).last { $0.type == "bpf" }?.mountPoint
    }

    private mutating func lookAtSecurity() {
        seccompActions = HostProbe.seccompActions
        hasAppArmor = HostProbe.hasAppArmor
        hasSELinux = HostProbe.hasSELinux
        criu = Self.answer { () throws(ContainerError) in
            let found = try HostProbe.criu()
            return "CRIU \(found.version), \(found.path)"
        }
    }
}
#endif
