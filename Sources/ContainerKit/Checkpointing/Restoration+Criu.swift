// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// A namespace that the config joins, for CRIU's request.
struct JoinedNamespace {
    /// The open descriptor; -1 if it is not open yet.
    let descriptor: CInt
    let path: String
}

/// The request to CRIU for a restore: the same for the restore itself and for its explanation.
struct RestoreRequest {
    let spec: Spec
    let options: RestoreOptions
    let record: ContainerRecord
    let notes: CheckpointNotes?
    /// The standard streams at the checkpoint.
    let streams: [String]
    /// The container's state directory.
    let statePath: String

    private var layout: CgroupLayout { record.cgroups }
    private var bundlePath: String { record.bundle }
    private var rootPath: String { record.rootfs }

    init(
        _ spec: Spec, _ options: RestoreOptions, _ record: ContainerRecord,
        _ image: CheckpointImage, statePath: String
    ) throws(ContainerError) {
        self.spec = spec
        self.options = options
        self.record = record
        self.statePath = statePath
        notes = try image.notes()
        streams = try image.streams()
    }

    /// CRIU's options, except those that are known only once CRIU runs: its descriptors and its
    /// cgroups.
    ///
    /// - Parameters:
    ///   - logFile: the name of CRIU's log.
    ///   - namespace: the joined namespace of a kind, if any.
    /// - Returns: the options; descriptors that are not open yet are -1.
    /// - Throws: if the config or the host lacks something that the image has.
    func criuOptions(
        logFile: String, joining namespace: (NamespaceKind) -> JoinedNamespace?
    ) throws(ContainerError) -> CriuOptions {
        var result = CriuOptions(imageDirectory: -1, logFile: logFile)
        result.take(options.connections, annotations: record.annotations)
        // runc, whose images have no notes, always leaves the network out.
        if spec.hooksMakeNetwork || notes?.hasEmptyNetwork ?? true { result.emptyNetwork() }
        result.root = rootPath
        result.evasiveDevices = true
        result.isSibling = true
        result.tcpClose = options.closesTCP
        result.lsmProfile = options.lsmProfile
        result.lsmMountContext = options.lsmMountContext
        for mount in try externalMounts() {
            result.externalMounts.append((mount.name, try source(of: mount)))
        }
        try addNamespaces(to: &result, namespace)
        for (number, stream) in streams.enumerated()
        where stream.hasPrefix("pipe:[") || stream.hasPrefix("file[") {
            result.inherited.append((stream, number))
        }
        return result
    }

    /// The external mounts of the image.
    ///
    /// If another runtime has made the image, they are derived from the config.
    func externalMounts() throws(ContainerError) -> [ExternalMount] {
        if let notes { return notes.mounts }
        let place = RootPath(rootPath)
        var mounts: [ExternalMount] = []
        for mount in spec.mounts ?? [] {
            let destination = place.destination(mount.destination)
            if MountPoints.isBind(mount) {
                mounts.append(
                    ExternalMount(
                        destination, .bind(destination: mount.destination, below: "")))
            } else if mount.type == "cgroup", !layout.isUnified {
                for directory in layout.directories {
                    let name = MountPlan.hierarchyName(directory)
                    mounts.append(ExternalMount("\(destination)/\(name)", .cgroup(name)))
                }
            }
        }
        for device in spec.linux?.devices ?? [] {
            mounts.append(ExternalMount(place.destination(device.path), .device))
        }
        if let path = spec.linux?.maskedPaths?.first {
            mounts.append(ExternalMount(path, .mask))
        }
        return mounts
    }

    /// Bind mounts of the config that CRIU will not make, since they did not exist at the
    /// checkpoint.
    func missingMounts() throws(ContainerError) -> [String] {
        let external = try externalMounts()
        return (spec.mounts ?? []).enumerated().compactMap { index, mount in
            let isThere = external.contains {
                if case .bind(mount.destination, _) = $0.source { true } else { false }
            }
            guard MountPoints.isBind(mount), !isThere else { return nil }
            return "mounts[\(index)]: the checkpoint has no mount on \(mount.destination)"
        }
    }

    /// The host's file for a mount of the image.
    private func source(of mount: ExternalMount) throws(ContainerError) -> String {
        switch mount.source {
        case .mask: return "/dev/null"
        case .readiness: return "\(statePath)/\(ReadinessSocket.directoryName)"
        case .cgroup(let name):
            let directory = layout.directories.first { MountPlan.hierarchyName($0) == name }
            guard let directory else {
                throw ContainerError(
                    .criu,
                    "the checkpoint has a mount of the cgroup hierarchy \(name), which the host lacks",
                    hint: "the checkpoint was made on a host with other cgroups")
            }
            return directory.path
        case .device: return try deviceSource(mount.mountPoint)
        case .bind(let destination, let below):
            let found = (spec.mounts ?? []).last {
                $0.destination == destination && MountPoints.isBind($0)
            }
            guard let found else {
                throw ContainerError(
                    .invalidSpec,
                    "the checkpoint has a bind mount on \(destination), which the config lacks",
                    field: "mounts")
            }
            return Self.withoutLinks((found.source ?? "").path(from: bundlePath) + below)
        }
    }

    /// The path without links and dots, as it is in the mount table, where CRIU looks for the mount
    /// that a source is on; the same path if there is nothing.
    private static func withoutLinks(_ path: String) -> String {
        guard let file = try? openFile(path, .pathOnly),
            let link = try? openFile("/proc/self/fd/\(file.number)", .pathOnly | .noFollow),
            let bytes = try? readLink(link.number),
            let text = String(validating: bytes, as: UTF8.self)
        else { return path }
        return text
    }

    /// A bind-mounted device node is the host's at the same path, and must be the same device.
    private func deviceSource(_ path: String) throws(ContainerError) -> String {
        let place = RootPath(rootPath)
        let device = (spec.linux?.devices ?? []).first { place.destination($0.path) == path }
        let node = try reporting("unable to find the device of the host") {
            () throws(SystemCallError) -> clinux_statx in try status(at: path)
        }
        let isNode = node.kind == .characterDevice || node.kind == .blockDevice
        let isSame = device.map {
            $0.major == Int64(node.stx_rdev_major) && $0.minor == Int64(node.stx_rdev_minor)
        }
        guard isNode, isSame ?? path.begins(with: "/dev/") else {
            throw ContainerError(
                .criu, "the host's \(path) is not the device that the container has there")
        }
        return path
    }

    /// Adds the namespaces that the config joins: CRIU enters some by an inherited descriptor,
    /// others by a path.
    private func addNamespaces(
        to options: inout CriuOptions, _ joined: (NamespaceKind) -> JoinedNamespace?
    ) throws(ContainerError) {
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
            guard let kind = NamespaceKind(rawValue: namespace.kind.rawValue),
                let found = joined(kind)
            else { continue }
            switch kind {
            case .network, .pid:
                options.inherited.append((kind.externalKey, Int(found.descriptor)))
            case .ipc, .uts, .time, .user:
                options.joined.append((kind.procName, found.path))
            case .mount, .cgroup:
                throw ContainerError(
                    .unsupported,
                    "CRIU cannot restore a container into an existing \(kind.rawValue) namespace",
                    field: "linux.namespaces[\(index)].path")
            }
        }
    }
}

extension Restoration {
    /// The container's cgroups, which replace those of the image.
    ///
    /// CRIU is in them by now, and so are the processes that it makes.
    static func cgroupRoots(of pid: Int32) throws(ContainerError) -> [(
        controllers: String, path: String
    )] {
        let text = try reporting("unable to read CRIU's cgroups") { () throws(SystemCallError) in
            try readFile("/proc/\(pid)/cgroup")
        }
        var roots: [(controllers: String, path: String)] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for name in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                roots.append((String(name), String(parts[2])))
            }
        }
        return roots
    }
}

extension LaunchPlan {
    /// The ID maps of the container's own user namespace, or of the one that it joins.
    var idMaps: IDMaps? {
        for planned in parentSteps {
            switch planned.step {
            case .userNamespace(.writeIDMaps(let maps, _)), .userNamespace(.checkIDMaps(let maps)):
                return maps
            default: continue
            }
        }
        return nil
    }
}
#endif
