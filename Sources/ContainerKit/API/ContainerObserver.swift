// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Observes a container for a caller that polls its descriptors; no event is missed.
package final class ContainerObserver: Sendable {
    private let record: ContainerRecord
    private let source: StatisticsSource
    private let process: OwnedDescriptor
    private let sight: GuardedValue<Sight>
    /// Becomes readable when init has ended.
    package var exitDescriptor: CInt { process.number }
    /// Becomes readable when memory events may have occurred; nil without a memory controller.
    package var memoryDescriptor: CInt? { sight.withLock { $0.watch?.descriptor } }

    private struct Sight: ~Copyable {
        var watch: OutOfMemoryWatch?
        var kills: UInt64 = 0
        /// Whether a kill was counted, and reported, before its notice was read.
        var isAhead = false
        var high: UInt64 = 0
    }

    /// The events since the last look; for the first look, all events so far.
    package struct News: Sendable {
        /// The total number of OOM kills, if it has risen or memory ran out again.
        package var outOfMemoryKills: UInt64?
        /// How often usage exceeded `memory.high` in total, if that has risen.
        package var highEvents: UInt64?
        /// Whether init has ended.
        package var initHasEnded = false
        /// Whether the container has ended; without a pid namespace of its own it may outlive its
        /// init.
        package var hasEnded = false
    }

    /// Starts to observe a container that runs or waits for `start`.
    package init(of container: Container) throws(ContainerError) {
        let found = try container.find(locking: false)
        guard let record = found.record, let process = try record.openInitIfAlive() else {
            throw ContainerError(.notRunning, "container not running")
        }
        let source = try StatisticsSource(record)
        let watch = try reporting { () throws(CgroupError) in
            try OutOfMemoryWatch.start(of: source.cgroup)
        }
        self.record = record
        self.source = source
        self.process = process
        sight = GuardedValue(Sight(watch: watch))
    }

    /// The container's resource usage.
    package func statistics() throws(ContainerError) -> Statistics { try source.read() }

    /// The events since the last call.
    package func news() throws(ContainerError) -> News {
        var news = News()
        // First, so that the counts read below are final if init has ended.
        news.initHasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(process.number)
        }
        if news.initHasEnded {
            news.hasEnded = record.hasPidNamespace ? true : try source.isEmpty
        }
        sight.withLock { sight in
            let isShort = sight.watch?.hasNews() == true
            if let kills = kills(after: sight.kills, isShort) {
                let hasRisen = kills > sight.kills
                if hasRisen || isShort && !sight.isAhead {
                    sight.kills = kills
                    news.outOfMemoryKills = kills
                }
                if hasRisen || isShort { sight.isAhead = hasRisen && !isShort }
            }
            if let high = source.highEvents, high > sight.high {
                sight.high = high
                news.highEvents = high
            }
        }
        return news
    }

    /// The number of OOM kills; on v1 it rises a moment after the event, so it is read repeatedly.
    private func kills(after seen: UInt64, _ isShort: Bool) -> UInt64? {
        for _ in 0..<(isShort ? 20 : 0) {
            guard let kills = source.outOfMemoryKills, kills <= seen else { break }
            wait(milliseconds: 1)
        }
        return source.outOfMemoryKills
    }
}
#endif
