// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

extension MountPlan {
    /// Plans a cgroup mount.
    ///
    /// On v2 it is a new file system if there is a cgroup namespace, else the host's; on v1 it
    /// always has the container's own directories. With a cgroup namespace, or on v1, the container
    /// sees its cgroup as "/".
    mutating func addCgroup(
        _ options: MountOptions, _ index: Int, _ destination: String, _ field: Origin
    ) throws(SpecError) {
        if hasUnifiedCgroups, namespaces.isolates(.cgroup) {
            childSteps.add(
                .mount(
                    .mountFilesystem(
                        FilesystemMount(
                            type: "cgroup2", source: "cgroup", destination: destination,
                            options: Self.parameters(options, type: "cgroup2"),
                            attributes: options.attributes.toSet,
                            changes: Self.furtherChanges(options)))), from: field)
            return
        }
        // The hierarchies are mounted already, so a new mount cannot have options of its own.
        if let option = options.filesystemOptions.first {
            throw SpecError(
                "\(field).options",
                "\"\(option)\" cannot be applied to a mount of the host's cgroup hierarchies")
        }
        if hasUnifiedCgroups { return addUnifiedTree(options, index, destination, field) }
        var options = options
        let readOnly = options.takeReadOnly() || cgroups.mode == .none
        var hierarchies: [CgroupHierarchyMount] = []
        for directory in cgroups.directories where !directory.isUnified {
            let name = Self.hierarchyName(directory)
            parentSteps.append(
                PlannedParentStep(
                    field,
                    .mount(
                        .cgroupDirectory(
                            index, name: name, path: directory.path, readOnly: readOnly))))
            let links = directory.controllers.filter { $0 != name && !$0.begins(with: "name=") }
            hierarchies.append(CgroupHierarchyMount(name: name, links: links))
        }
        let tmpfs = FilesystemMount(
            type: "tmpfs", source: "tmpfs", destination: destination,
            options: ["mode=755"] + labelOptions("tmpfs"),
            attributes: options.attributes.toSet, changes: Self.furtherChanges(options))
        childSteps.add(.mount(.mountCgroupHierarchies(index, tmpfs, hierarchies)), from: field)
        if readOnly { readOnlyLater.append((destination, field)) }
    }

    /// Binds the whole v2 hierarchy: without a cgroup namespace, /proc/self/cgroup names a path in
    /// it.
    ///
    /// It is a bind mount, since a new instance would reset the options of the hierarchy
    /// (nsdelegate, memory_recursiveprot). A container in a user namespace gets it read-only,
    /// whatever the config says (CVE-2023-25809).
    private mutating func addUnifiedTree(
        _ options: MountOptions, _ index: Int, _ destination: String, _ field: Origin
    ) {
        let attributes = options.attributes.toSet.union(.noSetUserID | .noDevices | .noExecution)
        var changes = [
            MountChange(
                set: attributes, propagation: .private)
        ]
        changes += Self.furtherChanges(options)
        if userNamespace != nil || isUnprivileged || cgroups.mode == .none {
            changes.append(MountChange(set: .readOnly))
        }
        let mountPoint = cgroups.directories.last { $0.isUnified }?.mountPoint
        let tree = BindMount(
            index: index, source: mountPoint ?? CgroupHierarchies.usualMountPoint,
            recursive: false, changes: changes, destination: destination)
        parentSteps.append(PlannedParentStep(field, .mount(.bind(tree))))
        childSteps.add(.mount(.attachMount(index, at: destination, kind: .directory)), from: field)
    }

    /// The name of a hierarchy, as for systemd and runc: the last component of its mount point.
    static func hierarchyName(_ directory: CgroupDirectory) -> String {
        directory.mountPoint.parts(between: "/").last.map(String.init) ?? "cgroup"
    }
}
#endif
