// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

extension MountPlan {
    /// Plans the devices and links of every container.
    ///
    /// A mount of the config on a device's path replaces the device. If nothing is mounted on /dev,
    /// the image's own files stay, as with runc: the links never replace anything.
    ///
    /// Spec: config-linux.md, Default Devices; runtime-linux.md, Dev symbolic links.
    mutating func addDevices(_ configured: [DeviceNode]) throws(SpecError) {
        guard !sharesDev else { return }
        let standard: InlineArray<6, (String, UInt32, UInt32)> = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
            ("tty", 5, 0),
        ]
        let named = configured.map { $0.path.rootedPath }
        var devices: [Device] = []
        for index in standard.indices {
            let (name, major, minor) = standard[index]
            let path = "/dev/" + name
            if named.contains(path) || isMounted(path) { continue }
            devices.append(
                Device(
                    name: name, mode: FileMode(.characterDevice, 0o666), major: major,
                    minor: minor, keepsExisting: true))
        }
        if !devices.isEmpty { addNodes(devices, in: "/dev", from: "linux.devices") }
        for (index, node) in configured.enumerated() {
            // The container has its own ptmx; a host's ptmx in the config, as some engines pass on,
            // is ignored, as with runc.
            if named[index] == "/dev/ptmx" || isMounted(named[index]) { continue }
            let parts = named[index].parts(between: "/")
            let directory = "/" + parts.dropLast().joined(separator: "/")
            let device = Device(node, name: String(parts.last ?? ""))
            let field = Origin.config("linux.devices[\(index)]")
            if let made = try madeDevice(device, field) {
                addMade(made, in: directory, from: field)
            } else {
                addNodes([device], in: directory, from: field)
            }
        }
        let links = [
            SymbolicLink(name: "ptmx", target: "pts/ptmx"),
            SymbolicLink(name: "fd", target: "/proc/self/fd"),
            SymbolicLink(name: "stdin", target: "/proc/self/fd/0"),
            SymbolicLink(name: "stdout", target: "/proc/self/fd/1"),
            SymbolicLink(name: "stderr", target: "/proc/self/fd/2"),
            SymbolicLink(name: "core", target: "/proc/kcore"),
        ]
        childSteps.add(.file(.makeLinks(directory: "/dev", links)), from: "linux.devices")
    }

    /// Whether a mount of the config is on this very path, and no later mount hides it.
    private func isMounted(_ path: String) -> Bool {
        destinations.last { path.isPath(within: $0) }.map { path.isSame($0) } ?? false
    }

    /// Plans a node that the runtime makes, with owner and mode of the config.
    private mutating func addMade(_ device: Device, in directory: String, from field: Origin) {
        parentSteps.append(
            PlannedParentStep(field, .mount(.makeDevice(nextTree, device, label: mountLabel))))
        let attached = AttachedDevice(name: device.name, tree: nextTree, isMade: true)
        childSteps.add(.device(.attachDevices(directory: directory, [attached])), from: field)
        nextTree += 1
    }

    /// Plans nodes; in a user namespace the host's nodes are attached, since only FIFOs can be made
    /// there.
    private mutating func addNodes(_ devices: [Device], in directory: String, from field: Origin) {
        guard userNamespace != nil || rights.isInUserNamespace,
            devices.allSatisfy({ $0.type != .fifo })
        else {
            childSteps.add(.device(.makeDevices(directory: directory, devices)), from: field)
            return
        }
        var attached: [AttachedDevice] = []
        for var device in devices {
            device.isReadOnly = hasHostsRoot
            let path = (directory == "/" ? "" : directory) + "/" + device.name
            parentSteps.append(
                PlannedParentStep(field, .mount(.hostDevice(nextTree, path: path, device))))
            attached.append(AttachedDevice(name: device.name, tree: nextTree))
            nextTree += 1
        }
        childSteps.add(.device(.attachDevices(directory: directory, attached)), from: field)
    }

    /// Whether a user of the container is the host's root, who owns the host's nodes.
    private var hasHostsRoot: Bool {
        userNamespace?.maps?.users.contains { $0.outside == 0 } ?? false
    }
}

extension MountChange {
    /// The change of an attached host node: later mounts of the host do not propagate to it.
    static func ofAttached(_ device: Device) -> MountChange {
        MountChange(
            set: device.isReadOnly ? .readOnly : .empty, propagation: .private)
    }
}
#endif
