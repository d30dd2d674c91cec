// SPDX-License-Identifier: Apache-2.0

// What one command leaves for the next: all that a container is between two calls.
//
//   StateDirectory   its directory below the store's, and the lock on it
//   ContainerRecord  state.json: pid, start time, cgroups, and what init still has to do
//   RecordFields     its members, read and written by one list

internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The directory of one container below the store's: what commands share across processes.
///
///   state.json    the record, written whole to a temporary name and renamed
///   config.json   the config as it was at create, with the limits that update changed
///   progress      the page that init writes its progress to
///   start         the socket on which `start` gives its order
///   notify/       where the process tells that it is ready, if anybody wants to know
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
    /// What statx(2) told of it when it was opened.
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
        // A delete --force that comes before the lock takes the directory away again.
        for _ in 0..<8 {
            try makeDirectory(path, in: store)
            let made: StateDirectory
            do throws(ContainerError) {
                guard let opened = try open(id, in: store) else { continue }
                try opened.lock()
                guard try opened.isCurrent() else { continue }
                // Then it is one that another create made in the place of ours.
                if try opened.holds(recordName) { break }
                made = opened
            } catch {
                // If another create has made a new one meanwhile, that is not empty, or is made once more.
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

    /// Makes the store's directory with those above it; only its owner may enter it.
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

    /// Opens the directory of an existing container; nil when there is none.
    ///
    /// What it says is done: processes are killed and hooks run. So one that another user has made, or may
    /// write to, is refused; where the store lies, and who may write there, does not matter then.
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
                .state, "\(path) belongs to user \(owner): it is not believed",
                hint: "a container is looked after by the user who made it")
        }
        let mode = found.opened.permissions
        guard mode & 0o022 == 0 else {
            throw ContainerError(
                .state,
                "others may write to \(path) (mode 0\(String(mode, radix: 8))): "
                    + "it is not believed")
        }
        return found
    }

    /// Takes the lock if nobody has it; tells whether it did.
    func tryLock() throws(ContainerError) -> Bool {
        do throws(SystemCallError) {
            return try lockIfFree(descriptor, named: "\"\(path)\"")
        } catch {
            throw ContainerError(error, "unable to lock the container")
        }
    }

    /// Waits for the lock; it goes with the descriptor.
    func lock() throws(ContainerError) {
        _ = try reporting("unable to lock the container") { () throws(SystemCallError) in
            try systemCall(
                "flock", __NR_flock, Int(descriptor), LockOperation.exclusive.rawValue,
                describing: "\"\(path)\", \(LockOperation.exclusive)")
        }
    }

    /// Lets others take the lock before the descriptor is closed.
    func unlock() {
        ContainerKit.unlock(descriptor)
    }

    /// Whether the directory is still the one that its path names: another command may have deleted
    /// the container while this one waited for the lock.
    ///
    /// - Throws: when it cannot be told.
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

    /// Writes a record beside the one in place.
    func stage(_ record: ContainerRecord) throws(ContainerError) {
        try write(record.json.encoded(), to: Self.stagedName)
    }

    /// Makes the staged record the first one.
    func putFirstRecordInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            try renameFile(Self.stagedName, to: Self.recordName, at: descriptor)
        }
    }

    /// Replaces the record by the staged one, whole or not at all.
    ///
    /// The two change places: ext4 (and others that delay allocation) would write the new file out at once
    /// where it is renamed over another. The record has to survive this process, not the machine.
    func putRecordInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            do throws(SystemCallError) {
                try exchangeFiles(Self.stagedName, Self.recordName, at: descriptor)
            } catch  where [.noSuchFileOrDirectory, .invalidArgument].contains(error.errno) {
                // There is no record yet, or the file system cannot exchange.
                try renameFile(Self.stagedName, to: Self.recordName, at: descriptor)
                return
            }
            try removeFile(Self.stagedName, at: descriptor)
        }
    }

    /// Writes a changed config beside the one in place.
    func stage(config: [UInt8]) throws(ContainerError) {
        // The name of a staged record, which nobody else writes under the lock, and which is removed with
        // the directory.
        try write(config, to: Self.stagedName)
    }

    /// Replaces the config by the staged one, whole or not at all.
    func putConfigInPlace() throws(ContainerError) {
        try reporting("unable to save the state in \(path)") { () throws(SystemCallError) in
            try renameFile(Self.stagedName, to: Self.configName, at: descriptor)
        }
    }

    /// Keeps the config; nobody reads it before the record says that the container is created.
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

    /// The record of the container `id`; nil when none was written yet.
    func readRecord(_ id: String) throws(ContainerError) -> ContainerRecord? {
        guard let bytes = try read(Self.recordName) else {
            // It is the first file to come and the last to go.
            if try holds(Self.progressName) { throw damage(to: Self.recordName) }
            return nil
        }
        guard let value = try? JSONValue(json: bytes), let record = ContainerRecord(value),
            record.id == id
        else { throw damage(to: Self.recordName) }
        return record
    }

    /// Where init stands, by its progress page; nil when there is none that could be read.
    func readProgress() throws(ContainerError) -> (index: Int, error: CInt)? {
        try read(Self.progressName).flatMap(ProgressPage.read)
    }

    /// Notes in the progress page that init was told to run its program.
    ///
    /// Nothing depends on it but what is told of the time: where it cannot be written, that is not told.
    func noteOrder() {
        let directory = descriptor
        var time = Int64(ClockTime.wall.totalNanoseconds)
        try? withoutFileSizeSignal { () throws(SystemCallError) in
            let file = try openFile(
                Self.progressName, .writeOnly | .noFollow | .nonBlocking, at: directory)
            try withAddress(of: &time) { (address) throws(SystemCallError) in
                _ = try systemCall(
                    "pwrite64", __NR_pwrite64, Int(file.number), address, 8,
                    ProgressPage.offset(of: .ordered), describing: "progress page")
            }
        }
    }

    /// What is said of a file that is not as it was written.
    func damage(to name: String) -> ContainerError {
        ContainerError(
            .state, "\(path)/\(name) is missing, damaged or of a later version",
            hint: "delete --force removes the container")
    }

    /// What is said of a container that may live, but of which nothing can be found.
    var noProcessKnown: ContainerError {
        ContainerError(
            .state, "the files in \(path) do not tell which processes are the container's",
            hint: "end what is left of it, and remove the directory")
    }

    /// A file of the directory; nil when it is missing.
    ///
    /// - Throws: `state` for what is no file, which is not waited for either.
    func read(_ name: String) throws(ContainerError) -> [UInt8]? {
        do throws(SystemCallError) {
            let file = try openFile(name, .readOnly | .nonBlocking | .noFollow, at: descriptor)
            return try readFile(
                file.number, limitBytes: Self.fileLimitBytes, named: "\(path)/\(name)")
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch  where Self.meansNoFile(error.errno) {
            throw damage(to: name)
        } catch {
            throw ContainerError(error)
        }
    }

    /// A record is smaller than the config that it comes from.
    private static let fileLimitBytes = 16 << 20

    /// What a directory, a link, a socket and an empty pipe answer, and a file that is too large.
    private static func meansNoFile(_ errno: Errno) -> Bool {
        [
            .isDirectory, .tooManySymbolicLinkLevels, .noSuchAddressOrDevice,
            .resourceTemporarilyUnavailable, .fileTooLarge,
        ].contains(errno)
    }

    /// Whether there is a file of this name.
    ///
    /// - Throws: when it cannot be told.
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

    /// Removes a file, or what has come into its place.
    private func removeEntry(_ name: String) throws(SystemCallError) {
        do throws(SystemCallError) {
            try removeFile(name, at: descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return
        } catch  where error.errno == .isDirectory {
            try removeDirectory(name, at: descriptor)
        }
    }

    /// Removes the directory with all that is in it.
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
        // The name may have come to mean another container's directory.
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
            // Nobody ever listened.
        }
        try removeDirectory(ReadinessSocket.directoryName, at: descriptor)
    }

    /// The mode of a directory whose files are being removed: once it is empty, that tells it from one
    /// that lost them otherwise.
    private static let removalMode: UInt16 = 0o700

    /// Whether a command removes the container, or has done so.
    func isBeingRemoved() throws(ContainerError) -> Bool {
        let now = try reporting { () throws(SystemCallError) in try status(of: descriptor) }
        return now.stx_mode & 0o777 == Self.removalMode || now.stx_nlink == 0
    }

    /// Whether a directory without a record is that of a creation that died before it had one, or of a
    /// removal that died at its end; else nothing tells of the container that it was made for.
    func isOfNoContainer() throws(ContainerError) -> Bool {
        for name in [Self.progressName, Self.configName, Self.socketName] {
            if try holds(name) { return false }
        }
        // A directory that never had a file was not changed since it was made.
        let tellsBirth = StatusMask(rawValue: Int(opened.stx_mask)).contains(.birthTime)
        let isAsMade =
            opened.stx_btime.tv_sec == opened.stx_mtime.tv_sec
            && opened.stx_btime.tv_nsec == opened.stx_mtime.tv_nsec
        let wasRemoved = opened.stx_mode & 0o777 == Self.removalMode
        guard tellsBirth, !isAsMade, !wasRemoved else { return true }
        return try holds(Self.stagedName)
    }
}
