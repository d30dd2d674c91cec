// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Container {
    /// Stops every process of the container until `resume`; returns once all have stopped.
    ///
    /// The freezer itself is the only record of this, so a container that somebody else has thawed
    /// counts as running.
    /// - Throws: `notRunning`, also if the container is already paused, or `cgroup`.
    public func pause() throws(ContainerError) {
        let found = try find(locking: true)
        guard var record = found.record, found.status == .running || found.status == .created
        else {
            throw ContainerError(
                .notRunning, "container not running",
                hint: found.status == .paused ? "it is paused already" : nil)
        }
        if found.status == .created, !record.isPausedBeforeStart {
            record.isPausedBeforeStart = true
            try found.state.stage(record)
            try found.state.putRecordInPlace()
        }
        let cgroup = try record.openCgroup()
        try reporting { () throws(CgroupError) in
            try cgroup.freeze()
            // The caller wants a container that stands still and can be resumed. One whose init has
            // ended or left the cgroup meanwhile cannot.
            guard try cgroup.frozenProcesses().contains(Int(record.pid)) else {
                try cgroup.thaw()
                throw CgroupError(
                    message: (try? record.isAlive()) != false
                        ? "unable to freeze: init has left the container's cgroup"
                        : "container process already exited")
            }
        }
    }

    /// Resumes the processes of a paused container.
    ///
    /// - Throws: `wrongState` when it is not paused, or `cgroup`.
    public func resume() throws(ContainerError) {
        let found = try find(locking: true)
        guard var record = found.record, found.status == .paused else {
            throw ContainerError(.wrongState, "container not paused")
        }
        let cgroup = try record.openCgroup()
        try reporting { () throws(CgroupError) in try cgroup.thaw() }
        guard record.isPausedBeforeStart else { return }
        record.isPausedBeforeStart = false
        try found.state.stage(record)
        try found.state.putRecordInPlace()
    }

    /// The pids of the container's processes, including nested cgroups, as the caller sees them.
    ///
    /// - Returns: The pids in ascending order; none if the container has stopped.
    /// - Throws: `notFound`, `cgroup`.
    public func processes() throws(ContainerError) -> [Int] {
        let found = try find(locking: false)
        guard let record = found.record else { return [] }
        return try ContainerProcesses(record).list().sorted()
    }
}
#endif
