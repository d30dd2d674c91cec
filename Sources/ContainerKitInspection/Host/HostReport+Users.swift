// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import ContainerKit
internal import RuntimeSpec

extension HostFindings {
    // MARK: Namespaces

    /// Each kind, and the sysctls about user namespaces.
    var namespaceChecks: [HostReport.Check] {
        Namespace.Kind.allCases.map(namespaceCheck) + sysctlChecks
    }

    private func namespaceCheck(_ kind: Namespace.Kind) -> HostReport.Check {
        let name = "namespace.\(kind.rawValue)"
        // Every container has a mount namespace, and only root gets one without a user namespace.
        let isRequired = kind == .mount || kind == .user && !isPrivileged
        let consequence =
            isRequired
            ? "no container can be created"
            : "a config with a namespace of the type \(kind.rawValue) is refused"
        switch namespaces[kind] ?? .skipped("not tried") {
        case .worked:
            let isMade = kind != .cgroup && kind != .time
            return HostReport.Check(
                name, .ok, isMade ? "one was made" : "in this kernel", isRequired: isRequired)
        case .skipped(let reason):
            return HostReport.Check(
                name, .missing, reason, consequence: consequence,
                remedy: "see namespace.user", isRequired: isRequired)
        case .refused(let reason, let hint):
            return HostReport.Check(
                name, .missing, reason, consequence: consequence, remedy: hint,
                isRequired: isRequired)
        }
    }

    private var sysctlChecks: [HostReport.Check] {
        var checks: [HostReport.Check] = []
        let maximum = "/proc/sys/user/max_user_namespaces"
        if let value = number(maximum) {
            checks.append(
                HostReport.Check(
                    "user.max_user_namespaces", value == 0 ? .missing : .ok, "\(value)",
                    consequence: value == 0 ? "nobody can make user namespaces" : nil,
                    remedy: value == 0 ? "sysctl -w user.max_user_namespaces=15000" : nil))
        } else {
            checks.append(
                HostReport.Check(
                    "user.max_user_namespaces", .limited, "\(maximum) cannot be read",
                    consequence: "the limit of user namespaces is not known"))
        }
        // Of Debian's and older Ubuntu's kernels only.
        if let value = number("/proc/sys/kernel/unprivileged_userns_clone") {
            let isShut = value == 0
            checks.append(
                HostReport.Check(
                    "kernel.unprivileged_userns_clone", isShut ? .limited : .ok, "\(value)",
                    consequence: isShut ? "ordinary users cannot create containers" : nil,
                    remedy: isShut ? "sysctl -w kernel.unprivileged_userns_clone=1" : nil))
        }
        // Of Ubuntu's kernels from 23.10 on: the namespace is made, but gives no capability.
        if let value = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") {
            let isShut = value != 0
            checks.append(
                HostReport.Check(
                    "kernel.apparmor_restrict_unprivileged_userns", isShut ? .limited : .ok,
                    "\(value)",
                    consequence: isShut
                        ? "a user namespace of an ordinary user has no capabilities, unless the program "
                            + "has a profile with the rule userns"
                        : nil,
                    remedy: isShut
                        ? "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or load a profile "
                            + "for the runtime with the rule userns"
                        : nil))
        }
        return checks
    }

    // MARK: Subordinate IDs

    /// The ranges of this user, and the programs that map them.
    var userChecks: [HostReport.Check] {
        [
            rangeCheck("subuid", subordinateUsers, "--add-subuids"),
            rangeCheck("subgid", subordinateGroups, "--add-subgids"),
            toolCheck("newuidmap", 7), toolCheck("newgidmap", 6),
        ]
    }

    private func rangeCheck(
        _ file: String, _ ranges: [SubordinateRange], _ flag: String
    ) -> HostReport.Check {
        let user = userNames.last ?? "\(userID)"
        guard ranges.isEmpty else {
            let texts = ranges.map { "\($0.count) from \($0.first)" }
            return HostReport.Check(file, .ok, String.joined(texts, by: ", ") + " for \(user)")
        }
        if isPrivileged {
            return HostReport.Check(
                file, .ok, "none for \(user); root needs none", consequence: nil)
        }
        return HostReport.Check(
            file, .limited, "/etc/\(file) has no range for \(user)",
            consequence: "containers of this user have one ID alone; images with more users fail",
            remedy: "usermod \(flag) 100000-165535 \(user)")
    }

    private func toolCheck(_ name: String, _ capability: UInt64) -> HostReport.Check {
        let lack = "containers of ordinary users have one ID alone"
        guard let program = tools[name] else {
            return HostReport.Check(
                name, isPrivileged ? .ok : .limited,
                "not in PATH" + (isPrivileged ? "; root needs none" : ""),
                consequence: isPrivileged ? nil : lack,
                remedy: isPrivileged ? nil : "install the package uidmap (shadow-utils)")
        }
        let isSetUserID = program.isSetUserID && program.owner == 0
        let way = isSetUserID ? "setuid root" : "with file capabilities"
        func limited(_ found: String, _ remedy: String) -> HostReport.Check {
            HostReport.Check(
                name, .limited, "\(program.path), \(found)", consequence: lack, remedy: remedy)
        }
        guard isSetUserID || program.hasFileCapabilities else {
            return limited(
                "neither setuid root nor with file capabilities",
                "chown root, chmod u+s \(program.path)")
        }
        guard !program.isOnNosuidMount else {
            return limited(
                "\(way), but on a mount with nosuid", "mount its file system without nosuid")
        }
        if noNewPrivileges, !has(capability, in: "CapEff") {
            return limited(
                "\(way), but this process has no_new_privs",
                "run the runtime without no_new_privs (NoNewPrivileges= of its service)")
        }
        return HostReport.Check(name, .ok, "\(program.path), \(way)")
    }
}
#endif
