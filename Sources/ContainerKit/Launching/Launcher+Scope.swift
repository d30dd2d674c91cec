// SPDX-License-Identifier: Apache-2.0

extension Launcher {
    /// Lets systemd start the scope, so that all that follows finds a cgroup to work with.
    func startScope(_ unit: String) throws(ContainerError) {
        guard let systemd, let plan = launch.cgroups?.withRoomForKeeper else { return }
        try settleBirth()
        // In a frozen one neither init nor the process that waits for it would get anywhere.
        let cgroup = Cgroup(plan.layout)
        if cgroup.exists {
            do throws(CgroupError) { try cgroup.refuseOccupied() } catch {
                throw ContainerError(error)
            }
        }
        let keeper = try ScopeKeeper()
        do throws(SystemdError) {
            try systemd.start(unit, plan.properties, process: keeper.pid)
        } catch {
            throw ContainerError(CgroupError(error, "unable to start \(unit)"))
        }
        scopeKeeper = keeper
        startedScope = true
    }

    /// The systemd of the user has its own ways to move a process that the user may not.
    func attachToScope(_ unit: String, below path: String) throws(ContainerError) {
        do throws(SystemdError) {
            let client = if let systemd { systemd } else { try SystemdClient(.user) }
            try client.attach(pid, to: unit, below: path)
        } catch {
            throw ContainerError(CgroupError(error, "unable to enter \(unit)"))
        }
    }

    /// Init is in the scope by now, and keeps it.
    func leaveScope() throws(ContainerError) {
        scopeKeeper?.end()
        scopeKeeper = nil
        guard let cgroup, let plan = launch.cgroups?.withoutRoomForKeeper else { return }
        do throws(CgroupError) {
            try cgroup.apply(plan)
            try cgroup.setProperties(plan.properties)
        } catch {
            throw ContainerError(error)
        }
    }

    /// Takes the scope of a failed launch away.
    func stopScope() {
        scopeKeeper?.end()
        scopeKeeper = nil
        guard startedScope, let unit = launch.cgroups?.layout.scope?.unit else { return }
        try? systemd?.stop(unit)
    }
}
