// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import SystemPackage

/// A new tmpfs with a copy of what the image has at `mount.destination`: the option `tmpcopyup`.
///
/// The directory is resolved below `root`; one that is missing leaves the tmpfs empty. The tmpfs
/// takes the directory's owner and mode, except where an option names them. What makes it
/// read-only comes after the copy. Hard links become files of their own; holes stay holes.
///
/// Kernel: tmpfs(5), fsmount(2).
func tmpfsCopy(of mount: FilesystemMount, from root: CInt, owner: IDMaps? = nil)
    throws(SystemCallError) -> OwnedDescriptor
{
    let readOnly = MountAttributes.readOnly.rawValue
    let context = try FilesystemContext(type: mount.type)
    if !mount.source.isEmpty { try context.set("source=\(mount.source)") }
    for option in mount.options where option != "ro" { try context.set(option) }
    try context.create()
    let tree = try context.attach(attributes: mount.attributes & ~readOnly)

    if let source = try existingDirectory(mount.destination, below: root) {
        let target = try openFile(".", [.readOnly, .directory], at: tree.number)
        let copy = TreeCopy(destination: mount.destination)
        try copy.copyContents(of: source.number, to: target.number, path: "", depth: 0)
        let keys = Set(mount.options.map { $0.prefix { $0 != "=" } })
        let status = try status(of: source.number)
        try copy.copyAttributes(
            of: source.number, status, to: target.number,
            owner: keys.contains("uid") ? nil : status.stx_uid,
            group: keys.contains("gid") ? nil : status.stx_gid,
            mode: keys.contains("mode") ? nil : status.stx_mode & 0o7777, path: "")
    } else if let owner {
        try giveToRoot(of: owner, tree.number, mount.options)
    }

    if mount.options.contains("ro") {
        try context.set("ro")
        try context.reconfigure()
    }
    try changeMount(tree.number, MountChange(set: mount.attributes & readOnly))
    for change in mount.changes { try changeMount(tree.number, change) }
    return tree
}

/// What the rootfs lacks belongs to the container's root, unless options say whose it is.
private func giveToRoot(of maps: IDMaps, _ tree: CInt, _ options: [String]) throws(SystemCallError)
{
    func id(_ ranges: [IDRange], _ option: String) -> Int {
        let isNamed = options.contains { $0.begins(with: option) }
        return isNamed ? -1 : ranges.outside(0).map(Int.init) ?? -1
    }
    try withPath("") { (empty) throws(SystemCallError) in
        _ = try systemCall(
            "fchownat", __NR_fchownat, Int(tree), empty, id(maps.users, "uid="),
            id(maps.groups, "gid="), 0x1000, describing: "tmpfs")
    }
}

/// The directory at `path`, or nil when nothing is there.
private func existingDirectory(_ path: String, below root: CInt) throws(SystemCallError)
    -> OwnedDescriptor?
{
    do {
        return try openInRoot(root, path, [.readOnly, .directory])
    } catch  where error.errno == .noSuchFileOrDirectory {
        return nil
    }
}

/// A copy of a directory of an image into a file system that nobody else can see yet.
///
/// Each name is opened once, without following a link, and what it is comes from that descriptor:
/// a name that changes meanwhile cannot lead anywhere else.
private struct TreeCopy {
    private static let deepest = 128

    /// The directory inside the rootfs, for the errors' texts.
    let destination: String

    /// The type bits of a mode.
    private enum FileType {
        static let mask: UInt16 = 0o170000
        static let directory: UInt16 = 0o040000
        static let regular: UInt16 = 0o100000
        static let link: UInt16 = 0o120000
    }

    func copyContents(of source: CInt, to target: CInt, path: String, depth: Int)
        throws(SystemCallError)
    {
        guard depth < Self.deepest else {
            throw SystemCallError(
                "copy", "\"\(destination)\(path)\", deeper than \(Self.deepest) directories",
                errno: .fileNameTooLong)
        }
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = try call("getdents64", path) {
                buffer.withUnsafeMutableBytes {
                    raw_system_call(
                        Int(__NR_getdents64), Int(source), Int(bitPattern: $0.baseAddress),
                        $0.count, 0, 0, 0)
                }
            }
            if count == 0 { return }
            var start = 0
            while start < count {
                // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, then the name.
                let length = Int(buffer[start + 16]) | Int(buffer[start + 17]) << 8
                let name = Array(buffer[(start + 19)..<(start + length)].prefix { $0 != 0 })
                start += length
                if name == [46] || name == [46, 46] { continue }
                let entry = Entry(name, in: path)
                try copyEntry(entry, from: source, to: target, depth: depth)
            }
        }
    }

    /// A name in the directory that is copied.
    private struct Entry {
        /// The name's bytes and the NUL behind them.
        let name: [UInt8]
        /// The path below the destination, with a slash before it.
        let path: String

        init(_ bytes: [UInt8], in parent: String) {
            name = bytes + [0]
            path = "\(parent)/\(String(decoding: bytes, as: UTF8.self))"
        }
    }

    private func copyEntry(_ entry: Entry, from source: CInt, to target: CInt, depth: Int)
        throws(SystemCallError)
    {
        let flags: OpenFlags = [.pathOnly, .noFollow]
        let found = try open(entry, flags, at: source)
        let status = try status(of: found.number)
        switch status.stx_mode & FileType.mask {
        case FileType.directory:
            try make(entry) { raw_system_call(Int(__NR_mkdirat), Int(target), $0, 0o700, 0, 0, 0) }
            let inner = try openFile(".", [.readOnly, .directory], at: found.number)
            let made = try open(entry, [.readOnly, .directory, .noFollow], at: target)
            try copyContents(
                of: inner.number, to: made.number, path: entry.path, depth: depth + 1)
            try copyAttributes(of: inner.number, status, to: made.number, path: entry.path)
        case FileType.regular:
            let file = try openFile("/proc/self/fd/\(found.number)", .readOnly)
            let made = try open(
                entry, [.writeOnly, .create, .exclusive, .noFollow], at: target, mode: 0o600)
            try copyData(
                of: file.number, to: made.number, bytes: Int(status.stx_size), path: entry.path)
            try copyAttributes(of: file.number, status, to: made.number, path: entry.path)
        case FileType.link:
            try copyLink(entry, found.number, status, to: target)
        default:
            try copyNode(entry, status, to: target)
        }
    }

    // MARK: Kinds

    private func copyLink(_ entry: Entry, _ link: CInt, _ status: clinux_statx, to target: CInt)
        throws(SystemCallError)
    {
        // The kernel's PATH_MAX, with a NUL that stays behind every text.
        var text = [UInt8](repeating: 0, count: 4097)
        let empty: [UInt8] = [0]
        try call("readlinkat", entry.path) {
            text.withUnsafeMutableBytes { text in
                empty.withUnsafeBytes { empty in
                    raw_system_call(
                        Int(__NR_readlinkat), Int(link), Int(bitPattern: empty.baseAddress),
                        Int(bitPattern: text.baseAddress), 4096, 0, 0)
                }
            }
        }
        try make(entry) { name in
            text.withUnsafeBytes {
                raw_system_call(
                    Int(__NR_symlinkat), Int(bitPattern: $0.baseAddress), Int(target), name, 0, 0,
                    0)
            }
        }
        try own(entry, status, in: target)
    }

    /// Fifos, sockets and devices.
    private func copyNode(_ entry: Entry, _ status: clinux_statx, to target: CInt)
        throws(SystemCallError)
    {
        let major = Int(status.stx_rdev_major)
        let minor = Int(status.stx_rdev_minor)
        // Source: new_encode_dev of linux/kdev_t.h.
        let device = minor & 0xff | major << 8 | (minor & ~0xff) << 12
        try make(entry) {
            raw_system_call(
                Int(__NR_mknodat), Int(target), $0, Int(status.stx_mode), device, 0, 0)
        }
        try own(entry, status, in: target)
        try make(entry) {
            raw_system_call(
                Int(__NR_fchmodat), Int(target), $0, Int(status.stx_mode & 0o7777), 0, 0, 0)
        }
    }

    /// Owner and times of what cannot be opened.
    private func own(_ entry: Entry, _ status: clinux_statx, in target: CInt)
        throws(SystemCallError)
    {
        let noFollow = Int(CLINUX_AT_SYMLINK_NOFOLLOW)
        try make(entry) {
            raw_system_call(
                Int(__NR_fchownat), Int(target), $0, Int(status.stx_uid), Int(status.stx_gid),
                noFollow, 0)
        }
        var times = FileTimes(status)
        try make(entry) { name in
            withUnsafeMutablePointer(to: &times) {
                raw_system_call(
                    Int(__NR_utimensat), Int(target), name, Int(bitPattern: $0), noFollow, 0, 0)
            }
        }
    }

    /// Copies the data and leaves the holes, which could be larger than the memory.
    private func copyData(of source: CInt, to target: CInt, bytes: Int, path: String)
        throws(SystemCallError)
    {
        try call("ftruncate", path) {
            raw_system_call(Int(__NR_ftruncate), Int(target), bytes, 0, 0, 0, 0)
        }
        var position = 0
        while position < bytes {
            // SEEK_DATA is 3, SEEK_HOLE 4. A file system without them has data everywhere.
            let start = raw_system_call(Int(__NR_lseek), Int(source), position, 3, 0, 0, 0)
            if start == -6 { return }  // ENXIO: only a hole is left
            let end = raw_system_call(Int(__NR_lseek), Int(source), max(start, 0), 4, 0, 0, 0)
            position = start < 0 ? position : start
            let stop = end < 0 ? bytes : min(end, bytes)
            try call("lseek", path) {
                raw_system_call(Int(__NR_lseek), Int(target), position, 0, 0, 0, 0)
            }
            var offset = position
            while offset < stop {
                let count = try call("sendfile", path) {
                    withUnsafeMutablePointer(to: &offset) {
                        raw_system_call(
                            Int(__NR_sendfile), Int(target), Int(source), Int(bitPattern: $0),
                            min(stop - $0.pointee, 1 << 30), 0, 0)
                    }
                }
                if count == 0 { return }  // the file became shorter
            }
            position = offset
        }
    }

    // MARK: Attributes

    func copyAttributes(
        of source: CInt, _ status: clinux_statx, to target: CInt, path: String
    ) throws(SystemCallError) {
        try copyAttributes(
            of: source, status, to: target, owner: status.stx_uid, group: status.stx_gid,
            mode: status.stx_mode & 0o7777, path: path)
    }

    /// Owner first: a change of owner takes set-user-ID bits and file capabilities away.
    func copyAttributes(
        of source: CInt, _ status: clinux_statx, to target: CInt, owner: UInt32?, group: UInt32?,
        mode: UInt16?, path: String
    ) throws(SystemCallError) {
        try call("fchown", path) {
            // -1 leaves one as it is.
            raw_system_call(
                Int(__NR_fchown), Int(target), owner.map(Int.init) ?? -1,
                group.map(Int.init) ?? -1, 0, 0, 0)
        }
        if let mode {
            try call("fchmod", path) {
                raw_system_call(Int(__NR_fchmod), Int(target), Int(mode), 0, 0, 0, 0)
            }
        }
        try copyExtendedAttributes(of: source, to: target, path: path)
        var times = FileTimes(status)
        try call("utimensat", path) {
            withUnsafeMutablePointer(to: &times) {
                raw_system_call(
                    Int(__NR_utimensat), Int(target), 0, Int(bitPattern: $0), 0, 0, 0)
            }
        }
    }

    /// File capabilities, access lists and the like; what tmpfs does not keep is left out.
    private func copyExtendedAttributes(of source: CInt, to target: CInt, path: String)
        throws(SystemCallError)
    {
        let notSupported = -95
        var names = [UInt8](repeating: 0, count: 0)
        let size = raw_system_call(Int(__NR_flistxattr), Int(source), 0, 0, 0, 0, 0)
        if size == 0 || size == notSupported { return }
        // The kernel allows 64 KiB of names and as much for a value.
        names = [UInt8](repeating: 0, count: 1 << 16)
        var value = names
        let length = try call("flistxattr", path) {
            names.withUnsafeMutableBytes {
                raw_system_call(
                    Int(__NR_flistxattr), Int(source), Int(bitPattern: $0.baseAddress), $0.count,
                    0, 0, 0)
            }
        }
        for name in names.prefix(length).split(separator: 0) {
            // The security module labels the tmpfs itself.
            if name.elementsEqual("security.selinux".utf8) { continue }
            let name = Array(name) + [0]
            try call("fsetxattr", path) {
                name.withUnsafeBytes { name in
                    value.withUnsafeMutableBytes { value in
                        let address = Int(bitPattern: name.baseAddress)
                        let bytes = Int(bitPattern: value.baseAddress)
                        let count = raw_system_call(
                            Int(__NR_fgetxattr), Int(source), address, bytes, value.count, 0, 0)
                        guard count >= 0 else { return count }
                        let result = raw_system_call(
                            Int(__NR_fsetxattr), Int(target), address, bytes, count, 0, 0)
                        return result == notSupported ? 0 : result
                    }
                }
            }
        }
    }

    /// Two `struct timespec`: last access, last change.
    private struct FileTimes {
        var accessSeconds: Int64
        var accessNanoseconds: Int64
        var changeSeconds: Int64
        var changeNanoseconds: Int64

        init(_ status: clinux_statx) {
            accessSeconds = status.stx_atime.tv_sec
            accessNanoseconds = Int64(status.stx_atime.tv_nsec)
            changeSeconds = status.stx_mtime.tv_sec
            changeNanoseconds = Int64(status.stx_mtime.tv_nsec)
        }
    }

    // MARK: Calls

    private func open(_ entry: Entry, _ flags: OpenFlags, at directory: CInt, mode: Int = 0)
        throws(SystemCallError) -> OwnedDescriptor
    {
        let number = try call("openat", entry.path) {
            entry.name.withUnsafeBytes {
                raw_system_call(
                    Int(__NR_openat), Int(directory), Int(bitPattern: $0.baseAddress),
                    flags.union(.closeOnExec).rawValue, mode, 0, 0)
            }
        }
        return OwnedDescriptor(taking: CInt(number))
    }

    /// Makes something of the entry's name in the target.
    private func make(_ entry: Entry, _ body: (_ name: Int) -> Int) throws(SystemCallError) {
        try call("copy", entry.path) {
            entry.name.withUnsafeBytes { body(Int(bitPattern: $0.baseAddress)) }
        }
    }

    /// A call whose error tells the path inside the rootfs.
    @discardableResult
    private func call(_ name: String, _ path: String, _ body: () -> Int) throws(SystemCallError)
        -> Int
    {
        while true {
            let result = body()
            if result == -4 { continue }
            guard result < 0 else { return result }
            throw SystemCallError(
                name, "\"\(destination)\(path)\"", errno: Errno(rawValue: CInt(-result)))
        }
    }
}
