// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import Logging
internal import SystemPackage

// What the parent does for a container in a user namespace: there, nobody may do it.

extension Launcher {
    // MARK: The child's ids and limits

    func writeIDMaps(_ maps: IDMaps, by writer: IDMapWriter, _ field: String?)
        throws(ContainerError)
    {
        try maps.write(to: pid, by: writer, field: field)
    }

    /// Engines give the maps of a joined namespace too; others than it has would be a mistake.
    func checkIDMaps(_ maps: IDMaps, _ field: String?) throws(ContainerError) {
        let process = pid
        let found = try reporting("unable to read the id maps", field: field) {
            () throws(SystemCallError) in try IDMaps.read(of: process)
        }
        guard found.sorted == maps.sorted else {
            throw ContainerError(
                .invalidSpec, "the user namespace that is joined has other maps", field: field,
                hint: "leave the mappings out: those of the namespace count")
        }
        options.logger.debug(
            "linux.uidMappings: not needed, since the config joins a user namespace")
    }

    func setOOMScore(_ score: Int, _ field: String?) throws(ContainerError) {
        let path = "/proc/\(pid)/oom_score_adj"
        do throws(SystemCallError) {
            let file = try openFile(path, .writeOnly)
            try writeAll(Array(String(score).utf8), to: file.number, named: "\"\(path)\"")
        } catch {
            let isRefusal = error.call == "write" && error.errno == .permissionDenied
            throw ContainerError(error, field: field, hint: isRefusal ? InitHint.oomScore : nil)
        }
    }

    func setLimits(_ limits: [PlannedLimit], _ field: String?) throws(ContainerError) {
        for limit in limits {
            do throws(SystemCallError) {
                try setResourceLimit(pid: pid, limit)
            } catch {
                throw ContainerError(
                    .initFailed, "", field: field, failure: error,
                    hint: error.errno == .notPermitted ? InitHint.limit(limit.name) : nil)
            }
        }
    }

    // MARK: Devices

    /// Clones a device node of the host: the one of the same path, or, where the container has it at
    /// another, the one that udev lists by its number.
    func prepareDevice(_ index: Int, _ path: String, _ device: Device, _ field: String?)
        throws(ContainerError)
    {
        let kind = device.mode & 0xf000 == 0x6000 ? "block" : "char"
        let numbered = "/dev/\(kind)/\(device.major):\(device.minor)"
        var failure = SystemCallError("open_tree", "\"\(path)\"", errno: .noSuchFileOrDirectory)
        for candidate in [path, numbered] {
            do throws(SystemCallError) {
                let tree = try cloneMountTree(at: candidate, recursive: false)
                guard try Self.isNode(tree.number, device) else { continue }
                try changeMount(tree.number, MountChange.ofAttached(device))
                inputs[.mountTree(index)] = own(tree)
                return
            } catch {
                if candidate == path { failure = error }
            }
        }
        throw ContainerError(
            .systemCall, "the host has no device \(device.major):\(device.minor) at \(path)",
            field: field, failure: failure.errno == .noSuchFileOrDirectory ? nil : failure,
            hint: "without root's rights on the host, its device nodes are attached, not made anew")
    }

    /// Makes a node that nobody else has, so that its owner and mode are the config's and the host's
    /// stay as they are.
    ///
    /// The tmpfs belongs to the host's user namespace: in one of another the kernel opens no device.
    func makeDevice(_ index: Int, _ device: Device, _ label: String?, _ field: String?)
        throws(ContainerError)
    {
        let tree = try reporting("unable to make the device \(device.name)", field: field) {
            () throws(SystemCallError) in
            let context = label.map { ["context=\($0)"] } ?? []
            let tmpfs = try newFilesystem(
                FilesystemMount(
                    type: "tmpfs", source: "tmpfs", destination: "",
                    // Kernels differ in whether the root directory counts.
                    options: ["nr_blocks=1", "nr_inodes=3", "mode=755"] + context))
            try makeNode(device, at: tmpfs.number)
            return tmpfs
        }
        inputs[.mountTree(index)] = own(tree)
    }

    private static func isNode(_ tree: CInt, _ device: Device) throws(SystemCallError) -> Bool {
        let status = try status(of: tree)
        return UInt32(status.stx_mode) & 0xf000 == device.mode & 0xf000
            && status.stx_rdev_major == device.major && status.stx_rdev_minor == device.minor
    }

    // MARK: Mapped ids of mounts

    /// Maps the ids of a detached tree.
    ///
    /// Kernel: mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12.
    func mapIDs(
        _ map: MountIDMap, of tree: CInt, from source: String?, _ destination: String,
        _ field: String?
    ) throws(ContainerError) {
        let namespace = try userNamespace(for: map, field)
        do throws(SystemCallError) {
            try mapMountIDs(tree, by: namespace, recursive: map.recursive)
        } catch {
            let type = source.flatMap(filesystemType)
            throw ContainerError(
                .systemCall,
                "unable to map the ids of the mount on \(destination)"
                    + (type.map { ", whose source is on a file system of type \($0)" } ?? ""),
                field: field, failure: error,
                hint: error.errno == .invalidArgument
                    ? "the file system does not support id-mapped mounts on this kernel, or is one "
                        + "already" : nil)
        }
    }

    private func userNamespace(for map: MountIDMap, _ field: String?) throws(ContainerError)
        -> CInt
    {
        guard let maps = map.maps else {
            guard let joined = inputs[.namespace(NamespaceKind.user.rawValue)] else {
                preconditionFailure("the ids of a mount are mapped by no namespace")
            }
            return joined
        }
        if let known = mappedNamespaces.first(where: { $0.maps == maps }) {
            return known.descriptor
        }
        let made = own(
            try maps.makeUserNamespace(field: field.map { $0 + ".uidMappings" }))
        mappedNamespaces.append((maps, made))
        return made
    }

    /// The child, which may be in a user namespace, has no right over the file system of the tree.
    func mapClonedTree(_ map: MountIDMap, _ destination: String, _ field: String?)
        throws(ContainerError)
    {
        let tree = OwnedDescriptor(taking: try receiveFromChild())
        try mapIDs(map, of: tree.number, from: nil, destination, field)
    }

    func prepareMappedFilesystem(
        _ index: Int, _ mount: FilesystemMount, _ map: MountIDMap, _ field: String?
    ) throws(ContainerError) {
        let tree = try reporting(
            "unable to prepare the mount on \(mount.destination)", field: field
        ) { () throws(SystemCallError) in try newFilesystem(mount) }
        let number = own(tree)
        try mapIDs(map, of: number, from: nil, mount.destination, field)
        inputs[.mountTree(index)] = number
    }
}

/// The type of the file system that a path is on; nil if that cannot be told.
///
/// Source: proc_pid_mountinfo(5).
private func filesystemType(at path: String) -> String? {
    guard let status = try? status(at: path),
        let table = try? readFile("/proc/self/mountinfo")
    else { return nil }
    for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
        let fields = line.split(separator: " ")
        guard let id = fields.first, UInt64(id) == status.stx_mnt_id,
            let dash = fields.firstIndex(of: "-"), fields.count > dash + 1
        else { continue }
        return String(fields[dash + 1])
    }
    return nil
}
