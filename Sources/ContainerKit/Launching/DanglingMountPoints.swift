// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import SystemPackage

/// Makes mount points that the paths of a config reach through a dangling link of the image.
///
/// An image may have `/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf` and no `/run`. The
/// child makes missing mount points by name, which a link in the place of the name forbids; so what
/// the link leads to is made here. What the child can do itself is left to it, and so is what an
/// earlier mount of the config will cover.
struct DanglingMountPoints {
    /// The rootfs.
    let root: CInt
    /// The ids of the container, whose root owns what is made; without, it is the runtime's.
    private let owner: IDMaps?
    /// Mounts of the config so far.
    private var covered: [[String]] = []

    init(root: CInt, owner: IDMaps? = nil) {
        self.root = root
        self.owner = owner
    }

    /// Goes through the places that the child will need, in its order.
    mutating func make(for plan: LaunchPlan) throws(ContainerError) {
        for planned in plan.childSteps {
            try reporting("unable to make the mount point", field: planned.field) {
                () throws(SystemCallError) in
                try make(for: planned.step, of: plan)
            }
        }
    }

    private mutating func make(for step: InitStep, of plan: LaunchPlan) throws(SystemCallError) {
        switch step {
        case .mountFilesystem(let mount):
            // procfs and sysfs are not mounted through links.
            if mount.type == "proc" || mount.type == "sysfs" {
                covered.append(Self.components(mount.destination))
            } else {
                try make(mount.destination, isMount: true) { true }
            }
        case .mountCgroupHierarchies(_, let mount, _):
            try make(mount.destination, isMount: true) { true }
        case .attachMount(_, let path, .likeSourceOverLink):
            // A link at the end is not followed, wherever it leads.
            covered.append(Self.components(path))
        case .attachMount(let index, let path, let kind):
            try make(path, isMount: true) { () throws(SystemCallError) in
                if kind == .directory { return true }
                return try Self.sourceIsDirectory(index, plan)
            }
        case .makeDirectory(let path):
            try make(path, isMount: false) { true }
        default: break
        }
    }

    private mutating func make(
        _ path: String, isMount: Bool, isDirectory: () throws(SystemCallError) -> Bool?
    ) throws(SystemCallError) {
        let parts = Self.components(path)
        defer { if isMount { covered.append(parts) } }
        if parts.isEmpty || isCovered(parts) { return }
        do {
            _ = try openInRoot(root, path, .pathOnly)
        } catch  where error.errno == .noSuchFileOrDirectory {
            let walk = Walk(from: root, owner: owner)
            guard try walk.meetsLink(before: parts), !isCovered(walk.place) else { return }
            guard let isDirectory = try isDirectory() else { return }
            try walk.makeMissing(asDirectory: isDirectory)
        } catch {
            // The child meets the same error, and says for which mount.
        }
    }

    private func isCovered(_ parts: [String]) -> Bool {
        covered.contains { parts.starts(with: $0) }
    }

    private static func components(_ path: String) -> [String] {
        path.parts(between: "/").map(String.init)
    }

    private static func sourceIsDirectory(_ index: Int, _ plan: LaunchPlan)
        throws(SystemCallError) -> Bool?
    {
        for planned in plan.parentSteps {
            guard case .prepareBindMount(let bind) = planned.step, bind.index == index else {
                continue
            }
            return try status(at: bind.source).stx_mode & FileType.mask == FileType.directory
        }
        for planned in plan.childSteps {
            // What an earlier mount will have there is not known yet.
            if case .cloneContainerTree(_, index) = planned.step { return nil }
            guard case .cloneHostTree(let tree, .mountTree(index)) = planned.step else { continue }
            return try status(at: tree.path).stx_mode & FileType.mask == FileType.directory
        }
        return true
    }
}

/// The type bits of a mode.
private enum FileType {
    static let mask: UInt16 = 0o170000
    static let directory: UInt16 = 0o040000
    static let link: UInt16 = 0o120000
}

/// A walk through the rootfs, a descriptor for each directory on the way.
///
/// The kernel never follows a link or `..` here, so a rename meanwhile cannot lead out of the rootfs.
private final class Walk {
    /// As many links as the kernel follows.
    private static let mostLinks = 40

    private let root: CInt
    private let owner: IDMaps?
    /// The directories below the root that were found, each in the one before.
    private var found: [(name: String, descriptor: CInt)] = []
    /// Names below the last directory that do not exist.
    private var missing: [String] = []

    init(from root: CInt, owner: IDMaps?) {
        self.root = root
        self.owner = owner
    }

    deinit {
        leave(to: 0)
    }

    /// Where the walk has led: no component is a link.
    var place: [String] { found.map(\.name) + missing }

    private var directory: CInt { found.last?.descriptor ?? root }

    private func leave(to depth: Int) {
        while found.count > depth {
            _ = OwnedDescriptor(taking: found.removeLast().descriptor)
        }
    }

    /// Walks a path; true when it meets a link and then something that does not exist.
    func meetsLink(before parts: [String]) throws(SystemCallError) -> Bool {
        var pending = Array(parts.reversed())
        var linkCount = 0
        while let name = pending.popLast() {
            if name == "." { continue }
            if name == ".." {
                // The kernel finds no way back out of what does not exist.
                guard missing.isEmpty else { return false }
                leave(to: max(found.count - 1, 0))
                continue
            }
            guard missing.isEmpty, let next = try open(name) else {
                missing.append(name)
                continue
            }
            switch try status(of: next.number).stx_mode & FileType.mask {
            case FileType.directory:
                found.append((name, next.release()))
            case FileType.link:
                linkCount += 1
                // A target that is no UTF-8 cannot be spelled here.
                guard linkCount <= Self.mostLinks,
                    let target = String(validating: try readLink(next.number), as: UTF8.self)
                else { return false }
                if target.begins(with: "/") { leave(to: 0) }
                pending += target.parts(between: "/").reversed().map(String.init)
            default:
                return false
            }
        }
        return linkCount > 0 && !missing.isEmpty
    }

    /// Makes what the walk did not find: directories, and at the end a directory or an empty file.
    func makeMissing(asDirectory: Bool) throws(SystemCallError) {
        guard let last = missing.popLast() else { return }
        while !missing.isEmpty {
            try enterNew(missing.removeFirst())
        }
        if asDirectory {
            try enterNew(last)
        } else {
            let file = try openFile(
                last, [.writeOnly, .create, .noFollow], at: directory, mode: 0o644)
            try giveAway(file.number)
        }
    }

    /// The mode does not depend on the caller's umask: the container's users shall get through.
    private func enterNew(_ name: String) throws(SystemCallError) {
        do {
            try makeDirectory(name, at: directory, mode: 0o755)
        } catch  where error.errno == .fileExists {
            // Another container of the same rootfs was faster.
        }
        let made = try openFile(name, [.readOnly, .directory, .noFollow], at: directory)
        _ = try systemCall(
            "fchmod", __NR_fchmod, Int(made.number), 0o755, describing: "\"\(name)\"")
        try giveAway(made.number)
        found.append((name, made.release()))
    }

    private func giveAway(_ file: CInt) throws(SystemCallError) {
        guard let user = owner?.users.outside(0), let group = owner?.groups.outside(0) else {
            return
        }
        _ = try systemCall(
            "fchown", __NR_fchown, Int(file), Int(user), Int(group), describing: "mount point")
    }

    private func open(_ name: String) throws(SystemCallError) -> OwnedDescriptor? {
        do {
            return try openFile(name, [.pathOnly, .noFollow], at: directory)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }
}
