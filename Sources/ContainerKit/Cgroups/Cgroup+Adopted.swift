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
    /// On v1 it has the caller's directories alone: in other hierarchies the container has none.
    ///
    /// - Parameters:
    ///   - adopted: the cgroup.
    ///   - cgroupsPath: the cgroup that the config names, if it names one.
    ///   - id: the container's ID.
    ///   - host: the hierarchies.
    /// - Throws: `invalidArgument`; `cgroup` if it has been removed.
    init(
        adopting adopted: AdoptedCgroup, cgroupsPath: String?, id: String,
        in host: CgroupHierarchies
    ) throws(ContainerError) {
        let places = try Self.places(of: adopted, in: host)
        let directories = places.map(\.directory)
        if let cgroupsPath, !cgroupsPath.isEmpty {
            let named = try? CgroupLayout(cgroupsPath: cgroupsPath, id: id, in: host)
            for directory in directories where named?.directories.contains(directory) != true {
                throw ContainerError(
                    .invalidArgument,
                    "\"\(cgroupsPath)\" is not the cgroup to adopt, \(directory.cgroup)",
                    field: "linux.cgroupsPath", hint: "leave one of the two out")
            }
        }
        var mode = host.mode
        if mode == .hybrid, directories.last?.isUnified != true { mode = .legacy }
        self.init(mode: mode, directories: directories, unifiedControllers: [])
        self.adopted = AdoptedCgroup(recorded: places.map(\.given))
        let cgroup = try reporting { () throws(CgroupError) in try Cgroup.openPresent(self) }
        guard mode == .unified else { return }
        let controllers = try reporting("unable to examine the adopted cgroup") {
            () throws(SystemCallError) in
            try readFile("\(cgroup.layout.directories[0].path)/cgroup.controllers")
        }
        unifiedControllers = words(of: controllers)
    }

    /// The directories of an adopted cgroup with their hierarchies, in the host's order.
    private static func places(of adopted: AdoptedCgroup, in host: CgroupHierarchies)
        throws(ContainerError) -> [(given: AdoptedCgroup.Directory, directory: CgroupDirectory)]
    {
        let mountPoints = host.hierarchies.map(\.mountPoint)
        var found: [Int: AdoptedCgroup.Directory] = [:]
        for given in adopted.directories {
            // A hierarchy may be mounted below another one.
            let index = mountPoints.indices
                .filter { given.path.begins(with: "\(mountPoints[$0])/") }
                .max { mountPoints[$0].utf8.count < mountPoints[$1].utf8.count }
            guard let index else {
                throw ContainerError(
                    .invalidArgument,
                    "the cgroup \(given.path) cannot be adopted: it is not below "
                        + mountPoints.joined(separator: ", "))
            }
            if let other = found.updateValue(given, forKey: index) {
                throw ContainerError(
                    .invalidArgument,
                    "the cgroups \(other.path) and \(given.path) cannot be adopted together: they "
                        + "are in the same hierarchy, \(mountPoints[index])")
            }
        }
        return host.hierarchies.enumerated().compactMap { index, hierarchy in
            guard let given = found[index] else { return nil }
            let directory = CgroupDirectory(
                controllers: hierarchy.controllers, mountPoint: hierarchy.mountPoint,
                cgroup: String(given.path.dropFirst(hierarchy.mountPoint.utf8.count)))
            return (given, directory)
        }
    }
}

extension Cgroup {
    /// Opens the cgroup of a record.
    ///
    /// A directory of an adopted one that has been removed is gone, even if there is another one of
    /// that name.
    static func open(_ layout: CgroupLayout) throws(CgroupError) -> Cgroup {
        guard let adopted = layout.adopted else { return Cgroup(layout) }
        var opened = layout
        do throws(SystemCallError) {
            for (index, directory) in adopted.directories.enumerated() {
                opened.directories[index].access =
                    try directory.opened().map { .held($0) } ?? .gone
            }
        } catch {
            throw CgroupError(failure: error, message: "unable to open the cgroup")
        }
        return Cgroup(opened)
    }

    /// Opens an adopted cgroup, which must still be there.
    fileprivate static func openPresent(_ layout: CgroupLayout) throws(CgroupError) -> Cgroup {
        let cgroup = try open(layout)
        for directory in cgroup.layout.directories where !isPresent(directory) {
            throw CgroupError(message: "the adopted cgroup \(directory.name) has been removed")
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
        try cgroup.completeCPUSet()
        return cgroup
    }

    /// Gives an adopted v1 cgroup without CPUs or memory nodes, which takes no process, those of the
    /// cgroup above.
    private func completeCPUSet() throws(CgroupError) {
        guard !layout.isUnified, let index = layout.index(of: "cpuset") else { return }
        let directory = layout.directories[index]
        var missing: String?
        do throws(SystemCallError) {
            for file in CPUSetController.files
            where isBlank(try readFile("\(directory.path)/\(file)")) {
                let value = words(of: try readFile("\(directory.path)/../\(file)"))
                guard !value.isEmpty else {
                    missing = missing ?? file
                    continue
                }
                try writeControlFile("\(directory.path)/\(file)", value.joined(separator: " "))
            }
        } catch {
            throw CgroupError(
                failure: layout.named(error), message: "unable to prepare the cpuset cgroup")
        }
        if let missing {
            throw CgroupError(
                message: "no process can be in the adopted cgroup \(directory.name): \(missing) is "
                    + "empty, also in the cgroup above")
        }
    }

    /// Removes the cgroups below an adopted one and takes back the controllers that they had, so
    /// that it can have processes again; does nothing for other cgroups.
    ///
    /// The processes must have ended or be ending. Before the adoption there was no such
    /// controller, as processes could enter.
    func leave() throws(CgroupError) {
        guard layout.adopted != nil else { return }
        for directory in layout.directories {
            do throws(SystemCallError) {
                try Self.clear(directory)
            } catch  where Self.isGone(error.errno) {
                continue
            } catch {
                throw CgroupError(
                    failure: layout.named(error), message: "unable to clear the adopted cgroup")
            }
        }
    }

    private static func clear(_ directory: CgroupDirectory) throws(SystemCallError) {
        try CgroupTree.removeChildren(of: directory.path)
        guard directory.isUnified else { return }
        let file = "\(directory.path)/cgroup.subtree_control"
        let passed = words(of: try readFile(file))
        if !passed.isEmpty {
            try writeControlFile(file, passed.map { "-\($0)" }.joined(separator: " "))
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
