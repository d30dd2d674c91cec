// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
package import RuntimeSpec
internal import SystemPackage

/// Trials of what the runtime needs from this machine, by the calls that a launch makes.
///
/// Nothing is left of a trial: its process has ended, and with it the namespaces it had.
package enum HostProbe {
    /// How a child of the runtime starts on this machine.
    package enum ChildStart: Equatable, Sendable {
        /// From the machine's own executable.
        case bornEmpty
        /// As a copy of the runtime, because of this refusal.
        case copied(SystemCallError)
        /// Not at all.
        case failed(SystemCallError)
    }

    /// Starts a child that does nothing, in the runtime's own namespaces.
    package static func startOfChild() -> ChildStart {
        do throws(SystemCallError) {
            var helper = try HelperChild()
            let child = try helper.start(.waiting())
            reap(child)
            _ = consume helper
            return child.refused.map { .copied($0) } ?? .bornEmpty
        } catch {
            return .failed(error)
        }
    }

    /// Starts a child in new namespaces, and with a user namespace writes its ID maps.
    ///
    /// - Parameter kinds: the kinds; cgroup and time namespaces are not made by a clone.
    /// - Returns: the refusal, or nil.
    package static func refusal(ofNew kinds: [Namespace.Kind]) -> ContainerError? {
        var set: NamespaceSet = []
        for kind in kinds {
            guard let kind = NamespaceKind(rawValue: kind.rawValue) else { continue }
            set.insert(kind)
        }
        do throws(ContainerError) {
            var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
            let child: ChildProcess
            do throws(SystemCallError) {
                child = try helper.start(.waiting(), set)
            } catch {
                throw ContainerError(
                    error, "unable to make the namespace",
                    hint: newNamespacesHint(set.kinds, error.errno))
            }
            defer { reap(child) }
            if set.contains(.user) {
                let rights = RuntimeRights.discovered(mayGoWithoutCgroups: nil)
                try ownMap.write(
                    to: child.pid, by: rights.mapsIDs ? .runtime : .user, field: nil)
            }
            _ = consume helper
            return nil
        } catch {
            return error
        }
    }

    /// The present user and group as root of a user namespace.
    private static var ownMap: IDMaps {
        IDMaps(
            users: [IDRange(inside: 0, outside: effectiveUserID, count: 1)],
            groups: [IDRange(inside: 0, outside: effectiveGroupID, count: 1)])
    }

    private static func reap(_ child: ChildProcess) {
        let process = OwnedDescriptor(taking: child.pidfd)
        try? sendSignal(process.number, Signal.kill.rawValue)
        // A host program may have taken its status; nothing depends on it.
        _ = try? waitProcess(process.number)
    }

    /// Whether the kernel has a kind of namespace.
    package static func hasNamespaces(_ kind: Namespace.Kind) -> Bool {
        NamespaceKind(rawValue: kind.rawValue).map { !kernelLacks($0) } ?? false
    }

    /// Maps the IDs of a detached copy of the mount that has this path.
    ///
    /// - Returns: the refusal, or nil; EINVAL is from a file system that does not know mappings.
    package static func refusalOfMappedMount(at path: String) -> ContainerError? {
        do throws(ContainerError) {
            let maps = IDMaps(
                users: [IDRange(inside: 0, outside: 100_000, count: 1)],
                groups: [IDRange(inside: 0, outside: 100_000, count: 1)])
            let tree = try reporting { () throws(SystemCallError) in
                try cloneMountTree(at: path, recursive: false)
            }
            let namespace = try maps.makeUserNamespace(field: nil)
            try reporting { () throws(SystemCallError) in
                try mapMountIDs(tree.number, by: namespace.number, recursive: false)
            }
            return nil
        } catch {
            return error
        }
    }

    /// Loads a device program of cgroup v2, without attaching it.
    ///
    /// - Returns: the refusal, or nil.
    package static func refusalOfDeviceProgram() -> SystemCallError? {
        do throws(SystemCallError) {
            typealias Code = DeviceInstruction.Code
            _ = try DevicePrograms.load([
                DeviceInstruction(Code.moveConstant, to: 0, 0), DeviceInstruction(Code.exit),
            ])
            return nil
        } catch {
            return error
        }
    }

    /// The actions of seccomp(2) that the kernel knows; none without filters.
    package static var seccompActions: [Seccomp.Action] {
        Seccomp.Action.allCases.filter { SeccompSupport.supports($0) }
    }

    /// The path and version of CRIU, asked by its own protocol.
    package static func criu() throws(ContainerError) -> (path: String, version: String) {
        let version = try CriuSession.checkVersion()
        return (HostProgram.find("criu") ?? "criu", "\(version)")
    }

    /// The oldest usable version of CRIU.
    package static var neededCriu: String { "\(CriuVersion.needed)" }

    /// A program in PATH.
    package static func program(_ name: String) -> ProgramRights? {
        HostProgram.find(name).flatMap { try? ProgramRights(at: $0) }
    }

    /// What a systemd told of itself.
    package struct Systemd: Equatable, Sendable {
        package var isUser: Bool
        package var version: Int
        package var controlGroup: String

        package init(isUser: Bool, version: Int, controlGroup: String) {
            self.isUser = isUser
            self.version = version
            self.controlGroup = controlGroup
        }
    }

    /// Whether systemd runs this machine.
    package static var hasSystemd: Bool { SystemdClient.isRunning }

    /// Whether the systemd of a user would be asked, as opposed to that of the machine.
    package static var asksUserSystemd: Bool { SystemdClient.ownInstance == .user }

    /// Asks the systemd that would manage the containers of this user.
    ///
    /// - Throws: the reason as text.
    package static func systemd() throws(ContainerError) -> Systemd {
        do throws(SystemdError) {
            let host = try SystemdClient(SystemdClient.ownInstance).host()
            return Systemd(
                isUser: host.instance == .user, version: host.version,
                controlGroup: host.controlGroup)
        } catch {
            throw ContainerError(.cgroup, error.description)
        }
    }

    /// Whether AppArmor is enabled.
    package static var hasAppArmor: Bool { SecurityModules.hasAppArmor }

    /// Whether SELinux is enabled.
    package static var hasSELinux: Bool { SecurityModules.hasSELinux }

    // MARK: Cgroups

    /// One cgroup hierarchy.
    package struct Hierarchy: Equatable, Sendable {
        /// The controllers of v1; none on v2.
        package var controllers: [String]
        package var mountPoint: String
        /// Whether this process may make cgroups for containers there.
        package var isOpen: Bool

        package init(controllers: [String], mountPoint: String, isOpen: Bool) {
            self.controllers = controllers
            self.mountPoint = mountPoint
            self.isOpen = isOpen
        }
    }

    /// The cgroups of this machine, as the cgroupfs driver sees them.
    package struct Cgroups: Equatable, Sendable {
        /// v1, v2 or hybrid.
        package var mode = ""
        package var hierarchies: [Hierarchy] = []
        /// The directory below which containers get their cgroups on v2.
        package var parent: String?
        /// The controllers of v2 that are available in `parent`.
        package var delegated: [String] = []
        /// The controllers of v2 at the root of the mount.
        package var offered: [String] = []
        /// Whether cgroups of v2 have cgroup.kill; nil if there is none to look at.
        package var hasKill: Bool?

        package init() {}
    }

    /// Looks at the cgroup mounts, and where this process may make cgroups.
    package static func cgroups() throws(ContainerError) -> Cgroups {
        let found = try reporting { () throws(CgroupError) in try CgroupHierarchies.discover() }
        var cgroups = Cgroups()
        cgroups.mode = found.mode.rawValue
        let open = found.permitted(for: "doctor").hierarchies
        cgroups.hierarchies = found.hierarchies.map { hierarchy in
            Hierarchy(
                controllers: hierarchy.controllers, mountPoint: hierarchy.mountPoint,
                isOpen: open.contains(hierarchy))
        }
        guard found.mode == .unified, let root = found.hierarchies.first,
            let layout = try? CgroupLayout(cgroupsPath: nil, id: "doctor", in: found),
            let directory = layout.directories.first
        else { return cgroups }
        let parent = Cgroup.parent(of: directory.path)
        cgroups.parent = parent
        cgroups.offered = found.unifiedControllers
        cgroups.delegated =
            (try? readFile("\(parent)/cgroup.controllers")).map { words(of: $0) } ?? []
        cgroups.hasKill = hasKill(below: root.mountPoint, own: root.ownPath)
        return cgroups
    }

    /// Whether a cgroup has the file; the root has none on any kernel.
    private static func hasKill(below mountPoint: String, own: String) -> Bool? {
        var directory = mountPoint + own
        if own.isEmpty {
            let inner = (try? directoryEntries(mountPoint))?.first { name in
                (try? status(at: "\(mountPoint)/\(name)/cgroup.procs")) != nil
            }
            guard let inner else { return nil }
            directory = "\(mountPoint)/\(inner)"
        }
        return (try? status(at: "\(directory)/cgroup.kill")) != nil
    }

    // MARK: Directories

    /// A directory, or the one above it that exists.
    package struct Place: Equatable, Sendable {
        /// The directory that exists.
        package var path: String
        package var isWritable: Bool
        package var owner: UInt32
        /// The type of its file system, such as `ext4`; empty if it is not known.
        package var filesystem: String
        package var isOnReadOnlyMount: Bool

        package init(
            path: String, isWritable: Bool, owner: UInt32, filesystem: String,
            isOnReadOnlyMount: Bool
        ) {
            self.path = path
            self.isWritable = isWritable
            self.owner = owner
            self.filesystem = filesystem
            self.isOnReadOnlyMount = isOnReadOnlyMount
        }
    }

    /// Where files of the directory `path` would be; makes nothing.
    package static func place(of path: String) throws(ContainerError) -> Place {
        try reporting { () throws(SystemCallError) in
            var present = path
            while true {
                do throws(SystemCallError) {
                    let found = try status(at: present.isEmpty ? "/" : present)
                    guard found.kind == .directory else {
                        throw SystemCallError("open", "\"\(present)\"", errno: .notDirectory)
                    }
                    let mount = ((try? mountTable()) ?? []).last { $0.id == found.stx_mnt_id }
                    let directory = present.isEmpty ? "/" : present
                    return Place(
                        path: directory, isWritable: mayWrite(directory), owner: found.stx_uid,
                        filesystem: mount?.type ?? "",
                        isOnReadOnlyMount: try mountAttributes(at: directory).contains(.readOnly))
                } catch  where error.errno == .noSuchFileOrDirectory && !present.isEmpty {
                    present = Cgroup.parent(of: present)
                }
            }
        }
    }
}
#endif
