// SPDX-License-Identifier: Apache-2.0

// Cgroups: accounting, limits, freezing and killing of all processes of a container.
//
//   CgroupHierarchies  the host's cgroup mounts, and the caller's cgroup in each (discovered)
//   CgroupLayout       the directory of one container in each hierarchy (pure)
//   CgroupLayout+Annotations, CgroupLayout+Subcgroups  cgroups below it: crun's annotations, exec --cgroup
//   ResourcePlan       linux.resources as an ordered list of writes (pure)
//   ResourceChange     the changes of an update, applied to what a container has (pure)
//   Controllers/       one file per controller: rules, writes, reads, v1 and v2 (writes are pure)
//   DeviceAccess       the device rules combined, as lines for v1 (pure)
//   DeviceProgram      the device rules as a BPF program for v2 (pure)
//   SystemdScope       the unit of a container and its slice, from linux.cgroupsPath (pure)
//   UnitProperties     linux.resources as properties of that unit (pure)
//   CgroupPlan         layout and resources of a new container (pure)
//   Cgroup             the directories on disk: create, enter, freeze, kill, remove
//   Cgroup+Processes, Cgroup+Resources, Cgroup+Update, Cgroup+Systemd  its processes, limits and scope
//   Cgroup+DeviceRules  changes the access to devices of a living container
//   Cgroup+Adopted     a cgroup of the caller's, which is left in place
//   CgroupTree         a directory and all cgroups below it
//   CgroupDelegation   makes a user the owner of a container's cgroup
//   ControlFiles       reads the files of a cgroup: statistics
//   Cgroup+Usage       reads the few values that people watch
//   OutOfMemoryWatch   reports when memory has run out
//   CgroupError        the error of all these, with the config field
//   ControlHint        what the kernel demands of a value that it refuses
//
// A plan can be made and compared without touching the host; Cgroup executes it in order.

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import SystemPackage

/// One mounted cgroup hierarchy and the caller's cgroup in it.
struct CgroupHierarchy: Equatable, Sendable {
    /// The controllers, as /proc/self/cgroup names them (`cpu`, `name=systemd`); none on the unified
    /// hierarchy.
    var controllers: [String]
    /// The mount point.
    var mountPoint: String
    /// The caller's cgroup below `mountPoint`: empty for the root, else `/a/b`.
    var ownPath: String
}

/// The cgroup hierarchies of the host.
struct CgroupHierarchies: Equatable, Sendable {
    /// The cgroup version that limits resources.
    enum Mode: String, Sendable {
        /// Only v1 hierarchies.
        case legacy = "v1"
        /// The controllers are v1 hierarchies; there is also a v2 hierarchy without controllers.
        case hybrid
        /// One v2 hierarchy.
        case unified = "v2"
        /// The runtime cannot make a cgroup anywhere: the container stays in the runtime's own.
        case none
    }

    /// The cgroup version that limits resources.
    var mode: Mode
    /// The hierarchies; in hybrid mode the unified one is the last, in unified mode the only one.
    var hierarchies: [CgroupHierarchy]
    /// The controllers that the unified hierarchy offers at its root (unified mode only).
    var unifiedControllers: [String]
}

extension CgroupHierarchies {
    /// No hierarchies: for a plan that enters an existing cgroup.
    static var none: CgroupHierarchies {
        CgroupHierarchies(mode: .unified, hierarchies: [], unifiedControllers: [])
    }

    /// Discovers the host's hierarchies from /proc/self/cgroup and, unless a v2 hierarchy is at the
    /// usual place, from /proc/self/mountinfo.
    ///
    /// Throws if there is no cgroup file system. The own cgroups are those of `pid`, or if nil of
    /// this process.
    static func discover(ownedBy pid: Int32? = nil) throws(CgroupError) -> CgroupHierarchies {
        do throws(SystemCallError) {
            let own = try readFile(pid.map { "/proc/\($0)/cgroup" } ?? "/proc/self/cgroup")
            // A Kubernetes node has hundreds of mounts, and the kernel formats all of them for each
            // read.
            if let controllers = usualUnifiedControllers,
                let found = CgroupHierarchies(usualUnified: controllers, ownCgroups: own)
            {
                return found
            }
            let mounts = try readFile("/proc/self/mountinfo")
            var found = CgroupHierarchies(mountInfo: mounts, ownCgroups: own) { mount, path in
                // A covered mount, or one outside this process's root, cannot be reached by its
                // path.
                (try? status(at: path))?.stx_mnt_id == mount
            }
            if found.mode == .unified, let root = found.hierarchies.first {
                let names = try readFile("\(root.mountPoint)/cgroup.controllers")
                found.unifiedControllers = words(of: names)
            }
            guard !found.hierarchies.isEmpty else {
                throw SystemCallError("open", "\"/sys/fs/cgroup\"", errno: .noSuchFileOrDirectory)
            }
            return found
        } catch {
            throw CgroupError(
                field: nil, failure: error,
                message: "no cgroup file system can be used: mount one on /sys/fs/cgroup")
        }
    }

    /// The mount point used by systemd, and by everybody else on a host with only v2.
    static let usualMountPoint = "/sys/fs/cgroup"

    /// The contents of `cgroup.controllers`, if the root of the v2 hierarchy is at the usual mount
    /// point.
    ///
    /// Only the root cgroup has inode 1; a mount of another cgroup, or one made in a cgroup
    /// namespace, shows that cgroup's inode.
    private static var usualUnifiedControllers: [UInt8]? {
        guard let root = try? status(at: usualMountPoint), root.stx_ino == 1 else { return nil }
        // A tmpfs with v1 hierarchies has inode 1 too, but not this file.
        return try? readFile("\(usualMountPoint)/cgroup.controllers")
    }

    /// A v2 hierarchy whose root is at the usual mount point; nil if this process also uses another
    /// hierarchy, or is outside its cgroup namespace's root.
    init?(usualUnified controllers: [UInt8], ownCgroups: [UInt8]) {
        let memberships = Self.memberships(ownCgroups)
        guard let own = memberships.first, memberships.count == 1, own.controllers.isEmpty,
            !own.path.begins(with: "/..")
        else { return nil }
        mode = .unified
        hierarchies = [
            CgroupHierarchy(
                controllers: [], mountPoint: Self.usualMountPoint,
                ownPath: own.path == "/" ? "" : own.path)
        ]
        unifiedControllers = words(of: controllers)
    }

    /// The hierarchies in which this process may make a cgroup for the container, and move a
    /// process into it.
    ///
    /// Kernel: cgroups(7), Delegation: moving requires write access to the closest common parent.
    func permitted(for id: String) -> CgroupHierarchies {
        guard let layout = try? CgroupLayout(cgroupsPath: nil, id: id, in: self) else {
            return self
        }
        var result = self
        result.hierarchies = zip(hierarchies, layout.directories).filter { _, directory in
            let parent = Cgroup.parent(of: directory.path)
            return mayWrite(parent) && (!directory.isUnified || mayWrite("\(parent)/cgroup.procs"))
        }.map(\.0)
        if result.hierarchies.isEmpty {
            result.mode = .none
            result.unifiedControllers = []
        }
        return result
    }

    /// The hierarchies for a cgroup that the config names, without the v2 one of a hybrid host if
    /// this process may not make the cgroup or move processes there.
    ///
    /// The v2 hierarchy of a hybrid host limits nothing, and runc does without it. A v1 hierarchy
    /// without write access is an error.
    func withoutClosedUnified(for id: String, at path: String) -> CgroupHierarchies {
        guard mode == .hybrid,
            let layout = try? CgroupLayout(cgroupsPath: path, id: id, in: self),
            let index = layout.unifiedIndex
        else { return self }
        let directory = layout.directories[index]
        var present = directory.path
        while !present.isEmpty, (try? status(at: present)) == nil {
            present = Cgroup.parent(of: present)
        }
        guard !mayWrite(present) || !Self.mayEnter(directory) else { return self }
        var result = self
        result.hierarchies.remove(at: index)
        result.mode = .legacy
        return result
    }

    /// Whether this process may move a child into a v2 cgroup: it needs write access to the common
    /// parent.
    ///
    /// Kernel: cgroups(7), Delegation containment.
    static func mayEnter(_ directory: CgroupDirectory) -> Bool {
        guard let text = try? readFile("/proc/self/cgroup"),
            let own = memberships(text).first(where: { $0.controllers.isEmpty })
        else { return true }
        var common = directory.mountPoint
        for (one, other) in zip(
            own.path.parts(between: "/"), directory.cgroup.parts(between: "/"))
        {
            guard one == other else { break }
            common += "/\(one)"
        }
        return mayWrite("\(common)/cgroup.procs")
    }

    /// Parses the contents of /proc/self/mountinfo and /proc/self/cgroup.
    ///
    /// Of several mounts of one hierarchy, the first one that is writable and at the usual place is
    /// used, else the first of the next best. Source: proc_pid_mountinfo(5), cgroups(7).
    ///
    /// - Parameters:
    ///   - mountInfo: the mounts.
    ///   - ownCgroups: the caller's cgroups.
    ///   - isReachable: whether a path leads to the mount with this ID.
    init(
        mountInfo: [UInt8], ownCgroups: [UInt8],
        isReachable: (_ mount: UInt64, _ path: String) -> Bool = { _, _ in true }
    ) {
        let memberships = Self.memberships(ownCgroups)
        // In the order of the first usable mount.
        var best: [(mount: CgroupMount, controllers: [String], own: String)] = []
        for line in mountInfo.split(separator: UInt8(ascii: "\n")) {
            guard let mount = CgroupMount(line),
                let own = memberships.first(where: { mount.carries($0.controllers) })
                    ?? (mount.isUnified ? ([], "/") : nil)
            else { continue }
            let known = best.firstIndex { $0.controllers == own.controllers }
            if let known, best[known].mount.rank <= mount.rank { continue }
            guard isReachable(mount.number, mount.mountPoint) else { continue }
            let found = (mount, own.controllers, own.path)
            if let known { best[known] = found } else { best.append(found) }
        }
        let found = best.map { mount, controllers, own in
            CgroupHierarchy(
                controllers: controllers, mountPoint: mount.mountPoint,
                ownPath: mount.pathBelowRoot(own))
        }
        let legacy = found.filter { !$0.controllers.isEmpty }
        let unified = found.first { $0.controllers.isEmpty }
        unifiedControllers = []
        let hasLegacyController = legacy.contains { hierarchy in
            hierarchy.controllers.contains { !$0.utf8.contains(UInt8(ascii: "=")) }
        }
        if let unified, !hasLegacyController {
            mode = .unified
            hierarchies = [unified]
        } else if let unified {
            mode = .hybrid
            hierarchies = legacy + [unified]
        } else {
            mode = .legacy
            hierarchies = legacy
        }
    }

    /// The lines of /proc/self/cgroup: `4:memory:/user.slice` and, for v2, `0::/user.slice`.
    private static func memberships(_ text: [UInt8]) -> [(controllers: [String], path: String)] {
        text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            let controllers = fields[1].split(separator: UInt8(ascii: ","))
            return (
                controllers.map { String(decoding: $0, as: UTF8.self) },
                String(decoding: fields[2], as: UTF8.self)
            )
        }
    }
}

/// A line of mountinfo for a cgroup mount.
private struct CgroupMount {
    /// The mount ID that statx(2) reports for files on it.
    let number: UInt64
    let root: String
    let mountPoint: String
    let isUnified: Bool
    let isReadOnly: Bool
    let options: [String]

    /// Nil if the line is for another mount.
    init?(_ line: ArraySlice<UInt8>) {
        // A host may have thousands of mounts: only lines that may be cgroups are parsed.
        guard Self.mayBeCgroup(line) else { return nil }
        let fields = line.split(separator: UInt8(ascii: " "))
        // Optional fields come before the "-"; type, source and super options after it.
        guard let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
            dash + 3 < fields.count, fields[dash + 1].starts(with: "cgroup".utf8)
        else { return nil }
        let type = String(decoding: fields[dash + 1], as: UTF8.self)
        guard type == "cgroup" || type == "cgroup2",
            let number = UInt64(String(decoding: fields[0], as: UTF8.self))
        else { return nil }
        self.number = number
        isReadOnly = fields[5].split(separator: UInt8(ascii: ",")).contains {
            $0.elementsEqual("ro".utf8)
        }
        isUnified = type == "cgroup2"
        root = unescapedMountPath(fields[3])
        mountPoint = unescapedMountPath(fields[4])
        options = fields[dash + 3].split(separator: UInt8(ascii: ",")).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// Whether the line contains `- cgroup`.
    private static func mayBeCgroup(_ line: ArraySlice<UInt8>) -> Bool {
        var rest = line
        while let dash = rest.firstIndex(of: UInt8(ascii: "-")) {
            rest = rest[(dash + 1)...]
            if rest.starts(with: " cgroup".utf8) { return true }
        }
        return false
    }

    /// Whether this mounts the hierarchy with exactly these controllers; an empty list means v2.
    func carries(_ controllers: [String]) -> Bool {
        isUnified == controllers.isEmpty && controllers.allSatisfy(options.contains)
    }

    /// The rank of this mount, 0 is best: below /sys/fs/cgroup, which everybody uses, and writable.
    var rank: Int {
        let isUsual = "\(mountPoint)/".begins(with: "\(CgroupHierarchies.usualMountPoint)/")
        return (isUsual ? 0 : 2) + (isReadOnly ? 1 : 0)
    }

    /// `path` relative to the mount, which may show only a subtree.
    ///
    /// A path outside the mounted subtree (in another cgroup namespace) counts as the mount's root.
    func pathBelowRoot(_ path: String) -> String {
        if root == "/" { return path == "/" || path.begins(with: "/..") ? "" : path }
        guard path.begins(with: "\(root)/") else { return "" }
        return String(path.dropFirst(root.utf8.count))
    }
}
#endif
