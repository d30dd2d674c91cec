// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The cgroup of one container on disk.
///
/// A new process enters it before any user code runs: by CLONE_INTO_CGROUP on v2 and in the unified
/// hierarchy of hybrid mode (`openUnifiedDirectory`), by its own write on v1 (`openEntrance`).
struct Cgroup: Equatable, Sendable {
    /// The directories.
    let layout: CgroupLayout
    /// The directories that `create` made, parents first; empty for a cgroup found from a record.
    private(set) var madeDirectories: [String] = []
    /// Whether `create` has made the cgroup, or found it unused.
    private var isOurs = false
    /// The number of OOM kills before, if `create` found an existing cgroup that was unused.
    private(set) var outOfMemoryKillsBefore: UInt64 = 0

    /// A cgroup that an earlier command made.
    init(_ layout: CgroupLayout) {
        self.layout = layout
    }

    /// Makes the directories, so that processes can enter; if this fails, removes what it made.
    ///
    /// An existing cgroup is used if it is empty and not frozen.
    ///
    /// - Parameters:
    ///   - layout: the directories.
    ///   - keeper: the process that holds the scope, if there is one.
    ///   - lock: gets a lock on the cgroup, which keeps other creations out of it until a process
    ///     in it shows that it is in use.
    /// - Returns: the cgroup.
    /// - Throws: the kernel's refusal.
    static func create(
        _ layout: CgroupLayout, keeper: Int32?, holding lock: inout FileLock?
    ) throws(CgroupError) -> Cgroup {
        var cgroup = Cgroup(layout)
        do throws(CgroupError) {
            try cgroup.makeDirectories(&lock)
            try cgroup.attachKeeper(keeper)
            try cgroup.prepareCPUSet()
            if layout.isUnified { cgroup.enableControllers() }
        } catch {
            cgroup.removeMadeDirectories()
            throw error
        }
        return cgroup
    }

    /// Undoes a failed creation: removes the container's own directories, also existing ones, and
    /// the parents that `create` made.
    ///
    /// Parents that others use by now stay. If the cgroup belongs to somebody else, all directories
    /// stay.
    func removeMadeDirectories() {
        guard layout.adopted == nil else { return }
        for directory in layout.directories.reversed()
        where isOurs && !madeDirectories.contains(directory.path) {
            try? CgroupTree.remove(directory.path)
        }
        // Twice: killed processes may end while the first directories are given up.
        for path in madeDirectories.reversed() + madeDirectories.reversed() {
            if layout.directories.contains(where: { $0.path == path }) {
                try? CgroupTree.remove(path)
            } else {
                try? removeDirectory(path)
            }
        }
    }

    /// Whether one of the directories exists, or cannot be checked.
    var exists: Bool {
        layout.directories.contains(where: Self.isPresent)
    }

    /// Whether a directory exists, or cannot be checked.
    static func isPresent(_ directory: CgroupDirectory) -> Bool {
        do throws(SystemCallError) {
            // A directory that is held open can be examined even if it has been removed; its files
            // cannot.
            let file = directory.isHeld ? "/cgroup.procs" : ""
            _ = try status(at: directory.path + file)
            return true
        } catch {
            return error.errno != .noSuchFileOrDirectory && error.errno != .notDirectory
        }
    }

    /// Removes the cgroup and the cgroups below it, whose processes must have ended or be ending.
    ///
    /// Parents stay, and so does an adopted cgroup, whose processes are killed. A missing directory
    /// is not an error.
    func remove() throws(CgroupError) {
        guard layout.adopted == nil else { return try vacate() }
        var refusal: CgroupError?
        do throws(CgroupError) {
            try stopScope()
        } catch {
            // If systemd does not answer, it still learns from the kernel that the cgroup is empty.
            refusal = error
        }
        var first: SystemCallError?
        for directory in layout.directories.reversed() where directory.isNamedStill {
            do throws(SystemCallError) {
                try CgroupTree.remove(directory.name)
            } catch {
                first = first ?? error
            }
        }
        if let first {
            throw refusal
                ?? CgroupError(failure: first, message: "unable to remove the cgroup")
        }
    }

    /// Removes the directories that are empty; used if it is not known whether the cgroup belongs
    /// to somebody else.
    func removeIfUnused() {
        guard layout.adopted == nil else { return }
        for directory in layout.directories.reversed() { try? removeDirectory(directory.path) }
    }

    // MARK: - Making the directories

    private mutating func makeDirectories(_ lock: inout FileLock?) throws(CgroupError) {
        var foundOne = false
        // Another creation may remove its directories before this one has the lock.
        for _ in 0..<8 {
            do throws(SystemCallError) {
                for directory in layout.directories {
                    let made = try makeDirectory(
                        directory.path, below: directory.mountPoint.utf8.count)
                    foundOne = foundOne || !made
                }
            } catch {
                throw CgroupError(
                    field: "linux.cgroupsPath", failure: error,
                    message: "unable to create the cgroup")
            }
            // systemd makes sure that a scope is not shared.
            if layout.scope != nil { return }
            lock = try lockMainDirectory()
            if lock != nil { break }
            foundOne = true
        }
        if foundOne {
            try refuseOccupied()
            outOfMemoryKillsBefore = outOfMemoryKills ?? 0
        }
        isOurs = true
    }

    /// Takes the lock on an existing cgroup, and refuses one in use.
    mutating func occupy(_ lock: inout FileLock?) throws(CgroupError) {
        lock = try lockMainDirectory()
        try refuseOccupied()
        outOfMemoryKillsBefore = outOfMemoryKills ?? 0
    }

    /// Takes the lock that excludes other creations: two at a time would both find the cgroup
    /// empty.
    ///
    /// - Returns: the lock; nil if the directory has been removed.
    private mutating func lockMainDirectory() throws(CgroupError) -> FileLock? {
        guard let path = mainDirectory else { return nil }
        do throws(SystemCallError) {
            if let lock = try FileLock(ifFree: openFile(path, .readOnly | .directory)) {
                let isThere = try status(of: lock.file.number).stx_ino == status(at: path).stx_ino
                if isThere { return lock }
                return nil
            }
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch {
            throw CgroupError(
                field: field, failure: layout.named(error),
                message: "unable to lock the cgroup")
        }
        // The other creation now uses these directories.
        madeDirectories = []
        throw CgroupError(
            field: field, message: "container's cgroup is being used by another create")
    }

    /// Makes a directory and its missing parents; returns false if it exists.
    mutating func makeDirectory(_ path: String, below mountLength: Int)
        throws(SystemCallError) -> Bool
    {
        // Another runtime may remove a parent just after it was found to exist.
        var attempts = 8
        while true {
            do throws(SystemCallError) {
                try ContainerKit.makeDirectory(path, mode: 0o755)
                madeDirectories.append(path)
                return true
            } catch  where error.errno == .fileExists {
                return false
            } catch  where error.errno == .noSuchFileOrDirectory && attempts > 0 {
                attempts -= 1
                let parent = Self.parent(of: path)
                guard parent.utf8.count > mountLength else { throw error }
                _ = try makeDirectory(parent, below: mountLength)
            }
        }
    }

    /// Refuses an existing cgroup that contains processes, or that no process could run in.
    func refuseOccupied() throws(CgroupError) {
        let count = try processes().count
        guard count == 0 else {
            throw CgroupError(
                field: field,
                message: "container's cgroup is not empty: \(count) process(es) found",
                hint: layout.adopted == nil
                    ? nil : "a cgroup is for one container at a time: make one below it for each")
        }
        guard try !isFrozen else {
            throw CgroupError(field: field, message: "container's cgroup unexpectedly frozen")
        }
    }

    /// The field of the config that names the cgroup; nil for an adopted one.
    private var field: JSONPath? { layout.adopted == nil ? "linux.cgroupsPath" : nil }

    // MARK: - Preparing

    /// Copies the parents' values to the v1 cpuset directories: new ones are empty, and then accept
    /// no process.
    private func prepareCPUSet() throws(CgroupError) {
        guard !layout.isUnified, let index = layout.index(of: "cpuset") else { return }
        let directory = layout.directories[index]
        let prefix = "\(directory.mountPoint)/"
        do throws(SystemCallError) {
            for path in madeDirectories where path.begins(with: prefix) && path != directory.path {
                try inheritCPUSet(path, directory.mountPoint, isNew: true)
            }
            try inheritCPUSet(
                directory.path, directory.mountPoint,
                isNew: madeDirectories.contains(directory.path))
        } catch {
            throw CgroupError(failure: error, message: "unable to prepare the cpuset cgroup")
        }
    }

    private func inheritCPUSet(_ path: String, _ mountPoint: String, isNew: Bool)
        throws(SystemCallError)
    {
        guard path.utf8.count > mountPoint.utf8.count else { return }
        let parent = Self.parent(of: path)
        for file in CPUSetController.files {
            if !isNew, try !isBlank(readFile("\(path)/\(file)")) { continue }
            var value = try readFile("\(parent)/\(file)")
            if isBlank(value) {
                try inheritCPUSet(parent, mountPoint, isNew: false)
                value = try readFile("\(parent)/\(file)")
            }
            let copy = value
            let target = try openFile("\(path)/\(file)", .writeOnly)
            try writeAll(copy, to: target.number, named: "\"\(path)/\(file)\"")
        }
    }

    func isBlank(_ text: [UInt8]) -> Bool {
        text.allSatisfy { $0 == UInt8(ascii: "\n") }
    }

    /// Enables every controller of the host for the children of each cgroup above the container's.
    ///
    /// Errors are ignored, as a cgroup above may belong to somebody else: a limit whose file is
    /// then missing fails when it is written.
    private func enableControllers() {
        let directory = layout.directories[0]
        let wanted = layout.unifiedControllers
        guard !wanted.isEmpty, let text = try? readFile("\(directory.path)/cgroup.controllers")
        else { return }
        let present = words(of: text)
        guard !wanted.allSatisfy(present.contains) else { return }
        var above = directory.mountPoint
        for part in directory.cgroup.parts(between: "/") {
            let file = "\(above)/cgroup.subtree_control"
            let together = wanted.map { "+\($0)" }.joined(separator: " ")
            if (try? writeControlFile(file, together)) == nil {
                // A controller that cannot be enabled must not keep the others from being enabled.
                for controller in wanted { try? writeControlFile(file, "+\(controller)") }
            }
            above += "/\(part)"
        }
        enterThreadedDomain(directory)
    }

    /// Makes the cgroup threaded, if it is below a threaded cgroup.
    ///
    /// Otherwise it would accept no process. It has only controllers that support threads.
    /// Kernel: cgroup-v2.rst, Threads.
    private func enterThreadedDomain(_ directory: CgroupDirectory) {
        let file = "\(directory.path)/cgroup.type"
        guard let text = try? readFile(file), words(of: text) == ["domain", "invalid"] else {
            return
        }
        // If this fails, the error shows when the process enters.
        try? writeControlFile(file, "threaded")
    }

    // MARK: - Entering

    /// Opens the directory in the v2 hierarchy, for clone3(2) with CLONE_INTO_CGROUP; nil on a host
    /// without it.
    func openUnifiedDirectory() throws(CgroupError) -> OwnedDescriptor? {
        guard let index = layout.unifiedIndex else { return nil }
        do throws(SystemCallError) {
            return try openFile(layout.directories[index].path, .pathOnly | .directory)
        } catch {
            throw CgroupError(failure: layout.named(error))
        }
    }

    /// Opens the files by which a single-threaded child enters the v1 hierarchies.
    func openEntrance() throws(CgroupError) -> CgroupEntrance {
        var entrance = CgroupEntrance()
        do throws(SystemCallError) {
            for directory in layout.directories where !directory.isUnified {
                entrance.add(try openFile("\(directory.path)/tasks", .writeOnly))
            }
        } catch {
            throw CgroupError(failure: error, message: "unable to enter the cgroup")
        }
        return entrance
    }

    /// Moves a process with all its threads into the cgroup, from outside.
    ///
    /// With `includingUnified` false, only into the v1 hierarchies: for a process that was cloned
    /// into the unified one. On an idle machine the first of these writes waits some milliseconds
    /// for an RCU grace period, which a child that enters by `openEntrance` avoids.
    func attach(_ process: Int, includingUnified: Bool = true) throws(CgroupError) {
        for directory in layout.directories where includingUnified || !directory.isUnified {
            let path = "\(directory.path)/cgroup.procs"
            // A process whose fork(2) is not quite complete causes EINVAL, too.
            var attempts = 5
            while true {
                do throws(SystemCallError) {
                    try writeControlFile(path, "\(process)")
                    break
                } catch  where error.errno == .invalidArgument && attempts > 0 {
                    attempts -= 1
                    wait(milliseconds: 10)
                } catch {
                    throw CgroupError(
                        failure: layout.named(error),
                        message: "unable to enter the cgroup")
                }
            }
        }
    }

    static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
        return String(path[..<slash])
    }
}

/// The open `tasks` files of the v1 hierarchies: a child that writes `0` to each of them has
/// entered.
///
/// If a thread moves itself, the kernel need not lock out all forks and exits of the machine, which
/// takes an RCU grace period (3-4 ms) when idle. Only that one thread moves. The kernel checks the
/// permissions of the process that opened the files, so the child's user and namespaces do not
/// matter.
struct CgroupEntrance: ~Copyable {
    /// The descriptors, one per hierarchy; closed with the entrance.
    private(set) var descriptors: [CInt] = []

    fileprivate mutating func add(_ descriptor: consuming OwnedDescriptor) {
        descriptors.append(descriptor.release())
    }

    /// Gives up the descriptors without closing them.
    mutating func release() -> [CInt] {
        defer { descriptors = [] }
        return descriptors
    }

    deinit {
        for number in descriptors { _ = OwnedDescriptor(taking: number) }
    }
}
#endif
