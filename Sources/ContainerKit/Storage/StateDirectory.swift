// SPDX-License-Identifier: Apache-2.0

// Storage: everything that one command leaves for the next about a container.
//
//   StateDirectory   the container's directory in the store, and its lock
//   ContainerRecord  state.json: pid, start time, cgroups, and what init does from its wait for start on
//   AddedMount       a mount that was added since
//   RecordedDevice   a device that was added since
//   RecordFields     reads and writes the record's members by one list

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The directory of one container in the store, which commands of different processes share.
///
///   state.json    the record; written to a temporary name and renamed
///   config.json   the config as it was at create, with limits changed by update
///   progress      the page to which init writes its progress
///   start         the socket on which `start` connects
///   notify/       the socket on which the process reports readiness, if requested
///
/// Commands that change a container hold flock(2) on the directory itself.
struct StateDirectory: ~Copyable {
    static let recordName = "state.json"
    static let stagedName = ".state.json"
    static let configName = "config.json"
    static let progressName = "progress"
    static let socketName = "start"

    /// The absolute path.
    let path: String
    private let directory: OwnedDescriptor
    /// The result of statx(2) when it was opened.
    let opened: clinux_statx

    /// The open directory.
    var descriptor: CInt { directory.number }

    private init(path: String, directory: consuming OwnedDescriptor) throws(SystemCallError) {
        self.path = path
        opened = try status(of: directory.number)
        self.directory = directory
    }

    // MARK: Opening

    /// Makes the directory of a new container and locks it.
    static func make(_ id: String, in store: String) throws(ContainerError) -> StateDirectory {
        guard store.begins(with: "/") else {
            throw ContainerError(
                .invalidArgument, "\(store): the store has a relative path",
                hint: "the current directory is gone; name an absolute path")
        }
        let path = "\(store)/\(id)"
        // A delete --force may remove the directory before it is locked.
        for _ in 0..<8 {
            try makeDirectory(path, in: store)
            let made: StateDirectory
            do throws(ContainerError) {
                guard let opened = try open(id, in: store) else { continue }
                try opened.lock()
                guard try opened.isCurrent() else { continue }
                // It then belongs to another create, which made it in place of ours.
                if try opened.holds(recordName) { break }
                made = opened
            } catch {
                // If it belongs to another create by now, it is either not empty, or that create
                // makes it again.
                try? removeDirectory(path)
                throw error
            }
            return made
        }
        throw ContainerError(.alreadyExists, "container with given ID already exists")
    }

    private static func makeDirectory(_ path: String, in store: String) throws(ContainerError) {
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                try ContainerKit.makeDirectory(path, mode: 0o711)
            } catch  where error.errno == .noSuchFileOrDirectory {
                try makeStore(store)
                try ContainerKit.makeDirectory(path, mode: 0o711)
            }
        } catch  where error.errno == .fileExists {
            throw ContainerError(.alreadyExists, "container with given ID already exists")
        } catch {
            throw ContainerError(error)
        }
    }

    /// Makes the store's directory and its parents; only the owner may enter the store.
    private static func makeStore(_ path: String) throws(SystemCallError) {
        var prefix = ""
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            prefix += "/" + part
            do throws(SystemCallError) {
                let isLast = index == parts.count - 1
                try ContainerKit.makeDirectory(prefix, mode: isLast ? 0o700 : 0o755)
            } catch  where error.errno == .fileExists {
                continue
            }
        }
    }

    /// Opens the directory of an existing container; nil if there is none.
    ///
    /// Commands act on its contents: they kill processes and run hooks. So a directory that another
    /// user owns or may write to is refused. The path of the store then does not matter, nor who
    /// may write to it.
    static func open(_ id: String, in store: String) throws(ContainerError) -> StateDirectory? {
        let path = "\(store)/\(id)"
        let found: StateDirectory
        do throws(SystemCallError) {
            found = try StateDirectory(
                path: path, directory: openFile(path, .readOnly | .directory | .noFollow))
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return nil
        } catch {
            throw ContainerError(error)
        }
        let owner = found.opened.stx_uid
        guard owner == effectiveUserID else {
            throw ContainerError(
                .state, "\(path) belongs to user \(owner): it is not trusted",
                hint: "use the container as the user who created it")
        }
        let mode = found.opened.permissions
        guard !found.opened.isWritableByOthers else {
            throw ContainerError(
                .state,
                "others may write to \(path) (mode 0\(String(mode, radix: 8))): "
                    + "it is not trusted",
                hint: "take write permission from group and others (chmod go-w)")
        }
        return found
    }

    /// Takes the lock if it is free; returns whether it did.
    func tryLock() throws(ContainerError) -> Bool {
        do throws(SystemCallError) {
            return try lockIfFree(descriptor, named: "\"\(path)\"")
        } catch {
            throw ContainerError(error, "unable to lock the container")
        }
    }

    /// Waits for the lock, which is released when the descriptor is closed.
    ///
    /// - Throws: `timedOut` if another command has it beyond the limit.
    func lock(within limit: TimeLimit? = nil) throws(ContainerError) {
        if let limit {
            while try !tryLock() {
                guard !limit.isOver else {
                    throw limit.passed("another command is at work on the container")
                }
                wait(milliseconds: 5)
            }
            return
        }
        _ = try reporting("unable to lock the container") { () throws(SystemCallError) in
            try systemCall(
                "flock", __NR_flock, Int(descriptor), LockOperation.exclusive.rawValue,
                describing: "\"\(path)\", \(LockOperation.exclusive)")
        }
    }

    /// Releases the lock before the descriptor is closed.
    func unlock() {
        ContainerKit.unlock(descriptor)
    }

    /// Whether the path still leads to this directory: another command may have deleted the
    /// container while this one waited for the lock.
    ///
    /// - Throws: `systemCall` if this cannot be determined.
    func isCurrent() throws(ContainerError) -> Bool {
        do throws(SystemCallError) {
            let named = try status(at: path)
            return opened.stx_ino == named.stx_ino && opened.stx_dev_minor == named.stx_dev_minor
                && opened.stx_dev_major == named.stx_dev_major
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return false
        } catch {
            throw ContainerError(error)
        }
    }

    // MARK: Contents

    /// Writes a new record next to the present one.
    func stage(_ record: ContainerRecord) throws(ContainerError) {
        try write(record.json.encoded(), to: Self.stagedName)
    }

    /// Makes the staged record the container's first one.
    func putFirstRecordInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            try renameFile(Self.stagedName, to: Self.recordName, at: descriptor)
        }
    }

    /// Replaces the record by the staged one, atomically.
    ///
    /// The files are exchanged: if a file is renamed over another, ext4 and others with delayed
    /// allocation write it to disk at once. The record must survive this process, but not the
    /// machine.
    func putRecordInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            do throws(SystemCallError) {
                try exchangeFiles(Self.stagedName, Self.recordName, at: descriptor)
            } catch  where [.noSuchFileOrDirectory, .invalidArgument].contains(error.errno) {
                // There is no record yet, or the file system cannot exchange files.
                try renameFile(Self.stagedName, to: Self.recordName, at: descriptor)
                return
            }
            try removeFile(Self.stagedName, at: descriptor)
        }
    }

    /// Writes a changed config next to the present one.
    func stage(config: [UInt8]) throws(ContainerError) {
        // It uses the name of a staged record, which nobody else writes under the lock, and which
        // is removed with the directory.
        try write(config, to: Self.stagedName)
    }

    /// Replaces the config by the staged one, atomically.
    func putConfigInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            try renameFile(Self.stagedName, to: Self.configName, at: descriptor)
        }
    }

    /// Writes the config; nobody reads it until the record is complete.
    func writeConfig(_ config: [UInt8]) throws(ContainerError) {
        try write(config, to: Self.configName)
    }

    private func write(_ bytes: [UInt8], to name: String) throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            let file = try openFile(
                name, .writeOnly | .create | .truncate | .noFollow, at: descriptor, mode: 0o600)
            try writeAll(bytes, to: file.number, named: "\"\(path)/\(name)\"")
        }
    }

    /// The record of the container `id`; nil if none was written yet.
    ///
    /// - Parameters:
    ///   - id: the ID.
    ///   - whole: whether the caller needs all of it; else `ContainerRecord.firstOfRest` and what
    ///     follows may be empty.
    /// - Returns: the record.
    /// - Throws: `state` if it is damaged.
    func readRecord(_ id: String, whole: Bool = true) throws(ContainerError) -> ContainerRecord? {
        guard let bytes = try readRecordText() else { return nil }
        return try record(bytes, of: id, whole: whole)
    }

    /// Decodes the text of a record.
    func record(_ bytes: [UInt8], of id: String, whole: Bool) throws(ContainerError)
        -> ContainerRecord
    {
        guard let record = whole ? Self.record(bytes) : Self.start(bytes), record.id == id
        else { throw damage(to: Self.recordName) }
        return record
    }

    /// The text of the record; nil if there is none yet.
    func readRecordText() throws(ContainerError) -> [UInt8]? {
        var found = try read(Self.recordName)
        // The progress page is made after the first record and removed before it; a creation may
        // have made both since the first look.
        if found == nil, try holds(Self.progressName) {
            found = try read(Self.recordName)
            if found == nil, try holds(Self.progressName) { throw damage(to: Self.recordName) }
        }
        return found
    }

    private static func record(_ bytes: [UInt8]) -> ContainerRecord? {
        (try? JSONValue(json: bytes)).flatMap { ContainerRecord($0) }
    }

    private static func start(_ bytes: [UInt8]) -> ContainerRecord? {
        let start = try? JSONValue(json: bytes, upTo: ContainerRecord.firstOfRest)
        // Other versions may write what is needed behind the rest.
        return start.flatMap { ContainerRecord($0) } ?? record(bytes)
    }

    /// Init's position from its progress page; nil if there is none that can be read.
    func readProgress() throws(ContainerError) -> (index: Int, error: CInt)? {
        try readProgressPage().flatMap(ProgressPage.read)
    }

    /// The contents of the progress page; nil if there is none.
    private func readProgressPage() throws(ContainerError) -> [UInt8]? {
        let name = "\(path)/\(Self.progressName)"
        // Its size is known, so a single read tells all.
        return try read(Self.progressName) { (file) throws(SystemCallError) in
            try readStart(of: file, atMost: ProgressPage.sizeBytes + 1, named: name)
        }
    }

    /// Records the steps that init took since it was told to go on, if it notes its times.
    ///
    /// - Parameters:
    ///   - record: the container.
    ///   - trace: receives the spans; an error leaves them out.
    ///   - end: the time at which the program began; nil if init has failed or is late.
    func recordInitSteps(of record: ContainerRecord, in trace: LaunchTrace?, until end: Int?) {
        guard let trace, trace.recordsSpans, record.isTimed,
            let page = try? readProgressPage(), ProgressPage.isWhole(page)
        else { return }
        trace.add(
            record.timedSteps.begun { ProgressPage.time(ofMark: $0, page) },
            until: end ?? LaunchTrace.now, hasFailed: ProgressPage.read(page)?.error != 0)
    }

    /// Notes in the progress page the time at which init was told to run its program.
    ///
    /// Only `ContainerProgress` uses it: an error leaves the time unknown. The page of version 0.1
    /// has no room for notes, and would be damaged if it grew.
    func noteOrder() {
        let directory = descriptor
        var time = Int64(ClockTime.wall.totalNanoseconds)
        try? withoutFileSizeSignal { () throws(SystemCallError) in
            let file = try openFile(
                Self.progressName, .writeOnly | .noFollow | .nonBlocking, at: directory)
            let room = try status(of: file.number).stx_size
            guard room >= ProgressPage.offset(of: .ordered) + 8 else { return }
            try withAddress(of: &time) { (address) throws(SystemCallError) in
                _ = try systemCall(
                    "pwrite64", __NR_pwrite64, Int(file.number), address, 8,
                    ProgressPage.offset(of: .ordered), describing: "progress page")
            }
        }
    }

    /// The error for a missing or damaged file.
    func damage(to name: String) -> ContainerError {
        var message = "\(path)/\(name) is missing, damaged or of a later version"
        if let found = try? status(at: name, in: descriptor), found.kind == .regular,
            found.stx_size == 0
        {
            message += ": it is empty"
        }
        return ContainerError(.state, message, hint: "delete --force removes the container")
    }

    /// The error for a container that may be running, but whose processes are unknown.
    var noProcessKnown: ContainerError {
        ContainerError(
            .state, "the files in \(path) do not tell which processes are the container's",
            hint: "end what is left of it, and remove the directory")
    }

    /// The contents of a file of the directory; nil if it is missing.
    ///
    /// - Throws: `state` if it is not a regular file; this never blocks.
    func read(_ name: String) throws(ContainerError) -> [UInt8]? {
        let path = "\(path)/\(name)"
        return try read(name) { (file) throws(SystemCallError) in
            try readFile(file, limitBytes: Self.fileLimitBytes, named: path)
        }
    }

    private func read(_ name: String, _ contents: (CInt) throws(SystemCallError) -> [UInt8])
        throws(ContainerError) -> [UInt8]?
    {
        do throws(SystemCallError) {
            let file = try openFile(name, .readOnly | .nonBlocking | .noFollow, at: descriptor)
            return try contents(file.number)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch  where Self.meansNoFile(error.errno) {
            throw damage(to: name)
        } catch {
            throw ContainerError(error)
        }
    }

    /// The limit for a file's size; a record is smaller than its config.
    private static let fileLimitBytes = 16 << 20

    /// The errors for a directory, a link, a socket, a pipe without a writer, and a file that is
    /// too large.
    private static func meansNoFile(_ errno: Errno) -> Bool {
        [
            .isDirectory, .tooManySymbolicLinkLevels, .noSuchAddressOrDevice,
            .resourceTemporarilyUnavailable, .fileTooLarge,
        ].contains(errno)
    }

    /// Whether there is a file with this name.
    ///
    /// - Throws: `systemCall` if this cannot be determined.
    func holds(_ name: String) throws(ContainerError) -> Bool {
        do throws(SystemCallError) {
            _ = try status(at: name, in: descriptor)
            return true
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        } catch {
            throw ContainerError(error)
        }
    }

    /// Makes the file of the progress page.
    func makeProgressFile() throws(ContainerError) -> OwnedDescriptor {
        try reporting("unable to make the progress page in \(path)") {
            () throws(SystemCallError) in
            try openFile(
                Self.progressName, .readWrite | .create | .truncate, at: descriptor, mode: 0o600)
        }
    }

    /// Removes a file, or a directory in its place.
    private func removeEntry(_ name: String) throws(SystemCallError) {
        do throws(SystemCallError) {
            try removeFile(name, at: descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return
        } catch  where error.errno == .isDirectory {
            try removeDirectory(name, at: descriptor)
        }
    }

    /// Removes the directory and its contents.
    func remove() throws(ContainerError) {
        let refusal = "unable to remove the container's state"
        try reporting(refusal) { () throws(SystemCallError) in
            try systemCall(
                "fchmod", __NR_fchmod, Int(descriptor), Int(Self.removalMode),
                describing: "\"\(path)\", 0700")
            for name in [
                Self.socketName, Self.progressName, Self.configName, Self.stagedName,
                Self.recordName,
            ] {
                try removeEntry(name)
            }
        }
        // The path may lead to another container's directory by now.
        guard try isCurrent() else { return }
        try reporting(refusal) { () throws(SystemCallError) in
            do throws(SystemCallError) {
                try removeDirectory(path)
            } catch  where error.errno == .noSuchFileOrDirectory {
                return
            } catch  where error.errno == .directoryNotEmpty {
                try removeReadinessSocket()
                try removeDirectory(path)
            }
        }
    }

    private func removeReadinessSocket() throws(SystemCallError) {
        let directory = try openFile(
            ReadinessSocket.directoryName, .pathOnly | .directory | .noFollow, at: descriptor)
        do throws(SystemCallError) {
            try removeFile(ReadinessSocket.name, at: directory.number)
        } catch  where error.errno == .noSuchFileOrDirectory {
            // The socket was never made.
        }
        try removeDirectory(ReadinessSocket.directoryName, at: descriptor)
    }

    /// The mode of a directory whose files are being removed: it distinguishes an empty one from a
    /// directory that has lost its files otherwise.
    private static let removalMode: UInt16 = 0o700

    /// Whether a command is removing the container, or has removed it.
    func isBeingRemoved() throws(ContainerError) -> Bool {
        let now = try reporting { () throws(SystemCallError) in try status(of: descriptor) }
        return now.access == Self.removalMode || now.stx_nlink == 0
    }

    /// Whether a directory without a record was left by a creation that failed before its first
    /// record, or by a removal that failed at its end; otherwise its container is unknown.
    func isOfNoContainer() throws(ContainerError) -> Bool {
        for name in [Self.progressName, Self.configName, Self.socketName] {
            if try holds(name) { return false }
        }
        // A directory that never had a file is unchanged since its creation.
        let tellsBirth = StatusMask(rawValue: Int(opened.stx_mask)).contains(.birthTime)
        let isAsMade =
            opened.stx_btime.tv_sec == opened.stx_mtime.tv_sec
            && opened.stx_btime.tv_nsec == opened.stx_mtime.tv_nsec
        let wasRemoved = opened.access == Self.removalMode
        guard tellsBirth, !isAsMade, !wasRemoved else { return true }
        return try holds(Self.stagedName)
    }
}
#endif
