// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

/// Where the root file system is on the host, for paths of a config that lead into it.
///
/// Paths are compared as they are spelled: nothing is looked up.
struct RootPath {
    private let path: String

    init(_ path: String) {
        self.path = path.rootedPath
    }

    /// A path of the host as one of the container, where it leads into the root file system.
    func inside(_ path: String) -> String? { inside(spelled: path.rootedPath) }

    private func inside(spelled path: String) -> String? {
        // The host's own root is a container's as it is.
        guard self.path != "/", path.isPath(within: self.path) else { return nil }
        let below = String(path.utf8.dropFirst(self.path.utf8.count)) ?? "/"
        return below.isEmpty ? "/" : below
    }

    /// A destination, also one that names the root file system's own directory, which runc takes.
    func destination(_ path: String) -> String {
        let path = path.rootedPath
        return inside(spelled: path) ?? path
    }
}

extension String {
    /// Whether this path is another one or leads below it; both are spelled as `absolute` does it.
    func isPath(within other: String) -> Bool {
        guard other != "/" else { return true }
        guard begins(with: other) else { return false }
        return utf8.count == other.utf8.count
            || utf8.dropFirst(other.utf8.count).first == UInt8(ascii: "/")
    }
}

extension MountPlan {
    /// Where in the container the source of a bind mount is, if earlier mounts may decide on what is there.
    ///
    /// All other sources are cloned by the runtime before the container's mounts are made. One with `..`
    /// counts as the host's: where that leads cannot be told from its spelling.
    func placeInContainer(_ source: String) -> String? {
        guard !destinations.isEmpty, let place = root.inside(source),
            !source.parts(between: "/").contains("..")
        else { return nil }
        return place
    }

    /// Whether a place of the container is in an earlier mount, as it is spelled.
    func isInEarlierMount(_ place: String) -> Bool {
        destinations.contains { place.isPath(within: $0) || $0.isPath(within: place) }
    }
}

extension BindMount {
    /// What the child does for it, where its source is in an earlier mount.
    func tree(at place: String) -> ContainerTree {
        ContainerTree(
            path: place, recursive: recursive, clonesLink: !followsLink, changes: changes)
    }
}
