// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import Logging
public import RuntimeSpec
public import SystemPackage

/// A cgroup without a container: for limits that several containers share, for processes of the
/// host, or to be handed to a launch (`adopted`).
///
/// On cgroup v2 this is one directory, which the handle holds open, so that it never acts on a
/// later cgroup of the same path. On v1, and in the hybrid mode, it is a directory in each
/// hierarchy, used by its path. The cgroup stays until `remove`, also when the last handle goes.
public struct ControlGroup: Sendable {
    private let cgroup: Cgroup
    /// Receives a warning for each limit that cannot have an effect.
    private let logger: Logger

    private init(_ cgroup: Cgroup, _ logger: Logger) {
        self.cgroup = cgroup
        self.logger = logger
    }

    /// The absolute paths of its directories: one on cgroup v2, one for each hierarchy on v1.
    public var paths: [FilePath] { cgroup.layout.directories.map { FilePath($0.name) } }

    // MARK: Making and finding

    /// Makes a cgroup and its missing parents, for which the host's controllers are enabled.
    ///
    /// If the limits are refused, the cgroup is removed again.
    ///
    /// - Parameters:
    ///   - path: as `linux.cgroupsPath` for the driver `cgroupfs`: an absolute path counts from the
    ///     root of each hierarchy, any other is beside (on v1: below) the caller's own cgroup.
    ///   - limits: its limits, and with `devices` the access to devices.
    ///   - logger: gets a warning for each limit that cannot have an effect.
    /// - Returns: the new cgroup.
    /// - Throws: `alreadyExists`; `invalidSpec` for a wrong limit, with its field; `cgroup`.
    public static func create(
        _ path: String, limits: Resources = Resources(), logger: Logger = LaunchOptions().logger
    ) throws(ContainerError) -> ControlGroup {
        try create(layout(path), limits, logger)
    }

    /// Makes a cgroup below this one, with this one's limits as upper bounds.
    ///
    /// On cgroup v2 a cgroup with such limits below it can have no processes of its own.
    ///
    /// - Parameters:
    ///   - name: its name, or several, separated by "/".
    ///   - limits: its limits.
    /// - Returns: the new cgroup.
    /// - Throws: as `create`; `unavailable` if this cgroup has been removed.
    public func makeChild(_ name: String, limits: Resources = Resources()) throws(ContainerError)
        -> ControlGroup
    {
        try checkThatItExists()
        return try Self.create(below(name), limits, logger)
    }

    /// Opens an existing cgroup.
    ///
    /// - Parameters:
    ///   - path: as for `create`.
    ///   - logger: as for `create`.
    /// - Returns: the cgroup.
    /// - Throws: `notFound`; `cgroup`.
    public static func open(_ path: String, logger: Logger = LaunchOptions().logger)
        throws(ContainerError) -> ControlGroup
    {
        try open(layout(path), logger)
    }

    /// Opens an existing cgroup below this one.
    ///
    /// - Throws: `notFound`; `cgroup`.
    public func child(_ name: String) throws(ContainerError) -> ControlGroup {
        try Self.open(below(name), logger)
    }

    private static func layout(_ path: String) throws(ContainerError) -> CgroupLayout {
        let host = try Creation.hostCgroups()
        do throws(SpecError) {
            return try CgroupLayout(cgroupsPath: path, id: "", in: host)
        } catch {
            throw ContainerError(
                .invalidArgument, "\"\(path)\" does not name a cgroup below the root")
        }
    }

    private func below(_ name: String) throws(ContainerError) -> CgroupLayout {
        let inner = try CgroupLayout.inner(name)
        guard !inner.isEmpty else {
            throw ContainerError(.invalidArgument, "\"\(name)\" does not name a cgroup")
        }
        return try cgroup.layout.entering(["": inner])
    }

    private static func open(_ layout: CgroupLayout, _ logger: Logger) throws(ContainerError)
        -> ControlGroup
    {
        do throws(SystemCallError) {
            return ControlGroup(try Cgroup.hold(layout), logger)
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            throw ContainerError(.notFound, "the cgroup does not exist", failure: error)
        } catch {
            throw ContainerError(.cgroup, "unable to open the cgroup", failure: error)
        }
    }

    private static func create(_ layout: CgroupLayout, _ limits: Resources, _ logger: Logger)
        throws(ContainerError) -> ControlGroup
    {
        try check(limits, on: layout)
        guard !Cgroup(layout).exists else { throw exists(layout) }
        var lock: FileLock?
        let made: Cgroup
        do throws(CgroupError) {
            made = try Cgroup.create(layout, keeper: nil, holding: &lock)
        } catch {
            throw Self.error(error)
        }
        let new = layout.directories.allSatisfy { made.madeDirectories.contains($0.path) }
        // Another program has made it at the same time, and uses it.
        guard new else { throw exists(layout) }
        do throws(ContainerError) {
            let group = try open(layout, logger)
            try group.setLimits(limits)
            return group
        } catch {
            made.removeMadeDirectories()
            throw error
        }
    }

    private static func exists(_ layout: CgroupLayout) -> ContainerError {
        let names = layout.directories.map(\.name).joined(separator: ", ")
        return ContainerError(.alreadyExists, "the cgroup exists: \(names)")
    }

    // MARK: Limits

    /// Changes limits; fields left out stay as they are, and `devices` replaces all device rules.
    ///
    /// If one limit is refused, those changed before it are restored.
    ///
    /// - Parameter limits: the new limits, as `linux.resources` of a config.
    /// - Throws: `invalidSpec` for a wrong limit, `cgroup` for one that the kernel refuses or that
    ///   has no controller, both with its field; `unavailable` if the cgroup has been removed.
    public func setLimits(_ limits: Resources) throws(ContainerError) {
        let plan = try Self.check(limits, on: cgroup.layout)
        try checkThatItExists()
        for warning in limits.warnings.map(\.description) + plan.warnings {
            logger.warning("\(warning)")
        }
        do throws(CgroupError) {
            try cgroup.update(plan)
        } catch {
            throw Self.error(error)
        }
    }

    @discardableResult
    private static func check(_ limits: Resources, on layout: CgroupLayout) throws(ContainerError)
        -> ResourcePlan
    {
        try reporting { () throws(SpecErrors) in try limits.check() }
        return try reporting { () throws(SpecError) in try ResourcePlan(limits, on: layout) }
    }

    /// What its processes have used, as far as its controllers count it.
    ///
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func statistics() throws(ContainerError) -> Statistics {
        try onCgroup { (cgroup) throws(CgroupError) in
            var statistics = try cgroup.statistics()
            statistics.memory.outOfMemoryKills = cgroup.outOfMemoryKills
            return statistics
        }
    }

    // MARK: Processes

    /// The pids of its processes and of those in cgroups below it, in ascending order.
    ///
    /// Processes outside of the caller's pid namespace are left out.
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func processes() throws(ContainerError) -> [Int] {
        try onCgroup { (cgroup) throws(CgroupError) in
            // The kernel may list a process twice while others move.
            Set(try cgroup.processes()).filter { $0 > 0 }.sorted()
        }
    }

    /// Moves a process with all its threads into the cgroup.
    ///
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func add(_ pid: Int32) throws(ContainerError) {
        guard pid > 0 else {
            throw ContainerError(.invalidArgument, "\(pid) is not the pid of a process")
        }
        try onCgroup { (cgroup) throws(CgroupError) in try cgroup.attach(Int(pid)) }
    }

    /// Sends a signal to every process of the cgroup and of those below it.
    ///
    /// KILL also ends processes that are frozen or that fork meanwhile; they may still be ending
    /// when this returns.
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func kill(_ signal: Signal = .kill) throws(ContainerError) {
        try onCgroup { (cgroup) throws(CgroupError) in
            if signal == .kill {
                try cgroup.killAll()
            } else {
                try cgroup.signalAll(signal.rawValue)
            }
        }
    }

    /// Stops every process of the cgroup and of those below it; returns once all have stopped.
    ///
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func freeze() throws(ContainerError) {
        try onCgroup { (cgroup) throws(CgroupError) in try cgroup.freeze() }
    }

    /// Lets the processes continue.
    ///
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public func thaw() throws(ContainerError) {
        try onCgroup { (cgroup) throws(CgroupError) in try cgroup.thaw() }
    }

    /// Whether the cgroup itself is frozen; one below a frozen cgroup is not.
    ///
    /// - Throws: `unavailable` if the cgroup has been removed; `cgroup`.
    public var isFrozen: Bool {
        get throws(ContainerError) {
            try onCgroup { (cgroup) throws(CgroupError) in try cgroup.isFrozen }
        }
    }

    // MARK: Launches and the end

    /// The cgroup for `LaunchOptions.adoptedCgroup`: for one container at a time.
    ///
    /// It holds all directories open. For several containers at a time, make a child for each.
    /// - Throws: `unavailable` if the cgroup has been removed.
    public var adopted: AdoptedCgroup {
        get throws(ContainerError) {
            try checkThatItExists()
            if case .held(let directory) = cgroup.layout.directories.first?.access {
                return try AdoptedCgroup(FileDescriptor(rawValue: directory.number))
            }
            return try AdoptedCgroup(at: paths)
        }
    }

    /// Removes the cgroup and those below it, whose processes must have ended or be ending.
    ///
    /// Does nothing if it has been removed already.
    /// - Throws: `cgroup` if a process is left after a second.
    public func remove() throws(ContainerError) {
        do throws(CgroupError) {
            try cgroup.awaitEmptiness()
            try cgroup.remove()
        } catch {
            throw Self.error(error)
        }
    }

    private func checkThatItExists() throws(ContainerError) {
        guard cgroup.exists else {
            throw ContainerError(
                .unavailable, "the cgroup \(cgroup.layout.directories[0].name) has been removed")
        }
    }

    private func onCgroup<Result>(_ body: (Cgroup) throws(CgroupError) -> Result)
        throws(ContainerError) -> Result
    {
        try checkThatItExists()
        do throws(CgroupError) {
            return try body(cgroup)
        } catch {
            throw Self.error(error)
        }
    }

    /// The error without the field of a config, which this cgroup does not have; fields of limits
    /// stay.
    private static func error(_ error: CgroupError) -> ContainerError {
        let isOfPath = error.field?.description == "linux.cgroupsPath"
        return ContainerError(
            .cgroup, error.message, field: isOfPath ? nil : error.field?.description,
            failure: error.failure, hint: error.hint)
    }
}
#endif
