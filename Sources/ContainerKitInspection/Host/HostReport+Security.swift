// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import ContainerKit
internal import RuntimeSpec

extension HostFindings {
    // MARK: Security

    /// Rights of this process, seccomp, and security modules.
    var securityChecks: [HostReport.Check] {
        [
            rightsCheck, outerFilterCheck, noNewPrivilegesCheck, seccompCheck, notificationCheck,
            moduleCheck, appArmorCheck, seLinuxCheck,
        ]
    }

    private var rightsCheck: HostReport.Check {
        let name = "runtime.rights"
        let user = "user \(userNames.last ?? "\(userID)")"
        let place = isInUserNamespace ? " in a user namespace" : ""
        guard isPrivileged else {
            return HostReport.Check(
                name, .limited, "\(user)\(place), without CAP_SYS_ADMIN",
                consequence: "containers need a user namespace; devices, ID-mapped mounts and "
                    + "some mounts are refused")
        }
        // What a launch by root uses; by name, so that the lacks can be read.
        let used = [
            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
            "CAP_KILL", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
            "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_RESOURCE",
        ]
        let lacks = used.filter { name in
            CapabilityNames.number(of: name).map { !has($0, in: "CapEff") } ?? false
        }
        guard lacks.isEmpty else {
            return HostReport.Check(
                name, .limited, "\(user)\(place), without " + String.joined(lacks, by: " "),
                consequence: "configs that use these rights are refused",
                remedy:
                    "give the runtime these capabilities (CapabilityBoundingSet= of its service, "
                    + "--cap-add of an outer container)")
        }
        guard !isInUserNamespace else {
            return HostReport.Check(
                name, .limited, "\(user)\(place), with all capabilities there",
                consequence: "device nodes and device rules are refused")
        }
        return HostReport.Check(name, .ok, "\(user), with all capabilities of a launch")
    }

    private var outerFilterCheck: HostReport.Check {
        guard seccompMode == 2 else {
            return HostReport.Check("runtime.seccomp", .ok, "no filter on this process")
        }
        return HostReport.Check(
            "runtime.seccomp", .limited, "a filter is on this process",
            consequence: "it also holds for all containers; the calls above show what it refuses",
            remedy: "start the outer container or service without a filter")
    }

    private var noNewPrivilegesCheck: HostReport.Check {
        guard noNewPrivileges else {
            return HostReport.Check("runtime.no_new_privs", .ok, "not set")
        }
        return HostReport.Check(
            "runtime.no_new_privs", .limited, "set",
            consequence:
                "no setuid program works in containers, whatever process.noNewPrivileges says",
            remedy: "start the runtime without it (NoNewPrivileges= of its service)")
    }

    private var seccompCheck: HostReport.Check {
        let name = "seccomp.filter"
        let names = files["/proc/sys/kernel/seccomp/actions_avail"] ?? ""
        guard seccompActions.contains(.errno) else {
            return HostReport.Check(
                name, .missing, "the kernel takes no filters",
                consequence: "a config with linux.seccomp is refused",
                remedy: "boot a kernel with CONFIG_SECCOMP_FILTER")
        }
        guard RuntimeVersion.libseccompVersion != "none" else {
            return HostReport.Check(
                name, .missing, "this program was built without libseccomp",
                consequence: "a config with linux.seccomp is refused",
                remedy: "build it with the package trait CLibraries")
        }
        return HostReport.Check(
            name, .ok,
            "libseccomp \(RuntimeVersion.libseccompVersion); actions: "
                + (names.isEmpty
                    ? String.joined(seccompActions.map(\.rawValue), by: " ") : names))
    }

    private var notificationCheck: HostReport.Check {
        let works = seccompActions.contains(.notify)
        return HostReport.Check(
            "seccomp.notify", works ? .ok : .missing,
            works ? "user notifications" : "the kernel has no user notifications",
            consequence: works ? nil : "profiles with SCMP_ACT_NOTIFY are refused",
            remedy: works ? nil : "boot Linux 5.0 or later")
    }

    private var moduleCheck: HostReport.Check {
        guard let names = files["/sys/kernel/security/lsm"] else {
            return HostReport.Check(
                "lsm", .ok,
                "/sys/kernel/security/lsm cannot be read (securityfs not mounted, or no root)")
        }
        return HostReport.Check("lsm", .ok, names)
    }

    /// The label of this process, without the NUL that SELinux adds.
    private var ownLabel: String {
        let label = (files["/proc/self/attr/current"] ?? "").filter { $0 != "\0" }
        return label.isEmpty ? "" : "; this process is \(label)"
    }

    private var appArmorCheck: HostReport.Check {
        guard hasAppArmor else {
            return HostReport.Check(
                "apparmor", .limited, "not in this kernel, or turned off",
                consequence: "a config with process.apparmorProfile is refused")
        }
        return HostReport.Check("apparmor", .ok, "enabled" + (hasSELinux ? "" : ownLabel))
    }

    private var seLinuxCheck: HostReport.Check {
        guard hasSELinux else {
            return HostReport.Check(
                "selinux", .limited, "not in this kernel, or turned off",
                consequence: "a config with process.selinuxLabel or linux.mountLabel is refused")
        }
        let isEnforcing = files["/sys/fs/selinux/enforce"] == "1"
        return HostReport.Check(
            "selinux", .ok, (isEnforcing ? "enforcing" : "permissive") + ownLabel)
    }

    // MARK: The rest

    /// CRIU, keys, limits, and the store.
    var resourceChecks: [HostReport.Check] {
        [criuCheck, keyCheck] + limitChecks + [rootCheck]
    }

    private var criuCheck: HostReport.Check {
        switch criu {
        case .found(let text):
            return HostReport.Check("criu", .ok, text)
        case .failed(let reason):
            return HostReport.Check(
                "criu", .limited, reason, consequence: "checkpoint and restore fail",
                remedy: "install the package criu, version \(HostProbe.neededCriu) or later")
        }
    }

    /// Each container has a session keyring of its own, which counts for the runtime's user.
    private var keyCheck: HostReport.Check {
        let prefix = userID == 0 ? "root_" : ""
        let name = "keys"
        guard let most = number("/proc/sys/kernel/keys/\(prefix)maxkeys") else {
            return HostReport.Check(name, .ok, "this kernel has no limit of keys, or hides it")
        }
        let bytes = number("/proc/sys/kernel/keys/\(prefix)maxbytes") ?? 0
        let used = keyUse.first?.split(separator: "/").first.flatMap { UInt64($0) } ?? 0
        let found = "\(used) of \(most) keys in use, at most \(bytes) bytes"
        let sysctl = "kernel.keys.\(prefix)maxkeys"
        guard used < most else {
            return HostReport.Check(
                name, .limited, found,
                consequence: "a container is refused unless it is created with --no-new-keyring",
                remedy: "sysctl -w \(sysctl)=\(max(most, 1) * 10)")
        }
        guard most - used >= 100 else {
            return HostReport.Check(
                name, .limited, found,
                consequence: "about \(most - used) more containers of this user get a keyring",
                remedy: "sysctl -w \(sysctl)=\(max(most, 1) * 10), or create with --no-new-keyring")
        }
        return HostReport.Check(name, .ok, found)
    }

    private var limitChecks: [HostReport.Check] {
        // The least with which a config of usual size works.
        let known: [(String, String, least: UInt64, String, String)] = [
            (
                "Max open files", "limit.nofile", 256,
                "a config with many mounts or preserved descriptors may fail", "ulimit -n"
            ),
            (
                "Max processes", "limit.nproc", 64,
                "the processes of all containers of this user count; starts fail with EAGAIN",
                "ulimit -u"
            ),
            (
                "Max locked memory", "limit.memlock", 0, "", "ulimit -l"
            ),
        ]
        return known.compactMap { key, name, least, consequence, command in
            guard let limit = limits.first(where: { $0.name == key }) else { return nil }
            func text(_ value: UInt64?) -> String { value.map { "\($0)" } ?? "unlimited" }
            let isLow = limit.soft.map { $0 < least } ?? false
            return HostReport.Check(
                name, isLow ? .limited : .ok, "\(text(limit.soft)), at most \(text(limit.hard))",
                consequence: isLow ? consequence : nil,
                remedy: isLow ? "raise it: \(command)" : nil)
        }
    }

    private var rootCheck: HostReport.Check {
        let name = "root"
        let lack = "no container can be created"
        switch root {
        case .failed(let reason):
            return HostReport.Check(
                name, .missing, "\(rootPath): \(reason)", consequence: lack,
                remedy: "choose another directory by --root", isRequired: true)
        case .found(let place):
            let there = place.path == rootPath
            var found = there ? rootPath : "\(rootPath), which would be made in \(place.path)"
            if !place.filesystem.isEmpty { found += ", on \(place.filesystem)" }
            if there, place.owner != userID { found += ", of user \(place.owner)" }
            guard place.isWritable, !place.isOnReadOnlyMount else {
                return HostReport.Check(
                    name, .missing,
                    found + (place.isOnReadOnlyMount ? ", read-only" : ", not writable"),
                    consequence: lack, remedy: "choose a writable directory by --root",
                    isRequired: true)
            }
            return HostReport.Check(name, .ok, found, isRequired: true)
        }
    }
}
#endif
