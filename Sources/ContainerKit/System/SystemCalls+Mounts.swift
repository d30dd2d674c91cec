// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// Clones the mount at `path` as a detached tree.
///
/// A link at the end of the path is followed, or with `followsLink` false becomes the root of the
/// tree.
///
/// Kernel: open_tree(2) with OPEN_TREE_CLONE.
func cloneMountTree(
    at path: String, in directory: CInt = currentDirectory, recursive: Bool,
    followsLink: Bool = true
) throws(SystemCallError) -> OwnedDescriptor {
    var flags = cloneFlags(recursive: recursive)
    if !followsLink { flags |= .noFollow }
    let number = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "open_tree", __NR_open_tree, Int(directory), address, flags.rawValue,
            describing: "\"\(path)\"\(recursive ? ", recursive" : "")")
    }
    return OwnedDescriptor(taking: CInt(number))
}

/// Clones the mount of an open descriptor as a detached tree, from that file or directory down.
///
/// Kernel: open_tree(2) with OPEN_TREE_CLONE and AT_EMPTY_PATH.
func cloneMountTree(of descriptor: CInt, recursive: Bool) throws(SystemCallError)
    -> OwnedDescriptor
{
    let flags = cloneFlags(recursive: recursive).union(.emptyPath)
    let number = try withPath("") { (empty) throws(SystemCallError) in
        try systemCall(
            "open_tree", __NR_open_tree, Int(descriptor), empty, flags.rawValue,
            describing: "descriptor \(descriptor)\(recursive ? ", recursive" : "")")
    }
    return OwnedDescriptor(taking: CInt(number))
}

private func cloneFlags(recursive: Bool) -> PathFlags {
    recursive ? .cloneTree | .treeCloseOnExec | .recursive : .cloneTree | .treeCloseOnExec
}

/// The file system and mount of an open file.
///
/// Kernel: fstatfs(2).
func filesystemStatus(of file: CInt) throws(SystemCallError) -> clinux_statfs {
    var status = clinux_statfs()
    try withAddress(of: &status) { (buffer) throws(SystemCallError) in
        _ = try systemCall(
            "fstatfs", __NR_fstatfs, Int(file), buffer, describing: "descriptor \(file)")
    }
    return status
}

/// The attributes of the mount that contains a path of the host.
///
/// Kernel: statfs(2), f_flags.
func mountAttributes(at path: String) throws(SystemCallError) -> MountAttributes {
    let file = try openFile(path, .pathOnly)
    let status = try filesystemStatus(of: file.number)
    let known: [(flag: MountStatus, MountAttributes)] = [
        (.readOnly, .readOnly), (.noSetUserID, .noSetUserID), (.noDevices, .noDevices),
        (.noExecution, .noExecution), (.noAccessTime, .noAccessTime),
        (.noDirectoryAccessTime, .noDirectoryAccessTime),
        (.noSymlinkFollowing, .noSymlinkFollowing),
    ]
    let flags = MountStatus(rawValue: status.f_flags)
    var attributes: MountAttributes = .empty
    for (flag, attribute) in known where flags.contains(flag) { attributes |= attribute }
    if flags.isDisjoint(with: .noAccessTime | .relativeAccessTime) {
        attributes |= .strictAccessTime
    }
    return attributes
}

/// Changes attributes or propagation of the mount with root `tree`; does nothing for an empty
/// change.
///
/// Kernel: mount_setattr(2), Linux 5.12.
func changeMount(_ tree: CInt, _ change: MountChange) throws(SystemCallError) {
    if change.set.isEmpty, change.clear.isEmpty, change.propagation.isEmpty { return }
    var attributes = mount_attr(
        attr_set: UInt64(change.set.rawValue), attr_clr: UInt64(change.clear.rawValue),
        propagation: UInt64(change.propagation.rawValue), userns_fd: 0)
    let flags = changeFlags(recursive: change.recursive)
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &attributes) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "mount_setattr", __NR_mount_setattr, Int(tree), empty, flags.rawValue, address,
                MemoryLayout<mount_attr>.size, describing: change.words)
        }
    }
}

/// Maps the file IDs of a detached mount by a user namespace.
///
/// Kernel: mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12.
func mapMountIDs(_ tree: CInt, by userNamespace: CInt, recursive: Bool) throws(SystemCallError) {
    var attributes = mount_attr(
        attr_set: UInt64(MountAttributes.mappedIDs.rawValue), attr_clr: 0, propagation: 0,
        userns_fd: UInt64(userNamespace))
    let flags = changeFlags(recursive: recursive)
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &attributes) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "mount_setattr", __NR_mount_setattr, Int(tree), empty, flags.rawValue, address,
                MemoryLayout<mount_attr>.size,
                describing: "\(MountAttributes.mappedIDs)\(recursive ? ", recursive" : "")")
        }
    }
}

private func changeFlags(recursive: Bool) -> PathFlags {
    recursive ? .emptyPath | .recursive : .emptyPath
}

extension MountChange {
    /// The change for an error message: `set MOUNT_ATTR_RDONLY, clear MOUNT_ATTR__ATIME,
    /// recursive`.
    fileprivate var words: String {
        var parts: [String] = []
        if !set.isEmpty { parts.append("set \(set)") }
        if !clear.isEmpty { parts.append("clear \(clear)") }
        if !propagation.isEmpty { parts.append("propagation \(propagation)") }
        if recursive { parts.append("recursive") }
        return parts.joined(separator: ", ")
    }
}

/// An ID that identifies the mount of a descriptor.
///
/// Kernel: statx(2), STATX_MNT_ID_UNIQUE, which is never reused; before Linux 6.8 STATX_MNT_ID.
func mountIdentity(of descriptor: CInt) throws(SystemCallError) -> UInt64 {
    var status = clinux_statx()
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &status) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "statx", __NR_statx, Int(descriptor), empty, PathFlags.emptyPath.rawValue,
                (StatusMask.mountID | .uniqueMountID).rawValue, address,
                describing: "descriptor \(descriptor)")
        }
    }
    return status.stx_mnt_id
}

/// Unmounts the mount `identity` at `path` with all mounts below it; does nothing for another
/// mount.
///
/// Kernel: umount2(2) with MNT_DETACH.
func detachMount(_ identity: UInt64, at path: String) throws(SystemCallError) {
    let top = try openFile(path, .pathOnly | .directory)
    guard try mountIdentity(of: top.number) == identity else { return }
    // Unmounts by descriptor, since the path could lead elsewhere by now.
    _ = try withPath("/proc/self/fd/\(top.number)") { (address) throws(SystemCallError) in
        try systemCall(
            "umount2", __NR_umount2, address, UnmountFlags.detach.rawValue,
            describing: "\"\(path)\", \(UnmountFlags.detach)")
    }
}

/// Makes a new instance of a file system as a detached mount, with its attributes and changes.
///
/// `destination` is not used. If the file system itself explains a wrong option, that text is in
/// the error's arguments.
///
/// Kernel: fsopen(2), fsconfig(2), fsmount(2).
func newFilesystem(_ mount: FilesystemMount) throws(SystemCallError) -> OwnedDescriptor {
    let context = try FilesystemContext(type: mount.type)
    if !mount.source.isEmpty { try context.set("source=\(mount.source)") }
    for option in mount.options { try context.set(option) }
    try context.create()
    let tree = try context.attach(attributes: mount.attributes)
    for change in mount.changes { try changeMount(tree.number, change) }
    return tree
}

/// Makes a device node in a private directory; the mode does not depend on the umask.
///
/// Kernel: mknodat(2).
func makeNode(_ device: Device, at directory: CInt) throws(SystemCallError) {
    try withPath(device.name) { (name) throws(SystemCallError) in
        try systemCall(
            "mknodat", __NR_mknodat, Int(directory), name, device.mode.number, device.number.number,
            describing: "\"\(device.name)\", \(device.major):\(device.minor)")
        try systemCall(
            "fchownat", __NR_fchownat, Int(directory), name, Int(device.userID),
            Int(device.groupID), PathFlags.noFollow.rawValue,
            describing: "\"\(device.name)\"")
        try systemCall(
            "fchmodat", __NR_fchmodat, Int(directory), name, device.permissions,
            describing: "\"\(device.name)\"")
    }
}

/// A file system under configuration.
///
/// Kernel: fsopen(2), Linux 5.2.
struct FilesystemContext: ~Copyable {
    private let type: String
    private let descriptor: OwnedDescriptor

    /// Opens a context for a type from /proc/filesystems.
    init(type: String) throws(SystemCallError) {
        let number = try withPath(type) { (address) throws(SystemCallError) in
            try systemCall(
                "fsopen", __NR_fsopen, address, FilesystemOpenFlags.closeOnExec.rawValue,
                describing: "\"\(type)\"")
        }
        self.type = type
        descriptor = OwnedDescriptor(taking: CInt(number))
    }

    /// Sets an option in the user's notation: `key=value`, or a flag.
    borrowing func set(_ option: String) throws(SystemCallError) {
        guard let equals = option.firstIndex(of: "=") else {
            return try withPath(option) { (key) throws(SystemCallError) in
                try configure(.setFlag, key, 0, "\"\(option)\"")
            }
        }
        let key = String(option[..<equals])
        let value = String(option[option.index(after: equals)...])
        try withPath(key) { (key) throws(SystemCallError) in
            try withPath(value) { (value) throws(SystemCallError) in
                try configure(.setString, key, value, "\"\(option)\"")
            }
        }
    }

    /// Creates the file system.
    ///
    /// Kernel: FSCONFIG_CMD_CREATE.
    borrowing func create() throws(SystemCallError) {
        try configure(.create, 0, 0, "create")
    }

    /// Applies options that were set after the file system was created.
    ///
    /// Kernel: FSCONFIG_CMD_RECONFIGURE.
    borrowing func reconfigure() throws(SystemCallError) {
        try configure(.reconfigure, 0, 0, "reconfigure")
    }

    /// The created file system as a detached mount.
    ///
    /// Kernel: fsmount(2).
    borrowing func attach(attributes: MountAttributes) throws(SystemCallError)
        -> OwnedDescriptor
    {
        let number = try systemCall(
            "fsmount", __NR_fsmount, Int(descriptor.number),
            FilesystemMountFlags.closeOnExec.rawValue, attributes.rawValue,
            describing: "\(type), \(attributes)")
        return OwnedDescriptor(taking: CInt(number))
    }

    private borrowing func configure(
        _ command: FilesystemCommand, _ key: Int, _ value: Int, _ words: String
    ) throws(SystemCallError) {
        do {
            try systemCall(
                "fsconfig", __NR_fsconfig, Int(descriptor.number), command.rawValue, key, value, 0,
                describing: "\(type), \(words)")
        } catch {
            let explanation = messages()
            if explanation.isEmpty { throw error }
            throw SystemCallError(
                error.call, "\(error.arguments), \"\(explanation)\"", errno: error.errno)
        }
    }

    /// The file system's messages: one per read, each after a letter for its kind and a space.
    private borrowing func messages() -> String {
        var texts: [String] = []
        var buffer = [UInt8](repeating: 0, count: 512)
        // The kernel keeps at most 8 messages.
        for _ in 0..<8 {
            let count = buffer.withUnsafeMutableBytes { bytes in
                raw_system_call(
                    Int(__NR_read), Int(descriptor.number), Int(bitPattern: bytes.baseAddress),
                    bytes.count, 0, 0, 0)
            }
            guard count > 2 else { break }
            let text = buffer[2..<count].prefix { $0 != UInt8(ascii: "\n") }
            texts.append(String(decoding: text, as: UTF8.self))
        }
        return texts.joined(separator: "; ")
    }
}
#endif
