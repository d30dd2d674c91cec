// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

// What CRIU is told of the host's files, namespaces and cgroups.

extension Restoration {
    /// Those of the image; one that another runtime has made does not tell, but what a config has is there.
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

    /// Bind mounts of the config that CRIU will not make, since the checkpoint had none there.
    func missingMounts(_ external: [ExternalMount]) -> [String] {
        (spec.mounts ?? []).enumerated().compactMap { index, mount in
            let isThere = external.contains {
                if case .bind(mount.destination, _) = $0.source { true } else { false }
            }
            guard MountPoints.isBind(mount), !isThere else { return nil }
            return "mounts[\(index)]: the checkpoint has no mount on \(mount.destination)"
        }
    }

    /// The file of the host that a mount of the image is made of.
    func source(of mount: ExternalMount, statePath: String) throws(ContainerError) -> String {
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
            return (found.source ?? "").path(from: bundlePath) + below
        }
    }

    /// A node that was attached is the host's of the same path; it has to be the same device.
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

    /// The namespaces that the config joins: CRIU enters some by an inherited descriptor, others by a path.
    func addNamespaces(to options: inout CriuOptions, keeping kept: inout [CInt])
        throws(ContainerError)
    {
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
            guard let kind = NamespaceKind(rawValue: namespace.kind.rawValue),
                let number = launcher.inputs[.namespace(kind.rawValue)]
            else { continue }
            switch kind {
            case .network, .pid:
                options.inherited.append((kind.externalKey, Int(number)))
                kept.append(number)
            case .ipc, .uts, .time, .user:
                options.joined.append((kind.procName, "/proc/\(ownProcessID)/fd/\(number)"))
            case .mount, .cgroup:
                throw ContainerError(
                    .unsupported,
                    "CRIU restores no container into a \(kind.rawValue) namespace that is there",
                    field: "linux.namespaces[\(index)].path")
            }
        }
    }

    /// CRIU is in the container's cgroups by now, and so are the processes that it makes: in place of the
    /// image's cgroups they get these.
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

extension Launcher {
    /// The id maps of a user namespace of the container's own, or of the one that it joins.
    var idMaps: IDMaps? {
        for planned in plan.parentSteps {
            switch planned.step {
            case .userNamespace(.writeIDMaps(let maps, _)), .userNamespace(.checkIDMaps(let maps)):
                return maps
            default: continue
            }
        }
        return nil
    }
}
