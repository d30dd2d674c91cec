// SPDX-License-Identifier: Apache-2.0

// Rootfs: what is read from an image, and what is made in it, without trust in a path of it.
//
//   MissingMountPoint  mount points behind links to nowhere, made when the child asks
//   TmpfsCopy          a tmpfs with what the image has there: tmpcopyup
//   TreeCopy           the process that copies it, in the container's cgroup
//   HomeDirectory      the home directory in the image's /etc/passwd
//   ProgramFile        why a program of the image could not be executed

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A mount point that the child asks for: its path leads through a link to what is not there.
///
/// An image may have `/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf` and no `/run`, or a
/// volume a link to a file that is only to be mounted. The child makes missing mount points by name,
/// which a link in the place of the name forbids, and cannot take apart what a link says. So the runtime
/// does it, below the child's own root, with the mounts that are there by then.
struct MissingMountPoint {
    /// Below the root.
    private let path: String
    private let isDirectory: Bool
    /// Whether a link at the end is followed.
    private let followsLink: Bool

    /// A place that is to be there before anything is mounted.
    init(_ path: String, isDirectory: Bool) {
        self.path = path
        self.isDirectory = isDirectory
        followsLink = true
    }

    /// Reads the child's message; nil when it is something else.
    init?(message: [UInt8]) {
        let pathStart = MountPointRequest.pathOffset
        guard message.count > pathStart, message[0] == ChildEvent.mountPointMissing.rawValue,
            let path = String(validating: message[pathStart...], as: UTF8.self)
        else { return nil }
        self.path = path
        followsLink = message[1] != 0
        isDirectory = FileKind(mode: UInt16(message[2]) | UInt16(message[3]) << 8) == .directory
    }

    /// Makes it below `root`.
    ///
    /// The kernel never follows a link or `..` here, so a rename meanwhile cannot lead out of the root.
    func make(below root: CInt) throws(SystemCallError) {
        try Walk(from: root, following: followsLink).make(
            path.parts(between: "/").map(String.init), asDirectory: isDirectory)
    }
}

/// A walk below a root, a descriptor for each directory on the way.
private final class Walk {
    /// As many links as the kernel follows.
    private static let mostLinks = 40

    private let root: CInt
    private let followsLast: Bool
    /// The directories below the root, each in the one before.
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

    /// Walks a path and makes what is missing: directories, and at the end a directory or an empty file.
    ///
    /// What cannot be walked is left to the child, who meets the same and says for which mount.
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
                // A target that is no UTF-8 cannot be spelled here.
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
            // Another container of the same volume was faster.
        }
    }

    /// The mode does not depend on the caller's umask: the container's users shall get through.
    private func enterNew(_ name: String) throws(SystemCallError) {
        var isOurs = true
        do {
            try makeDirectory(name, at: directory, mode: 0o755)
        } catch  where error.errno == .fileExists {
            isOurs = false
        }
        let made = try openFile(name, .readOnly | .directory | .noFollow, at: directory)
        if isOurs, try status(of: made.number).stx_mode & 0o777 != 0o755 {
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
