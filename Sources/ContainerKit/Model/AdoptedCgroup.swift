// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
public import SystemPackage

/// A cgroup that exists already, for a new container: `LaunchOptions.adoptedCgroup`.
///
/// It belongs to the caller, and is for one container at a time. The container's init starts in it,
/// and the limits and device rules of the config are written to it. `delete` kills what is in it and
/// removes the cgroups below it, but never the cgroup itself; limits stay as they are, and counters
/// such as CPU time go on.
///
/// On cgroup v2 it is one directory. On v1, and in the hybrid mode, it is a directory in each
/// hierarchy that the caller chooses. That of the controller `devices` must be among them, since
/// nothing else would keep the container from the host's devices; only an ordinary user, or root of
/// a user namespace, may leave it out. In every other hierarchy a process of the container stays in
/// the cgroup of the program that starts it, also by `exec`: a limit there is refused, and without
/// the controller `freezer` the container cannot be paused.
///
/// The container's record names the directories by path and inode, so a later cgroup of the same
/// path is never taken for it: if it is removed while the container exists, the container has no
/// cgroup any more.
public struct AdoptedCgroup: Sendable, Equatable {
    /// Its directories: at least one, each of another hierarchy.
    let directories: [Directory]

    /// The absolute path; on cgroup v1 that of the first directory.
    public var path: FilePath { paths[0] }
    /// The absolute paths of its directories: one on cgroup v2.
    public var paths: [FilePath] { directories.map { FilePath($0.path) } }

    /// Adopts the cgroup of an open directory, for example one that another process has sent.
    ///
    /// - Parameter descriptor: is duplicated; the caller closes its own.
    /// - Throws: `invalidArgument` if it is no cgroup, or none that a path leads to; `systemCall`.
    public init(_ descriptor: FileDescriptor) throws(ContainerError) {
        try self.init([descriptor])
    }

    /// Adopts the cgroup of open directories: on cgroup v1 one for each hierarchy, in any order.
    ///
    /// - Parameter descriptors: are duplicated; the caller closes its own.
    /// - Throws: as for one descriptor; `invalidArgument` also if there is none, or one twice.
    public init(_ descriptors: [FileDescriptor]) throws(ContainerError) {
        var found: [Directory] = []
        for descriptor in descriptors {
            let copy = try reporting("unable to use the cgroup's descriptor") {
                () throws(SystemCallError) in
                try duplicate(descriptor.rawValue, from: 3)
            }
            found.append(try Directory(taking: copy))
        }
        try self.init(found)
    }

    /// Adopts the cgroup at a path, which is opened once.
    ///
    /// - Throws: as for a descriptor.
    public init(at path: FilePath) throws(ContainerError) {
        try self.init(at: [path])
    }

    /// Adopts the cgroup of the directories at paths: on cgroup v1 one for each hierarchy.
    ///
    /// - Throws: as for descriptors.
    public init(at paths: [FilePath]) throws(ContainerError) {
        var found: [Directory] = []
        for path in paths {
            let directory = try reporting("unable to open the cgroup") {
                () throws(SystemCallError) in
                try openFile(path.text, .pathOnly | .directory)
            }
            found.append(try Directory(taking: directory))
        }
        try self.init(found)
    }

    private init(_ found: [Directory]) throws(ContainerError) {
        guard !found.isEmpty else {
            throw ContainerError(.invalidArgument, "a cgroup to adopt needs a directory")
        }
        for (index, directory) in found.enumerated()
        where found[..<index].contains(where: { $0.identity == directory.identity }) {
            throw ContainerError(
                .invalidArgument, "the cgroup \"\(directory.path)\" is given twice")
        }
        directories = found
    }

    /// The cgroup of directories that a record names; there must be one.
    init(recorded directories: [Directory]) {
        self.directories = directories
    }

    /// Cgroups are equal if they are the same directories.
    public static func == (one: AdoptedCgroup, other: AdoptedCgroup) -> Bool {
        one.directories.count == other.directories.count
            && one.directories.allSatisfy { directory in
                other.directories.contains { $0.identity == directory.identity }
            }
    }
}

extension AdoptedCgroup {
    /// The directory of an adopted cgroup in one hierarchy.
    struct Directory: Sendable {
        /// The absolute path.
        let path: String
        let identity: FileIdentity
        /// The open directory; nil for one that is known from a record.
        let held: HeldDescriptor?

        /// The directory that a record names.
        init(path: String, identity: FileIdentity) {
            self.path = path
            self.identity = identity
            held = nil
        }

        fileprivate init(taking directory: consuming OwnedDescriptor) throws(ContainerError) {
            let number = directory.number
            let (magic, found, path) = try reporting("unable to examine the cgroup") {
                () throws(SystemCallError) in
                (
                    try filesystemStatus(of: number).f_type, try status(of: number),
                    try presentPath(of: number)
                )
            }
            switch FilesystemMagic(rawValue: magic) {
            case .cgroup where found.kind == .directory,
                .cgroup2 where found.kind == .directory:
                break
            default:
                throw ContainerError(
                    .invalidArgument, "\"\(path)\" is not the directory of a cgroup")
            }
            identity = found.identity
            guard (try? status(at: path))?.identity == identity else {
                throw ContainerError(
                    .invalidArgument,
                    "the cgroup \"\(path)\" cannot be found by its path",
                    hint: "was it removed, or is its file system mounted elsewhere?")
            }
            self.path = path
            held = HeldDescriptor(taking: directory.release())
        }

        /// The open directory; nil if it has been removed, whatever its path names now.
        func opened() throws(SystemCallError) -> HeldDescriptor? {
            if let held { return held }
            do throws(SystemCallError) {
                let found = try openFile(path, .pathOnly | .directory)
                guard try status(of: found.number).identity == identity else { return nil }
                return HeldDescriptor(taking: found.release())
            } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
                return nil
            }
        }
    }
}
#endif
