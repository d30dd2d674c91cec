// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

// What `delete --force` does beyond a plain delete: it waits for no other command for long, and needs no
// record that can be read. Either all of the container ends, or it fails and all that is known of the
// container stays.

extension Container {
    /// How long others get to let go of the lock once the container's processes are killed.
    private static let patienceSeconds = 3

    /// Finds the container, whoever holds its lock and whatever became of its files.
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

    /// The record, or what stands in for it, and whether there is somebody to end.
    private func recordOrSubstitute(in state: borrowing StateDirectory) throws(ContainerError) -> (
        ContainerRecord?, State.Status
    ) {
        do throws(ContainerError) {
            guard var record = try state.readRecord(id) else { return (nil, .creating) }
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

    /// A create or start that waits for a stuck init, or for a hook, holds the lock: it ends with the
    /// processes that it waits for.
    ///
    /// One that does not (it is stopped itself, or waits for the kernel) is not waited for: it finds its
    /// state gone when it goes on, and takes back what it did.
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

    /// A refusal is no error here: what is left is met again once the lock is there, or is not waited for
    /// any longer.
    private func killKnownProcesses(of state: borrowing StateDirectory) {
        guard var record = try? state.readRecord(id) else { return }
        if record.pid == 0, let page = try? record.takeProcess(from: state), record.pid == 0 {
            Self.endBirth(page)
        }
        if let process = try? record.openInitIfAlive() {
            try? sendSignal(process.number, Signal.kill.rawValue)
        }
        // Before it comes to start init, a creation may not have its cgroup to itself.
        guard record.isComplete || (try? state.holds(StateDirectory.progressName)) == true else {
            return
        }
        let cgroup = Cgroup(record.cgroups)
        if (try? cgroup.isFrozen) == true { try? cgroup.thaw() }
        try? cgroup.killAll()
    }

    /// Kills what is on its way to be init, and is stuck before its creator could note it.
    ///
    /// Its number may be a later process's by now, so it has to be the child of the creator that is noted
    /// with it. What it has cloned ends by itself, since the creator never tells that to go on.
    private static func endBirth(_ page: [UInt8]) {
        guard let birth = ProgressPage.birth(page), let process = try? openProcess(birth.stone),
            (try? stat(of: birth.stone))?.parent == birth.creator
        else { return }
        try? sendSignal(process.number, Signal.kill.rawValue)
    }

    // MARK: Salvage

    /// What tells of the container where its record does not: what is left of that, the progress page,
    /// which names init, and the kept config, which names the cgroup.
    ///
    /// - Throws: `state` when they do not tell which processes are the container's.
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
            // A hook is told the bundle and runs in it: without a bundle none is run.
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
        // Where init is not known, every process in the cgroup is ended.
        if record.pid == 0 { record.hasPidNamespace = false }
        return record
    }

    /// Nil for a file that is missing, or is none.
    private static func readIfWhole(_ name: String, _ state: borrowing StateDirectory)
        throws(ContainerError) -> [UInt8]?
    {
        do throws(ContainerError) {
            return try state.read(name)
        } catch  where error.code == .state {
            return nil
        }
    }

    /// The container's cgroup: where its init is, in so far as the name is that of the config, or of the
    /// id; or where the config says.
    private func salvagedCgroups(_ spec: Spec?, of pid: Int32?) throws(CgroupError)
        -> CgroupLayout
    {
        let given = spec?.linux?.cgroupsPath.flatMap { $0.isEmpty ? nil : $0 }
        let parts = (given ?? "").split(separator: ":", omittingEmptySubsequences: false)
        let isScope = parts.count == 3
        let host = try CgroupHierarchies.discover(ownedBy: pid)
        guard pid != nil else {
            // A scope went with its last process, and a relative path is below another's cgroup.
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

    /// The part of a path up to a component that has one of the names.
    private static func cgroup(named names: [String], in path: String) -> String? {
        let components = path.rootedComponents
        guard let index = components.lastIndex(where: { names.contains(String($0)) }) else {
            return nil
        }
        return Array(components[...index]).pathBelow
    }
}

extension ContainerRecord {
    /// Takes init from the progress page, where it is noted as soon as it is there.
    ///
    /// - Returns: The page; nil where there is none that could be read.
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

    /// Whether init is the first process of a pid namespace, which ends with it.
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
