// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import RuntimeSpec
internal import Synchronization
internal import SystemPackage

/// What a container does, for a caller that waits by the descriptors; nothing of it is missed.
package final class ContainerObserver: Sendable {
    private let record: ContainerRecord
    private let source: StatisticsSource
    private let process: OwnedDescriptor
    private let sight: Mutex<Sight>
    /// Becomes readable when init has ended.
    package var exitDescriptor: CInt { process.number }
    /// Becomes readable when there may be news of the memory; nil where nothing tells of it.
    package var memoryDescriptor: CInt? { sight.withLock { $0.watch?.descriptor } }

    private struct Sight: ~Copyable {
        var watch: OutOfMemoryWatch?
        var kills: UInt64 = 0
        var high: UInt64 = 0
    }

    /// What there was since the last look; what came before the first look counts as news.
    package struct News: Sendable {
        /// How many processes were killed for want of memory in all, where that or the want is new.
        package var outOfMemoryKills: UInt64?
        /// How often `memory.high` was passed in all, where that is new.
        package var highEvents: UInt64?
        /// Whether init has ended.
        package var initHasEnded = false
        /// Whether the container has ended, which without a pid namespace of its own it does after init.
        package var hasEnded = false
    }

    /// Begins to observe a container that runs, or waits for `start`.
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
        sight = Mutex(Sight(watch: watch))
    }

    /// What the container uses.
    package func statistics() throws(ContainerError) -> Statistics { try source.read() }

    /// Looks at the container.
    package func news() throws(ContainerError) -> News {
        var news = News()
        // First: what is counted afterwards is all that there will be.
        news.initHasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(process.number)
        }
        if news.initHasEnded {
            news.hasEnded = record.hasPidNamespace ? true : try source.isEmpty
        }
        sight.withLock { sight in
            let isShort = sight.watch?.hasNews() == true
            if let kills = kills(after: sight.kills, isShort), kills > sight.kills || isShort {
                sight.kills = kills
                news.outOfMemoryKills = kills
            }
            if let high = source.highEvents, high > sight.high {
                sight.high = high
                news.highEvents = high
            }
        }
        return news
    }

    /// The count, which on v1 comes a moment after the word of it.
    private func kills(after seen: UInt64, _ isShort: Bool) -> UInt64? {
        for _ in 0..<(isShort ? 20 : 0) {
            guard let kills = source.outOfMemoryKills, kills <= seen else { break }
            wait(milliseconds: 1)
        }
        return source.outOfMemoryKills
    }
}
