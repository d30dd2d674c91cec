// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

// What `delete --force` does beyond a plain delete: it waits only briefly for other commands, and
// works without a readable record. It either ends all of the container, or fails and keeps
// everything that is known of it.

extension Container {
    /// How long other commands may take to release the lock once the container's processes are
    /// killed.
    private static let patienceSeconds = 3

    /// Finds the container, even if another command holds its lock or its files are damaged.
    func findForForcedDelete() throws(ContainerError) -> FoundContainer {
        guard let state = try StateDirectory.open(id, in: store.path.text) else {
            throw ContainerError(.notFound, "container does not exist")
        }
        try endWhoHoldsLock(of: state)
        guard try state.isCurrent() else {
            throw ContainerError(.notFound, "container does not exist")
        }
        let (record, status) = try recordOrSubstitute(in: state)
        return FoundContainer(state: state, record: record, status: status)
    }

    /// The record or a substitute for it, and whether there are processes to end.
    private func recordOrSubstitute(in state: borrowing StateDirectory) throws(ContainerError) -> (
        ContainerRecord?, State.Status
    ) {
        do throws(ContainerError) {
            guard var record = try state.readRecord(id, whole: false) else {
                return (nil, .creating)
            }
            guard record.isComplete else {
                try record.takeProcess(from: state)
                return (record, .creating)
            }
            return (record, try record.isAlive() ? .running : .stopped)
        } catch  where error.code == .state {
            return (try salvagedRecord(state), .running)
        }
    }

    // MARK: The lock

    /// Makes the command that holds the lock end, by killing the processes that it waits for.
    ///
    /// A create or start holds the lock while it waits for a stuck init or a hook. A command that
    /// still does not end (it is stopped itself, or blocked in the kernel) is not waited for: when
    /// it goes on, it finds its state gone and undoes its work.
    private func endWhoHoldsLock(of state: borrowing StateDirectory) throws(ContainerError) {
        guard try !state.tryLock() else { return }
        let deadline = Deadline(secondsAhead: Self.patienceSeconds)
        var delay = 1
        while deadline.remainingMilliseconds > 0 {
            killKnownProcesses(of: state)
            wait(milliseconds: delay)
            delay = min(delay * 2, 50)
            if try state.tryLock() { return }
        }
        store.logger.debug("the command that holds the container's lock is not waited for")
    }

    /// Errors are ignored: they occur again once the lock is there, or do not matter any more.
    private func killKnownProcesses(of state: borrowing StateDirectory) {
        guard var record = try? state.readRecord(id) else { return }
        if record.pid == 0, let page = try? record.takeProcess(from: state), record.pid == 0 {
            Self.endCreation(page)
        }
        if let process = try? record.openInitIfAlive() {
            try? sendSignal(process.number, Signal.kill.rawValue)
        }
        // Before a creation has started init, its cgroup may still be shared with others.
        guard (try? record.hasOwnCgroup(state)) == true else { return }
        guard let cgroup = try? record.openCgroup() else { return }
        if (try? cgroup.isFrozen) == true { try? cgroup.thaw() }
        try? cgroup.killAll()
    }

    /// Kills the stepping stone of a creation that is stuck before its init is recorded.
    ///
    /// The pid may have been reused, so the process must be a child of the recorded creator. A
    /// process that the stone has cloned ends by itself, since the creator never lets it go on.
    private static func endCreation(_ page: [UInt8]) {
        guard let creation = ProgressPage.creation(page),
            let process = try? openProcess(creation.stone),
            (try? stat(of: creation.stone))?.parent == creation.creator
        else { return }
        try? sendSignal(process.number, Signal.kill.rawValue)
    }

    // MARK: Salvage

    /// Collects what is known of a container with a damaged record: what is left of the record, the
    /// progress page, which names init, and the kept config, which names the cgroup.
    ///
    /// - Throws: `state` if they do not tell which processes are the container's.
    private func salvagedRecord(_ state: borrowing StateDirectory) throws(ContainerError)
        -> ContainerRecord
    {
        var record = ContainerRecord(salvaged: id)
        let bytes = try Self.readIfWhole(StateDirectory.recordName, state)
        if let value = bytes.flatMap({ try? JSONValue(json: $0) }) { record.salvage(value) }
        if record.pid == 0 { try record.takeProcess(from: state) }
        let isAlive = try record.isAlive()

        let config = try Self.readIfWhole(StateDirectory.configName, state)
        let spec = config.flatMap { try? Spec(json: $0) }
        if let spec {
            record.annotations = spec.annotations ?? [:]
            record.hasPidNamespace =
                spec.linux?.namespace(.pid).map { ($0.path ?? "").isEmpty } ?? false
            // A hook gets the bundle's path and runs in it, so without a bundle no hook is run.
            if !record.bundle.isEmpty { record.hooks = record.hooks ?? spec.hooks?.afterCreate }
        } else if isAlive, !record.hasPidNamespace {
            record.hasPidNamespace = try record.isFirstInPidNamespace()
        }
        if record.cgroups.directories.isEmpty {
            let pid = isAlive ? record.pid : nil
            record.cgroups = try reporting { () throws(CgroupError) in
                try salvagedCgroups(spec, of: pid)
            }
        }
        guard record.pid > 0 || !record.cgroups.directories.isEmpty else {
            throw state.noProcessKnown
        }
        if record.cgroups.directories.isEmpty {
            store.logger.warning(
                """
                the cgroups of the container are not known, since its record and its config are \
                damaged: empty ones may remain
                """)
        }
        // If init is not known, every process in the cgroup is killed.
        if record.pid == 0 { record.hasPidNamespace = false }
        return record
    }

    /// The contents of a file; nil if it is missing or not a regular file.
    private static func readIfWhole(_ name: String, _ state: borrowing StateDirectory)
        throws(ContainerError) -> [UInt8]?
    {
        do throws(ContainerError) {
            return try state.read(name)
        } catch  where error.code == .state {
            return nil
        }
    }

    /// The container's cgroup: the one init is in, if its name matches the config or the ID;
    /// without init, the one that the config names.
    private func salvagedCgroups(_ spec: Spec?, of pid: Int32?) throws(CgroupError)
        -> CgroupLayout
    {
        let given = spec?.linux?.cgroupsPath.flatMap { $0.isEmpty ? nil : $0 }
        let parts = (given ?? "").split(separator: ":", omittingEmptySubsequences: false)
        let isScope = parts.count == 3
        let host = try CgroupHierarchies.discover(ownedBy: pid)
        guard pid != nil else {
            // A scope is removed with its last process, and a relative path is below another
            // process's cgroup.
            guard spec != nil, !isScope,
                let planned = try? CgroupLayout(cgroupsPath: given, id: id, in: host),
                given?.begins(with: "/") == true || Cgroup(planned).exists
            else { return .empty }
            return planned
        }
        var names = [id, "runc-\(id).scope"]
        if let given { names = [String(given.rootedComponents.last ?? "")] }
        if isScope { names = ["\(parts[1])-\(parts[2]).scope"] }
        let directories = host.hierarchies.compactMap { hierarchy -> CgroupDirectory? in
            guard let cgroup = Self.cgroup(named: names, in: hierarchy.ownPath) else { return nil }
            return CgroupDirectory(
                controllers: hierarchy.controllers, mountPoint: hierarchy.mountPoint,
                cgroup: cgroup)
        }
        guard !directories.isEmpty else { return .empty }
        return CgroupLayout(
            mode: host.mode, directories: directories, unifiedControllers: host.unifiedControllers)
    }

    /// The path up to its last component with one of these names; nil if there is none.
    private static func cgroup(named names: [String], in path: String) -> String? {
        let components = path.rootedComponents
        guard let index = components.lastIndex(where: { names.contains(String($0)) }) else {
            return nil
        }
        return Array(components[...index]).pathBelow
    }
}

extension ContainerRecord {
    /// Whether the creation has got to know that the cgroup belongs to nobody else.
    func hasOwnCgroup(_ state: borrowing StateDirectory) throws(ContainerError) -> Bool {
        if isComplete || ownsCgroup { return true }
        return try state.holds(StateDirectory.progressName)
    }

    /// Takes init's pid from the progress page, where it is recorded as soon as init exists.
    ///
    /// - Returns: the page; nil if there is none that can be read.
    @discardableResult
    fileprivate mutating func takeProcess(from state: borrowing StateDirectory)
        throws(ContainerError) -> [UInt8]?
    {
        let page: [UInt8]?
        do throws(ContainerError) {
            page = try state.read(StateDirectory.progressName)
        } catch  where error.code == .state {
            return nil
        }
        if let process = page.flatMap(ProgressPage.process) { (pid, startTime) = process }
        return page
    }

    /// Whether init is the first process of a pid namespace, so that the namespace ends with it.
    fileprivate func isFirstInPidNamespace() throws(ContainerError) -> Bool {
        let isOther = try reporting("unable to look at the container's pid namespace") {
            () throws(SystemCallError) in
            try status(at: "/proc/\(pid)/ns/pid").stx_ino
                != status(at: "/proc/self/ns/pid").stx_ino
        }
        guard isOther else { return false }
        return try pidInside() == 1
    }
}
#endif
