// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Cgroup {
    /// Stops the container's scope; does nothing for a cgroup that systemd does not manage.
    func stopScope() throws(CgroupError) {
        guard let scope = layout.scope else { return }
        endKeeper()
        do throws(SystemdError) {
            try SystemdClient(scope.instance).stop(scope.unit)
        } catch {
            throw CgroupError(error, "unable to stop \(scope.unit)")
        }
    }

    /// Kills the process that stays in the scope, if there is one, so that systemd need not wait for
    /// its end.
    private func endKeeper() {
        guard let path = layout.keeperPath else { return }
        let processes = try? CgroupTree.processes(in: path)
        try? sendSignal(Signal.kill.rawValue, toEach: processes ?? [])
    }

    /// Tells systemd about changed limits; otherwise it would restore the old ones some day.
    ///
    /// systemd then writes all its properties of the unit: a quota of `unified` rounded to whole
    /// percents, and the default for a weight it does not know. So the files are restored
    /// afterwards.
    func setProperties(_ properties: [UnitProperty]) throws(CgroupError) {
        guard let scope = layout.scope, !properties.isEmpty else { return }
        let exact = exactFiles
        defer { putBack(exact) }
        let properties = scope.keepsAccounting ? properties.map(\.withKeeper) : properties
        do throws(SystemdError) {
            try SystemdClient(scope.instance).set(properties, of: scope.unit)
        } catch {
            throw CgroupError(error, "unable to set the properties of \(scope.unit)")
        }
    }

    /// The files that may hold more exact values than systemd knows, with their contents.
    private var exactFiles: [(path: String, lines: [UInt8])] {
        let files = [
            ("cpu", "cpu.max"), ("io", "io.weight"), ("io", "io.bfq.weight"),
            ("memory", "memory.oom.group"), ("cpu", "cpu.cfs_quota_us"),
        ]
        return files.compactMap { controller, file in
            guard let index = layout.index(of: controller) else { return nil }
            let path = "\(layout.directories[index].path)/\(file)"
            return (try? readFile(path)).map { (path, $0) }
        }
    }

    private func putBack(_ files: [(path: String, lines: [UInt8])]) {
        for (path, lines) in files where (try? readFile(path)) != lines {
            for line in lines.split(separator: UInt8(ascii: "\n")) {
                // Errors of restoring are ignored: systemd's answer matters more.
                try? writeControlFile(path, String(decoding: line, as: UTF8.self))
            }
        }
    }
}

extension CgroupError {
    init(_ error: SystemdError, _ message: String) {
        let answer = SystemdError(name: error.name, error.message)
        self.init(
            field: "linux.cgroupsPath", failure: error.failure, message: "\(message): \(answer)")
    }
}

extension CgroupPlan {
    /// This plan with room for the process that holds a new scope, if the limit allows only one
    /// task; for a process that stays, in every limit.
    var withRoomForKeeper: CgroupPlan {
        guard let scope = layout.scope else { return self }
        var plan = self
        guard !scope.keepsAccounting else {
            plan.properties = properties.map(\.withKeeper)
            return plan
        }
        plan.resources.steps = resources.steps.map { step in
            guard case .write(var write) = step, write.isForOneTask else { return step }
            write.text = "2"
            return .write(write)
        }
        plan.properties = properties.map {
            $0.isForOneTask ? UnitProperty($0.name, .uint64(2)) : $0
        }
        return plan
    }

    /// The steps that remove that extra room; nil if there is none.
    var withoutRoomForKeeper: ResourcePlan? {
        guard let scope = layout.scope, !scope.keepsAccounting else { return nil }
        var plan = resources
        plan.devices = nil
        plan.steps = resources.steps.filter { step in
            if case .write(let write) = step { write.isForOneTask } else { false }
        }
        plan.properties = properties.filter(\.isForOneTask)
        return plan.steps.isEmpty && plan.properties.isEmpty ? nil : plan
    }
}

extension ControlWrite {
    fileprivate var isForOneTask: Bool { file == "pids.max" && (text == "1" || text == "0") }
}

extension UnitProperty {
    fileprivate var isForOneTask: Bool {
        name == "TasksMax" && (value == .uint64(1) || value == .uint64(0))
    }

    /// This property with one more task, for the process that stays in the scope.
    fileprivate var withKeeper: UnitProperty {
        guard name == "TasksMax", case .uint64(let limit) = value, limit < .max else { return self }
        return UnitProperty(name, .uint64(limit + 1))
    }
}

extension CgroupLayout {
    /// The cgroup of the process that stays in the scope; nil if none stays.
    var keeperPath: String? {
        guard let scope, scope.keepsAccounting, let own = directories.first else { return nil }
        return own.path.dropLast(scope.subgroup.count) + SystemdScope.keeperSubgroup
    }
}
#endif
