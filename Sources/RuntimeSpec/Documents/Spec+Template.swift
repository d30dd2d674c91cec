// SPDX-License-Identifier: Apache-2.0

extension Spec {
    /// The version of the specification that this module models.
    public static let modeledVersion = "1.3.0"

    /// The configuration that `spec` prints: a shell in namespaces of its own.
    public static var template: Spec {
        Spec(
            ociVersion: modeledVersion,
            process: templateProcess,
            root: Root(path: "rootfs", readonly: true),
            hostname: "swrunc",
            mounts: templateMounts,
            linux: Linux(
                resources: Resources(devices: [DeviceCgroupRule(allow: false, access: "rwm")]),
                namespaces: [.pid, .network, .ipc, .uts, .mount, .cgroup].map {
                    Namespace(kind: $0)
                },
                maskedPaths: [
                    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                    "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
                ],
                readonlyPaths: [
                    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
                ]))
    }

    /// The configuration that `spec --rootless` prints, for the user and group that run it.
    ///
    /// The user becomes root of a user namespace that maps only its own ID. Therefore the template
    /// has no group 5 for terminals, no network namespace, no sysfs mount, and no cgroup limits.
    public static func rootlessTemplate(userID: UInt32, groupID: UInt32) -> Spec {
        var spec = template
        spec.mounts = spec.mounts?.map { mount in
            var mount = mount
            if mount.destination == "/sys" {
                mount.type = "none"
                mount.source = "/sys"
                mount.options?.insert("rbind", at: 0)
            }
            mount.options?.removeAll { $0.hasPrefix("gid=") || $0.hasPrefix("uid=") }
            return mount
        }
        spec.linux?.resources = nil
        spec.linux?.namespaces?.removeAll { $0.kind == .network }
        spec.linux?.namespaces?.append(Namespace(kind: .user))
        spec.linux?.uidMappings = [IDMapping(containerID: 0, hostID: userID, size: 1)]
        spec.linux?.gidMappings = [IDMapping(containerID: 0, hostID: groupID, size: 1)]
        return spec
    }

    private static var templateProcess: Process {
        let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        return Process(
            terminal: true,
            args: ["sh"],
            env: [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            cwd: "/",
            capabilities: Capabilities(
                bounding: capabilities, effective: capabilities, permitted: capabilities),
            rlimits: [Rlimit(type: "RLIMIT_NOFILE", hard: 1024, soft: 1024)],
            noNewPrivileges: true)
    }

    private static var templateMounts: [Mount] {
        [
            Mount(destination: "/proc", type: "proc", source: "proc"),
            Mount(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: [
                    "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5",
                ]),
            Mount(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            Mount(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue",
                options: ["nosuid", "noexec", "nodev"]),
            Mount(
                destination: "/sys", type: "sysfs", source: "sysfs",
                options: ["nosuid", "noexec", "nodev", "ro"]),
            Mount(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
    }
}
