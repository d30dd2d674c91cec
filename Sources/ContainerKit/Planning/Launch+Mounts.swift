// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The facts for the plan of a mount in a running container, in addition to its config.
struct MountingFacts {
    /// The facts that mounts of a new container depend on.
    var creation: CreateFacts
    /// The pid of the container's init.
    var initPid: Int32
    /// The namespaces of init that differ from the caller's.
    var namespaces: NamespaceSet

    /// The namespaces of a process that mounts.
    ///
    /// In the user namespace, too: mount points then belong to the container's root.
    fileprivate var joined: NamespaceSet {
        namespaces.contains(.user) ? [.user, .mount] : [.mount]
    }
}

extension Launch {
    /// Types whose contents depend on the namespaces of the process that mounts, or that need
    /// settings of a new container.
    private static let typesOfNewContainers = [
        "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "proc", "sysfs",
    ]

    /// Plans one further mount in a running container.
    ///
    /// - Parameters:
    ///   - mount: the mount.
    ///   - index: its index in the caller's list, for errors.
    ///   - spec: the container's config as it was at create.
    ///   - facts: the state of the container and the host.
    /// - Throws: the first violation, with its field.
    init(
        mounting mount: Mount, _ index: Int, into spec: Spec, facts: MountingFacts
    ) throws(SpecError) {
        let field = Origin.config("mounts[\(index)]")
        try Self.checkAddition(mount, field, facts)
        let linux = spec.linux ?? Linux()
        let namespaces = NamespacePlan(
            linux.namespaces ?? [], alreadyIn: facts.creation.isInUserNamespace ? .user : nil)
        let process = spec.process ?? Process(cwd: "/")
        let userNamespace = UserNamespacePlan(namespaces, linux, process)
        let mounts = try MountPlan(
            [mount], from: index, rootPath: facts.creation.rootPath(spec.root ?? Root(path: "/")),
            propagation: Self.baseChange(linux.rootfsPropagation), cgroups: .empty,
            namespaces: namespaces, userNamespace: userNamespace, mountLabel: linux.mountLabel,
            facts: facts.creation)
        let destination = mounts.destinations.last ?? mount.destination
        let user = userNamespace.map(\.user)
        let trees = TreeSupply(mounts, nil)

        var child = StepList.joining(facts.joined, as: user)
        child.append(trees.mountSteps)
        child.append(mounts.readOnlySteps)
        child.add(.mount(.sendAttachedMount(at: destination)), from: field)
        child.add(.process(.end), from: .runtime)

        var parent = ParentStepList()
        parent.add(.namespace(.openProcess))
        if mounts.mapsIDsByJoinedNamespace {
            let path = "/proc/\(facts.initPid)/ns/user"
            parent.add(.namespace(.open(.user, path: path, mustDiffer: false)))
        }
        parent.append(trees.earlyParentSteps)
        parent.add(.mount(.makeMountPoints(for: user)))
        parent.add(.child(.start([], intoCgroup: false)))
        parent.add(.child(.take))
        parent.append(trees.lateParentSteps)
        parent.add(.mount(.receiveAttached(at: destination)), from: field)
        parent.add(.child(.awaitEnd))
        self.init(
            plan: LaunchPlan(
                parentSteps: parent.steps, childSteps: child.steps.keepingWhatIsNeeded()),
            cgroups: nil, warnings: mounts.warnings)
    }

    /// Plans to unmount a mount that was added to a running container.
    init(unmountingAt path: String, identity: UInt64) {
        var child = StepList()
        child.add(.process(.closeDescriptors(phase: 0, preserved: 0)), from: .runtime)
        child.add(.process(.forbidPtrace), from: .runtime)
        child.add(.label(.openHostProc), from: .runtime)
        child.add(.namespace(.joinProcess([.mount])), from: .runtime)
        child.add(.mount(.detachMount(0, at: path)), from: .runtime)

        var parent = ParentStepList()
        parent.add(.namespace(.openProcess))
        parent.add(.mount(.openAttached(0, at: path, identity: identity)))
        self.init(changingBy: child, after: parent)
    }

    /// Refuses what only a new container can get.
    private static func checkAddition(
        _ mount: Mount, _ field: Origin, _ facts: MountingFacts
    ) throws(SpecError) {
        let options = MountOptions(mount.options ?? [], type: mount.type)
        if options.isRemount {
            throw SpecError(
                "\(field).options", "remount: a mount of a running container is not changed")
        }
        if options.copiesUp || options.copiesLink {
            throw SpecError(
                "\(field).options",
                "\(options.copiesUp ? "tmpcopyup" : "copy-symlink"): only a new container gets copies of files"
            )
        }
        guard options.isBind || !typesOfNewContainers.contains(mount.type ?? "") else {
            throw SpecError(
                "\(field).type",
                "\"\(mount.type ?? "")\" cannot be added to a running container: "
                    + "its contents belong to the namespaces of the process that mounts it")
        }
        guard facts.namespaces.contains(.mount) else {
            throw SpecError(
                "\(field)",
                "the container has no mount namespace of its own, so the mount would be the host's")
        }
        guard facts.creation.preparesMounts else {
            throw SpecError(
                "\(field)", "an ordinary user cannot add mounts to a running container")
        }
    }
}

extension MountPlan {
    /// Whether the IDs of a mount are mapped as in a user namespace that the config joins.
    fileprivate var mapsIDsByJoinedNamespace: Bool {
        parentSteps.contains { planned in
            guard case .mount(let step) = planned.step, let map = step.idMap else { return false }
            return map.maps == nil
        }
    }
}
#endif
