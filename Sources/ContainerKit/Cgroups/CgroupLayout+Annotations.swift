// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

// What crun's annotations say of a container's cgroup.

extension CgroupLayout {
    /// The cgroup that an annotation names, as `/a/b`; empty without one.
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
    /// systemd keeps the scope, and all below it is the container's: whoever runs systemd inside wants
    /// no other beside it.
    func inSubgroup(_ annotations: [String: String]) throws(SpecError) -> CgroupLayout {
        let path = try Self.annotated(ConfigAnnotation.systemdSubgroup, annotations)
        guard !path.isEmpty else { return self }
        var layout = self
        layout.scope?.subgroup = path
        for index in directories.indices { layout.directories[index].cgroup += path }
        return layout
    }
}

extension CgroupPlan {
    /// Takes up what is to be left to the container; v1 has no safe way for that.
    mutating func delegate(_ annotations: [String: String]) throws(SpecError) {
        let name = ConfigAnnotation.delegatedCgroup
        delegated = try CgroupLayout.annotated(name, annotations)
        guard delegated.isEmpty || layout.isUnified else {
            throw SpecError("annotations.\(name)", "needs cgroup v2 alone")
        }
    }
}

extension Cgroup {
    /// Makes the cgroup that the container's process is going to be in.
    ///
    /// - Parameters:
    ///   - delegated: its path below the container's own.
    ///   - owner: the user of the host that it is given to, if to any.
    /// - Throws: what the kernel refuses.
    mutating func makeDelegated(_ delegated: String, owner: UInt32?) throws(CgroupError) {
        guard let own = layout.directories.first?.path else { return }
        let path = own + delegated
        do throws(SystemCallError) {
            // One that is there is of an earlier container with the same path.
            _ = try makeDirectory(path, below: own.utf8.count)
        } catch {
            throw CgroupError(failure: error, message: "unable to create the delegated cgroup")
        }
        if let owner { try delegate(path, to: owner) }
    }

    /// Opens what a process enters the delegated cgroup by.
    func openDelegated(_ path: String) throws(CgroupError) -> OwnedDescriptor {
        let own = layout.directories.first?.path ?? ""
        do throws(SystemCallError) {
            return try openFile("\(own)\(path)/cgroup.procs", .writeOnly)
        } catch {
            throw CgroupError(failure: error, message: "unable to enter the delegated cgroup")
        }
    }

    /// Gives the cgroups on the way to a delegated one their controllers, now that the container's own
    /// has no process.
    ///
    /// Best effort: the container's root can do so as well.
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

    /// Moves the process that keeps a scope into the container's cgroup below it: a cgroup with
    /// processes gives no controllers to its children.
    func attachKeeper(_ keeper: Int32?) throws(CgroupError) {
        guard let keeper, layout.isUnified, layout.scope?.subgroup.isEmpty == false else { return }
        try attach(Int(keeper))
    }
}
