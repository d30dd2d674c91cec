// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import SystemPackage

/// A few threads for blocking calls: set-up, hooks, cgroup files, deletion.
///
/// A thread is started when there is work for it, and is kept. The number of threads also bounds
/// the descriptors of concurrent launches.
final class BlockingPool: Sendable {
    /// For calls that create containers and start processes.
    static let starting = BlockingPool(threads: 8)
    /// For calls that observe containers and end them, so that they never wait for the hooks of a
    /// launch.
    static let ending = BlockingPool(threads: 4)

    private struct Work {
        var waiting: [@Sendable () -> Void] = []
        var threadCount = 0
        var idleCount = 0
    }

    private let threadLimit: Int
    private let work = GuardedValue(Work())
    private let signal = Semaphore()

    init(threads: Int) {
        threadLimit = threads
    }

    /// Runs `body` on one of the threads and waits for its result.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(ContainerError) -> Value
    ) async throws(ContainerError) -> Value {
        let result = await withCheckedContinuation { continuation in
            add {
                let result: Result<Value, ContainerError>
                do throws(ContainerError) {
                    result = .success(try body())
                } catch {
                    result = .failure(error)
                }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    private func add(_ body: @escaping @Sendable () -> Void) {
        let startsThread = work.withLock { work -> Bool in
            work.waiting.append(body)
            guard work.waiting.count > work.idleCount, work.threadCount < threadLimit else {
                return false
            }
            work.threadCount += 1
            return true
        }
        if startsThread, !startThread({ self.serve() }) {
            let isAlone = work.withLock { work in
                work.threadCount -= 1
                return work.threadCount == 0
            }
            // If no thread could be started, the work is done on this thread.
            if isAlone {
                if let next = take() { next() }
                return
            }
        }
        signal.post()
    }

    private func take() -> (@Sendable () -> Void)? {
        work.withLock { work in work.waiting.isEmpty ? nil : work.waiting.removeFirst() }
    }

    private func serve() {
        while true {
            work.withLock { $0.idleCount += 1 }
            signal.wait()
            work.withLock { $0.idleCount -= 1 }
            if let next = take() { next() }
        }
    }
}
#endif
