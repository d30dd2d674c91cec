// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
public import SystemPackage

/// A cgroup that exists already, for a new container: `LaunchOptions.adoptedCgroup`.
///
/// It is a cgroup of cgroup v2 that belongs to the caller, for one container at a time. The
/// container's init starts in it, and the limits and device rules of the config are written to it.
/// `delete` kills what is in it and removes the cgroups below it, but never the cgroup itself;
/// limits stay as they are, and counters such as CPU time go on.
///
/// The container's record names it by its path and by its inode, so a later cgroup of the same path
/// is never taken for it: if it is removed while the container exists, the container has no cgroup
/// any more.
public struct AdoptedCgroup: Sendable, Equatable {
    /// The absolute path.
    public let path: FilePath
    let identity: FileIdentity
    /// The open directory; nil for a cgroup that is known from a record.
    let directory: HeldDescriptor?

    /// Adopts the cgroup of an open directory, for example one that another process has sent.
    ///
    /// - Parameter descriptor: is duplicated; the caller closes its own.
    /// - Throws: `invalidArgument` if it is no cgroup, or none that a path leads to; `unsupported`
    ///   for a cgroup of cgroup v1; `systemCall`.
    public init(_ descriptor: FileDescriptor) throws(ContainerError) {
        let copy = try reporting("unable to use the cgroup's descriptor") {
            () throws(SystemCallError) in
            try duplicate(descriptor.rawValue, from: 3)
        }
        try self.init(taking: copy)
    }

    /// Adopts the cgroup at a path, which is opened once.
    ///
    /// - Throws: as for a descriptor.
    public init(at path: FilePath) throws(ContainerError) {
        let directory = try reporting("unable to open the cgroup") {
            () throws(SystemCallError) in
            try openFile(path.text, .pathOnly | .directory)
        }
        try self.init(taking: directory)
    }

    private init(taking directory: consuming OwnedDescriptor) throws(ContainerError) {
        let number = directory.number
        let (magic, found, path) = try reporting("unable to examine the cgroup") {
            () throws(SystemCallError) in
            (
                try filesystemStatus(of: number).f_type, try status(of: number),
                try presentPath(of: number)
            )
        }
        switch FilesystemMagic(rawValue: magic) {
        case .cgroup2 where found.kind == .directory: break
        case .cgroup:
            throw ContainerError(
                .unsupported,
                "\"\(path)\" is a cgroup of cgroup v1, which cannot be adopted: a container there "
                    + "has a cgroup for each controller",
                hint: "use cgroup v2, or name the cgroup in linux.cgroupsPath")
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
        self.path = FilePath(path)
        self.directory = HeldDescriptor(taking: directory.release())
    }

    /// The cgroup that a record names.
    init(path: String, identity: FileIdentity) {
        self.path = FilePath(path)
        self.identity = identity
        directory = nil
    }

    /// Cgroups are equal if they are the same directory.
    public static func == (one: AdoptedCgroup, other: AdoptedCgroup) -> Bool {
        one.identity == other.identity
    }

    /// The open directory; nil if the cgroup has been removed, whatever its path names now.
    func opened() throws(SystemCallError) -> HeldDescriptor? {
        if let directory { return directory }
        do throws(SystemCallError) {
            let found = try openFile(path.text, .pathOnly | .directory)
            guard try status(of: found.number).identity == identity else { return nil }
            return HeldDescriptor(taking: found.release())
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return nil
        }
    }
}
#endif
