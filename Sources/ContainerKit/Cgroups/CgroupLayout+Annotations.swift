// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

// crun's annotations for a container's cgroup.

extension CgroupLayout {
    /// The cgroup that an annotation names, as `/a/b`; empty if it is absent.
    static func annotated(_ name: String, _ annotations: [String: String])
        throws(SpecError) -> String
    {
        guard let path = annotations[name] else { return "" }
        do throws(ContainerError) {
            return try inner(path)
        } catch {
            throw SpecError("annotations.\(name)", error.message)
        }
    }

    /// The layout with the container in a cgroup below its scope.
    ///
    /// systemd manages the scope, and everything below belongs to the container: a systemd inside
    /// needs a cgroup to itself.
    func inSubgroup(_ annotations: [String: String]) throws(SpecError) -> CgroupLayout {
        let path = try Self.annotated(ConfigAnnotation.systemdSubgroup, annotations)
        guard !path.isEmpty else { return self }
        guard path.parts(between: "/").first != SystemdScope.keeperSubgroup.dropFirst() else {
            throw SpecError(
                "annotations.\(ConfigAnnotation.systemdSubgroup)",
                "\(path) is the cgroup of the process that keeps a scope")
        }
        var layout = self
        let usual = layout.scope?.subgroup ?? ""
        layout.scope?.subgroup = path
        for index in directories.indices {
            let unit = directories[index].cgroup.dropLast(usual.count)
            layout.directories[index].cgroup = unit + path
        }
        return layout
    }
}

extension CgroupPlan {
    /// Reads the annotation of the cgroup to delegate; v1 has no safe delegation.
    mutating func delegate(_ annotations: [String: String]) throws(SpecError) {
        let name = ConfigAnnotation.delegatedCgroup
        delegated = try CgroupLayout.annotated(name, annotations)
        guard delegated.isEmpty || layout.isUnified else {
            throw SpecError("annotations.\(name)", "needs cgroup v2 alone")
        }
    }
}

extension Cgroup {
    /// Makes the delegated cgroup for the container's process.
    ///
    /// - Parameters:
    ///   - delegated: its path below the container's own.
    ///   - owner: the user of the host who gets it; nil leaves it to root.
    /// - Throws: the kernel's refusal.
    mutating func makeDelegated(_ delegated: String, owner: UInt32?) throws(CgroupError) {
        guard let own = layout.directories.first?.path else { return }
        let path = own + delegated
        do throws(SystemCallError) {
            // An existing one is left from an earlier container with the same path.
            _ = try makeDirectory(path, below: own.utf8.count)
        } catch {
            throw CgroupError(failure: error, message: "unable to create the delegated cgroup")
        }
        if let owner { try delegate(path, to: owner) }
    }

    /// Opens the file by which a process enters the delegated cgroup.
    func openDelegated(_ path: String) throws(CgroupError) -> OwnedDescriptor {
        let own = layout.directories.first?.path ?? ""
        do throws(SystemCallError) {
            return try openFile("\(own)\(path)/cgroup.procs", .writeOnly)
        } catch {
            throw CgroupError(failure: error, message: "unable to enter the delegated cgroup")
        }
    }

    /// Enables the controllers on the path to the delegated cgroup, now that the container's own
    /// cgroup has no processes.
    ///
    /// Errors are ignored: the container's root can do this as well.
    func enableControllers(below path: String) {
        guard let own = layout.directories.first?.path else { return }
        var above = own
        for part in path.parts(between: "/") {
            for controller in layout.unifiedControllers {
                try? writeControlFile("\(above)/cgroup.subtree_control", "+\(controller)")
            }
            above += "/\(part)"
        }
    }

    /// Moves the process that holds a scope into a cgroup below it, which is the container's own
    /// unless the process stays: a cgroup with processes cannot pass controllers to its children.
    mutating func attachKeeper(_ keeper: Int32?) throws(CgroupError) {
        guard let keeper, layout.isUnified, layout.scope?.subgroup.isEmpty == false else { return }
        guard let path = layout.keeperPath else { return try attach(Int(keeper)) }
        do throws(SystemCallError) {
            _ = try makeDirectory(path, below: layout.directories[0].mountPoint.utf8.count)
            try writeControlFile("\(path)/cgroup.procs", "\(keeper)")
        } catch {
            throw CgroupError(
                failure: error, message: "unable to make the cgroup of the scope's process")
        }
    }
}
#endif
