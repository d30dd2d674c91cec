// SPDX-License-Identifier: Apache-2.0

extension Spec {
    /// Which network a sandbox is in.
    public enum SandboxNetwork: Hashable, Sendable {
        /// A network of its own, of which nothing leads anywhere: the loopback device alone.
        case none
        /// The host's.
        case host
        /// One that is there already, by the path of its namespace's file, such as `/run/netns/blue`.
        case joined(path: String)
    }

    /// The config of a common sandbox: a program in namespaces, a network and a cgroup of its own.
    ///
    /// What is not given is as Docker has it: its fourteen capabilities, its mounts, its masked and
    /// read-only paths, no device but the usual ones. In four things it is stricter: the root is read-only,
    /// programs gain nothing by set-user-ID bits (`noNewPrivileges`), there is no network, and
    /// `Seccomp.sandbox()` refuses more than Docker's profile. Without a terminal; the environment has a
    /// `PATH` alone. Every field of what is returned may be changed.
    ///
    /// A user other than 0 has none of the capabilities, but where it is root of a set-user-ID program.
    ///
    /// - Parameters:
    ///   - args: the program, which is looked up in `PATH`, and its arguments; at least one.
    ///   - rootfs: the root file system, absolute or relative to the bundle. `ContainerBundle(rootfs:spec:)`
    ///     of ContainerKit sets its own in place of it.
    ///   - readonly: whether the root file system is read-only.
    ///   - memory: the most memory in bytes, with no swap beside it; nil is no limit.
    ///   - pids: the most processes and threads; nil is no limit.
    ///   - cpus: how many CPUs' time it may use, such as 0.5, from 0.01 on; nil is no limit.
    ///   - network: the network.
    ///   - user: the user and groups, by their numbers in the container.
    /// - Returns: a config that keeps the rules of the specification.
    /// - Throws: what of the parameters is out of its range, each by the config's field. Spec: config.md,
    ///   config-linux.md.
    public static func sandbox(
        _ args: [String], rootfs: String = "rootfs", readonly: Bool = true, memory: Int64? = nil,
        pids: Int64? = nil, cpus: Double? = nil, network: SandboxNetwork = .none,
        user: User = User()
    ) throws(SpecErrors) -> Spec {
        let limits = SandboxLimits(memory: memory, pids: pids, cpus: cpus)
        var wrong = limits.violations
        if args.isEmpty {
            wrong.insert(SpecError("process.args", "a sandbox needs a program to run"), at: 0)
        }
        if let errors = SpecErrors(wrong) { throw errors }

        let capabilities = sandboxCapabilities
        let effective = user.uid == 0 ? capabilities : nil
        return Spec(
            ociVersion: modeledVersion,
            process: Process(
                user: user, args: args,
                env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                cwd: "/",
                capabilities: Capabilities(
                    bounding: capabilities, effective: effective, permitted: effective),
                noNewPrivileges: true),
            root: Root(path: rootfs, readonly: readonly),
            hostname: "sandbox",
            mounts: template.mounts,
            linux: Linux(
                resources: limits.resources,
                namespaces: sandboxNamespaces(network),
                seccomp: .sandbox(),
                maskedPaths: (template.linux?.maskedPaths ?? []) + [
                    // They tell of the host's load: what its keys, its neighbours and its machine do.
                    "/proc/interrupts", "/sys/devices/virtual/powercap",
                ],
                readonlyPaths: template.linux?.readonlyPaths))
    }

    private static func sandboxNamespaces(_ network: SandboxNetwork) -> [Namespace] {
        let own = [Namespace.Kind.pid, .ipc, .uts, .mount, .cgroup].map { Namespace(kind: $0) }
        return switch network {
        case .none: own + [Namespace(kind: .network)]
        case .host: own
        case .joined(let path): own + [Namespace(kind: .network, path: path)]
        }
    }

    /// What Docker gives: what installers of packages and common servers need within a container.
    private static let sandboxCapabilities = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
        "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ]
}

/// The limits of a sandbox, and what a cgroup makes of them.
private struct SandboxLimits {
    var memory: Int64?
    var pids: Int64?
    var cpus: Double?

    /// A tenth of a second, the kernel's own period.
    private static let periodMicroseconds: UInt64 = 100_000
    /// From the least quota that the kernel takes, a thousandth of a second, to more than any machine has.
    private static let cpuRange = 0.01...1_000_000

    var violations: [SpecError] {
        var wrong: [SpecError] = []
        if let memory, memory < 1 {
            wrong.append(
                SpecError(
                    "linux.resources.memory.limit",
                    "\(memory) is no number of bytes; nil is no limit"))
        }
        // A NaN is in no range.
        if let cpus, !Self.cpuRange.contains(cpus) {
            wrong.append(
                SpecError(
                    "linux.resources.cpu.quota",
                    "\(cpus) CPUs are out of range (0.01...1000000); nil is no limit"))
        }
        if let pids, pids < 1 {
            wrong.append(
                SpecError(
                    "linux.resources.pids.limit",
                    "\(pids) is no number of processes; nil is no limit"))
        }
        return wrong
    }

    var resources: Resources {
        Resources(
            devices: [DeviceCgroupRule(allow: false, access: "rwm")],
            memory: memory.map { MemoryResources(limit: $0, swap: $0) },
            cpu: cpus.map { cpus in
                CPUResources(
                    quota: Int64((cpus * Double(Self.periodMicroseconds)).rounded()),
                    period: Self.periodMicroseconds)
            },
            pids: pids.map { PidsResources(limit: $0) })
    }
}
