// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Audit {
    // MARK: Seccomp

    mutating func lookAtSeccomp() {
        let annotation = "run.oci.seccomp_bpf_data"
        if spec.annotations?[annotation] != nil {
            add(
                .opaqueSeccomp, JSONPath("annotations").appending(key: annotation),
                "the filter is a program")
            return
        }
        guard let profile = linux.seccomp else {
            add(.noSeccomp, "linux.seccomp", "the container has no seccomp profile")
            return
        }
        let rules = profile.syscalls ?? []
        let isOpen = Self.lets(profile.defaultAction)
        if isOpen {
            let refuses = rules.contains { !Self.lets($0.action) }
            add(
                .openSeccomp, "linux.seccomp.defaultAction",
                "\(profile.defaultAction.rawValue) lets every call "
                    + (refuses ? "without a rule" : "pass"),
                refuses ? .medium : .high)
        }
        // Calls without conditions on their arguments: with them, a rule may be harmless.
        var allowed: Set<String> = isOpen ? Set(Self.dangerousCalls) : []
        var decided: Set<String> = []
        for rule in rules where (rule.args ?? []).isEmpty {
            for name in rule.names where decided.insert(name).inserted {
                if Self.lets(rule.action) { allowed.insert(name) } else { allowed.remove(name) }
            }
        }
        let dangerous = Self.dangerousCalls.filter { allowed.contains($0) }
        guard !dangerous.isEmpty else { return }
        add(
            .dangerousCalls, "linux.seccomp.syscalls",
            "the profile allows \(dangerous.joined(separator: ", "))")
    }

    private static func lets(_ action: Seccomp.Action) -> Bool {
        action == .allow || action == .log
    }

    /// What Docker's default profile refuses to a container with the default capabilities, and what an
    /// exploit would use.
    private static let dangerousCalls = [
        "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module",
        "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
        "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
        "kexec_file_load",
        "kexec_load", "keyctl", "mount", "mount_setattr", "move_mount", "nfsservctl",
        "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "quotactl", "reboot",
        "request_key", "setns", "settimeofday", "stime", "swapoff", "swapon", "syslog", "umount",
        "umount2", "unshare", "userfaultfd", "vhangup",
    ]

    // MARK: /proc and /sys

    mutating func lookAtKernelFiles() {
        let mounts = spec.mounts ?? []
        for (index, mount) in mounts.enumerated() where !isReadOnly(mount) {
            if mount.destination.asPlace == "/sys", mount.type == "sysfs" || mount.binds {
                add(
                    .writableSys, "mounts[\(index)].options", "/sys can be written to",
                    subject: "/sys", hasUserNamespace ? .low : nil)
            }
            if mount.destination.asPlace == "/sys/fs/cgroup" {
                add(
                    .writableCgroups, "mounts[\(index)].options",
                    "/sys/fs/cgroup can be written to",
                    subject: "/sys/fs/cgroup", hasUserNamespace ? .low : nil)
            }
        }
        // Without its own mounts the container has the host's procfs, or none at all.
        guard linux.namespace(.mount) != nil else { return }
        let seen = ["/proc", "/sys"].filter { top in
            mounts.contains { $0.destination.asPlace == top }
        }
        let masked = (linux.maskedPaths ?? []).map(\.asPlace)
        let readOnly = (linux.readonlyPaths ?? []).map(\.asPlace) + masked
        func lacking(_ paths: [String], in covered: [String]) -> [String] {
            paths.filter { path in
                seen.contains { path.isPlace(below: $0) }
                    && !covered.contains { path == $0 || path.isPlace(below: $0) }
            }
        }
        if !lacking(["/proc/sys"], in: readOnly).isEmpty {
            add(
                .writableProcSys, "linux.readonlyPaths", "/proc/sys can be written to",
                hasUserNamespace ? .low : nil)
        }
        let unmasked = lacking(Self.maskedByDocker, in: masked)
        if !unmasked.isEmpty {
            add(
                .unmaskedPaths, "linux.maskedPaths",
                "\(unmasked.joined(separator: ", ")) can be read",
                unmasked.contains { !Self.maskedLately.contains($0) } ? nil : .low)
        }
        let writable = lacking(Self.readOnlyByDocker, in: readOnly)
        if !writable.isEmpty {
            add(
                .writableProcPaths, "linux.readonlyPaths",
                "\(writable.joined(separator: ", ")) can be written to",
                hasUserNamespace ? .low : nil)
        }
    }

    private func isReadOnly(_ mount: Mount) -> Bool {
        let options = mount.options ?? []
        let last = options.last { ["ro", "rw", "rro", "rrw"].contains($0) }
        return last == "ro" || last == "rro"
    }

    private static let maskedByDocker = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
        "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
        "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
    ]
    /// Those that other engines do not mask yet, or did not for years.
    private static let maskedLately: Set = [
        "/proc/interrupts", "/sys/devices/virtual/powercap", "/proc/asound",
    ]
    private static let readOnlyByDocker = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger",
    ]

    // MARK: Parameters

    mutating func lookAtSysctl() {
        for name in (linux.sysctl ?? [:]).keys.sorted() {
            guard let path = Linux.sysctlPath(name), !isOwn(parameter: path) else { continue }
            add(
                .hostSysctl, JSONPath("linux.sysctl").appending(key: name),
                "\(name) is a parameter of the host")
        }
    }

    /// Whether a parameter belongs to a namespace of the container.
    private func isOwn(parameter path: String) -> Bool {
        let ipc: Set = [
            "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
            "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
        ]
        if ipc.contains(path) || path.hasPrefix("fs/mqueue/") {
            return linux.namespace(.ipc) != nil
        }
        if path.hasPrefix("net/") { return linux.namespace(.network) != nil }
        if path.hasPrefix("user/") { return hasUserNamespace }
        let names = ["kernel/domainname", "kernel/hostname"]
        return names.contains(path) && linux.namespace(.uts) != nil
    }
}

extension String {
    /// The absolute path without empty and `.` parts; `..` goes up, as far as the root.
    var asPlace: String {
        var parts: [Substring] = []
        for part in split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Whether this place is in the directory `other`.
    func isPlace(below other: String) -> Bool {
        other == "/" ? self != "/" : hasPrefix(other + "/")
    }
}
#endif
