// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// A mount of a container whose files are the host's, so that an image cannot contain them.
struct ExternalMount: Equatable {
    /// The origin of the files.
    enum Source: Equatable {
        /// The source of the bind mount with this destination, or a path below it.
        case bind(destination: String, below: String)
        /// The container's cgroup in the hierarchy of this name.
        case cgroup(String)
        /// The host's device of the same path.
        case device
        /// /dev/null, which masks a file.
        case mask
        /// The directory in which the container reports that it is ready.
        case readiness
    }

    /// The mount point in the container.
    let mountPoint: String
    let source: Source

    /// The mount's name in CRIU's image: the same as in runc's images.
    var name: String { source == .mask ? "/dev/null" : mountPoint }

    init(_ mountPoint: String, _ source: Source) {
        self.mountPoint = mountPoint
        self.source = source
    }

    var json: JSONValue {
        var object: JSONObject = ["mountPoint": .string(mountPoint)]
        switch source {
        case .bind(let destination, let below):
            object.append("destination", .string(destination))
            if !below.isEmpty { object.append("below", .string(below)) }
        case .cgroup(let hierarchy): object.append("hierarchy", .string(hierarchy))
        case .device: object.append("device", .bool(true))
        case .mask: object.append("mask", .bool(true))
        case .readiness: object.append("readiness", .bool(true))
        }
        return .object(object)
    }

    init?(_ value: JSONValue) {
        guard case .object(let object) = value, case .string(let place)? = object["mountPoint"],
            place.begins(with: "/")
        else { return nil }
        mountPoint = place
        if case .string(let destination)? = object["destination"] {
            guard case .string(let below) = object["below"] ?? .string("") else { return nil }
            source = .bind(destination: destination, below: below)
        } else if case .string(let hierarchy)? = object["hierarchy"] {
            source = .cgroup(hierarchy)
        } else if object["device"] != nil {
            source = .device
        } else if object["mask"] != nil {
            source = .mask
        } else if object["readiness"] != nil {
            source = .readiness
        } else {
            return nil
        }
    }
}

/// The mounts of a running container, and which of them have the host's files.
struct ContainerMounts {
    private let table: [MountTableEntry]
    private let hostTable: [MountTableEntry]
    private let rootPath: RootPath
    /// The container's root, while its mounts are examined.
    private let root: CInt
    private(set) var external: [ExternalMount] = []

    /// Reads the mounts of init.
    init(of record: ContainerRecord, _ spec: Spec, bundlePath: String) throws(ContainerError) {
        let pid = record.pid
        do throws(SystemCallError) {
            table = try mountTable(of: "\(pid)")
            hostTable = try mountTable()
            root = try openFile("/proc/\(pid)/root", .pathOnly | .directory).release()
        } catch {
            throw ContainerError(error, "unable to look at the container's mounts")
        }
        defer { _ = OwnedDescriptor(taking: root) }
        rootPath = RootPath(record.rootfs)
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            let options = MountOptions(mount.options ?? [], type: mount.type)
            if options.isBind {
                try addBind(mount, index, bundlePath)
            } else if mount.type == "cgroup", !record.cgroups.isUnified {
                addHierarchies(mount, record.cgroups)
            }
        }
        if table.contains(where: { $0.mountPoint == ReadinessSocket.mountPoint }) {
            add(ReadinessSocket.mountPoint, .readiness)
        }
        addDevices(spec)
        addMasks(spec)
    }

    private mutating func add(_ mountPoint: String, _ source: ExternalMount.Source) {
        guard !external.contains(where: { $0.mountPoint == mountPoint }) else { return }
        external.append(ExternalMount(mountPoint, source))
    }

    /// The mount to which a path of the config leads; nil if nothing is mounted there (any more).
    private func entry(at destination: String) -> MountTableEntry? {
        guard
            let file = try? openInRoot(root, rootPath.destination(destination), .pathOnly),
            let id = try? status(of: file.number).stx_mnt_id,
            let entry = table.first(where: { $0.id == id }), entry.mountPoint != "/"
        else { return nil }
        return entry
    }

    private mutating func addBind(_ mount: Mount, _ index: Int, _ bundlePath: String)
        throws(ContainerError)
    {
        guard let entry = entry(at: mount.destination) else { return }
        guard mount.uidMappings == nil, mount.gidMappings == nil,
            !(mount.options ?? []).contains(where: { $0.hasPrefix("idmap") || $0 == "ridmap" })
        else {
            throw ContainerError(
                .unsupported,
                "a mount with mapped ids cannot be part of a checkpoint: CRIU does not restore it",
                field: "mounts[\(index)]", subject: mount.destination)
        }
        add(entry.mountPoint, .bind(destination: mount.destination, below: ""))
        let source = "/" + (mount.source ?? "").path(from: bundlePath).rootedComponents.relativePath
        for below in table where below.mountPoint.begins(with: entry.mountPoint + "/") {
            let rest = below.mountPoint.dropFirst(entry.mountPoint.count)
            // It must be a mount of the host below the source, not one that the container has made
            // there.
            let isHosts = hostTable.contains {
                $0.mountPoint == source + rest && $0.device == below.device && $0.root == below.root
            }
            if isHosts {
                add(
                    below.mountPoint,
                    .bind(destination: mount.destination, below: String(rest)))
            }
        }
    }

    private mutating func addHierarchies(_ mount: Mount, _ cgroups: CgroupLayout) {
        let place = rootPath.destination(mount.destination)
        for directory in cgroups.directories {
            let name = MountPlan.hierarchyName(directory)
            guard let entry = entry(at: "\(place)/\(name)"), entry.type.begins(with: "cgroup")
            else { continue }
            add(entry.mountPoint, .cgroup(name))
        }
    }

    /// Adds device nodes that were bind-mounted because they could not be created.
    private mutating func addDevices(_ spec: Spec) {
        let configured = (spec.linux?.devices ?? []).map { rootPath.destination($0.path) }
        let standard = ["null", "zero", "full", "random", "urandom", "tty"].map { "/dev/\($0)" }
        for place in configured + standard
        where table.contains(where: { $0.mountPoint == place }) {
            add(place, .device)
        }
    }

    private mutating func addMasks(_ spec: Spec) {
        for path in spec.linux?.maskedPaths ?? [] {
            guard let file = try? openInRoot(root, path, .pathOnly),
                let status = try? status(of: file.number),
                // A directory is masked by a tmpfs, which an image can contain.
                status.kind == .characterDevice,
                let entry = table.first(where: { $0.id == status.stx_mnt_id }),
                entry.mountPoint != "/", entry.mountPoint != "/dev"
            else { continue }
            add(entry.mountPoint, .mask)
        }
    }
}
#endif
