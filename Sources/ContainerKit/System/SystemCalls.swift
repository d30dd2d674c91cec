// SPDX-License-Identifier: Apache-2.0

// System: typed system calls of the parent. The child's are instructions (InitProgram/SystemCall).
//
//   SystemCalls            the call itself, files, directories, status
//   SystemCalls+Cgroups    device programs of v2
//   DeviceInstruction      one instruction of such a program
//   KernelCall             what the kernel answers to a call with impossible operands
//   SystemCalls+Copies     from one descriptor to another
//   SystemCalls+Datagrams, SystemCalls+Pipes  datagram sockets; pipes
//   SystemCalls+Sockets    pairs of sockets, and descriptors sent over them
//   SystemCalls+Directories, SystemCalls+Owners  names in a directory; owners of files
//   SystemCalls+Terminals  modes of terminals
//   SystemCalls+Descriptors  queries and duplicates descriptors
//   SystemCalls+Events     counters, and notifications of changed files
//   SystemCalls+FileSizes  writing under RLIMIT_FSIZE without SIGXFSZ
//   SystemCalls+Memory     addresses of memory for calls
//   SystemCalls+Links      the text of a link
//   SystemCalls+MemoryFiles  memory files and their seals
//   SystemCalls+Mounts     mount trees
//   SystemCalls+Processes  pidfds, signals, wait, poll, limits, the start time of a process
//   SystemCalls+Streams    stream sockets with a deadline
//   TimeLimit              a caller's limit for the time of a whole call
//   GuardedValue           a value behind a mutex
//   ReadinessQueue         epoll, for many descriptors at once
//   ExitStatus             how a process ended
//   ProcessEnd             the end of a child or of another process, and its resource usage
//   SystemCallError        a refused call: its name, arguments and errno
//   ErrnoWords             the texts of errnos that engines match
//   OwnedDescriptor        a descriptor that is closed with its owner
//   HeldDescriptor         a descriptor that is closed with the last of its owners
//   FilePathText           paths as text
//   MountTable             the kernel's table of mounts
//   Netlink                messages of rtnetlink and their socket
//   LandlockVersion        what the kernel knows of Landlock
//   OuterFilter            the seccomp filter that the runtime itself runs under
//   CallerRights, HeldCapabilities, StartingUser, FilesystemUser  users and rights of this process

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Makes a system call, retrying after EINTR; throws an error that describes a refused call.
///
/// The text of the arguments is made only if the call fails.
@discardableResult
func systemCall(
    _ name: StaticString, _ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0,
    _ e: Int = 0, _ f: Int = 0, describing arguments: @autoclosure () -> String
) throws(SystemCallError) -> Int {
    while true {
        let result = raw_system_call(Int(number), a, b, c, d, e, f)
        // Errnos are below 4096.
        guard result < 0, result > -4096 else { return result }
        let errno = Errno(rawValue: CInt(-result))
        if errno == .interrupted { continue }
        throw SystemCallError("\(name)", arguments(), errno: errno)
    }
}

/// The current directory, in place of a directory's descriptor.
///
/// Kernel: AT_FDCWD.
package let currentDirectory = CInt(DirectoryDescriptor.current.rawValue)

/// Opens `path` relative to `directory`, always close-on-exec.
///
/// Kernel: openat(2).
func openFile(
    _ path: String, _ flags: OpenFlags, at directory: CInt = currentDirectory, mode: Int = 0
) throws(SystemCallError) -> OwnedDescriptor {
    let number = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "openat", __NR_openat, Int(directory), address,
            flags.union(.closeOnExec).rawValue, mode, describing: "\"\(path)\"")
    }
    return OwnedDescriptor(taking: CInt(number))
}

/// Opens `path` inside `root` as if root were "/": no symlink, "..", or magic link leads out.
///
/// A resolution that raced with a rename is repeated up to 128 times. With `followsLinks` false,
/// any link in the path is refused (ELOOP).
///
/// Kernel: openat2(2), Linux 5.6.
func openInRoot(
    _ root: CInt, _ path: String, _ flags: OpenFlags, mode: Int = 0, followsLinks: Bool = true
) throws(SystemCallError) -> OwnedDescriptor {
    var how = open_how(
        flags: UInt64(flags.union(.closeOnExec).rawValue), mode: UInt64(mode),
        resolve: UInt64(
            Resolution.inRoot.union(followsLinks ? .empty : .noSymbolicLinks).rawValue))
    var attempts = 128
    while true {
        do {
            let number = try withPath(path) { (address) throws(SystemCallError) in
                try withAddress(of: &how) { (how) throws(SystemCallError) in
                    try systemCall(
                        "openat2", __NR_openat2, Int(root), address, how,
                        MemoryLayout<open_how>.size, describing: "\"\(path)\", in the rootfs")
                }
            }
            return OwnedDescriptor(taking: CInt(number))
        } catch  where error.errno == .resourceTemporarilyUnavailable && attempts > 0 {
            attempts -= 1
        }
    }
}

/// The limit for files that are read whole; engines' files are far shorter.
package let longestFileBytes = 16 << 20

/// Reads a whole file of at most `limitBytes`.
///
/// Kernel: read(2).
/// - Throws: EFBIG for a longer file, of which nothing is returned.
func readFile(_ descriptor: CInt, limitBytes: Int = longestFileBytes, named name: String)
    throws(SystemCallError) -> [UInt8]
{
    var contents: [UInt8] = []
    var room = 8192
    while true {
        // One byte more than allowed shows that the file is too long.
        room = min(room, limitBytes + 1 - contents.count)
        let more = try bytes(atMost: room) { (address, room) throws(SystemCallError) in
            var count = 0
            // A read from procfs may be short; only an empty one is the end.
            while count < room {
                let read = try readWaiting(descriptor, address + count, room - count, name)
                guard read > 0 else { break }
                count += read
            }
            return count
        }
        if contents.isEmpty { contents = more } else { contents.append(contentsOf: more) }
        guard contents.count <= limitBytes else {
            throw SystemCallError(
                "read", "\"\(name)\", more than \(limitBytes) bytes", errno: .fileTooLarge)
        }
        guard more.count == room else { return contents }
        room = min(room * 4, 1 << 20)
    }
}

/// Reads once; for a non-blocking pipe or terminal, waits until there is something to read.
///
/// - Throws: EAGAIN for a file without an end, such as /proc/kmsg or /dev/kmsg: nobody is waited
///   for.
private func readWaiting(_ descriptor: CInt, _ address: Int, _ count: Int, _ name: String)
    throws(SystemCallError) -> Int
{
    while true {
        do throws(SystemCallError) {
            return try systemCall(
                "read", __NR_read, Int(descriptor), address, count, describing: "\"\(name)\"")
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            switch try status(of: descriptor).kind {
            case .characterDevice where isTerminal(descriptor): break
            case .regular, .characterDevice: throw error
            default: break
            }
            var entries = [PollEntry(descriptor, .readable)]
            try poll(&entries)
        }
    }
}

/// Opens and reads a whole file.
///
/// Does not wait for the writer of a FIFO: without a writer it is empty.
///
/// Kernel: openat(2), read(2).
package func readFile(
    _ path: String, at directory: CInt = currentDirectory, limitBytes: Int = longestFileBytes
) throws(SystemCallError) -> [UInt8] {
    let file = try openFile(path, .readOnly | .nonBlocking | .noTerminal, at: directory)
    return try readFile(file.number, limitBytes: limitBytes, named: path)
}

/// The contents of a file of procfs or cgroupfs that shows a single value or line, which one read
/// returns: no further one looks for its end.
///
/// Kernel: openat(2), read(2).
func readLine(_ path: String) throws(SystemCallError) -> [UInt8] {
    let file = try openFile(path, .readOnly | .nonBlocking | .noTerminal)
    return try readStart(of: file.number, atMost: 4096, named: path)
}

/// The first bytes of a file, by a single read.
///
/// Kernel: read(2).
func readStart(of descriptor: CInt, atMost count: Int, named name: String)
    throws(SystemCallError) -> [UInt8]
{
    try bytes(atMost: count) { (address, room) throws(SystemCallError) in
        try readWaiting(descriptor, address, room, name)
    }
}

/// Writes all of `bytes` to a descriptor.
///
/// Kernel: write(2).
/// - Throws: EFBIG without a signal, if the file would exceed RLIMIT_FSIZE.
func writeAll(_ bytes: [UInt8], to descriptor: CInt, named name: @autoclosure () -> String)
    throws(SystemCallError)
{
    try withAddress(ofElements: bytes) { (address, count) throws(SystemCallError) in
        try writeAll(address, count, to: descriptor, named: name())
    }
}

/// Writes all bytes of any memory to a descriptor.
func writeAll(
    _ address: Int, _ count: Int, to descriptor: CInt, named name: @autoclosure () -> String
) throws(SystemCallError) {
    try withoutFileSizeSignal { () throws(SystemCallError) in
        var written = 0
        while written < count {
            written += try systemCall(
                "write", __NR_write, Int(descriptor), address + written, count - written,
                describing: name())
        }
    }
}

/// Writes `text` to an existing file of procfs, sysfs or cgroupfs by a single write, since each
/// write is a command.
func writeControlFile(_ path: String, at directory: CInt = currentDirectory, _ text: String)
    throws(SystemCallError)
{
    let file = try openFile(path, .writeOnly, at: directory)
    try writeOrder(text, to: file.number, named: path)
}

/// Makes a directory.
///
/// Kernel: mkdirat(2).
func makeDirectory(_ path: String, at directory: CInt = currentDirectory, mode: Int)
    throws(SystemCallError)
{
    _ = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "mkdirat", __NR_mkdirat, Int(directory), address, mode, describing: "\"\(path)\"")
    }
}

/// Makes a symbolic link.
///
/// Kernel: symlinkat(2).
func makeLink(_ path: String, to target: String, at directory: CInt) throws(SystemCallError) {
    try withPath(target) { (words) throws(SystemCallError) in
        try withPath(path) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "symlinkat", __NR_symlinkat, words, Int(directory), address,
                describing: "\"\(target)\", \"\(path)\"")
        }
    }
}

/// Sets the mode of an open file, regardless of the umask.
///
/// Kernel: fchmod(2).
func setMode(_ mode: Int, of file: CInt, named name: String) throws(SystemCallError) {
    try systemCall("fchmod", __NR_fchmod, Int(file), mode, describing: "\"\(name)\"")
}

/// Removes a file.
///
/// Kernel: unlinkat(2).
func removeFile(_ path: String, at directory: CInt = currentDirectory) throws(SystemCallError) {
    _ = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "unlinkat", __NR_unlinkat, Int(directory), address, 0, describing: "\"\(path)\"")
    }
}

/// Removes an empty directory.
///
/// Kernel: unlinkat(2) with AT_REMOVEDIR.
func removeDirectory(_ path: String, at directory: CInt = currentDirectory)
    throws(SystemCallError)
{
    _ = try withPath(path) { (address) throws(SystemCallError) in
        try systemCall(
            "rmdir", __NR_unlinkat, Int(directory), address, RemovalFlag.directory.rawValue,
            describing: "\"\(path)\"")
    }
}

/// Renames within or between directories.
///
/// Kernel: renameat2(2).
func renameFile(_ from: String, to: String, at directory: CInt) throws(SystemCallError) {
    try rename(from, to, at: directory, .empty)
}

/// Fills a new file, and then gives it its name; on an error nothing is left of it.
///
/// - Parameters:
///   - temporary: the name of the new file, which `fill` may also make.
///   - name: the name that it gets; a file of that name is replaced.
///   - directory: where both names count from.
///   - fill: writes the contents.
/// - Returns: the result of `fill`.
/// - Throws: what `fill` throws, or the refusal of the rename.
package func completing<Result>(
    _ temporary: String, as name: String, at directory: CInt,
    _ fill: () throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    do throws(SystemCallError) {
        let result = try fill()
        try renameFile(temporary, to: name, at: directory)
        return result
    } catch {
        try? removeFile(temporary, at: directory)
        throw error
    }
}

/// Exchanges two files of a directory.
///
/// Kernel: renameat2(2), RENAME_EXCHANGE. EINVAL if the file system does not support it.
func exchangeFiles(_ one: String, _ other: String, at directory: CInt) throws(SystemCallError) {
    try rename(one, other, at: directory, .exchange)
}

/// Replaces a file, or makes it: whoever opens it sees the old contents or all of the new ones.
///
/// - Throws: EINVAL if there is something else than a file, such as a link or a device.
package func replaceFile(_ path: String, with bytes: [UInt8]) throws(SystemCallError) {
    do throws(SystemCallError) {
        let present = try openFile(path, .pathOnly | .noFollow)
        guard try status(of: present.number).kind == .regular else {
            throw SystemCallError(
                "rename", "\"\(path)\", not a regular file", errno: .invalidArgument)
        }
    } catch  where error.errno == .noSuchFileOrDirectory {}
    var components = path.split(separator: "/", omittingEmptySubsequences: false)
    // Of another name, since collectors read all files of a suffix.
    let last = components.popLast() ?? ""
    let temporary = (components + [".\(last).\(ownProcessID)"]).joined(separator: "/")
    try completing(temporary, as: path, at: currentDirectory) { () throws(SystemCallError) in
        // From a process of the same number that was killed.
        try? removeFile(temporary)
        let file = try openFile(temporary, .writeOnly | .create | .exclusive, mode: 0o644)
        try writeAll(bytes, to: file.number, named: "\"\(temporary)\"")
    }
}

private func rename(
    _ from: String, _ to: String, at directory: CInt, _ flags: RenameFlags
) throws(SystemCallError) {
    _ = try withPath(from) { (source) throws(SystemCallError) in
        try withPath(to) { (target) throws(SystemCallError) in
            try systemCall(
                "renameat2", __NR_renameat2, Int(directory), source, Int(directory), target,
                flags.rawValue,
                describing: "\"\(from)\", \"\(to)\"\(flags.isEmpty ? "" : ", \(flags)")")
        }
    }
}

/// The result of statx(2) for an open descriptor.
func status(of descriptor: CInt) throws(SystemCallError) -> clinux_statx {
    var status = clinux_statx()
    try withPath("") { (empty) throws(SystemCallError) in
        try withAddress(of: &status) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "statx", __NR_statx, Int(descriptor), empty, PathFlags.emptyPath.rawValue,
                StatusMask.all.rawValue, address, describing: "descriptor \(descriptor)")
        }
    }
    return status
}

/// The result of statx(2) for a path, following links.
func status(at path: String, in directory: CInt = currentDirectory) throws(SystemCallError)
    -> clinux_statx
{
    var status = clinux_statx()
    try withPath(path) { (name) throws(SystemCallError) in
        try withAddress(of: &status) { (address) throws(SystemCallError) in
            _ = try systemCall(
                "statx", __NR_statx, Int(directory), name, 0, StatusMask.all.rawValue, address,
                describing: "\"\(path)\"")
        }
    }
    return status
}

extension StatusMask {
    /// The fields that `status` requests.
    fileprivate static var all: StatusMask { .basic | .birthTime | .mountID }
}

/// The device and inode number of a file: no two files that exist have the same.
struct FileIdentity: Equatable, Sendable {
    var device: UInt64
    var inode: UInt64
}

extension clinux_statx {
    /// The identity of the file.
    var identity: FileIdentity {
        FileIdentity(
            device: UInt64(stx_dev_major) << 32 | UInt64(stx_dev_minor), inode: stx_ino)
    }

    /// The type of the file.
    var kind: FileKind? { FileKind(mode: stx_mode) }

    /// The permission bits of the mode.
    var permissions: UInt16 { stx_mode & UInt16(FileMode.permissionMask) }
    var access: UInt16 { stx_mode & UInt16(FileMode.accessMask) }
    var isWritableByOthers: Bool { stx_mode & UInt16(FileMode.writableByOthers) != 0 }

    /// Whether anybody may execute the file.
    var isExecutable: Bool { stx_mode & 0o111 != 0 }
}
#endif
