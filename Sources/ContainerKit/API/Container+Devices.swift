// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
public import SystemPackage

extension Container {
    /// Gives devices to the container while it runs, is paused, or waits for `start`: the nodes, and
    /// the rules of its cgroup that permit to use them.
    ///
    /// A node that is there already is used as it is. In a user namespace, where no node can be made,
    /// the host's node is mounted read-only, with its own owner and mode. If one device fails, all
    /// are taken back.
    ///
    /// - Parameter devices: the devices, in order; without `fileMode` a node has the mode 0666.
    /// - Throws: `notFound`, `notRunning`, `invalidSpec` with the field (`linux.devices[0].path`),
    ///   `cgroup`, `systemCall`, `initFailed`. Kernel: mknodat(2), bpf(2), cgroup-v1/devices.rst.
    public func addDevices(_ devices: [AddedDevice]) throws(ContainerError) {
        let found = try find(locking: true)
        var record = try found.recordOfLiving()
        var spec = try Self.recordedSpec(found.state)
        let rules = spec.linux?.resources?.devices ?? []
        let given = try Self.checked(devices, in: &spec, record)
        let process = try record.openInit()
        let earlier = record
        var hasChangedRules = false
        do throws(ContainerError) {
            for (index, device) in given.enumerated() {
                record.addedDevices.append(
                    try place(device, index, spec, record, process.number))
            }
            try record.changeDeviceRules(after: earlier, rules)
            hasChangedRules = true
            try found.state.stage(record)
            try found.state.putRecordInPlace()
        } catch {
            if hasChangedRules { try? earlier.changeDeviceRules(after: record, rules) }
            for added in record.addedDevices[earlier.addedDevices.count...].reversed() {
                try? takeAway(added, record, process.number)
            }
            guard record.isEnding(process) else { throw error }
            throw ContainerError(.notRunning, "container not running")
        }
    }

    /// Takes devices back that `addDevices` gave: the rules, and the nodes that it made.
    ///
    /// What the config allows stays allowed, and a node stays that was there before or that is not
    /// that device any more. A process that has the device open may go on using it.
    ///
    /// - Parameter paths: the paths as given to `addDevices`.
    /// - Throws: `notFound`, `notRunning`, `invalidArgument` for a path where nothing was added,
    ///   `cgroup`, `wrongState` if the container has covered or moved the host's node.
    public func removeDevices(_ paths: [FilePath]) throws(ContainerError) {
        let found = try find(locking: true)
        var record = try found.recordOfLiving()
        let rules = try Self.recordedSpec(found.state).linux?.resources?.devices ?? []
        let process = try record.openInit()
        let given = paths.map(\.text.rootedPath)
        for path in given where record.addedDevice(at: path) == nil {
            throw ContainerError(
                .invalidArgument, "no device was added to container \(id) at \(path)",
                hint: "devices of the config stay until the container is deleted")
        }
        for path in given {
            guard let index = record.addedDevice(at: path) else { continue }
            let present = record
            let removed = record.addedDevices.remove(at: index)
            // First, so that with a full disk nothing changes that is not recorded.
            try found.state.stage(record)
            // From here on no process of the container opens the device anew.
            try record.changeDeviceRules(after: present, rules)
            do throws(ContainerError) {
                try takeAway(removed, record, process.number)
                try found.state.putRecordInPlace()
            } catch {
                try? present.changeDeviceRules(after: record, rules)
                guard record.isEnding(process) else { throw error }
                throw ContainerError(.notRunning, "container not running")
            }
        }
    }

    /// The devices that were added and not removed, in order.
    ///
    /// - Throws: `notFound`, `state` when the record is damaged.
    public func addedDevices() throws(ContainerError) -> [AddedDevice] {
        guard let record = try find(locking: false).record else {
            throw ContainerError(.notFound, "container does not exist")
        }
        return record.addedDevices.map(\.device)
    }

    /// The devices with their paths from the root, after all checks that need no look at the
    /// container's files.
    private static func checked(
        _ devices: [AddedDevice], in spec: inout Spec, _ record: ContainerRecord
    ) throws(ContainerError) -> [AddedDevice] {
        var linux = spec.linux ?? Linux()
        linux.devices = devices.map(\.node)
        spec.linux = linux
        let changed = spec
        try reporting { () throws(SpecErrors) in try changed.check() }
        var given = devices
        var paths = record.addedDevices.map(\.device.node.path)
        for index in given.indices {
            let path = given[index].node.path.rootedPath
            given[index].node.path = path
            let problem: String? =
                if path == "/" || path.isPath(within: "/proc") || path.isPath(within: "/sys") {
                    "\"\(path)\" is no place for a device"
                } else if paths.contains(path) {
                    "a device was added at \(path) before"
                } else {
                    nil
                }
            if let problem {
                throw ContainerError(
                    .invalidSpec, problem, field: "linux.devices[\(index)].path")
            }
            paths.append(path)
        }
        let rules = given.compactMap(\.rule)
        _ = try reporting { () throws(SpecError) in try DeviceAccess(rules: rules) }
        return given
    }

    // MARK: Nodes

    private func place(
        _ device: AddedDevice, _ index: Int, _ spec: Spec, _ record: ContainerRecord,
        _ process: CInt
    ) throws(ContainerError) -> RecordedDevice {
        let node = device.node
        let field = "linux.devices[\(index)]"
        if try record.holds(node, field) { return RecordedDevice(device, .present) }
        let mount = Mount(
            destination: node.path, source: node.hostPath, options: ["bind", "ro"])
        let facts = try Self.facts(of: mount, index, spec, record)
        func refuse(_ reason: String, _ key: String = "") -> ContainerError {
            ContainerError(.invalidSpec, reason, field: field + key)
        }
        guard facts.namespaces.contains(.mount) else {
            throw refuse(
                "the container has no mount namespace of its own, so the node would be the host's")
        }
        guard facts.creation.preparesMounts, !facts.creation.host.rights.isInUserNamespace else {
            throw refuse("an ordinary user cannot add devices to a running container")
        }
        guard !spec.sharesDev || !node.path.isPath(within: "/dev") else {
            throw refuse("/dev is shared with the host or others, who would get the node too")
        }
        guard facts.namespaces.contains(.user) else {
            try launcher(Launch(making: node, index), record, process).run()
            return RecordedDevice(device, .made)
        }
        guard node.kind != .fifo else {
            throw refuse("a pipe is not added to a container in a user namespace")
        }
        for (key, isGiven) in [
            (".fileMode", node.fileMode != nil), (".uid", node.uid != nil),
            (".gid", node.gid != nil),
        ] where isGiven {
            throw refuse("in a user namespace the host's node is mounted, as it is", key)
        }
        guard isDevice(node, at: node.hostPath) else {
            throw refuse(
                "the host has no device \(node.major):\(node.minor) at \(node.path)", ".path")
        }
        return RecordedDevice(
            device, .attached(try attach(mount, index, spec, record, process)))
    }

    private func takeAway(_ added: RecordedDevice, _ record: ContainerRecord, _ process: CInt)
        throws(ContainerError)
    {
        switch added.placement {
        case .present: return
        case .made: try record.removeNode(added.device.node)
        case .attached(let mount): try detachUnlessGone(mount, record, process)
        }
    }
}

extension ContainerRecord {
    /// The rules that the added devices need.
    var addedDeviceRules: [DeviceCgroupRule] { addedDevices.compactMap(\.device.rule) }

    fileprivate func addedDevice(at path: String) -> Int? {
        addedDevices.lastIndex { $0.device.node.path == path }
    }

    /// Makes the cgroup permit the devices of this record, when it permits those of another.
    ///
    /// `config` has the rules of the config.
    fileprivate func changeDeviceRules(
        after other: ContainerRecord, _ config: [DeviceCgroupRule]
    ) throws(ContainerError) {
        let (present, wanted) = try reporting { () throws(SpecError) in
            try (
                DeviceAccess(rules: config + other.addedDeviceRules),
                DeviceAccess(rules: config + addedDeviceRules)
            )
        }
        let cgroup = try openCgroup()
        try reporting { () throws(CgroupError) in try cgroup.change(wanted, from: present) }
    }

    /// Whether the container has this very device at that path.
    ///
    /// - Throws: `invalidSpec` if it has another file there.
    fileprivate func holds(_ node: DeviceNode, _ field: String) throws(ContainerError) -> Bool {
        let found = try reporting("unable to look at \(node.path) in the container", field: field) {
            () throws(SystemCallError) in
            try withEntry(node.path) { (directory, name) throws(SystemCallError) in
                let entry = try openFile(name, .pathOnly | .noFollow, at: directory)
                return try status(of: entry.number)
            }
        }
        guard let found else { return false }
        guard found.isDevice(node) else {
            throw ContainerError(
                .invalidSpec, "\(node.path) exists in the container and is not that device",
                field: field + ".path")
        }
        return true
    }

    /// Removes a node; what the container has put in its place stays.
    fileprivate func removeNode(_ node: DeviceNode) throws(ContainerError) {
        _ = try reporting("unable to remove \(node.path) from the container") {
            () throws(SystemCallError) in
            try withEntry(node.path) { (directory, name) throws(SystemCallError) in
                let entry = try openFile(name, .pathOnly | .noFollow, at: directory)
                guard try status(of: entry.number).isDevice(node) else { return }
                try removeFile(name, at: directory)
            }
        }
    }

    /// Calls `body` with a directory of the container and a name in it; nil if either is missing.
    ///
    /// No link leads out of the container's root.
    private func withEntry<Result>(
        _ path: String, _ body: (CInt, String) throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result? {
        let parts = path.parts(between: "/").map(String.init)
        let folder = parts.dropLast().joined(separator: "/")
        do throws(SystemCallError) {
            let root = try openFile("/proc/\(pid)/root", .pathOnly | .directory)
            let directory = try openInRoot(
                root.number, folder.isEmpty ? "." : folder, .pathOnly | .directory)
            return try body(directory.number, parts.last ?? ".")
        } catch  where [.noSuchFileOrDirectory, .notDirectory].contains(error.errno) {
            return nil
        }
    }
}

extension Spec {
    /// Whether /dev shows nodes that others use too: it is a bind mount or the kernel's devtmpfs.
    fileprivate var sharesDev: Bool {
        (mounts ?? []).contains { mount in
            let isBind = MountOptions(mount.options ?? [], type: mount.type).isBind
            return mount.destination.isSame("/dev") && (isBind || mount.type == "devtmpfs")
        }
    }
}

// MARK: - The host's nodes

extension AddedDevice {
    /// A device of the host: type and numbers of the node at a path, which is also its path in the
    /// container.
    ///
    /// - Throws: `systemCall`, or `invalidArgument` if the file is not a device.
    public init(ofHost path: FilePath, access: String = "rwm") throws(ContainerError) {
        let found = try reporting { () throws(SystemCallError) in
            try status(at: path.text)
        }
        guard [.characterDevice, .blockDevice].contains(found.kind) else {
            throw ContainerError(.invalidArgument, "\(path.text) is not a device")
        }
        self.init(
            DeviceNode(
                kind: found.kind == .blockDevice ? .block : .character, path: path.text,
                major: Int64(found.stx_rdev_major), minor: Int64(found.stx_rdev_minor)),
            access: access)
    }
}

extension DeviceNode {
    /// The device's node on the host: at the same path or, if that is another, as udev lists it by
    /// its numbers.
    fileprivate var hostPath: String {
        let folder = kind == .block ? "block" : "char"
        return isDevice(self, at: path) ? path : "/dev/\(folder)/\(major):\(minor)"
    }
}

private func isDevice(_ node: DeviceNode, at path: String) -> Bool {
    (try? status(at: path).isDevice(node)) ?? false
}

extension clinux_statx {
    fileprivate func isDevice(_ node: DeviceNode) -> Bool {
        let device = Device(node, name: "")
        guard kind == device.type else { return false }
        return node.kind == .fifo
            || stx_rdev_major == device.major && stx_rdev_minor == device.minor
    }
}
#endif
