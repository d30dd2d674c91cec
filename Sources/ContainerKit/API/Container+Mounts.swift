// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
public import RuntimeSpec
public import SystemPackage

extension Container {
    /// Mounts into the container while it runs, is paused, or waits for `start`.
    ///
    /// Bind mounts, a tmpfs, and every other file system whose contents do not depend on namespaces; with the
    /// options that entries of the config's `mounts` have: read-only, propagation, ID mappings and so on. A mount
    /// point that is missing is made, and stays. The container's root must have a mount namespace of its own.
    /// If one mount fails, those before it are unmounted again.
    ///
    /// - Parameter mounts: the mounts, in order; a relative source counts from the bundle.
    /// - Throws: `notFound`, `notRunning`, `invalidSpec` with the field (`mounts[0].options`), `systemCall`,
    ///   `initFailed`. Kernel: open_tree(2), fsmount(2), setns(2), move_mount(2).
    public func addMounts(_ mounts: [Mount]) throws(ContainerError) {
        let found = try find(locking: true)
        var record = try found.recordOfLiving()
        var spec = try Self.recordedSpec(found.state)
        spec.mounts = mounts
        try reporting { () throws(SpecErrors) in try spec.check() }
        let process = try record.openInit()
        let earlier = record.addedMounts.count
        do throws(ContainerError) {
            for (index, mount) in mounts.enumerated() {
                let added = try attach(mount, index, spec, record, process.number)
                record.addedMounts.append(added)
            }
            try found.state.stage(record)
            try found.state.putRecordInPlace()
        } catch {
            for added in record.addedMounts[earlier...].reversed() {
                try? detach(added, record, process.number)
            }
            guard record.isEnding(process) else { throw error }
            throw ContainerError(.notRunning, "container not running")
        }
    }

    /// Unmounts what `addMounts` mounted at these places, with all mounts below it.
    ///
    /// Nothing else is unmounted: not a mount of the config, nor one that the container has made at the same
    /// place. What the container has unmounted itself is only forgotten. Mount points stay.
    ///
    /// - Parameter destinations: the destinations as given to `addMounts`.
    /// - Throws: `notFound`, `notRunning`, `invalidArgument` for a destination where nothing was added,
    ///   `wrongState` if the container has covered or moved the mount. Kernel: umount2(2).
    public func removeMounts(_ destinations: [FilePath]) throws(ContainerError) {
        let found = try find(locking: true)
        var record = try found.recordOfLiving()
        let process = try record.openInit()
        let paths = destinations.map(\.text.rootedPath)
        for path in paths where !record.addedMounts.contains(where: { $0.isAt(path) }) {
            throw ContainerError(
                .invalidArgument, "no mount was added to container \(id) at \(path)",
                hint: "mounts of the config stay until the container is deleted")
        }
        for path in paths {
            guard let index = record.addedMounts.lastIndex(where: { $0.isAt(path) }) else {
                continue
            }
            do throws(ContainerError) {
                try detachUnlessGone(record.addedMounts[index], record, process.number)
            } catch {
                guard record.isEnding(process) else { throw error }
                throw ContainerError(.notRunning, "container not running")
            }
            record.addedMounts.remove(at: index)
            try found.state.stage(record)
            try found.state.putRecordInPlace()
        }
    }

    /// The mounts that were added and not removed, in order.
    ///
    /// - Throws: `notFound`, `state` when the record is damaged.
    public func addedMounts() throws(ContainerError) -> [Mount] {
        guard let record = try find(locking: false).record else {
            throw ContainerError(.notFound, "container does not exist")
        }
        return record.addedMounts.map(\.mount)
    }

    /// Mounts what `index` names in errors; the caller records it.
    func attach(
        _ mount: Mount, _ index: Int, _ spec: Spec, _ record: ContainerRecord, _ process: CInt
    ) throws(ContainerError) -> AddedMount {
        let facts = try Self.facts(of: mount, index, spec, record)
        let launch = try reporting { () throws(SpecError) in
            try Launch(mounting: mount, index, into: spec, facts: facts)
        }
        for warning in launch.warnings { store.logger.warning("\(warning)") }
        let launcher = launcher(launch, record, process)
        try launcher.run()
        var added = mount
        added.destination = mount.destination.rootedPath
        // The launcher closes the descriptor at its end.
        let (identity, id) = try withExtendedLifetime(launcher) {
            () throws(ContainerError) in
            let number = launcher.attachedMount
            return try reporting("unable to look at the mount on \(added.destination)") {
                () throws(SystemCallError) in
                (try mountIdentity(of: number), try status(of: number).stx_mnt_id)
            }
        }
        return AddedMount(added, identity: identity, id: id)
    }

    private func detach(_ added: AddedMount, _ record: ContainerRecord, _ process: CInt)
        throws(ContainerError)
    {
        let launch = Launch(
            unmountingAt: added.mount.destination, identity: added.identity)
        try launcher(launch, record, process).run()
    }

    /// Unmounts what was added; it is no error if the container has done that.
    func detachUnlessGone(_ added: AddedMount, _ record: ContainerRecord, _ process: CInt)
        throws(ContainerError)
    {
        do throws(ContainerError) {
            try detach(added, record, process)
        } catch {
            guard let isGone = try? Self.isGone(added, record), isGone else { throw error }
        }
    }

    /// The launcher of a process that changes the container's files.
    func launcher(_ launch: Launch, _ record: ContainerRecord, _ process: CInt)
        -> Launcher
    {
        var options = LaunchOptions()
        options.logger = store.logger
        return Launcher(
            launch.plan, options: options, storePath: store.path.text, record: nil,
            joinedInit: process, joinedPid: record.pid)
    }

    /// Whether the container no longer has the mount anywhere.
    private static func isGone(_ added: AddedMount, _ record: ContainerRecord)
        throws(ContainerError) -> Bool
    {
        try reporting("unable to read the container's mounts") { () throws(SystemCallError) in
            try !mountTable(of: "\(record.pid)").contains { $0.id == added.id }
        }
    }

    /// The facts for a mount in the running container.
    static func facts(
        of mount: Mount, _ index: Int, _ spec: Spec, _ record: ContainerRecord
    ) throws(ContainerError) -> MountingFacts {
        var creation = CreateFacts(
            id: record.id, bundlePath: record.bundle, host: HostFacts(cgroups: .none))
        creation.host.rights = RuntimeRights.discovered(mayGoWithoutCgroups: nil)
        creation.isInUserNamespace = Creation.isOwn(spec.linux?.namespace(.user))
        creation.labelOption = try Creation.labelOption(spec)
        let options = MountOptions(mount.options ?? [], type: mount.type)
        if options.isBind, !options.bindAttributes.isEmpty {
            let source = (mount.source ?? "").path(from: record.bundle)
            creation.sourceAttributes[index] = try? mountAttributes(at: source)
        }
        let namespaces = try Execution.foreignNamespaces(record.pid).foreign
        return MountingFacts(
            creation: creation, initPid: record.pid, namespaces: namespaces)
    }
}

extension AddedMount {
    fileprivate func isAt(_ path: String) -> Bool { mount.destination.isSame(path) }
}
#endif
