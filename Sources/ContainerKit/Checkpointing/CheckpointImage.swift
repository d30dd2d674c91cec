// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The directory of an image, and the directory of CRIU's log.
///
/// An image is trusted like the runtime's own config: CRIU restores what the image says. Our own
/// files in it are read by descriptor, without following links, and with a size limit.
final class CheckpointImage {
    /// The former standard streams, one text for each; the name and the format are runc's.
    private static let streamsName = "descriptors.json"
    /// What a restore needs to know in addition to CRIU's files.
    private static let notesName = "swrunc.json"
    /// A file that every image of CRIU has.
    private static let inventoryName = "inventory.img"
    /// The prefix of the files with the offsets of a time namespace's clocks.
    private static let clockPrefix = "timens-"
    private static let fileLimitBytes = 4 << 20

    /// The path of the complete image.
    let path: String
    /// The path of the image while it is being made.
    private let partialPath: String?
    private let directory: OwnedDescriptor
    private let workPath: String?
    /// The names of the files that were there before.
    private let namesBefore: Set<String>
    private let logName: String

    /// The open directory.
    var number: CInt { directory.number }
    /// The open directory of the log, if it is another directory.
    let workNumber: CInt?

    /// CRIU's log.
    var log: CriuLog {
        CriuLog(path: workPath ?? path, directory: workNumber ?? number, name: logName)
    }

    deinit {
        if let workNumber { _ = OwnedDescriptor(taking: workNumber) }
    }

    // MARK: A new one

    /// Makes the directories of a new image, or opens existing ones.
    ///
    /// A new directory gets its name only when the image is complete. An existing directory is
    /// written in place: engines have made it, may have it open or mounted, and read it by that
    /// name. With `inPlace`, a new directory is written in place, too.
    init(making path: String, work workPath: String?, inPlace: Bool) throws(ContainerError) {
        self.path = path
        self.workPath = workPath
        logName = "dump.log"
        let message = "unable to make the directory of the checkpoint"
        var partial: String?
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                directory = try openFile(path, .readOnly | .directory)
            } catch  where error.errno == .noSuchFileOrDirectory {
                let place = inPlace ? path : Self.sibling(of: path)
                try Self.makeDirectory(place)
                if !inPlace { partial = place }
                directory = try openFile(place, .readOnly | .directory | .noFollow)
            }
            partialPath = partial
            namesBefore = Set(try directoryEntries("/proc/self/fd/\(directory.number)"))
            workNumber = try workPath.map { (path) throws(SystemCallError) in
                try Self.openOrMake(path).release()
            }
        } catch {
            if let partial { try? removeDirectory(partial) }
            let hint: String? =
                switch error.errno {
                case .noSuchFileOrDirectory: "the directory that is to contain it must exist"
                case .notDirectory: "--image-path and --work-path name directories"
                default: nil
                }
            throw ContainerError(error, message, hint: hint)
        }
    }

    /// A path beside the image, so that relative paths such as `../first` lead to the same place
    /// from it.
    private static func sibling(of path: String) -> String {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let start = slash.map { path.utf8.index(after: $0) } ?? path.startIndex
        return "\(path[..<start]).\(path[start...]).\(ownProcessID)"
    }

    private static func makeDirectory(_ path: String) throws(SystemCallError) {
        try ContainerKit.makeDirectory(path, mode: 0o700)
    }

    private static func openOrMake(_ path: String) throws(SystemCallError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            try makeDirectory(path)
        } catch  where error.errno == .fileExists {
            return try openFile(path, .readOnly | .directory)
        }
        return try openFile(path, .readOnly | .directory)
    }

    /// Gives the complete image its name.
    func putInPlace() throws(ContainerError) {
        guard let partialPath else { return }
        let path = path
        try reporting("unable to give the checkpoint its name") { () throws(SystemCallError) in
            try renameFile(partialPath, to: path, at: currentDirectory)
        }
    }

    /// Removes what a failed checkpoint has written, except the log, which says why it failed.
    func discard() {
        guard let names = try? directoryEntries("/proc/self/fd/\(number)") else { return }
        let kept = workPath == nil ? logName : ""
        for name in names where !namesBefore.contains(name) && name != kept {
            try? removeFile(name, at: number)
        }
        guard let partialPath else { return }
        do throws(SystemCallError) {
            // If it has no log, nothing is kept.
            try removeDirectory(partialPath)
        } catch {
            try? renameFile(partialPath, to: path, at: currentDirectory)
        }
    }

    // MARK: One that is there

    /// Opens an image for a restore or, with `looksOnly`, for reading only, without the log's
    /// directory.
    init(restoring path: String, work workPath: String?, looksOnly: Bool = false)
        throws(ContainerError)
    {
        self.path = path
        self.workPath = workPath
        logName = "restore.log"
        partialPath = nil
        namesBefore = []
        do throws(SystemCallError) {
            directory = try openFile(path, .readOnly | .directory)
            _ = try status(at: Self.inventoryName, in: directory.number)
            workNumber = try (looksOnly ? nil : workPath).map { (path) throws(SystemCallError) in
                try Self.openOrMake(path).release()
            }
        } catch {
            throw ContainerError(
                .criu, "\(path) holds no checkpoint", failure: error,
                hint: error.errno == .noSuchFileOrDirectory
                    ? "--image-path names the directory that checkpoint has written" : nil)
        }
    }

    /// The directories of image and log as seen by a process with its own mount namespace: CRIU
    /// mounts file systems in them.
    ///
    /// With an entrance, the image is found through it.
    func reopened(in process: Int32, by entrance: ImageEntrance?) throws(ContainerError)
        -> ReopenedImage
    {
        do throws(SystemCallError) {
            return ReopenedImage(
                image: try Self.reopened(entrance?.number ?? number, process, at: entrance?.path),
                work: try Self.reopened(workNumber ?? number, process, at: nil))
        } catch {
            throw ContainerError(error, "unable to open the checkpoint for criu")
        }
    }

    private static func reopened(_ directory: CInt, _ process: Int32, at path: String?)
        throws(SystemCallError) -> OwnedDescriptor
    {
        // The path must contain no links: an absolute one would be followed from the root of this
        // process.
        var path = path
        if path == nil { path = try Self.path(of: directory) }
        let found = try openFile("/proc/\(process)/root\(path ?? "")", .readOnly | .directory)
        let (wanted, status) = try (status(of: directory), status(of: found.number))
        guard wanted.stx_ino == status.stx_ino, wanted.stx_dev_major == status.stx_dev_major,
            wanted.stx_dev_minor == status.stx_dev_minor
        else { throw SystemCallError("openat", "\"\(path ?? "")\"", errno: .staleNFSFileHandle) }
        return found
    }

    private static func path(of directory: CInt) throws(SystemCallError) -> String {
        let link = try openFile("/proc/self/fd/\(directory)", .pathOnly | .noFollow)
        return String(decoding: try readLink(link.number), as: UTF8.self)
    }

    /// The image with its files owned by root of a user namespace, who reads it there.
    func tree(ownedIn maps: IDMaps) throws(ContainerError) -> OwnedDescriptor {
        let namespace = try maps.makeUserNamespace(field: "linux.uidMappings")
        do throws(SystemCallError) {
            let tree = try cloneMountTree(of: number, recursive: false)
            try mapMountIDs(tree.number, by: namespace.number, recursive: false)
            return tree
        } catch {
            throw ContainerError(
                error, "unable to give the checkpoint to the container's user namespace",
                hint: "the file system of the image must support id-mapped mounts")
        }
    }

    /// A directory on a separate file system, with links to all files of an image that is mounted
    /// in it.
    ///
    /// The first process reads its clocks' offsets in its new user namespace, either before or
    /// after CRIU has written the ID maps. Before that, it cannot read an image that only this
    /// namespace's root may read. So this file, which has no secrets, is a copy that everyone can
    /// read.
    func entrance() throws(ContainerError) -> OwnedDescriptor {
        let (number, path, names) = (number, path, try names())
        return try reporting("unable to show the checkpoint to the container's user namespace") {
            () throws(SystemCallError) in
            let tree = try newFilesystem(
                FilesystemMount(
                    type: "tmpfs", source: "tmpfs", destination: "", options: ["mode=755"]))
            try ContainerKit.makeDirectory(ImageEntrance.imageName, at: tree.number, mode: 0o755)
            for name in names where name != ImageEntrance.imageName {
                guard name.hasPrefix(Self.clockPrefix) else {
                    try makeLink(name, to: "\(ImageEntrance.imageName)/\(name)", at: tree.number)
                    continue
                }
                let file = try openFile(name, .readOnly | .nonBlocking | .noFollow, at: number)
                let bytes = try readFile(
                    file.number, limitBytes: Self.fileLimitBytes, named: "\(path)/\(name)")
                let copy = try openFile(name, .writeOnly | .create, at: tree.number, mode: 0o444)
                try writeAll(bytes, to: copy.number, named: name)
                try setMode(0o444, of: copy.number, named: name)
            }
            return tree
        }
    }

    /// The names of all files.
    func names() throws(ContainerError) -> [String] {
        let number = number
        return try reporting { () throws(SystemCallError) in
            try directoryEntries("/proc/self/fd/\(number)")
        }
    }

    /// How many bytes of memory the image contains so far.
    var memoryBytes: Int {
        let names = (try? names()) ?? []
        return names.reduce(0) { sum, name in
            guard name.hasPrefix("pages-"), let file = try? status(at: name, in: number) else {
                return sum
            }
            return sum &+ Int(clamping: file.stx_size)
        }
    }

    // MARK: Our own files

    func write(streams: [String]) throws(ContainerError) {
        try write(.array(streams.map { .string($0) }), to: Self.streamsName)
    }

    func write(_ notes: CheckpointNotes) throws(ContainerError) {
        try write(notes.json, to: Self.notesName)
    }

    private func write(_ value: JSONValue, to name: String) throws(ContainerError) {
        let (number, path) = (number, path)
        try reporting("unable to write the checkpoint") { () throws(SystemCallError) in
            let file = try openFile(
                name, .writeOnly | .create | .truncate | .noFollow, at: number, mode: 0o600)
            try writeAll(value.encoded(), to: file.number, named: "\"\(path)/\(name)\"")
        }
    }

    /// The former standard streams; none if the image does not say.
    func streams() throws(ContainerError) -> [String] {
        guard let value = try read(Self.streamsName) else { return [] }
        guard case .array(let items) = value else { throw damage(to: Self.streamsName) }
        return items.prefix(3).map { if case .string(let text) = $0 { text } else { "" } }
    }

    /// The checkpoint's notes; nil if another runtime has made the image.
    func notes() throws(ContainerError) -> CheckpointNotes? {
        guard let value = try read(Self.notesName) else { return nil }
        guard let notes = CheckpointNotes(value) else { throw damage(to: Self.notesName) }
        return notes
    }

    private func damage(to name: String) -> ContainerError {
        ContainerError(.criu, "\(path)/\(name) is damaged or of a later version")
    }

    private func read(_ name: String) throws(ContainerError) -> JSONValue? {
        let bytes: [UInt8]
        do throws(SystemCallError) {
            let file = try openFile(name, .readOnly | .nonBlocking | .noFollow, at: number)
            bytes = try readFile(
                file.number, limitBytes: Self.fileLimitBytes, named: "\(path)/\(name)")
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch {
            throw ContainerError(error, "unable to read the checkpoint")
        }
        guard let value = try? JSONValue(json: bytes) else { throw damage(to: name) }
        return value
    }
}

/// Where CRIU finds an image whose files belong to IDs of the container.
struct ImageEntrance {
    /// The name of the image's own directory in the entrance.
    static let imageName = "image"

    /// Where the entrance is mounted.
    let path: String
    /// The open directory.
    let number: CInt
}

/// The directories of image and log in CRIU's mount namespace.
struct ReopenedImage: ~Copyable {
    let image: OwnedDescriptor
    let work: OwnedDescriptor
}

/// What a checkpoint writes down for a restore: one versioned JSON object.
struct CheckpointNotes: Equatable {
    private static let version: Int64 = 1

    /// The container's ID.
    var id: String
    /// The mounts whose files are the host's.
    var mounts: [ExternalMount]
    /// The kinds of namespaces that were joined.
    var joined: [String]
    /// Whether the contents of the network namespace were left out.
    var hasEmptyNetwork = false

    init(id: String, mounts: [ExternalMount], joined: [String], hasEmptyNetwork: Bool = false) {
        self.id = id
        self.mounts = mounts
        self.joined = joined
        self.hasEmptyNetwork = hasEmptyNetwork
    }

    var json: JSONValue {
        .object([
            "version": .integer(Self.version), "id": .string(id),
            "mounts": .array(mounts.map(\.json)),
            "joinedNamespaces": .array(joined.map { .string($0) }),
            "emptyNetwork": .bool(hasEmptyNetwork),
        ])
    }

    init?(_ value: JSONValue) {
        guard case .object(let object) = value, case .integer(let version)? = object["version"],
            (1...Self.version).contains(version), case .string(let id)? = object["id"],
            case .array(let items)? = object["mounts"],
            case .array(let kinds)? = object["joinedNamespaces"]
        else { return nil }
        self.id = id
        mounts = items.compactMap(ExternalMount.init)
        joined = kinds.compactMap { if case .string(let kind) = $0 { kind } else { nil } }
        hasEmptyNetwork = object["emptyNetwork"] == .bool(true)
        guard mounts.count == items.count, joined.count == kinds.count else { return nil }
    }
}
#endif
