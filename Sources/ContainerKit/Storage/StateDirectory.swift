// SPDX-License-Identifier: Apache-2.0

internal import CLinux
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

    /// The open directory.
    var descriptor: CInt { directory.number }

    private init(path: String, directory: consuming OwnedDescriptor) {
        self.path = path
        self.directory = directory
    }

    // MARK: Opening

    /// Makes the directory of a new container and locks it.
    static func make(_ id: String, in store: String) throws(ContainerError) -> StateDirectory {
        let path = "\(store)/\(id)"
        // A delete --force that comes before the lock takes the directory away again.
        for _ in 0..<8 {
            try makeDirectory(path, in: store)
            let made: StateDirectory
            do throws(ContainerError) {
                guard let opened = try open(id, in: store) else { continue }
                try opened.lock()
                made = opened
            } catch {
                try? removeDirectory(path)
                throw error
            }
            guard made.isCurrent else { continue }
            // Then it is one that another create made in the place of ours.
            if try made.read(recordName) != nil { break }
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
    static func open(_ id: String, in store: String) throws(ContainerError) -> StateDirectory? {
        let path = "\(store)/\(id)"
        do throws(SystemCallError) {
            return StateDirectory(
                path: path, directory: try openFile(path, [.readOnly, .directory, .noFollow]))
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return nil
        } catch {
            throw ContainerError(error)
        }
    }

    /// Waits for the lock; it goes with the descriptor.
    func lock() throws(ContainerError) {
        _ = try reporting("unable to lock the container") { () throws(SystemCallError) in
            try systemCall(
                "flock", __NR_flock, Int(descriptor), 2, describing: "\"\(path)\", LOCK_EX")
        }
    }

    /// Lets others take the lock before the descriptor is closed.
    func unlock() {
        _ = raw_system_call(Int(__NR_flock), Int(descriptor), 8, 0, 0, 0, 0)
    }

    /// Whether the directory is still the one that its path names: another command may have deleted
    /// the container while this one waited for the lock.
    var isCurrent: Bool {
        guard let mine = try? status(of: descriptor), let named = try? status(at: path) else {
            return false
        }
        return mine.stx_ino == named.stx_ino && mine.stx_dev_minor == named.stx_dev_minor
            && mine.stx_dev_major == named.stx_dev_major
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
    /// where it is renamed over another. What this is to outlive is a process, not the machine.
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
                name, [.writeOnly, .create, .truncate, .noFollow], at: descriptor, mode: 0o600)
            try writeAll(bytes, to: file.number, named: "\"\(path)/\(name)\"")
        }
    }

    /// The record; nil when none was written yet.
    func readRecord() throws(ContainerError) -> ContainerRecord? {
        guard let bytes = try read(Self.recordName) else { return nil }
        guard let value = try? JSONValue(json: bytes), let record = ContainerRecord(value) else {
            throw ContainerError(
                .state, "\(path)/\(Self.recordName) is damaged or of a later version",
                hint: "delete --force removes the container")
        }
        return record
    }

    /// A file of the directory; nil when it is missing.
    func read(_ name: String) throws(ContainerError) -> [UInt8]? {
        do throws(SystemCallError) {
            return try readFile(name, at: descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch {
            throw ContainerError(error)
        }
    }

    /// Makes the file of the progress page.
    func makeProgressFile() throws(ContainerError) -> OwnedDescriptor {
        try reporting("unable to make the progress page in \(path)") {
            () throws(SystemCallError) in
            try openFile(
                Self.progressName, [.readWrite, .create, .truncate], at: descriptor, mode: 0o600)
        }
    }

    /// Whether the launch came so far that it was to start init; it had its cgroup to itself then.
    ///
    /// True also where it cannot be told.
    var hasProgressFile: Bool {
        do throws(SystemCallError) {
            _ = try status(at: Self.progressName, in: descriptor)
            return true
        } catch {
            return error.errno != .noSuchFileOrDirectory
        }
    }

    /// What a record that `readRecord` does not take tells nevertheless; nil if it tells nothing.
    func salvageRecord(_ id: String) -> ContainerRecord? {
        guard let bytes = try? read(Self.recordName), let value = try? JSONValue(json: bytes)
        else { return nil }
        return ContainerRecord(salvaging: value, id: id)
    }

    /// Removes the directory with all that is in it.
    func remove() throws(ContainerError) {
        try reporting("unable to remove the container's state") { () throws(SystemCallError) in
            for name in [
                Self.socketName, Self.progressName, Self.configName, Self.stagedName,
                Self.recordName,
            ] {
                do throws(SystemCallError) {
                    try removeFile(name, at: descriptor)
                } catch  where error.errno == .noSuchFileOrDirectory {
                    continue
                }
            }
            // The name may have come to mean another container's directory.
            guard isCurrent else { return }
            do throws(SystemCallError) {
                try removeDirectory(path)
            } catch  where error.errno == .noSuchFileOrDirectory {
                return
            } catch  where error.errno == .directoryNotEmpty {
                try ReadinessRelay.remove(in: descriptor)
                try removeDirectory(path)
            }
        }
    }
}
