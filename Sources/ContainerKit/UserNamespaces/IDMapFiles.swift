// SPDX-License-Identifier: Apache-2.0

// UserNamespaces: the ID maps of user namespaces.
//
//   IDMapFiles  reads and writes uid_map and gid_map; a namespace for ID-mapped mounts
//   IDMapTool   runs newuidmap and newgidmap, for an ordinary user's ranges
//   NewNamespaces  the reason why a process gets no new namespaces

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

extension IDMaps {
    /// Writes the ID maps of a child's user namespace.
    ///
    /// Kernel: user_namespaces(7); each file can be written once, by a single write.
    func write(to pid: Int32, by writer: IDMapWriter = .runtime, field: String?)
        throws(ContainerError)
    {
        let groupField = field == "linux.uidMappings" ? "linux.gidMappings" : field
        switch writer {
        case .runtime: break
        case .user:
            try reporting("unable to deny groups", field: groupField) {
                () throws(SystemCallError) in
                let file = try openFile("/proc/\(pid)/setgroups", .writeOnly)
                try writeAll(
                    Array("deny".utf8), to: file.number, named: "\"/proc/\(pid)/setgroups\"")
            }
        case .tools:
            try IDMapTool("newuidmap", "/etc/subuid", field).run(pid, users)
            try IDMapTool("newgidmap", "/etc/subgid", groupField).run(pid, groups)
            return
        }
        try Self.write(users, to: "/proc/\(pid)/uid_map", field: field)
        try Self.write(groups, to: "/proc/\(pid)/gid_map", field: groupField)
    }

    private static func write(_ ranges: [IDRange], to path: String, field: String?)
        throws(ContainerError)
    {
        let lines = ranges.map(\.line).joined()
        do throws(SystemCallError) {
            let file = try openFile(path, .writeOnly)
            // A single write: the kernel refuses a second one.
            try writeAll(Array(lines.utf8), to: file.number, named: "\"\(path)\"")
        } catch {
            let hint: String? =
                switch error.errno {
                case .notPermitted: "the runtime may map ids only that it has itself"
                case .invalidArgument: "the ranges overlap"
                default: nil
                }
            throw ContainerError(
                .systemCall, "unable to map ids", field: field, failure: error, hint: hint)
        }
    }

    /// Reads the ID maps of a process's user namespace.
    static func read(of pid: Int32) throws(SystemCallError) -> IDMaps {
        IDMaps(
            users: try ranges("/proc/\(pid)/uid_map"), groups: try ranges("/proc/\(pid)/gid_map"))
    }

    private static func ranges(_ path: String) throws(SystemCallError) -> [IDRange] {
        let text = String(decoding: try readFile(path), as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            guard numbers.count == 3 else { return nil }
            return IDRange(inside: numbers[0], outside: numbers[1], count: numbers[2])
        }
    }

    /// These maps sorted by the IDs inside, like the kernel sorts long maps.
    var sorted: IDMaps {
        IDMaps(
            users: users.sorted { $0.inside < $1.inside },
            groups: groups.sorted { $0.inside < $1.inside })
    }

    // MARK: A namespace for mounts

    /// Makes a user namespace with these maps, by which mount_setattr(2) maps the IDs of a mount.
    ///
    /// A child is cloned into it, and ends before this returns; if this process is killed
    /// meanwhile, the child ends because the rendezvous closes. The descriptor keeps the namespace
    /// alive.
    func makeUserNamespace(field: String?) throws(ContainerError) -> OwnedDescriptor {
        var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
        let child: ChildProcess
        do throws(SystemCallError) {
            child = try helper.start(.waiting(), [.user])
        } catch {
            throw ContainerError(
                error, "unable to make a user namespace", field: field,
                hint: newNamespacesHint([.user], error.errno))
        }
        let process = OwnedDescriptor(taking: child.pidfd)
        defer {
            try? sendSignal(process.number, Signal.kill.rawValue)
            _ = try? waitProcess(process.number)
        }
        try write(to: child.pid, field: field)
        let namespace = try reporting(field: field) { () throws(SystemCallError) in
            try openFile("/proc/\(child.pid)/ns/user", .readOnly)
        }
        _ = consume helper
        return namespace
    }
}
#endif
