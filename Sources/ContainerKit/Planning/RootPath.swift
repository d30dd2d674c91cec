// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The path of the root file system on the host, to recognize paths that lead into it.
///
/// Paths are compared as text; nothing is looked up.
struct RootPath {
    private let path: String

    init(_ path: String) {
        self.path = path.rootedPath
    }

    /// A path of the host as a path of the container; nil if it is outside the root file system.
    func inside(_ path: String) -> String? { inside(spelled: path.rootedPath) }

    private func inside(spelled path: String) -> String? {
        // If the root is the host's own, paths are the same anyway.
        guard self.path != "/", path.isPath(within: self.path) else { return nil }
        let below = String(path.utf8.dropFirst(self.path.utf8.count)) ?? "/"
        return below.isEmpty ? "/" : below
    }

    /// A destination in the container; as with runc, it may also be a host path into the root file
    /// system.
    func destination(_ path: String) -> String {
        let path = path.rootedPath
        return inside(spelled: path) ?? path
    }
}

extension String {
    /// Whether this path equals the other or is below it; both must be normalized (`rootedPath`).
    func isPath(within other: String) -> Bool {
        guard other != "/" else { return true }
        guard begins(with: other) else { return false }
        return utf8.count == other.utf8.count
            || utf8.dropFirst(other.utf8.count).first == UInt8(ascii: "/")
    }
}

extension MountPlan {
    /// The path in the container of a bind mount's source, if earlier mounts may have changed it.
    ///
    /// All other sources are cloned by the runtime before the container's mounts are made. A source
    /// with `..` counts as the host's, since its text does not tell where it leads.
    func placeInContainer(_ source: String) -> String? {
        guard !destinations.isEmpty, let place = root.inside(source),
            !source.parts(between: "/").contains("..")
        else { return nil }
        return place
    }

    /// Whether a path of the container is in, or contains, an earlier mount, judged by its text.
    func isInEarlierMount(_ place: String) -> Bool {
        destinations.contains { place.isPath(within: $0) || $0.isPath(within: place) }
    }
}

extension BindMount {
    /// The tree that the child clones if the source is in an earlier mount.
    func tree(at place: String) -> ContainerTree {
        ContainerTree(
            path: place, recursive: recursive, clonesLink: !followsLink, changes: changes)
    }
}
#endif
