// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import ContainerKit

extension HostFindings {
    /// The mode, the right to make cgroups, their controllers, device rules, and systemd.
    var cgroupChecks: [HostReport.Check] {
        guard case .found(let cgroups) = cgroups else {
            var reason = ""
            if case .failed(let text) = self.cgroups { reason = text }
            let check = HostReport.Check(
                "cgroups", .missing, reason,
                consequence:
                    "containers run without cgroups of their own, and with limits not at all",
                remedy: "mount -t cgroup2 none /sys/fs/cgroup")
            return [check, systemdCheck]
        }
        let places = cgroups.hierarchies.map(\.mountPoint)
        let place = places.count == 1 ? places[0] : "\(places.count) mounts"
        return [
            HostReport.Check("cgroups", .ok, "\(cgroups.mode), \(place)"),
            accessCheck(cgroups), controllerCheck(cgroups), killCheck(cgroups), deviceCheck,
            bpfCheck, systemdCheck,
        ]
    }

    private func accessCheck(_ cgroups: HostProbe.Cgroups) -> HostReport.Check {
        let name = "cgroups.access"
        let shut = cgroups.hierarchies.filter { !$0.isOpen }
        let remedy =
            "have a cgroup delegated to the user (systemd: Delegate=yes), or use --systemd-cgroup"
        if cgroups.hierarchies.count == shut.count {
            return HostReport.Check(
                name, .missing, "this process may make cgroups nowhere",
                consequence:
                    "containers run in the cgroup of the runtime; pause and limits are refused",
                remedy: remedy)
        }
        guard shut.isEmpty else {
            let names = shut.map { $0.controllers.isEmpty ? "v2" : $0.controllers[0] }
            return HostReport.Check(
                name, .limited, "this process may make none for " + String.joined(names, by: ", "),
                consequence: "limits of these controllers are refused", remedy: remedy)
        }
        return HostReport.Check(
            name, .ok,
            "this process may make cgroups"
                + (cgroups.parent.map { " in \($0)" } ?? ""))
    }

    /// The controllers that containers are limited by.
    private func controllerCheck(_ cgroups: HostProbe.Cgroups) -> HostReport.Check {
        let name = "cgroups.controllers"
        let wanted = ["cpu", "cpuset", "io", "memory", "pids"]
        guard cgroups.mode == "v2" else {
            let there = cgroups.hierarchies.filter(\.isOpen).flatMap(\.controllers)
                .filter { !$0.begins(with: "name=") }
            let lacks = wanted.filter { !there.contains($0 == "io" ? "blkio" : $0) }
            return controllerCheck(
                name, there.sorted(), lacks, "mount their hierarchies, and see cgroups.access")
        }
        let lacks = wanted.filter { !cgroups.delegated.contains($0) }
        let inKernel = lacks.filter { cgroups.offered.contains($0) }
        return controllerCheck(
            name, cgroups.delegated, lacks,
            inKernel.isEmpty
                ? "boot a kernel with them"
                : "delegate them: systemctl edit user@.service, Delegate=cpu cpuset io memory pids")
    }

    private func controllerCheck(
        _ name: String, _ there: [String], _ lacks: [String], _ remedy: String
    ) -> HostReport.Check {
        let found = there.isEmpty ? "none" : String.joined(there, by: " ")
        guard !lacks.isEmpty else { return HostReport.Check(name, .ok, found) }
        return HostReport.Check(
            name, there.isEmpty ? .missing : .limited, found,
            consequence: "limits and statistics are missing of " + String.joined(lacks, by: ", "),
            remedy: remedy)
    }

    private func killCheck(_ cgroups: HostProbe.Cgroups) -> HostReport.Check {
        let name = "cgroup.kill"
        guard cgroups.mode == "v2" else {
            return HostReport.Check(
                name, .limited, "cgroup \(cgroups.mode) has none",
                consequence: "the processes of a container are killed one by one, while frozen")
        }
        guard let hasKill = cgroups.hasKill else {
            return HostReport.Check(name, .ok, "not seen: there is no cgroup but the root")
        }
        return HostReport.Check(
            name, hasKill ? .ok : .limited, hasKill ? "there" : "not in this kernel",
            consequence: hasKill
                ? nil : "the processes of a container are killed one by one, while frozen",
            remedy: hasKill ? nil : "boot Linux 5.14 or later")
    }

    private var deviceCheck: HostReport.Check {
        let name = "cgroups.devices"
        guard isUnified else {
            var works = false
            if case .found(let cgroups) = cgroups {
                works = cgroups.hierarchies.contains {
                    $0.isOpen && $0.controllers.contains("devices")
                }
            }
            return HostReport.Check(
                name, works ? .ok : .limited,
                works ? "the controller of v1" : "the controller of v1 cannot be used",
                consequence: works ? nil : deviceLack,
                remedy: works ? nil : "run the runtime as root, with the devices hierarchy mounted")
        }
        switch deviceProgram {
        case .worked: return HostReport.Check(name, .ok, "a device program (eBPF) was loaded")
        case .skipped(let reason):
            return HostReport.Check(name, .limited, reason, consequence: deviceLack)
        case .refused(let reason, _):
            return HostReport.Check(
                name, .limited, reason, consequence: deviceLack,
                remedy: isPrivileged
                    ? "boot a kernel with CONFIG_CGROUP_BPF, and permit bpf(2)"
                    : "none needed: an ordinary user cannot make device nodes")
        }
    }

    private var deviceLack: String {
        isPrivileged && !isInUserNamespace
            ? "a config with linux.resources.devices is refused"
            : "device rules are left out: the user's own rights apply"
    }

    /// Where programs could be pinned; the runtime pins none.
    private var bpfCheck: HostReport.Check {
        HostReport.Check(
            "bpffs", .ok,
            (bpfMount.map { "mounted on \($0)" } ?? "not mounted")
                + "; not needed, since device programs are attached and not pinned")
    }

    private var systemdCheck: HostReport.Check {
        let name = "systemd"
        let lack = "--systemd-cgroup fails; the cgroupfs driver works without it"
        guard hasSystemd else {
            return HostReport.Check(
                name, .limited, "this machine was not booted with systemd", consequence: lack)
        }
        switch systemd {
        case .found(let host):
            return HostReport.Check(
                name, .ok,
                "version \(host.version), that of the \(host.isUser ? "user" : "machine"), units in "
                    + (host.controlGroup.isEmpty ? "/" : host.controlGroup))
        case .failed(let reason):
            return HostReport.Check(
                name, .limited, reason, consequence: lack,
                remedy: asksUserSystemd
                    ? "log in by PAM or loginctl enable-linger, and keep XDG_RUNTIME_DIR"
                    : "let the runtime reach /run/systemd/private or /run/dbus/system_bus_socket")
        }
    }
}
#endif
