// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

// A cgroup of the caller's. It is used by a descriptor, never by its name alone: between a check of
// the name and its use, the owner could replace the cgroup.

extension CgroupLayout {
    /// The layout of a container in a cgroup of the caller's.
    ///
    /// - Parameters:
    ///   - adopted: the cgroup.
    ///   - cgroupsPath: the cgroup that the config names, if it names one.
    ///   - id: the container's ID.
    ///   - host: the hierarchies.
    /// - Throws: `unsupported` unless cgroup v2 limits resources; `invalidArgument`, `cgroup`.
    init(
        adopting adopted: AdoptedCgroup, cgroupsPath: String?, id: String,
        in host: CgroupHierarchies
    ) throws(ContainerError) {
        let path = adopted.path.text
        guard host.mode == .unified, let hierarchy = host.hierarchies.first else {
            throw ContainerError(
                .unsupported,
                "the cgroup \(path) cannot be adopted: this host limits resources by cgroup v1",
                hint: "name a cgroup in linux.cgroupsPath: an existing one is used if it is empty")
        }
        let mountPoint = hierarchy.mountPoint
        guard path.begins(with: "\(mountPoint)/") else {
            throw ContainerError(
                .invalidArgument,
                "the cgroup \(path) cannot be adopted: it is not below \(mountPoint)")
        }
        let directory = CgroupDirectory(
            controllers: [], mountPoint: mountPoint,
            cgroup: String(path.dropFirst(mountPoint.utf8.count)))
        if let cgroupsPath, !cgroupsPath.isEmpty {
            let named = try? CgroupLayout(cgroupsPath: cgroupsPath, id: id, in: host)
            guard named?.directories == [directory] else {
                throw ContainerError(
                    .invalidArgument,
                    "\"\(cgroupsPath)\" is not the cgroup to adopt, \(directory.cgroup)",
                    field: "linux.cgroupsPath", hint: "leave one of the two out")
            }
        }
        self.init(mode: .unified, directories: [directory], unifiedControllers: [])
        self.adopted = adopted
        let cgroup = try reporting { () throws(CgroupError) in try Cgroup.openPresent(self) }
        let controllers = try reporting("unable to examine the adopted cgroup") {
            () throws(SystemCallError) in
            try readFile("\(cgroup.layout.directories[0].path)/cgroup.controllers")
        }
        unifiedControllers = words(of: controllers)
    }
}

extension Cgroup {
    /// Opens the cgroup of a record.
    ///
    /// An adopted one that has been removed is gone, even if there is another one of that name.
    static func open(_ layout: CgroupLayout) throws(CgroupError) -> Cgroup {
        guard let adopted = layout.adopted, let index = layout.unifiedIndex else {
            return Cgroup(layout)
        }
        var opened = layout
        do throws(SystemCallError) {
            opened.directories[index].access = try adopted.opened().map { .held($0) } ?? .gone
        } catch {
            throw CgroupError(failure: error, message: "unable to open the cgroup")
        }
        return Cgroup(opened)
    }

    /// Opens an adopted cgroup, which must still be there.
    fileprivate static func openPresent(_ layout: CgroupLayout) throws(CgroupError) -> Cgroup {
        let cgroup = try open(layout)
        guard cgroup.exists else {
            throw CgroupError(
                message: "the adopted cgroup \(layout.directories[0].name) has been removed")
        }
        return cgroup
    }

    /// Opens an existing cgroup of the caller's.
    ///
    /// On cgroup v2 it is held open. On v1 it has a directory for each controller, which are used
    /// by name.
    static func hold(_ layout: CgroupLayout) throws(SystemCallError) -> Cgroup {
        var held = layout
        if layout.isUnified {
            let directory = try openFile(layout.directories[0].name, .pathOnly | .directory)
            held.directories[0].access = .held(HeldDescriptor(taking: directory.release()))
        } else {
            for directory in layout.directories { _ = try status(at: directory.name) }
        }
        return Cgroup(held)
    }

    /// Takes a cgroup of the caller's for a new container; it must be empty and not frozen.
    ///
    /// - Parameters:
    ///   - layout: the cgroup.
    ///   - lock: gets a lock on it, as in `create`.
    /// - Returns: the cgroup, which holds it open.
    /// - Throws: the reason why it cannot be used.
    static func adopt(_ layout: CgroupLayout, holding lock: inout FileLock?) throws(CgroupError)
        -> Cgroup
    {
        var cgroup = try openPresent(layout)
        try cgroup.occupy(&lock)
        for directory in cgroup.layout.directories where !takesProcesses(directory) {
            throw CgroupError(
                message: "no process can be in the adopted cgroup \(directory.name), since it "
                    + "passes controllers to the cgroups below it (cgroup.subtree_control)")
        }
        return cgroup
    }

    /// Removes the cgroups below an adopted one and takes back the controllers that they had, so
    /// that it can have processes again; does nothing for other cgroups.
    ///
    /// The processes must have ended or be ending. Before the adoption there was no such
    /// controller, as processes could enter.
    func leave() throws(CgroupError) {
        guard layout.adopted != nil, let path = mainDirectory else { return }
        let file = "\(path)/cgroup.subtree_control"
        do throws(SystemCallError) {
            try CgroupTree.removeChildren(of: path)
            let passed = words(of: try readFile(file))
            if !passed.isEmpty {
                try writeControlFile(file, passed.map { "-\($0)" }.joined(separator: " "))
            }
        } catch  where Self.isGone(error.errno) {
            return
        } catch {
            throw CgroupError(
                failure: layout.named(error), message: "unable to clear the adopted cgroup")
        }
    }

    /// Kills what is in an adopted cgroup, and leaves it empty.
    func vacate() throws(CgroupError) {
        try killAll()
        try awaitEmptiness()
        try leave()
    }

    /// Waits at most a second for processes that are ending.
    func awaitEmptiness() throws(CgroupError) {
        for milliseconds in [1, 4, 16, 64, 256, 512] {
            if try isEmpty { return }
            wait(milliseconds: milliseconds)
        }
        let count = try processes().count
        guard count == 0 else {
            throw CgroupError(message: "\(count) process(es) of the cgroup do not end")
        }
    }
}

extension CgroupLayout {
    /// The refused call with the names of directories, instead of the descriptors by which they
    /// were reached.
    func named(_ error: SystemCallError) -> SystemCallError {
        var arguments = error.arguments
        for directory in directories where directory.path != directory.name {
            let parts = arguments.split(separator: "\"", omittingEmptySubsequences: false)
            arguments = parts.map { part in
                "\(part)/".begins(with: "\(directory.path)/")
                    ? directory.name + part.dropFirst(directory.path.utf8.count) : String(part)
            }.joined(separator: "\"")
        }
        return SystemCallError(error.call, arguments, errno: error.errno)
    }
}
#endif
