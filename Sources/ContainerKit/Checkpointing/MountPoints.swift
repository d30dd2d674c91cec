// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The mount points at which CRIU mounts what the config asks for, in a root file system that may
/// lack them.
///
/// As in the creation of a container, the root file system is changed for this, even if the
/// container sees it read-only.
struct MountPoints {
    private let mounts: [(index: Int, mount: Mount, destination: String)]
    private let bundlePath: String
    private let root: CInt

    init(_ spec: Spec, bundlePath: String, rootPath: String, root: CInt) {
        let place = RootPath(rootPath)
        mounts = (spec.mounts ?? []).enumerated().map { index, mount in
            (index, mount, place.destination(mount.destination))
        }
        self.bundlePath = bundlePath
        self.root = root
    }

    /// Makes the missing mount points.
    ///
    /// Mount points on the container's other file systems come with the image, except on bind
    /// mounts, whose files are the host's.
    func make() throws(ContainerError) {
        for (index, mount, destination) in mounts where destination != "/" {
            let parent = mounts.filter {
                $0.destination != destination && destination.isPath(within: $0.destination)
                    && $0.destination != "/"
            }.max { $0.destination.utf8.count < $1.destination.utf8.count }
            do throws(SystemCallError) {
                let point = MissingMountPoint(
                    Self.below(parent?.destination, destination),
                    isDirectory: try isDirectory(mount))
                guard let parent else {
                    try point.make(below: root)
                    continue
                }
                guard Self.isBind(parent.mount) else { continue }
                let source = (parent.mount.source ?? "").path(from: bundlePath)
                let directory = try openFile(source, .pathOnly | .directory)
                try point.make(below: directory.number)
            } catch {
                throw ContainerError(
                    error, "unable to make the mount point", field: "mounts[\(index)]")
            }
        }
    }

    /// Makes `/tmp` if it is missing.
    ///
    /// CRIU enters the root through it, or else through a directory that it makes there, which a
    /// read-only root refuses. An error is left to CRIU, which may do without it.
    func makeEntrance() {
        try? MissingMountPoint("/tmp", isDirectory: true).make(below: root)
    }

    /// What `make`, and for a read-only root `makeEntrance`, will do.
    static func lines(for spec: Spec) -> [RestoreExplanation.Line] {
        var lines: [RestoreExplanation.Line] = []
        if spec.mounts?.isEmpty == false {
            lines.append(.init(field: "mounts", text: "make the mount points that the root lacks"))
        }
        if spec.root?.readonly == true {
            lines.append(
                .init(
                    field: "root.readonly",
                    text: "make /tmp if the root lacks it, and make the root's mount read-only"))
        }
        return lines
    }

    private static func below(_ parent: String?, _ destination: String) -> String {
        guard let parent else { return destination }
        return String(destination.dropFirst(parent.count))
    }

    static func isBind(_ mount: Mount) -> Bool {
        MountOptions(mount.options ?? [], type: mount.type).isBind
    }

    private func isDirectory(_ mount: Mount) throws(SystemCallError) -> Bool {
        guard Self.isBind(mount) else { return true }
        let source = (mount.source ?? "").path(from: bundlePath)
        return try status(at: source).kind == .directory
    }

    /// Throws if a mount point of the image has become a link in the root file system: CRIU would
    /// follow it.
    func check(_ external: [ExternalMount]) throws(ContainerError) {
        for mount in external {
            let isBelow = mounts.contains {
                $0.destination != "/" && $0.destination != mount.mountPoint
                    && mount.mountPoint.isPath(within: $0.destination)
            }
            guard !isBelow else { continue }
            do throws(SystemCallError) {
                _ = try openInRoot(root, mount.mountPoint, .pathOnly, followsLinks: false)
            } catch {
                throw ContainerError(
                    .criu,
                    "the checkpoint has a mount on \(mount.mountPoint), which the root file system lacks",
                    failure: error,
                    hint: "restore with the root file system as it was at the checkpoint")
            }
        }
    }
}
#endif
