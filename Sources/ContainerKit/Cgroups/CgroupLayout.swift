// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The cgroup of one container in one hierarchy.
struct CgroupDirectory: Equatable, Sendable {
    /// The controllers of the hierarchy; none on the unified one.
    var controllers: [String]
    /// The mount point of the hierarchy.
    var mountPoint: String
    /// The cgroup below `mountPoint`, as `/a/b`.
    var cgroup: String {
        didSet { access = .byName }
    }
    /// How the directory is reached.
    var access = Access.byName

    init(controllers: [String], mountPoint: String, cgroup: String) {
        self.controllers = controllers
        self.mountPoint = mountPoint
        self.cgroup = cgroup
    }

    /// The ways to a directory.
    enum Access: Sendable {
        /// By its name, which may be another cgroup's some day.
        case byName
        /// By a descriptor, for a cgroup of the caller's.
        case held(HeldDescriptor)
        /// Not at all: it has been removed.
        case gone
    }

    /// The absolute path of the directory, to use it.
    var path: String {
        switch access {
        case .byName: name
        case .held(let directory): descriptorPath(directory.number)
        // No descriptor has this number, so every use finds nothing.
        case .gone: descriptorPath(-1)
        }
    }
    /// The absolute path of the directory, to show it.
    var name: String { mountPoint + cgroup }
    /// Whether a descriptor leads to the directory.
    var isHeld: Bool {
        if case .held = access { true } else { false }
    }
    /// Whether the name leads to the same directory as the descriptor, if there is one.
    var isNamedStill: Bool {
        switch access {
        case .byName: true
        case .held(let directory):
            (try? status(of: directory.number).identity) == (try? status(at: name).identity)
        case .gone: false
        }
    }
    /// Whether this is the v2 hierarchy.
    var isUnified: Bool { controllers.isEmpty }

    static func == (one: CgroupDirectory, other: CgroupDirectory) -> Bool {
        one.controllers == other.controllers && one.mountPoint == other.mountPoint
            && one.cgroup == other.cgroup
    }
}

/// The directories of one container's cgroup; also what the state file records of it.
struct CgroupLayout: Equatable, Sendable {
    /// The cgroup version that limits resources.
    var mode: CgroupHierarchies.Mode
    /// One directory per hierarchy, the unified one last.
    var directories: [CgroupDirectory]
    /// The controllers that the unified hierarchy offers (unified mode only).
    var unifiedControllers: [String]
    /// The systemd unit of the cgroup, if systemd manages it.
    var scope: SystemdScope?
    /// The cgroup of the caller's that this is, if it was not made for the container.
    var adopted: AdoptedCgroup?

    /// The layout of a container without a known cgroup.
    static var empty: CgroupLayout {
        CgroupLayout(mode: .legacy, directories: [], unifiedControllers: [])
    }

    /// Whether resources are limited by cgroup v2.
    var isUnified: Bool { mode == .unified }

    /// The index of the directory where `controller` has its files, or nil if the host lacks it.
    func index(of controller: String) -> Int? {
        if isUnified { return unifiedControllers.contains(controller) ? 0 : nil }
        return directories.firstIndex { $0.controllers.contains(controller) }
    }

    /// The layout with nothing but the directory of the freezer; nil if there is none, or if the
    /// directories are to be compared before they are used.
    var ofFreezer: CgroupLayout? {
        guard adopted == nil else { return nil }
        let place = isUnified ? 0 : index(of: "freezer")
        guard let place, directories.indices.contains(place) else { return nil }
        return CgroupLayout(
            mode: mode, directories: [directories[place]], unifiedControllers: [])
    }

    /// The error for a limit whose controller is missing.
    func lack(of controller: String) -> String {
        guard mode != .none else {
            // The second part is runc's text, which people search for.
            return "the container has no cgroup for this limit: rootless needs no limits + no "
                + "cgrouppath when no permission is granted for cgroups (or have one delegated)"
        }
        if adopted != nil {
            return "the adopted cgroup \(directories[0].name) does not have the controller "
                + "\"\(controller)\": "
                + (isUnified
                    ? "enable it in cgroup.subtree_control of the cgroup above"
                    : "also adopt a directory in the hierarchy of that controller")
        }
        return "the cgroup controller \"\(controller)\" is not available on this host "
            + "(cgroup \(mode.rawValue))"
    }

    /// The index of the directory in the v2 hierarchy, also in hybrid mode.
    var unifiedIndex: Int? { directories.lastIndex { $0.isUnified } }
}

extension CgroupLayout {
    /// The cgroup for a container, placed like runc's cgroupfs driver does.
    ///
    /// An absolute `cgroupsPath` is below the mount point of each hierarchy. A relative one, or by
    /// default the container's ID, is below the caller's own cgroup on v1. On v2 it is beside the
    /// caller's cgroup, since a cgroup with processes cannot have children with limits.
    ///
    /// Spec: config-linux.md, Cgroups Path.
    init(cgroupsPath: String?, id: String, in host: CgroupHierarchies) throws(SpecError) {
        let given = cgroupsPath.flatMap { $0.isEmpty ? nil : $0 } ?? id
        let isAbsolute = given.utf8.first == UInt8(ascii: "/")
        let inner = Self.cleaned(given)
        guard !inner.isEmpty, !given.utf8.contains(0) else {
            throw SpecError(
                "linux.cgroupsPath", "\"\(given)\" does not name a cgroup of the container's own",
                section: "config-linux.md, Cgroups Path")
        }
        mode = host.mode
        unifiedControllers = host.unifiedControllers
        directories = host.hierarchies.map { hierarchy in
            var parent = isAbsolute ? "" : hierarchy.ownPath
            if !isAbsolute, host.mode == .unified { parent = Self.parent(of: parent) }
            return CgroupDirectory(
                controllers: hierarchy.controllers, mountPoint: hierarchy.mountPoint,
                cgroup: parent + inner)
        }
    }

    /// `path` in the form `/a/b`, without empty and `.` components; `..` at the top is dropped.
    private static func cleaned(_ path: String) -> String {
        path.rootedComponents.pathBelow
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return String(path[..<slash])
    }
}

extension CgroupLayout {
    /// The part of the state file by which later commands find the cgroup.
    var record: JSONValue {
        var object: JSONObject = ["mode": .string(mode.rawValue)]
        object.append(
            "directories",
            .array(
                directories.map { directory in
                    .object([
                        "controllers": .array(directory.controllers.map(JSONValue.string)),
                        "mountPoint": .string(directory.mountPoint),
                        "cgroup": .string(directory.cgroup),
                    ])
                }))
        object.append("unifiedControllers", .array(unifiedControllers.map(JSONValue.string)))
        if let scope { object.append("systemd", scope.record) }
        if let adopted {
            let identities = adopted.directories.map(\.identity.record)
            object.append("adopted", isUnified ? identities[0] : .array(identities))
        }
        return .object(object)
    }

    /// Decodes a record; nil if it is none.
    init?(record: JSONValue) {
        guard case .object(let object) = record, case .string(let modeName)? = object["mode"],
            let mode = CgroupHierarchies.Mode(rawValue: modeName),
            case .array(let list)? = object["directories"],
            let unifiedControllers = Self.strings(object["unifiedControllers"])
        else { return nil }
        var directories: [CgroupDirectory] = []
        for item in list {
            guard case .object(let fields) = item,
                let controllers = Self.strings(fields["controllers"]),
                case .string(let mountPoint)? = fields["mountPoint"],
                case .string(let cgroup)? = fields["cgroup"], cgroup.utf8.count > 1
            else { return nil }
            directories.append(
                CgroupDirectory(controllers: controllers, mountPoint: mountPoint, cgroup: cgroup))
        }
        guard mode != .unified || !directories.isEmpty else { return nil }
        self.init(mode: mode, directories: directories, unifiedControllers: unifiedControllers)
        scope = object["systemd"].flatMap(SystemdScope.init(record:))
        guard let value = object["adopted"] else { return }
        var values = [value]
        // On v1 one for each directory.
        if case .array(let list) = value { values = list }
        let identities = values.compactMap(FileIdentity.init(record:))
        guard !values.isEmpty, identities.count == values.count,
            identities.count == directories.count
        else { return nil }
        adopted = AdoptedCgroup(
            recorded: zip(directories, identities).map { directory, identity in
                AdoptedCgroup.Directory(path: directory.name, identity: identity)
            })
    }

    private static func strings(_ value: JSONValue?) -> [String]? {
        guard case .array(let items)? = value else { return nil }
        var strings: [String] = []
        for item in items {
            guard case .string(let text) = item else { return nil }
            strings.append(text)
        }
        return strings
    }
}

extension FileIdentity {
    /// The numbers are written as texts: they may exceed the record's range of numbers.
    fileprivate var record: JSONValue {
        .object(["device": .string("\(device)"), "inode": .string("\(inode)")])
    }

    /// Decodes a record; nil if it is none.
    fileprivate init?(record: JSONValue) {
        guard case .object(let object) = record, case .string(let device)? = object["device"],
            case .string(let inode)? = object["inode"], let device = UInt64(device),
            let inode = UInt64(inode)
        else { return nil }
        self.init(device: device, inode: inode)
    }
}

extension CgroupLayout {
    /// The layout with the unified directory replaced by init's present cgroup.
    ///
    /// - Parameter membership: the contents of init's /proc/PID/cgroup.
    /// - Returns: the layout unchanged if init's cgroup has no path in this cgroup namespace.
    func following(_ membership: [UInt8]) -> CgroupLayout {
        guard let index = unifiedIndex else { return self }
        for line in membership.split(separator: UInt8(ascii: "\n")) {
            guard line.starts(with: "0::".utf8) else { continue }
            let path = String(decoding: line.dropFirst(3), as: UTF8.self)
            // The cgroup is outside our cgroup namespace, or it is the root, which is no
            // container's.
            guard path.utf8.count > 1, !path.begins(with: "/.."),
                path != directories[index].cgroup
            else { return self }
            var result = self
            result.directories[index].cgroup = path
            result.adopted = nil
            return result
        }
        return self
    }
}
#endif
