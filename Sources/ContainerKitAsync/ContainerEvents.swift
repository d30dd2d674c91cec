// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// What happens in a container, from now until it ends.
///
/// What was counted before the first look is told first: no want of memory is missed, however late one looks.
public struct ContainerEvents: AsyncSequence, Sendable {
    /// Something that happened, or the time to look.
    public enum Element: Sendable, Equatable {
        /// What the container uses.
        case statistics(Statistics)
        /// The kernel has killed processes for want of memory: so many since create. Or it has stopped them,
        /// where `disableOOMKiller` is set, and the number is what it was.
        case outOfMemory(kills: UInt64)
        /// Processes were held up since `memory.high` was passed: so many times in all. cgroup v2 only.
        case memoryHigh(times: UInt64)
        /// The container has ended; the last.
        case ended
    }

    let container: Container
    let interval: Duration?

    /// Begins with the first element.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(container: container, interval: interval)
    }

    /// The events.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let container: Container
        private let interval: Duration?
        private var observer: ContainerObserver?
        private var due: ContinuousClock.Instant?
        private var told: [Element] = []
        private var isOver = false

        init(container: Container, interval: Duration?) {
            self.container = container
            self.interval = interval
        }

        /// The next event; nil after the end.
        ///
        /// - Throws: `notRunning` when the container had ended before the first look, `cgroup`,
        ///   `CancellationError`.
        public mutating func next() async throws -> Element? {
            let observer = try await opened()
            while true {
                if !told.isEmpty { return told.removeFirst() }
                if isOver { return nil }
                let news = try await BlockingPool.ending.run { () throws(ContainerError) in
                    try observer.news()
                }
                if let high = news.highEvents { told.append(.memoryHigh(times: high)) }
                if let kills = news.outOfMemoryKills { told.append(.outOfMemory(kills: kills)) }
                if news.hasEnded {
                    told.append(.ended)
                    isOver = true
                } else if let due, let interval, ContinuousClock.now >= due {
                    // Late ones are left out, not made up for.
                    self.due = Swift.max(due + interval, .now)
                    let statistics = try await BlockingPool.ending.run {
                        () throws(ContainerError) in try observer.statistics()
                    }
                    told.append(.statistics(statistics))
                }
                if told.isEmpty { try await wait(for: observer, initHasEnded: news.initHasEnded) }
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
                // Nothing tells everywhere of the end of the last process that is not init.
                time = Swift.min(time ?? .milliseconds(50), .milliseconds(50))
            } else {
                wanted.append((observer.exitDescriptor, .readable))
            }
            _ = try await DescriptorPoller.shared.wait(for: wanted, within: time)
        }
    }
}

extension Container {
    /// What happens in the container until it ends: each time that it runs out of memory, and its statistics.
    ///
    /// - Parameter interval: the time between two statistics; nil for none.
    /// - Returns: The sequence, which looks at the container once somebody asks for its first element.
    public func events(every interval: Duration? = nil) -> ContainerEvents {
        ContainerEvents(container: self, interval: interval)
    }
}
