// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Audit {
    mutating func lookAtNamespaces() {
        let rules: [(Namespace.Kind, AuditRule)] = [
            (.pid, .hostPid), (.network, .hostNetwork), (.ipc, .hostIPC), (.uts, .hostUTS),
            (.mount, .hostMount), (.cgroup, .hostCgroup), (.user, .noUserNamespace),
        ]
        for (kind, rule) in rules {
            let index = linux.namespaces?.firstIndex { $0.kind == kind }
            guard let index, let namespace = linux.namespaces?[index] else {
                let whose =
                    kind == .user ? "no user namespace" : "the host's \(kind.rawValue) namespace"
                add(rule, "linux.namespaces", "the container has \(whose)")
                continue
            }
            // The first process of the host: its namespaces are the host's.
            guard let path = namespace.path, path.hasPrefix("/proc/1/ns/") else { continue }
            add(
                rule, "linux.namespaces[\(index)].path",
                "the container joins the host's \(kind.rawValue) namespace, \(path)")
        }
    }

    mutating func lookAtCapabilities() {
        guard let sets = spec.process?.capabilities else { return }
        let named = [
            ("bounding", sets.bounding ?? []), ("effective", sets.effective ?? []),
            ("permitted", sets.permitted ?? []), ("inheritable", sets.inheritable ?? []),
            ("ambient", sets.ambient ?? []),
        ]
        for capability in Capability.all {
            let name = capability.description
            guard let power = CapabilityPower.beyondDocker[name],
                let (set, list) = named.first(where: { $0.1.contains(name) }),
                let index = list.firstIndex(of: name)
            else { continue }
            let rule: AuditRule = power.isRoot ? .rootCapability : .furtherCapability
            // Within a user namespace a capability concerns what belongs to it.
            add(
                rule, "process.capabilities.\(set)[\(index)]", "\(name): \(power.reason)",
                hasUserNamespace ? .low : power.severity)
        }
        for (set, list, rule) in [
            ("ambient", sets.ambient ?? [], AuditRule.ambientCapabilities),
            ("inheritable", sets.inheritable ?? [], .inheritableCapabilities),
        ] where !list.isEmpty {
            add(
                rule, "process.capabilities.\(set)",
                "\(list.count == 1 ? list[0] : "\(list.count) capabilities are") \(set)")
        }
    }

    mutating func lookAtProcess() {
        guard let process = spec.process else { return }
        if !process.noNewPrivileges {
            add(.newPrivileges, "process.noNewPrivileges", "programs may gain privileges")
        }
        let profile = process.apparmorProfile ?? ""
        let label = process.selinuxLabel ?? ""
        if profile.isEmpty, label.isEmpty {
            add(
                .noLabel, "process.apparmorProfile",
                "there is no AppArmor profile and no SELinux label")
        }
        if profile == "unconfined" {
            add(.unconfined, "process.apparmorProfile", "the AppArmor profile is unconfined")
        }
        let type = label.split(separator: ":").dropFirst(2).first ?? ""
        if ["spc_t", "unconfined_t", "container_runtime_t"].contains(type) {
            add(.unconfined, "process.selinuxLabel", "the SELinux type \(type) is not confined")
        }
        if let score = process.oomScoreAdj, score < 0 {
            add(.oomScore, "process.oomScoreAdj", "the score is \(score)")
        }
    }

    mutating func lookAtHooks() {
        guard let hooks = spec.hooks else { return }
        let lists: [(String, [Hook]?)] = [
            ("prestart", hooks.prestart), ("createRuntime", hooks.createRuntime),
            ("createContainer", hooks.createContainer), ("startContainer", hooks.startContainer),
            ("poststart", hooks.poststart), ("poststop", hooks.poststop),
        ]
        for (name, list) in lists {
            for (index, hook) in (list ?? []).enumerated() {
                add(
                    .hooks, "hooks.\(name)[\(index)]",
                    "\(hook.path) runs "
                        + (name == "startContainer"
                            ? "in the container before its process" : "on the host"),
                    subject: hook.path)
            }
        }
    }

    mutating func lookAtLimits() {
        let resources = linux.resources
        let files = resources?.unified ?? [:]
        func isLimited(_ limit: Int64?, by file: String) -> Bool {
            if let limit, limit > 0 { return true }
            return files[file].map { $0 != "max" } ?? false
        }
        if !isLimited(resources?.memory?.limit, by: "memory.max") {
            add(.noMemoryLimit, "linux.resources.memory.limit", "memory has no limit")
        }
        if !isLimited(resources?.pids?.limit, by: "pids.max") {
            add(.noPidsLimit, "linux.resources.pids.limit", "the number of processes has no limit")
        }
    }
}

/// What a capability that Docker does not give by default allows.
struct CapabilityPower: Sendable {
    let severity: AuditRule.Severity
    let reason: String

    /// Whether it leads to all rights.
    var isRoot: Bool { severity >= .high }

    static let beyondDocker: [String: CapabilityPower] = [
        "CAP_DAC_READ_SEARCH": .init(
            severity: .critical,
            reason: "open_by_handle_at reads every file of the host's file systems"),
        "CAP_LINUX_IMMUTABLE": .init(
            severity: .low, reason: "makes files that even root cannot delete at once"),
        "CAP_NET_BROADCAST": .init(severity: .low, reason: "reserved for broadcasts"),
        "CAP_NET_ADMIN": .init(
            severity: .medium,
            reason:
                "sets up interfaces, routes and filters, and reaches much of the kernel's code; "
                + "in the host's network, the host's firewall"),
        "CAP_IPC_LOCK": .init(severity: .low, reason: "locks memory that cannot be swapped out"),
        "CAP_IPC_OWNER": .init(
            severity: .low,
            reason: "passes the permissions of System V objects in its ipc namespace"),
        "CAP_SYS_MODULE": .init(
            severity: .critical, reason: "loads code into the host's kernel"),
        "CAP_SYS_RAWIO": .init(
            severity: .critical, reason: "writes to the host's memory and I/O ports"),
        "CAP_SYS_PTRACE": .init(
            severity: .high,
            reason:
                "takes over every process that it can see; in the host's pid namespace, the host"),
        "CAP_SYS_PACCT": .init(
            severity: .low, reason: "turns the kernel's process accounting on and off"),
        "CAP_SYS_ADMIN": .init(
            severity: .critical,
            reason: "mounts file systems, enters namespaces and does most else that root does"),
        "CAP_SYS_BOOT": .init(
            severity: .high, reason: "restarts the host, and loads another kernel by kexec"),
        "CAP_SYS_NICE": .init(
            severity: .low,
            reason: "takes the CPU from the host's processes by real-time scheduling"),
        "CAP_SYS_RESOURCE": .init(
            severity: .medium, reason: "passes limits of resources and quotas"),
        "CAP_SYS_TIME": .init(severity: .medium, reason: "sets the clock of the host"),
        "CAP_SYS_TTY_CONFIG": .init(
            severity: .low, reason: "hangs up and configures the host's terminals"),
        "CAP_LEASE": .init(severity: .low, reason: "delays others who open a file"),
        "CAP_AUDIT_CONTROL": .init(
            severity: .medium, reason: "turns the host's auditing off, and changes its rules"),
        "CAP_MAC_OVERRIDE": .init(
            severity: .high, reason: "passes the mandatory access control of Smack"),
        "CAP_MAC_ADMIN": .init(
            severity: .high, reason: "changes the policies of AppArmor and Smack"),
        "CAP_SYSLOG": .init(
            severity: .medium, reason: "reads the kernel's log, and its addresses for an exploit"),
        "CAP_WAKE_ALARM": .init(severity: .low, reason: "wakes the host from sleep"),
        "CAP_BLOCK_SUSPEND": .init(severity: .low, reason: "keeps the host from sleep"),
        "CAP_AUDIT_READ": .init(severity: .medium, reason: "reads the host's audit log"),
        "CAP_PERFMON": .init(
            severity: .high,
            reason: "watches the host's processes and kernel by performance counters"),
        "CAP_BPF": .init(
            severity: .high, reason: "loads programs into the host's kernel, and reads its maps"),
        "CAP_CHECKPOINT_RESTORE": .init(
            severity: .medium,
            reason: "chooses process IDs, and reads other processes' files and memory"),
    ]
}
#endif
