// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

extension MountPlan {
    /// A cgroup mount: on v2 a file system of its own when there is a cgroup namespace, else the
    /// host's; on v1 in every case the container's own directories.
    ///
    /// A reader in the namespace sees the first and the last as "/".
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
        // Directories of hierarchies that are mounted already: their file system is not made anew.
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

    /// The whole v2 hierarchy: /proc/self/cgroup names a path in it where there is no cgroup namespace.
    ///
    /// As a bind mount of the host's, since a new instance would set the options of the hierarchy anew
    /// (nsdelegate, memory_recursiveprot). A container that is not trusted with the host's ids only
    /// reads it, whatever the config says (CVE-2023-25809).
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

    /// The last component of the mount point, as systemd and runc name hierarchies.
    static func hierarchyName(_ directory: CgroupDirectory) -> String {
        directory.mountPoint.parts(between: "/").last.map(String.init) ?? "cgroup"
    }
}
