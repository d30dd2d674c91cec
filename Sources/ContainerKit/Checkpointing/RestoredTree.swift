// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The properties of restored processes that are checked before they run.
enum RestoredRule: CaseIterable {
    case namespaces, idMaps, cgroups, appArmor, seLinux, capabilities, noNewPrivileges, seccomp
    case root, readonlyPaths, maskedPaths, mounts

    /// The rules that apply to a config.
    static func applying(to spec: Spec, hasIDMaps: Bool) -> [RestoredRule] {
        allCases.filter { rule in
            switch rule {
            case .namespaces, .cgroups, .capabilities, .mounts: true
            case .idMaps: hasIDMaps
            case .appArmor:
                spec.process?.apparmorProfile?.isEmpty == false && SecurityModules.hasAppArmor
            case .seLinux:
                spec.process?.selinuxLabel?.isEmpty == false && SecurityModules.hasSELinux
            case .noNewPrivileges: spec.process?.noNewPrivileges == true
            // In either form.
            case .seccomp:
                spec.linux?.seccomp != nil
                    || spec.annotations?[ConfigAnnotation.seccompProgram] != nil
            case .root: spec.root?.readonly == true
            case .readonlyPaths: spec.linux?.readonlyPaths?.isEmpty == false
            case .maskedPaths: spec.linux?.maskedPaths?.isEmpty == false
            }
        }
    }

    /// The field of the config.
    var field: String {
        switch self {
        case .namespaces: "linux.namespaces"
        case .idMaps: "linux.uidMappings"
        case .cgroups: "linux.cgroupsPath"
        case .appArmor: "process.apparmorProfile"
        case .seLinux: "process.selinuxLabel"
        case .capabilities: "process.capabilities"
        case .noNewPrivileges: "process.noNewPrivileges"
        case .seccomp: "linux.seccomp"
        case .root: "root.readonly"
        case .readonlyPaths: "linux.readonlyPaths"
        case .maskedPaths: "linux.maskedPaths"
        case .mounts: "mounts"
        }
    }

    /// The rule as a sentence.
    var sentence: String {
        switch self {
        case .namespaces:
            "no process is in a namespace of the host's, or in another one that the config does not have"
        case .idMaps: "every process has the id maps of the config"
        case .cgroups: "no process is outside of the container's cgroups"
        case .appArmor: "every process has the AppArmor profile"
        case .seLinux: "every process has the SELinux label"
        case .capabilities: "no thread has a capability that the config does not grant"
        case .noNewPrivileges: "no thread may gain privileges"
        case .seccomp: "every thread is under a filter"
        case .root: "the root is read-only"
        case .readonlyPaths: "these paths are read-only"
        case .maskedPaths: "these paths are hidden"
        case .mounts: "what is read-only in the config cannot be written to"
        }
    }
}

/// The processes that CRIU has made, before they run: none may have more rights than the config
/// grants.
struct RestoredTree {
    private let pid: Int32
    private let spec: Spec
    private let options: RestoreOptions
    /// The ID maps of the container's own user namespace.
    private let maps: IDMaps?
    /// The container's cgroup in each hierarchy, by its controllers.
    private let roots: [(controllers: String, path: String)]
    /// The namespaces that the config joins, by kind.
    private let joined: [(NamespaceKind, inode: UInt64)]
    private let rootPath: String
    private let rules: [RestoredRule]

    init(
        _ launcher: Launcher, _ spec: Spec, _ options: RestoreOptions,
        roots: [(controllers: String, path: String)]
    ) throws(ContainerError) {
        pid = launcher.pid
        self.spec = spec
        self.options = options
        self.roots = roots
        maps = launcher.plan.idMaps
        rules = RestoredRule.applying(to: spec, hasIDMaps: maps != nil)
        rootPath = launcher.record?.rootfs ?? "/"
        var joined: [(NamespaceKind, inode: UInt64)] = []
        for kind in NamespaceKind.allCases {
            guard let number = launcher.inputs[.namespace(kind.rawValue)] else { continue }
            let inode = try reporting { () throws(SystemCallError) in
                try status(of: number).stx_ino
            }
            joined.append((kind, inode))
        }
        self.joined = joined
    }

    /// Checks init, then each of its descendants with all threads.
    func check() throws(ContainerError) {
        let processes = try processes()
        for process in processes where try !hasEnded(process) {
            try checkNamespaces(process)
            try checkMaps(process)
            try checkCgroups(process)
            try checkLabel(process)
            for thread in try threads(of: process) { try checkRights(thread, of: process) }
        }
        try checkMounts()
    }

    private static func excess(_ process: Int32, _ words: String, field: String)
        -> ContainerError
    {
        ContainerError(
            .criu, "process \(process) of the checkpoint \(words)", field: field,
            hint: "the image grants more than the config: restore it with the config that it was "
                + "made with")
    }

    private func read(_ path: String) throws(ContainerError) -> [UInt8] {
        try reporting("unable to look at a restored process") { () throws(SystemCallError) in
            try readFile(path)
        }
    }

    // MARK: The tree

    private func processes() throws(ContainerError) -> [Int32] {
        var found = [pid]
        var next = 0
        while next < found.count {
            for thread in try threads(of: found[next]) {
                let text = try read("/proc/\(found[next])/task/\(thread)/children")
                found += words(of: text).compactMap { Int32($0) }
            }
            next += 1
        }
        return found
    }

    /// Whether the process is a zombie: it ended before the checkpoint, and has neither namespaces
    /// nor rights.
    private func hasEnded(_ process: Int32) throws(ContainerError) -> Bool {
        let found = try reporting("unable to look at a restored process") {
            () throws(SystemCallError) in try stat(of: process)
        }
        return found?.hasEnded ?? false
    }

    private func threads(of process: Int32) throws(ContainerError) -> [Int32] {
        let names = try reporting("unable to look at a restored process") {
            () throws(SystemCallError) in try directoryEntries("/proc/\(process)/task")
        }
        return names.compactMap { Int32($0) }
    }

    // MARK: Namespaces and cgroups

    private static func inode(_ process: String, _ kind: NamespaceKind) throws(ContainerError)
        -> UInt64
    {
        try reporting("unable to look at the namespaces of a restored process") {
            () throws(SystemCallError) in
            try status(at: "/proc/\(process)/ns/\(kind.procName)").stx_ino
        }
    }

    private func checkNamespaces(_ process: Int32) throws(ContainerError) {
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
            guard let kind = NamespaceKind(rawValue: namespace.kind.rawValue) else { continue }
            let field = "linux.namespaces[\(index)]"
            let found = try Self.inode("\(process)", kind)
            if let (_, wanted) = joined.first(where: { $0.0 == kind }) {
                // A descendant may have made its own namespace.
                guard found != wanted, process == pid else { continue }
                throw Self.excess(
                    process, "is not in the \(kind.rawValue) namespace that the config names",
                    field: field)
            }
            guard (namespace.path ?? "").isEmpty, found == (try Self.inode("self", kind)) else {
                continue
            }
            // CRIU restores no cgroup namespace if it is to ignore cgroups; runc takes that, too.
            if kind == .cgroup, options.connections.cgroupsMode == .ignore { continue }
            throw Self.excess(
                process, "is in the host's \(kind.rawValue) namespace", field: field)
        }
        // A process in another user namespace has rights only there.
        guard try Self.inode("\(process)", .user) != Self.inode("\(pid)", .user) else { return }
        throw Self.excess(
            process, "is in another user namespace than the first", field: "linux.namespaces")
    }

    private func checkMaps(_ process: Int32) throws(ContainerError) {
        guard rules.contains(.idMaps), let maps else { return }
        let found = try reporting("unable to read the id maps") { () throws(SystemCallError) in
            try IDMaps.read(of: process)
        }
        guard found.sorted != maps.sorted else { return }
        throw Self.excess(
            process, "has other id maps than the config", field: "linux.uidMappings")
    }

    private func checkCgroups(_ process: Int32) throws(ContainerError) {
        for (controllers, path) in try Restoration.cgroupRoots(of: process) {
            let root = roots.first { $0.controllers == controllers }
            guard let root, path != root.path, !path.begins(with: root.path + "/") else { continue }
            throw Self.excess(
                process, "is outside of the container's cgroup: it is in \(path)",
                field: "linux.cgroupsPath")
        }
    }

    // MARK: Rights

    private func checkRights(_ thread: Int32, of process: Int32) throws(ContainerError) {
        let status = words(of: try read("/proc/\(process)/task/\(thread)/status"))
        func value(_ name: String) -> String? {
            status.firstIndex(of: name).flatMap { $0 + 1 < status.count ? status[$0 + 1] : nil }
        }
        let granted = CapabilityMasks(spec.process?.capabilities)
        // A program's capabilities are limited by the bounding set, or were granted as permitted.
        let held = granted.bounding | granted.permitted
        let sets = [
            ("CapPrm:", held), ("CapEff:", held), ("CapAmb:", held),
            ("CapInh:", held | granted.inheritable), ("CapBnd:", granted.bounding),
        ]
        for (name, limit) in sets {
            guard let text = value(name), let mask = UInt64(text, radix: 16) else { continue }
            let excess = mask & ~limit
            guard excess != 0 else { continue }
            throw Self.excess(
                process,
                "has capabilities that the config does not grant: "
                    + CapabilityNames.names(in: excess).joined(separator: " "),
                field: "process.capabilities")
        }
        if rules.contains(.noNewPrivileges), value("NoNewPrivs:") == "0" {
            throw Self.excess(
                process, "may gain privileges", field: "process.noNewPrivileges")
        }
        if rules.contains(.seccomp), value("Seccomp:") != "2" {
            throw Self.excess(process, "is under no seccomp filter", field: "linux.seccomp")
        }
    }

    private func checkLabel(_ process: Int32) throws(ContainerError) {
        let other = options.lsmProfile?.split(separator: ":", maxSplits: 1).map(String.init) ?? []
        if rules.contains(.appArmor), let profile = spec.process?.apparmorProfile {
            let wanted = other.first == "apparmor" ? other.last ?? profile : profile
            var text = try? readFile("/proc/\(process)/attr/apparmor/current")
            if text == nil { text = try read("/proc/\(process)/attr/current") }
            // The mode follows the name, as in "docker-default (enforce)".
            let found = Self.label(text ?? [])
            guard found == wanted || found.begins(with: "\(wanted) (") else {
                throw Self.excess(
                    process, "has the AppArmor profile \(found), not \(wanted)",
                    field: "process.apparmorProfile")
            }
        }
        if rules.contains(.seLinux), let label = spec.process?.selinuxLabel {
            let wanted = other.first == "selinux" ? other.last ?? label : label
            let found = Self.label(try read("/proc/\(process)/attr/current"))
            guard found == wanted else {
                throw Self.excess(
                    process, "has the SELinux label \(found), not \(wanted)",
                    field: "process.selinuxLabel")
            }
        }
    }

    private static func label(_ text: [UInt8]) -> String {
        String(decoding: text.prefix { $0 != 0 && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    // MARK: Mounts

    /// Checks that paths that the config masks or protects are so in the image, too: the mounts are
    /// those of the checkpoint.
    private func checkMounts() throws(ContainerError) {
        let pid = pid
        let (table, root) = try reporting("unable to look at the restored mounts") {
            () throws(SystemCallError) in
            (
                try mountTable(of: "\(pid)"),
                try openFile("/proc/\(pid)/root", .pathOnly | .directory).release()
            )
        }
        defer { _ = OwnedDescriptor(taking: root) }
        func mount(at path: String) -> (MountTableEntry, clinux_statx)? {
            guard let file = try? openInRoot(root, path, .pathOnly),
                let status = try? status(of: file.number),
                let entry = table.first(where: { $0.id == status.stx_mnt_id })
            else { return nil }
            return (entry, status)
        }
        if rules.contains(.root), mount(at: "/")?.0.isReadOnly == false {
            throw Self.excess(pid, "has a root that it may write to", field: "root.readonly")
        }
        for (index, path) in (spec.linux?.readonlyPaths ?? []).enumerated() {
            guard let (entry, _) = mount(at: path), !entry.isReadOnly else { continue }
            throw Self.excess(
                pid, "may write to \(path)", field: "linux.readonlyPaths[\(index)]")
        }
        for (index, path) in (spec.linux?.maskedPaths ?? []).enumerated() {
            guard let (entry, status) = mount(at: path) else { continue }
            let isNull =
                status.kind == .characterDevice && status.stx_rdev_major == 1
                && status.stx_rdev_minor == 3
            guard !isNull, entry.type != "tmpfs" || !entry.isReadOnly else { continue }
            throw Self.excess(pid, "sees \(path)", field: "linux.maskedPaths[\(index)]")
        }
        let place = RootPath(rootPath)
        for (index, configured) in (spec.mounts ?? []).enumerated() {
            let options = MountOptions(configured.options ?? [], type: configured.type)
            let wantsReadOnly =
                options.bindAttributes.toSet.contains(.readOnly)
                || options.attributes.toSet.contains(.readOnly)
            let destination = place.destination(configured.destination)
            guard wantsReadOnly, let (entry, _) = mount(at: destination), !entry.isReadOnly else {
                continue
            }
            throw Self.excess(
                pid, "may write to \(destination)", field: "mounts[\(index)].options")
        }
    }
}
#endif
