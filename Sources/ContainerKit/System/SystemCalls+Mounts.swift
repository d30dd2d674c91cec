// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import SystemPackage

/// Clones the mount at `path` as a detached tree; a link at the end of the path is followed, or is
/// itself the root of the tree.
///
/// Kernel: open_tree(2) with OPEN_TREE_CLONE.
func cloneMountTree(
    at path: String, in directory: CInt = currentDirectory, recursive: Bool,
    followsLink: Bool = true
) throws(SystemCallError) -> OwnedDescriptor {
    let flags =
        cloneFlags(recursive: recursive) | (followsLink ? 0 : Int(CLINUX_AT_SYMLINK_NOFOLLOW))
    let number = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "open_tree", __NR_open_tree, Int(directory), address, flags,
            describing: "\"\(path)\"\(recursive ? ", recursive" : "")")
    }
    return OwnedDescriptor(taking: CInt(number))
}

/// Clones the mount that an open descriptor is on, from that file or directory down.
///
/// Kernel: open_tree(2) with OPEN_TREE_CLONE and AT_EMPTY_PATH.
func cloneMountTree(of descriptor: CInt, recursive: Bool) throws(SystemCallError)
    -> OwnedDescriptor
{
    let flags = cloneFlags(recursive: recursive) | Int(CLINUX_AT_EMPTY_PATH)
    let number = try withPath("") { (empty) throws(SystemCallError) in
        try systemCall(
            "open_tree", __NR_open_tree, Int(descriptor), empty, flags,
            describing: "descriptor \(descriptor)\(recursive ? ", recursive" : "")")
    }
    return OwnedDescriptor(taking: CInt(number))
}

/// OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC and perhaps AT_RECURSIVE.
private func cloneFlags(recursive: Bool) -> Int {
    1 | OpenFlags.closeOnExec.rawValue | (recursive ? Int(CLINUX_AT_RECURSIVE) : 0)
}

/// The file system that an open file is on, and its mount.
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

/// The attributes of the mount that a path of the host is on.
///
/// Kernel: statfs(2), f_flags.
func mountAttributes(at path: String) throws(SystemCallError) -> MountAttributes {
    let file = try openFile(path, .pathOnly)
    let status = try filesystemStatus(of: file.number)
    let flags: [(bit: Int, MountAttributes)] = [
        (0x1, .readOnly), (0x2, .noSetUserID), (0x4, .noDevices), (0x8, .noExecution),
        (0x400, .noAccessTime), (0x800, .noDirectoryAccessTime), (0x2000, .noSymlinkFollowing),
    ]
    var attributes: MountAttributes = []
    for (bit, attribute) in flags where status.f_flags & bit != 0 { attributes.insert(attribute) }
    // Neither noatime nor relatime (ST_RELATIME).
    if status.f_flags & 0x1400 == 0 { attributes.insert(.strictAccessTime) }
    return attributes
}

/// Changes attributes or propagation of the mount whose root `tree` is; an empty change is no call.
///
/// Kernel: mount_setattr(2), Linux 5.12.
func changeMount(_ tree: CInt, _ change: MountChange) throws(SystemCallError) {
    if change.set == 0, change.clear == 0, change.propagation == 0 { return }
    var attributes = mount_attr(
        attr_set: change.set, attr_clr: change.clear, propagation: change.propagation,
        userns_fd: 0)
    let flags =
        Int(CLINUX_AT_EMPTY_PATH)
        | (change.recursive ? Int(CLINUX_AT_RECURSIVE) : 0)
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &attributes) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "mount_setattr", __NR_mount_setattr, Int(tree), empty, flags, address,
                MemoryLayout<mount_attr>.size, describing: change.words)
        }
    }
}

/// Maps the ids of a detached mount's files by a user namespace.
///
/// Kernel: mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12.
func mapMountIDs(_ tree: CInt, by userNamespace: CInt, recursive: Bool) throws(SystemCallError) {
    var attributes = mount_attr(
        attr_set: UInt64(MOUNT_ATTR_IDMAP), attr_clr: 0, propagation: 0,
        userns_fd: UInt64(userNamespace))
    let flags = Int(CLINUX_AT_EMPTY_PATH) | (recursive ? Int(CLINUX_AT_RECURSIVE) : 0)
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &attributes) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "mount_setattr", __NR_mount_setattr, Int(tree), empty, flags, address,
                MemoryLayout<mount_attr>.size,
                describing: "MOUNT_ATTR_IDMAP\(recursive ? ", recursive" : "")")
        }
    }
}

extension MountChange {
    /// The change in numbers, for an error's text: `set 0x1, clear 0x70, recursive`.
    fileprivate var words: String {
        var parts: [String] = []
        if set != 0 { parts.append("set 0x\(String(set, radix: 16))") }
        if clear != 0 { parts.append("clear 0x\(String(clear, radix: 16))") }
        if propagation != 0 { parts.append("propagation 0x\(String(propagation, radix: 16))") }
        if recursive { parts.append("recursive") }
        return parts.joined(separator: ", ")
    }
}

/// What tells the mount that a descriptor is on from all others.
///
/// Kernel: statx(2), STATX_MNT_ID_UNIQUE, which never comes again; before Linux 6.8 STATX_MNT_ID.
func mountIdentity(of descriptor: CInt) throws(SystemCallError) -> UInt64 {
    var status = clinux_statx()
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &status) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "statx", __NR_statx, Int(descriptor), empty, Int(CLINUX_AT_EMPTY_PATH), 0x5000,
                address, describing: "descriptor \(descriptor)")
        }
    }
    return status.stx_mnt_id
}

/// Takes the mount `identity` off `path`, with all that is mounted below it; another mount stays.
///
/// Kernel: umount2(2) with MNT_DETACH.
func detachMount(_ identity: UInt64, at path: String) throws(SystemCallError) {
    let top = try openFile(path, [.pathOnly, .directory])
    guard try mountIdentity(of: top.number) == identity else { return }
    // By the descriptor: the path could lead elsewhere by now.
    _ = try withPath("/proc/self/fd/\(top.number)") { (address) throws(SystemCallError) in
        try systemCall("umount2", __NR_umount2, address, 2, describing: "\"\(path)\", MNT_DETACH")
    }
}

/// Makes a new instance of a file system as a detached mount, with its attributes and changes.
///
/// `destination` plays no part. What the file system itself says of a wrong option is in the error's
/// arguments.
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

/// Makes a device node in a directory that nobody else has; the mode does not depend on the umask.
///
/// Kernel: mknodat(2).
func makeNode(_ device: Device, at directory: CInt) throws(SystemCallError) {
    try withPath(device.name) { (name) throws(SystemCallError) in
        try systemCall(
            "mknodat", __NR_mknodat, Int(directory), name, Int(device.mode), device.number,
            describing: "\"\(device.name)\", \(device.major):\(device.minor)")
        try systemCall(
            "fchownat", __NR_fchownat, Int(directory), name, Int(device.userID),
            Int(device.groupID), Int(CLINUX_AT_SYMLINK_NOFOLLOW),
            describing: "\"\(device.name)\"")
        try systemCall(
            "fchmodat", __NR_fchmodat, Int(directory), name, Int(device.mode & 0o7777),
            describing: "\"\(device.name)\"")
    }
}

/// A file system that is being configured.
///
/// Kernel: fsopen(2), Linux 5.2.
struct FilesystemContext: ~Copyable {
    private static let commandSetFlag = 0
    private static let commandSetString = 1
    private static let commandCreate = 6
    private static let commandReconfigure = 7

    private let type: String
    private let descriptor: OwnedDescriptor

    /// Opens a context for a type of /proc/filesystems.
    init(type: String) throws(SystemCallError) {
        let number = try withPath(type) { (address) throws(SystemCallError) in
            // FSOPEN_CLOEXEC is 1.
            try systemCall("fsopen", __NR_fsopen, address, 1, describing: "\"\(type)\"")
        }
        self.type = type
        descriptor = OwnedDescriptor(taking: CInt(number))
    }

    /// Sets an option as a user writes it: `key=value`, or a flag.
    borrowing func set(_ option: String) throws(SystemCallError) {
        guard let equals = option.firstIndex(of: "=") else {
            return try withPath(option) { (key) throws(SystemCallError) in
                try configure(Self.commandSetFlag, key, 0, "\"\(option)\"")
            }
        }
        let key = String(option[..<equals])
        let value = String(option[option.index(after: equals)...])
        try withPath(key) { (key) throws(SystemCallError) in
            try withPath(value) { (value) throws(SystemCallError) in
                try configure(Self.commandSetString, key, value, "\"\(option)\"")
            }
        }
    }

    /// Makes the file system.
    ///
    /// Kernel: FSCONFIG_CMD_CREATE.
    borrowing func create() throws(SystemCallError) {
        try configure(Self.commandCreate, 0, 0, "create")
    }

    /// Applies what was set after the file system was made.
    ///
    /// Kernel: FSCONFIG_CMD_RECONFIGURE.
    borrowing func reconfigure() throws(SystemCallError) {
        try configure(Self.commandReconfigure, 0, 0, "reconfigure")
    }

    /// The made file system as a detached mount with MOUNT_ATTR_* attributes.
    ///
    /// Kernel: fsmount(2).
    borrowing func attach(attributes: UInt64) throws(SystemCallError) -> OwnedDescriptor {
        // FSMOUNT_CLOEXEC is 1.
        let number = try systemCall(
            "fsmount", __NR_fsmount, Int(descriptor.number), 1, Int(attributes),
            describing: "\(type), attributes 0x\(String(attributes, radix: 16))")
        return OwnedDescriptor(taking: CInt(number))
    }

    private borrowing func configure(
        _ command: Int, _ key: Int, _ value: Int, _ words: String
    ) throws(SystemCallError) {
        do {
            try systemCall(
                "fsconfig", __NR_fsconfig, Int(descriptor.number), command, key, value, 0,
                describing: "\(type), \(words)")
        } catch {
            let explanation = messages()
            if explanation.isEmpty { throw error }
            throw SystemCallError(
                error.call, "\(error.arguments), \"\(explanation)\"", errno: error.errno)
        }
    }

    /// What the file system said: a message a read, each after a letter for its kind and a blank.
    private borrowing func messages() -> String {
        var texts: [String] = []
        var buffer = [UInt8](repeating: 0, count: 512)
        // The kernel keeps 8 messages at most.
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
