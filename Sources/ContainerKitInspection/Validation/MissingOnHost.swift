// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import RuntimeSpec
internal import SystemPackage

/// What a config needs and this host does not have; plans find the rest.
struct MissingOnHost {
    struct Finding {
        let error: SpecError
        let severity: ConfigReport.Finding.Severity
        let hint: String
    }

    private(set) var findings: [Finding] = []
    private let spec: Spec
    private let bundle: FilePath?

    init(_ spec: Spec, bundle: FilePath?, _ host: ConfigReport.Host) {
        self.spec = spec
        self.bundle = bundle
        lookAtRoot()
        lookAtMounts()
        lookAtHooks()
        lookAtNamespaces()
        lookAtUserNamespace()
        lookAtProcess()
        lookAtCapabilities()
        lookAtResources()
        lookAtKernel()
        lookAtSysctl()
        lookAtDevices()
    }

    private mutating func add(
        _ path: JSONPath, _ message: String, hint: String,
        _ severity: ConfigReport.Finding.Severity = .error
    ) {
        findings.append(Finding(error: SpecError(path, message), severity: severity, hint: hint))
    }

    /// The path on the host; nil for a relative one without a bundle.
    private func place(_ path: String) -> String? {
        if path.utf8.first == UInt8(ascii: "/") { return path }
        return bundle.map { "\($0.string)/\(path)" }
    }

    // MARK: Files

    private mutating func lookAtRoot() {
        guard bundle != nil, let path = spec.root?.path, !path.isEmpty, let place = place(path),
            HostLook.target(of: place) != .directory
        else { return }
        add(
            "root.path", "there is no directory \(place.debugDescription)",
            hint: "put the root file system there")
    }

    private mutating func lookAtMounts() {
        let types = HostLook.text(of: "/proc/filesystems").map { text in
            Set(text.split { $0 == "\n" || $0 == "\t" }.map(String.init))
        }
        let root = spec.root.flatMap { place($0.path) }
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            let options = mount.options ?? []
            if mount.binds {
                let followsLinks = !options.contains {
                    $0 == "copy-symlink" || $0 == "src-nofollow"
                }
                guard let source = mount.source, !source.isEmpty, let place = place(source),
                    followsLinks, !options.contains("remount"),
                    root.map({ !place.hasPrefix($0 + "/") }) ?? true,
                    HostLook.target(of: place) == nil
                else { continue }
                add(
                    "mounts[\(index)].source", "there is nothing at \(place.debugDescription)",
                    hint: "make it, or remove the mount")
            } else if let type = mount.type, let types, !types.contains(type),
                !["cgroup", "none"].contains(type), !options.contains("remount"),
                !options.contains(where: { Linux.Propagation(rawValue: $0) != nil })
            {
                add(
                    "mounts[\(index)].type",
                    "this kernel has no file system \(type.debugDescription) so far",
                    hint: "unless mounting loads a module for it, mounting will fail", .warning)
            }
        }
    }

    private mutating func lookAtHooks() {
        guard let hooks = spec.hooks else { return }
        let lists: [(String, [Hook]?)] = [
            ("prestart", hooks.prestart), ("createRuntime", hooks.createRuntime),
            ("createContainer", hooks.createContainer), ("poststart", hooks.poststart),
            ("poststop", hooks.poststop),
        ]
        for (name, list) in lists {
            for (index, hook) in (list ?? []).enumerated()
            where hook.path.utf8.first == UInt8(ascii: "/")
                && HostLook.target(of: hook.path) != .program
            {
                add(
                    "hooks.\(name)[\(index)].path",
                    "\(hook.path.debugDescription) is no program on this host",
                    hint: "install it, or remove the hook")
            }
        }
    }

    private mutating func lookAtNamespaces() {
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
            let file = namespace.kind.file
            if HostLook.target(of: "/proc/self/ns/\(file)") == nil {
                add(
                    "linux.namespaces[\(index)].type",
                    "this kernel has no \(namespace.kind.rawValue) namespaces",
                    hint: "remove the namespace, or use a kernel that has it")
            }
            guard let path = namespace.path, path.utf8.first == UInt8(ascii: "/"),
                HostLook.target(of: path) == nil
            else { continue }
            add(
                "linux.namespaces[\(index)].path", "there is nothing at \(path.debugDescription)",
                hint: "the namespace must exist before the container")
        }
    }

    private mutating func lookAtUserNamespace() {
        guard let linux = spec.linux, let namespace = linux.namespace(.user),
            (namespace.path ?? "").isEmpty
        else { return }
        let limit = HostLook.text(of: "/proc/sys/user/max_user_namespaces")?.firstWord
        if limit == "0" {
            add(
                "linux.namespaces", "this host allows no user namespaces",
                hint: "raise the kernel parameter user.max_user_namespaces")
        }
        guard HostLook.userID != 0 else { return }
        let tools = [
            ("linux.uidMappings", "newuidmap", linux.uidMappings ?? []),
            ("linux.gidMappings", "newgidmap", linux.gidMappings ?? []),
        ]
        for (field, tool, mappings) in tools
        where mappings.count > 1 || mappings.contains(where: { $0.size > 1 }) {
            guard HostLook.program(named: tool) == nil else { continue }
            add(
                JSONPath(stringLiteral: field),
                "\(tool) is not installed, and maps more than the user's own id",
                hint: "install the package uidmap (shadow-utils), or map the user's own id alone")
        }
    }

    // MARK: Process

    private mutating func lookAtProcess() {
        guard let process = spec.process else { return }
        if let profile = process.apparmorProfile, profile != "unconfined", HostLook.hasAppArmor,
            let loaded = HostLook.text(of: "/sys/kernel/security/apparmor/profiles"),
            !loaded.split(separator: "\n").contains(where: { $0.hasPrefix(profile + " (") })
        {
            add(
                "process.apparmorProfile", "the profile \(profile.debugDescription) is not loaded",
                hint: "load it with apparmor_parser")
        }
        if process.scheduler?.policy == .iso {
            add(
                "process.scheduler.policy", "Linux has no SCHED_ISO",
                hint: "use SCHED_OTHER, SCHED_BATCH or SCHED_RR")
        }
        let most = HostLook.text(of: "/proc/sys/fs/nr_open")?.firstWord.flatMap { UInt64($0) }
        for (index, limit) in (process.rlimits ?? []).enumerated()
        where limit.type == "RLIMIT_NOFILE" {
            guard let most, limit.hard > most else { continue }
            add(
                "process.rlimits[\(index)].hard",
                "\(limit.hard) open files are more than this host allows (\(most))",
                hint: "lower it, or raise the kernel parameter fs.nr_open")
        }
    }

    /// A process that enters a new user namespace has all capabilities in it.
    private mutating func lookAtCapabilities() {
        guard let sets = spec.process?.capabilities, spec.linux?.namespace(.user) == nil,
            HostLook.userID == 0,
            let line = HostLook.text(of: "/proc/self/status")?.split(separator: "\n")
                .first(where: { $0.hasPrefix("CapPrm:") }),
            let held = UInt64(
                line.dropFirst("CapPrm:".count).filter { !$0.isWhitespace }, radix: 16)
        else { return }
        let wanted = Set((sets.permitted ?? []) + (sets.bounding ?? []))
        let lacking = wanted.compactMap { Capability(name: $0) }
            .filter { held & 1 << UInt64($0.number) == 0 }
            .sorted { $0.number < $1.number }.map(\.description)
        guard !lacking.isEmpty else { return }
        add(
            "process.capabilities",
            "this process does not hold \(lacking.joined(separator: ", ")), so the container will not",
            hint: "remove them, or start the runtime with them", .warning)
    }

    // MARK: Limits

    private mutating func lookAtResources() {
        guard let resources = spec.linux?.resources else { return }
        for (index, limit) in (resources.hugepageLimits ?? []).enumerated() {
            guard let kilobytes = kilobytes(limit.pageSize),
                HostLook.target(of: "/sys/kernel/mm/hugepages/hugepages-\(kilobytes)kB") == nil
            else { continue }
            add(
                "linux.resources.hugepageLimits[\(index)].pageSize",
                "this host has no huge pages of \(limit.pageSize)",
                hint: "see /sys/kernel/mm/hugepages for the sizes that it has")
        }
        let lists = [
            ("linux.resources.cpu.cpus", resources.cpu?.cpus, "/sys/devices/system/cpu/present"),
            ("linux.resources.cpu.mems", resources.cpu?.mems, "/sys/devices/system/node/online"),
        ]
        for (field, list, file) in lists {
            guard let last = list?.lastNumber, let present = HostLook.text(of: file)?.lastNumber,
                last > present
            else { continue }
            add(
                JSONPath(stringLiteral: field),
                "\(last) is not on this host, whose last is \(present)",
                hint: "lower it")
        }
    }

    private func kilobytes(_ size: String) -> UInt64? {
        let factors: [(unit: String, kilobytes: UInt64)] = [
            ("KB", 1), ("MB", 1 << 10), ("GB", 1 << 20),
        ]
        guard let factor = factors.first(where: { size.hasSuffix($0.unit) }),
            let count = UInt64(size.dropLast(2))
        else { return nil }
        let (product, overflows) = count.multipliedReportingOverflow(by: factor.kilobytes)
        return overflows ? nil : product
    }

    // MARK: Kernel

    private mutating func lookAtKernel() {
        guard let kernel = KernelVersion.running else { return }
        var needs: [(path: JSONPath, what: String, since: KernelVersion)] = []
        if let mode = spec.linux?.memoryPolicy?.mode {
            let since: KernelVersion? =
                switch mode {
                case .weightedInterleave: KernelVersion(major: 6, minor: 9)
                case .preferredMany: KernelVersion(major: 5, minor: 15)
                default: nil
                }
            if let since { needs.append(("linux.memoryPolicy.mode", mode.rawValue, since)) }
        }
        if spec.linux?.seccomp?.flags?.contains(.waitKillableReceive) == true {
            needs.append(
                (
                    "linux.seccomp.flags", Seccomp.Flag.waitKillableReceive.rawValue,
                    KernelVersion(major: 5, minor: 19)
                ))
        }
        for (path, what, since) in needs where kernel < since {
            add(
                path, "\(what) needs Linux \(since), and this is \(kernel)",
                hint: "remove it, or use a later kernel")
        }
        let oldest = KernelVersion(major: 5, minor: 14)
        if kernel < oldest {
            add(
                .root, "containers need Linux \(oldest), and this is \(kernel)",
                hint: "use a later kernel")
        }
    }

    /// Parameters of a network namespace exist once it does, so they are left out.
    private mutating func lookAtSysctl() {
        for name in (spec.linux?.sysctl ?? [:]).keys.sorted() {
            guard let path = Linux.sysctlPath(name), !path.hasPrefix("net/"),
                HostLook.target(of: "/proc/sys/\(path)") == nil
            else { continue }
            add(
                JSONPath("linux.sysctl").appending(key: name), "this kernel has no such parameter",
                hint: "remove it, or use a kernel that has it")
        }
    }

    private mutating func lookAtDevices() {
        for name in (spec.linux?.netDevices ?? [:]).keys.sorted()
        where !name.contains("/") && HostLook.target(of: "/sys/class/net/\(name)") == nil {
            add(
                JSONPath("linux.netDevices").appending(key: name),
                "there is no network device of this name",
                hint: "it must exist before the container")
        }
    }
}

/// The version of a kernel, as far as features depend on it.
struct KernelVersion: Comparable, CustomStringConvertible, Sendable {
    let major: Int
    let minor: Int

    var description: String { "\(major).\(minor)" }

    static func < (one: KernelVersion, other: KernelVersion) -> Bool {
        (one.major, one.minor) < (other.major, other.minor)
    }

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// A version from a release such as `6.1.0-18-amd64`.
    init?(release: String) {
        let parts = release.split(separator: ".")
        guard parts.count > 1, let major = Int(parts[0]),
            let minor = Int(parts[1].prefix { $0.isNumber })
        else { return nil }
        self.init(major: major, minor: minor)
    }

    static var running: KernelVersion? {
        HostLook.text(of: "/proc/sys/kernel/osrelease").flatMap(KernelVersion.init(release:))
    }
}

extension Mount {
    /// Whether the mount binds a file or directory of the host.
    var binds: Bool {
        type == "bind" || (options ?? []).contains { $0 == "bind" || $0 == "rbind" }
    }
}

extension Namespace.Kind {
    /// The name of the namespace's file in /proc/PID/ns.
    fileprivate var file: String {
        switch self {
        case .mount: "mnt"
        case .network: "net"
        default: rawValue
        }
    }
}

extension String {
    fileprivate var firstWord: Substring? { split(whereSeparator: \.isWhitespace).first }

    /// The largest number of a list such as `0-3,7`; nil if it is none.
    fileprivate var lastNumber: Int? {
        split { !$0.isNumber }.compactMap { Int($0) }.max()
    }
}
#endif
