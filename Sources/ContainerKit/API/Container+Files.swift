// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
public import RuntimeSpec
public import SystemPackage

extension Container {
    /// Copies a regular file of the container into an open descriptor of the caller.
    ///
    /// The path is resolved as the container's processes see it, with its mounts; no link and no "..", also of
    /// a container that changes them meanwhile, leads out of its root. Only a regular file is opened, and none
    /// of procfs and its like.
    ///
    /// The container may be created, running or paused. A file system that the container itself answers for
    /// (FUSE) may hold the caller up.
    /// - Parameters:
    ///   - path: the file; a relative path counts from the container's root.
    ///   - descriptor: where its bytes are written, at its position; it stays the caller's.
    ///   - limitBytes: the most bytes that are taken; nil is no limit.
    /// - Returns: How many bytes were copied.
    /// - Throws: `notFound`, `notRunning`, or `systemCall`: with EINVAL for what is no regular file, EFBIG for a
    ///   file beyond the limit, up to which it has been copied. Kernel: openat2(2), RESOLVE_IN_ROOT.
    @discardableResult
    public func copyOut(
        _ path: FilePath, to descriptor: FileDescriptor, limitBytes: Int? = nil
    ) throws(ContainerError) -> Int {
        let limit = try Self.checkedLimit(limitBytes)
        return try withRoot { (root, _) throws(ContainerError) in
            try reporting("unable to copy \(path.text) out of the container") {
                () throws(SystemCallError) in
                let file = try openRegularFile(path.text, inRoot: root)
                return try copyBytes(
                    from: file.number, named: path.text, to: descriptor.rawValue,
                    limitBytes: limit)
            }
        }
    }

    /// Copies what a descriptor gives, up to its end, into a file of the container.
    ///
    /// The file is written under another name and then takes its place: nobody sees a part of it, and what was
    /// there is replaced and never opened, nor is a link followed that stands there. The directory is
    /// resolved as in `copyOut`, and must be there. What is written is counted where the caller is.
    /// - Parameters:
    ///   - descriptor: what is read, from its position; it stays the caller's.
    ///   - path: the file; a relative path counts from the container's root.
    ///   - permissions: the file's mode, whatever the umask.
    ///   - user: whose the file is, by its numbers in the container; `uid` and `gid` alone count.
    ///   - limitBytes: the most bytes that are taken; nil is no limit.
    /// - Returns: How many bytes were copied.
    /// - Throws: `notFound`, `notRunning`, `invalidArgument` for a path without a name or a user who is not mapped
    ///   in the container, or `systemCall`: EROFS on a read-only mount, EFBIG beyond the limit; nothing is
    ///   left of the file then. Kernel: openat2(2), RESOLVE_IN_ROOT.
    @discardableResult
    public func copyIn(
        _ descriptor: FileDescriptor, to path: FilePath,
        permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead],
        user: User = User(), limitBytes: Int? = nil
    ) throws(ContainerError) -> Int {
        guard let last = path.lastComponent, last.kind == .regular else {
            throw ContainerError(.invalidArgument, "\(path.text) names no file to copy to")
        }
        let name = FilePath(root: nil, [last]).text
        let folder = path.removingLastComponent().text
        let limit = try Self.checkedLimit(limitBytes)
        return try withRoot { (root, pid) throws(ContainerError) in
            let owner = try Self.owner(user, of: pid)
            return try reporting("unable to copy to \(path.text) in the container") {
                () throws(SystemCallError) in
                let directory = try openInRoot(
                    root, folder.isEmpty ? "." : folder, .pathOnly | .directory)
                guard try !isOfKernel(directory.number) else {
                    throw SystemCallError("open", "\"\(path.text)\"", errno: .invalidArgument)
                }
                var count = 0
                // A file system of the container's user namespace takes no file of any other user.
                try actingAs(owner) { () throws(SystemCallError) in
                    count = try Self.replace(name, in: directory.number) {
                        (file) throws(SystemCallError) in
                        let count = try copyBytes(
                            from: descriptor.rawValue, named: "input", to: file, limitBytes: limit)
                        // The owner first: changing it clears set-user-ID bits.
                        try changeOwner(of: file, to: owner.userID, group: owner.groupID)
                        try setMode(Int(permissions.rawValue), of: file, named: path.text)
                        return count
                    }
                }
                return count
            }
        }
    }

    /// Makes a file under another name, and gives it its own when all is well.
    private static func replace(
        _ name: String, in directory: CInt, _ fill: (CInt) throws(SystemCallError) -> Int
    ) throws(SystemCallError) -> Int {
        let temporary = ".containerkit-\(UInt64.random(in: .min ... .max))"
        let file = try openFile(
            temporary, .writeOnly | .create | .exclusive | .noFollow, at: directory, mode: 0o600)
        return try completing(temporary, as: name, at: directory) { () throws(SystemCallError) in
            try fill(file.number)
        }
    }

    private static func checkedLimit(_ limitBytes: Int?) throws(ContainerError) -> Int {
        guard let limitBytes else { return .max }
        guard limitBytes >= 0 else {
            throw ContainerError(
                .invalidArgument, "\(limitBytes) is no number of bytes; nil is no limit")
        }
        return limitBytes
    }

    /// Opens the root of init, sure that it is init's, and gives `body` that and init's number.
    private func withRoot<Result>(
        _ body: (_ root: CInt, _ pid: Int32) throws(ContainerError) -> Result
    ) throws(ContainerError) -> Result {
        let found = try find(locking: false)
        let record = try found.recordOfLiving()
        // While it is open, and has not ended, no other process has its number.
        let process = try record.openInit()
        do throws(ContainerError) {
            let root = try reporting("unable to open the container's root") {
                () throws(SystemCallError) in
                try openFile("/proc/\(record.pid)/root", .pathOnly | .directory)
            }
            guard try record.isAlive() else {
                throw ContainerError(.notRunning, "container not running")
            }
            return try body(root.number, record.pid)
        } catch {
            // Whatever is refused then, the reason is the same.
            guard record.isEnding(process) else { throw error }
            throw ContainerError(.notRunning, "container not running")
        }
    }

    /// The host's IDs of a user of the container.
    private static func owner(_ user: User, of pid: Int32) throws(ContainerError) -> NamespaceUser {
        let maps = try reporting("unable to read the container's ID maps") {
            () throws(SystemCallError) in try IDMaps.read(of: pid)
        }
        do throws(SystemCallError) {
            return try maps.outside(NamespaceUser(userID: user.uid, groupID: user.gid))
        } catch {
            throw ContainerError(
                .invalidArgument,
                "user \(user.uid) or group \(user.gid) is not mapped in the container's user namespace"
            )
        }
    }
}

// MARK: - Terminals

extension ContainerProcess {
    /// Tells the process's terminal its size; its foreground processes get SIGWINCH.
    ///
    /// - Parameters:
    ///   - rows: the height in characters.
    ///   - columns: the width in characters.
    /// - Throws: `invalidArgument` when the process has no terminal whose master the caller asked for,
    ///   `systemCall`. Kernel: ioctl_tty(2), TIOCSWINSZ.
    public func resizeTerminal(rows: UInt16, columns: UInt16) throws(ContainerError) {
        guard let terminalMaster else {
            throw ContainerError(
                .invalidArgument, "the process has no terminal of the caller's",
                hint: "ask for it by LaunchOptions.terminal, .master")
        }
        try Self.resizeTerminal(
            FileDescriptor(rawValue: terminalMaster), rows: rows, columns: columns)
    }

    /// The same by the master of a terminal, as one that came over a console socket.
    ///
    /// - Parameters:
    ///   - master: the master, which stays the caller's.
    ///   - rows: the height in characters.
    ///   - columns: the width in characters.
    /// - Throws: `systemCall`, with ENOTTY for what is no terminal.
    public static func resizeTerminal(_ master: FileDescriptor, rows: UInt16, columns: UInt16)
        throws(ContainerError)
    {
        try reporting("unable to resize the terminal") { () throws(SystemCallError) in
            try setWindowSize(of: master.rawValue, rows: rows, columns: columns)
        }
    }
}
#endif
