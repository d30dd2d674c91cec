// SPDX-License-Identifier: Apache-2.0

public import RuntimeSpec
internal import SystemPackage

/// A container as a command finds it: its directory, its record, and how its init stands.
struct FoundContainer: ~Copyable {
    let state: StateDirectory
    /// Nil when a creation died before its first record.
    let record: ContainerRecord?
    let status: State.Status
}

extension Container {
    /// The container's state, as `state` prints it.
    ///
    /// Spec: runtime.md, State.
    /// - Throws: `notFound`, or `state` when the record is damaged.
    public func state() throws(ContainerError) -> State {
        let found = try find(locking: false)
        guard let record = found.record else {
            throw ContainerError(.notFound, "container does not exist")
        }
        let lives = found.status != .stopped && found.status != .creating
        return State(
            ociVersion: record.ociVersion, id: id, pid: lives ? Int(record.pid) : 0,
            status: found.status, bundle: record.bundle, rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations.isEmpty ? nil : record.annotations, owner: "")
    }

    /// Opens the container's directory and looks at its init.
    ///
    /// With `locking`, commands that change the container exclude each other.
    func find(locking: Bool) throws(ContainerError) -> FoundContainer {
        guard let state = try StateDirectory.open(id, in: store.path.text) else {
            throw ContainerError(.notFound, "container does not exist")
        }
        if locking {
            try state.lock()
            guard state.isCurrent else {
                throw ContainerError(.notFound, "container does not exist")
            }
        }
        let record = try state.readRecord()
        let status = try Self.status(record, state)
        return FoundContainer(state: state, record: record, status: status)
    }

    /// Where init stands: the pid with its start time, then the progress page, then the freezer.
    private static func status(_ record: ContainerRecord?, _ state: borrowing StateDirectory)
        throws(ContainerError) -> State.Status
    {
        guard let record, record.isComplete else { return .creating }
        guard record.isAlive else { return .stopped }
        let page = try state.read(StateDirectory.progressName) ?? []
        if let progress = ProgressPage.read(page), progress.index <= record.startWaitIndex {
            let isPaused =
                record.isPausedBeforeStart && (try? Cgroup(record.cgroups).isFrozen) == true
            return isPaused ? .paused : .created
        }
        return (try? Cgroup(record.cgroups).isFrozen) == true ? .paused : .running
    }
}

extension ContainerRecord {
    /// Whether init still runs; another process of the same pid started at another time.
    var isAlive: Bool {
        guard pid > 0, let now = stat(of: pid) else { return false }
        return now.startTime == startTime && now.state != "Z" && now.state != "X"
    }

    /// Opens init, sure that it is init: the start time is compared after the pidfd is there.
    func openInit() throws(ContainerError) -> OwnedDescriptor {
        let process: OwnedDescriptor
        do {
            process = try openProcess(pid)
        } catch {
            throw ContainerError(.notRunning, "container not running")
        }
        guard isAlive else { throw ContainerError(.notRunning, "container not running") }
        return process
    }
}
