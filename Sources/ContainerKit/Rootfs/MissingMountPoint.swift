// SPDX-License-Identifier: Apache-2.0

// Rootfs: reads files of an image and makes files in it, without trusting its paths.
//
//   MissingMountPoint  makes mount points behind dangling links, on the child's request
//   TmpfsCopy          a tmpfs with a copy of the image's directory: tmpcopyup
//   TreeCopy           the process that makes this copy, in the container's cgroup
//   HomeDirectory      the home directory from the image's /etc/passwd
//   ProgramFile        the reason why a program of the image could not be executed

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A mount point that the child requests, because its path leads through a dangling link.
///
/// An image may have `/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf` but no `/run`,
/// or a volume may have a link to a file that will be mounted later. The child makes missing mount
/// points by name, but not in place of a link, and it cannot parse the text of a link. So the
/// runtime does this, below the child's own root, with the mounts made so far.
struct MissingMountPoint {
    /// The path below the root.
    private let path: String
    private let isDirectory: Bool
    /// Whether a link at the end of the path is followed.
    private let followsLink: Bool

    /// A mount point that must exist before anything is mounted.
    init(_ path: String, isDirectory: Bool) {
        self.path = path
        self.isDirectory = isDirectory
        followsLink = true
    }

    /// Parses the child's message; nil if it is another message.
    init?(message: [UInt8]) {
        let pathStart = MountPointRequest.pathOffset
        guard message.count > pathStart, message[0] == ChildEvent.mountPointMissing.rawValue,
            let path = String(validating: message[pathStart...], as: UTF8.self)
        else { return nil }
        self.path = path
        followsLink = message[1] != 0
        isDirectory = FileKind(mode: UInt16(message[2]) | UInt16(message[3]) << 8) == .directory
    }

    /// Makes the mount point below `root`.
    ///
    /// The kernel never follows a link or `..` here, so a rename meanwhile cannot lead out of the
    /// root.
    func make(below root: CInt) throws(SystemCallError) {
        try Walk(from: root, following: followsLink).make(
            path.parts(between: "/").map(String.init), asDirectory: isDirectory)
    }
}

/// Resolves a path below a root, keeping a descriptor for each directory on the way.
private final class Walk {
    /// The kernel's limit for links.
    private static let mostLinks = 40

    private let root: CInt
    private let followsLast: Bool
    /// The directories on the way, each inside the one before.
    private var found: [CInt] = []

    init(from root: CInt, following followsLast: Bool) {
        self.root = root
        self.followsLast = followsLast
    }

    deinit {
        leave(to: 0)
    }

    private var directory: CInt { found.last ?? root }

    private func leave(to depth: Int) {
        while found.count > depth { _ = OwnedDescriptor(taking: found.removeLast()) }
    }

    /// Resolves a path and makes what is missing: directories, and last a directory or an empty
    /// file.
    ///
    /// Errors are ignored: the child gets the same error and reports it with its mount.
    func make(_ parts: [String], asDirectory: Bool) throws(SystemCallError) {
        var pending = Array(parts.reversed())
        var linkCount = 0
        while let name = pending.popLast() {
            if name == "." { continue }
            if name == ".." {
                leave(to: max(found.count - 1, 0))
                continue
            }
            guard let next = try open(name) else {
                if pending.isEmpty, !asDirectory { return try makeFile(name) }
                try enterNew(name)
                continue
            }
            switch try status(of: next.number).kind {
            case .directory:
                found.append(next.release())
            case .link:
                if pending.isEmpty, !followsLast { return }
                linkCount += 1
                // A link that is not UTF-8 cannot be represented here.
                guard linkCount <= Self.mostLinks,
                    let target = String(validating: try readLink(next.number), as: UTF8.self)
                else { return }
                if target.begins(with: "/") { leave(to: 0) }
                pending += target.parts(between: "/").reversed().map(String.init)
            default:
                return
            }
        }
    }

    private func makeFile(_ name: String) throws(SystemCallError) {
        do {
            _ = try openFile(
                name, .writeOnly | .create | .exclusive | .noFollow, at: directory, mode: 0o644)
        } catch  where error.errno == .fileExists {
            // Another container with the same volume has made it meanwhile.
        }
    }

    /// Sets the mode regardless of the caller's umask, since the container's users must pass
    /// through.
    private func enterNew(_ name: String) throws(SystemCallError) {
        var isOurs = true
        do {
            try makeDirectory(name, at: directory, mode: 0o755)
        } catch  where error.errno == .fileExists {
            isOurs = false
        }
        let made = try openFile(name, .readOnly | .directory | .noFollow, at: directory)
        if isOurs, try status(of: made.number).access != 0o755 {
            _ = try systemCall(
                "fchmod", __NR_fchmod, Int(made.number), 0o755, describing: "\"\(name)\"")
        }
        found.append(made.release())
    }

    private func open(_ name: String) throws(SystemCallError) -> OwnedDescriptor? {
        do {
            return try openFile(name, .pathOnly | .noFollow, at: directory)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }
}
#endif
