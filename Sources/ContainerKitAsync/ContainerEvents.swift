// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

/// The events of a container until it ends.
///
/// The first event reports OOM kills from before the first call of `next`, so none is missed.
public struct ContainerEvents: AsyncSequence, Sendable {
    /// An event, or the statistics that are due.
    public enum Element: Sendable, Equatable {
        /// The resource usage of the container, every `interval`.
        case statistics(Statistics)
        /// The container ran out of memory; `kills` is the number of OOM kills since create. With
        /// `disableOOMKiller` the kernel stops the processes instead, and the number stays the
        /// same.
        case outOfMemory(kills: UInt64)
        /// Processes were throttled because `memory.high` was exceeded; the total number of times.
        /// cgroup v2 only.
        case memoryHigh(times: UInt64)
        /// The container has ended; always the last event.
        case ended
    }

    let container: Container
    let interval: Duration?

    /// Starts with the first event.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(container: container, interval: interval)
    }

    /// Iterates over the events.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let container: Container
        private let interval: Duration?
        private var observer: ContainerObserver?
        private var due: ContinuousClock.Instant?
        private var unread: [Element] = []
        private var isOver = false

        init(container: Container, interval: Duration?) {
            self.container = container
            self.interval = interval
        }

        /// The next event; nil after the end.
        ///
        /// - Throws: `notRunning` if the container had ended before the first call, `cgroup`,
        ///   `CancellationError`.
        public mutating func next() async throws -> Element? {
            let observer = try await opened()
            while true {
                if !unread.isEmpty { return unread.removeFirst() }
                if isOver { return nil }
                let news = try await BlockingPool.ending.run { () throws(ContainerError) in
                    try observer.news()
                }
                if let high = news.highEvents { unread.append(.memoryHigh(times: high)) }
                if let kills = news.outOfMemoryKills { unread.append(.outOfMemory(kills: kills)) }
                if news.hasEnded {
                    unread.append(.ended)
                    isOver = true
                } else if let due, let interval, ContinuousClock.now >= due {
                    // Statistics that are overdue are skipped.
                    self.due = Swift.max(due + interval, .now)
                    let statistics = try await BlockingPool.ending.run {
                        () throws(ContainerError) in try observer.statistics()
                    }
                    unread.append(.statistics(statistics))
                }
                if unread.isEmpty { try await wait(for: observer, initHasEnded: news.initHasEnded) }
            }
        }

        private mutating func opened() async throws -> ContainerObserver {
            if let observer { return observer }
            let opened = try await BlockingPool.ending.run {
                [container] () throws(ContainerError) in
                try ContainerObserver(of: container)
            }
            observer = opened
            due = interval.map { .now + $0 }
            return opened
        }

        private func wait(for observer: ContainerObserver, initHasEnded: Bool) async throws {
            var wanted: [DescriptorPoller.Wanted] = []
            var time = due.map { ContinuousClock.now.duration(to: $0) }
            if let memory = observer.memoryDescriptor { wanted.append((memory, .readable)) }
            if initHasEnded {
                // No descriptor reports the end of the last process if init is not the last one, so
                // this is polled.
                time = Swift.min(time ?? .milliseconds(50), .milliseconds(50))
            } else {
                wanted.append((observer.exitDescriptor, .readable))
            }
            _ = try await DescriptorPoller.shared.wait(for: wanted, within: time)
        }
    }
}

extension Container {
    /// The events of the container until it ends: each time that it runs out of memory, and its
    /// statistics.
    ///
    /// - Parameter interval: the time between two statistics; nil for none.
    /// - Returns: The sequence. It opens the container's files at the first call of `next`.
    public func events(every interval: Duration? = nil) -> ContainerEvents {
        ContainerEvents(container: self, interval: interval)
    }
}
#endif
