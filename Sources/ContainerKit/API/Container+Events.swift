// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// An event of `watch`.
public enum ContainerEvent: Equatable, Sendable {
    /// The regular statistics of the container.
    case statistics(Statistics)
    /// The container ran out of memory: the kernel killed one of its processes, or suspended it if
    /// `disableOOMKiller` is set.
    case outOfMemory
}

extension Container {
    /// The container's resource usage now or, once it has ended and until `delete`, in total.
    ///
    /// - Throws: `notRunning` while it is being created; `unavailable` if its cgroup was removed
    ///   with its last process, as a scope of systemd is without
    ///   `LaunchOptions.keepsAccounting`; `cgroup`.
    public func statistics() throws(ContainerError) -> Statistics {
        let found = try find(locking: false)
        guard let record = found.record, found.status != .creating else {
            throw ContainerError(.notRunning, "container with id \(id) is not running")
        }
        let source = try StatisticsSource(record)
        guard found.status != .stopped || source.isThere else {
            throw ContainerError(
                .unavailable, "the container's cgroup went with its last process",
                hint: record.cgroups.scope == nil
                    ? nil
                    : "systemd removes an empty scope: ask before the container ends, or create it "
                        + "with keepsAccounting")
        }
        return try source.read()
    }

    /// The statistics of a container that is not stopped, for the command line.
    package func statisticsWhileRunning() throws(ContainerError) -> Statistics {
        try StatisticsSource(try runningRecord()).read()
    }

    /// Reports the container's events until it ends: statistics at regular intervals, and each time
    /// it runs out of memory.
    ///
    /// The first statistics come after one interval. Earlier events are not reported.
    /// - Parameters:
    ///   - interval: the time between two statistics, more than zero.
    ///   - receive: is called with the events, on the caller's thread; an error of it ends the
    ///     watch.
    /// - Throws: `notRunning`, `invalidArgument`, `cgroup`, or what `receive` throws.
    public func watch(
        every interval: Duration, _ receive: (ContainerEvent) throws(ContainerError) -> Void
    ) throws(ContainerError) {
        guard interval > .zero else {
            throw ContainerError(
                .invalidArgument, "duration interval must be greater than 0")
        }
        let record = try runningRecord()
        let process = try record.openInit()
        try ContainerWatch(of: StatisticsSource(record), process, interval).run(receive)
    }

    private func runningRecord() throws(ContainerError) -> ContainerRecord {
        let found = try find(locking: false)
        guard let record = found.record, found.status != .stopped, found.status != .creating
        else {
            throw ContainerError(.notRunning, "container with id \(id) is not running")
        }
        return record
    }
}

/// The source of a container's statistics.
struct StatisticsSource {
    let cgroup: Cgroup
    private let killsBefore: UInt64
    private let resctrlGroups: [String]
    private let tree: ResctrlTree?

    /// Looks for the host's resctrl only if the container uses it.
    init(_ record: ContainerRecord) throws(ContainerError) {
        cgroup = try record.openCgroup()
        killsBefore = record.outOfMemoryKillsBefore
        resctrlGroups = record.resctrlGroups
        tree =
            resctrlGroups.isEmpty
            ? nil
            : try reporting { () throws(SystemCallError) in try ResctrlTree.discover() }
    }

    /// The number of OOM kills since create; nil without a memory controller.
    var outOfMemoryKills: UInt64? {
        cgroup.outOfMemoryKills.map { $0 - min($0, killsBefore) }
    }

    /// How often usage exceeded `memory.high`; nil on v1.
    var highEvents: UInt64? {
        guard cgroup.layout.isUnified else { return nil }
        let events = try? ControlFiles(layout: cgroup.layout).numbers("memory", "memory.events")
        return events?["high"]
    }

    /// Whether the cgroup still exists, for a container that has one.
    var isThere: Bool { cgroup.layout.directories.isEmpty || cgroup.exists }

    /// Whether the cgroup has no process left.
    var isEmpty: Bool {
        get throws(ContainerError) {
            try reporting { () throws(CgroupError) in try cgroup.isEmpty }
        }
    }

    func read() throws(ContainerError) -> Statistics {
        try reporting { () throws(CgroupError) in
            guard isThere else {
                throw CgroupError(message: "the container's cgroup is gone")
            }
            var statistics = try cgroup.statistics()
            statistics.memory.outOfMemoryKills = outOfMemoryKills
            statistics.intelRdt = tree.map { Statistics.IntelRdt(of: resctrlGroups, in: $0) }
            return statistics
        }
    }
}

/// The loop of `watch`.
private struct ContainerWatch: ~Copyable {
    private let source: StatisticsSource
    private let process: OwnedDescriptor
    private let interval: Duration
    private var memory: OutOfMemoryWatch?
    private var next: ContinuousClock.Instant

    init(of source: StatisticsSource, _ process: consuming OwnedDescriptor, _ interval: Duration)
        throws(ContainerError)
    {
        memory = try reporting { () throws(CgroupError) in
            try OutOfMemoryWatch.start(of: source.cgroup)
        }
        self.source = source
        self.process = process
        self.interval = interval
        next = .now + interval
    }

    consuming func run(_ receive: (ContainerEvent) throws(ContainerError) -> Void)
        throws(ContainerError)
    {
        var entries = [
            PollEntry(process.number, .readable),
            PollEntry(memory?.descriptor ?? -1, .readable),
        ]
        while true {
            let time = millisecondsLeft
            _ = try reporting { () throws(SystemCallError) in
                try poll(&entries, timeoutMilliseconds: time)
            }
            let initEnded = !entries[0].seen.isEmpty
            if memory?.hasNews() == true { try receive(.outOfMemory) }
            if initEnded {
                // Without a pid namespace of its own, a container can outlive its init.
                entries[0].descriptor = -1
            }
            if entries[0].descriptor == -1, try source.isEmpty { return }
            guard ContinuousClock.now >= next else { continue }
            // Intervals that were missed are skipped.
            next = max(next + interval, .now)
            guard let statistics = try read() else { return }
            try receive(.statistics(statistics))
        }
    }

    /// The statistics; nil if the container has ended and been deleted meanwhile.
    private func read() throws(ContainerError) -> Statistics? {
        do throws(ContainerError) {
            return try source.read()
        } catch {
            if (try? hasEnded(process.number)) == true { return nil }
            throw error
        }
    }

    /// The milliseconds to the next statistics, rounded up, at most a day.
    private var millisecondsLeft: Int {
        let left = ContinuousClock.now.duration(to: next).components
        guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
        guard left.seconds < 86_400 else { return 86_400_000 }
        return Int(left.seconds) * 1000 + Int(left.attoseconds / 1_000_000_000_000_000) + 1
    }
}
#endif
