// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Audit {
    // MARK: Devices

    mutating func lookAtDevices() {
        lookAtDeviceRules()
        for (index, device) in (linux.devices ?? []).enumerated() {
            guard
                let name = RawDevice.name(
                    isBlock: device.kind == .block,
                    isCharacter: device.kind == .character || device.kind == .unbufferedCharacter,
                    device.major, device.minor)
            else { continue }
            add(
                .rawDevice, "linux.devices[\(index)]", "\(device.path) is \(name)",
                subject: device.path)
        }
    }

    private mutating func lookAtDeviceRules() {
        let rules = linux.resources?.devices ?? []
        guard !rules.isEmpty else {
            // Nodes cannot be made in a user namespace.
            if !hasUserNamespace {
                add(.noDeviceRules, "linux.resources.devices", "no rule keeps devices away")
            }
            return
        }
        let everything = rules.lastIndex { rule in
            (rule.kind ?? .all) == .all || rule.isForAllNumbers && rule.kind == .block
        }
        if let everything, rules[everything].allow, rules[everything].isForAllNumbers,
            rules[everything].isForUse
        {
            add(
                .allDevices, "linux.resources.devices[\(everything)]",
                rules[everything].kind == .block
                    ? "the rule allows all block devices" : "the rule allows all devices")
        }
        for (index, rule) in rules.enumerated()
        where rule.allow && rule.isForUse && index != everything {
            guard let major = rule.major, major >= 0,
                let name = RawDevice.name(
                    isBlock: rule.kind == .block, isCharacter: rule.kind == .character, major,
                    rule.minor ?? -1)
            else { continue }
            add(.rawDevice, "linux.resources.devices[\(index)]", "the rule allows \(name)")
        }
    }

    // MARK: Mounts

    mutating func lookAtMounts() {
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            let options = mount.options ?? []
            if let word = options.last(where: { Linux.Propagation(rawValue: $0) != nil }),
                word == "shared" || word == "rshared"
            {
                add(
                    .sharedMount, "mounts[\(index)].options", "the mount is \(word)",
                    subject: mount.destination)
            }
            guard mount.binds, let source = mount.source, source.utf8.first == UInt8(ascii: "/")
            else { continue }
            lookAtSource(source.asPlace, of: mount, index)
        }
        if let propagation = linux.rootfsPropagation,
            propagation == .shared || propagation == .recursivelyShared
        {
            add(
                .sharedRoot, "linux.rootfsPropagation", "it is \(propagation.rawValue)")
        }
    }

    private mutating func lookAtSource(_ source: String, of mount: Mount, _ index: Int) {
        let path: JSONPath = "mounts[\(index)].source"
        let last = source.split(separator: "/").last.map(String.init) ?? ""
        if SensitivePath.engineSockets.contains(last) {
            add(
                .engineSocket, path, "\(source) is the socket of an engine",
                subject: mount.destination)
            return
        }
        if source.isPlace(below: "/dev"), RawDevice.isDisk(file: last, at: source) {
            add(.rawDevice, path, "\(source) is a raw device", subject: mount.destination)
            return
        }
        guard let found = SensitivePath.all.first(where: { $0.concerns(source) }) else { return }
        let isReadOnly =
            (mount.options ?? []).last { ["ro", "rw", "rro", "rrw"].contains($0) }
            .map { $0 == "ro" || $0 == "rro" } ?? false
        // What is read only tells secrets, but does not change what the host runs.
        let severity =
            isReadOnly && found.severity == .critical
            ? .high : isReadOnly && found.severity == .high ? .medium : found.severity
        add(
            .hostPath, path,
            "\(source) is mounted\(isReadOnly ? " read-only" : ""): \(found.reason)",
            subject: mount.destination, severity)
    }
}

/// Devices that hold all of the host's files or memory.
private enum RawDevice {
    /// The numbers of disks: IDE, floppy, SCSI, md, device mapper, loop, MMC, virtio, NVMe, Xen.
    private static let disks: Set<Int64> = [
        2, 3, 7, 8, 9, 22, 65, 66, 67, 68, 69, 70, 71, 179, 202, 252, 253, 254, 259,
    ]

    static func name(isBlock: Bool, isCharacter: Bool, _ major: Int64, _ minor: Int64) -> String? {
        if isBlock { return disks.contains(major) ? "a disk (block \(major))" : "a block device" }
        guard isCharacter else { return nil }
        switch (major, minor) {
        case (1, -1): return "all memory devices (char 1)"
        case (1, 1): return "/dev/mem, the physical memory"
        case (1, 2): return "/dev/kmem, the memory of the kernel"
        case (1, 4): return "/dev/port, the I/O ports"
        case (10, 237): return "/dev/loop-control, which makes block devices"
        case (21, _): return "a SCSI device (char 21)"
        default: return nil
        }
    }

    static func isDisk(file name: String, at path: String) -> Bool {
        if ["mem", "kmem", "port"].contains(name) { return true }
        if path.isPlace(below: "/dev/mapper") || path.isPlace(below: "/dev/disk") { return true }
        return ["sd", "vd", "hd", "xvd", "nvme", "dm-", "md", "mmcblk", "loop"].contains {
            name.hasPrefix($0)
        }
    }
}

/// A path of the host that a container should not have.
private struct SensitivePath {
    let path: String
    let severity: AuditRule.Severity
    let reason: String
    /// Whether what is below it is as sensitive.
    var isDeep = false

    func concerns(_ place: String) -> Bool {
        place == path || isDeep && place.isPlace(below: path)
    }

    static let engineSockets: Set = [
        "docker.sock", "containerd.sock", "podman.sock", "crio.sock", "cri-dockerd.sock",
        "buildkitd.sock",
    ]

    static let all: [SensitivePath] = [
        SensitivePath(path: "/", severity: .critical, reason: "it holds every file of the host"),
        SensitivePath(
            path: "/etc/shadow", severity: .critical, reason: "it holds the host's passwords"),
        SensitivePath(
            path: "/etc/sudoers", severity: .critical, reason: "it decides who becomes root"),
        SensitivePath(
            path: "/etc/kubernetes", severity: .critical, reason: "it holds keys of the cluster",
            isDeep: true),
        SensitivePath(
            path: "/etc", severity: .high,
            reason: "it decides what the host runs, and who may log in"),
        SensitivePath(
            path: "/proc", severity: .high, reason: "it shows the host's processes and parameters",
            isDeep: true),
        SensitivePath(
            path: "/sys", severity: .high, reason: "it sets the host's kernel and devices"),
        SensitivePath(path: "/dev", severity: .high, reason: "it has the host's devices"),
        SensitivePath(
            path: "/boot", severity: .high, reason: "it has the kernel that the host starts next",
            isDeep: true),
        SensitivePath(
            path: "/root", severity: .high, reason: "it holds the keys and settings of root",
            isDeep: true),
        SensitivePath(path: "/home", severity: .high, reason: "it holds the keys of users"),
        SensitivePath(
            path: "/usr", severity: .high, reason: "it has the programs that the host runs"),
        SensitivePath(
            path: "/bin", severity: .high, reason: "it has the programs that the host runs"),
        SensitivePath(
            path: "/sbin", severity: .high, reason: "it has the programs that the host runs"),
        SensitivePath(
            path: "/lib", severity: .high, reason: "it has the libraries that the host uses"),
        SensitivePath(
            path: "/lib/modules", severity: .medium,
            reason: "it has the modules that the kernel loads"),
        SensitivePath(
            path: "/var", severity: .high,
            reason: "it has the sockets and data of the host's services"),
        SensitivePath(
            path: "/run", severity: .high, reason: "it has the sockets of engines and services"),
        SensitivePath(
            path: "/var/run", severity: .high, reason: "it has the sockets of engines and services"),
        SensitivePath(
            path: "/run/containerd", severity: .critical, reason: "it has the socket of containerd"),
        SensitivePath(
            path: "/run/systemd", severity: .high, reason: "it has the sockets of systemd"),
        SensitivePath(
            path: "/run/dbus", severity: .high, reason: "it has the bus of the host's services",
            isDeep: true),
        SensitivePath(
            path: "/var/lib/docker", severity: .critical,
            reason: "it holds the files of all containers and images"),
        SensitivePath(
            path: "/var/lib/containerd", severity: .critical,
            reason: "it holds the files of all containers and images"),
        SensitivePath(
            path: "/var/lib/containers", severity: .critical,
            reason: "it holds the files of all containers and images"),
        SensitivePath(
            path: "/var/lib/kubelet", severity: .critical,
            reason: "it holds the secrets of all pods of the node"),
        SensitivePath(
            path: "/var/log", severity: .medium,
            reason: "a link in it reads any file that is fetched as a log"),
        SensitivePath(
            path: "/var/spool/cron", severity: .critical, reason: "it decides what the host runs",
            isDeep: true),
    ]
}

extension DeviceCgroupRule {
    /// Whether it is for every device of its type.
    fileprivate var isForAllNumbers: Bool {
        if (kind ?? .all) == .all { return true }
        return (major ?? -1) == -1 && (minor ?? -1) == -1
    }

    /// Whether it is for reading or writing, and not for making nodes alone, as Docker allows.
    fileprivate var isForUse: Bool {
        let access = access ?? "rwm"
        return access.isEmpty || access.contains("r") || access.contains("w")
    }
}
#endif
