// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import SystemPackage

/// One thread that waits for the descriptors of all tasks.
final class DescriptorPoller: Sendable {
    static let shared = DescriptorPoller()

    typealias Readiness = ReadinessQueue.Readiness

    private struct Wish {
        var waiter: Waiter
        var wanted: Readiness
    }

    private struct Wishes {
        var queue: ReadinessQueue?
        var ofDescriptors: [CInt: [Wish]] = [:]
    }

    private let wishes = GuardedValue(Wishes())

    /// A descriptor, and the kind of readiness to wait for.
    typealias Wanted = (descriptor: CInt, readiness: Readiness)

    /// Waits until one of the descriptors is ready, for at most `time`; may return too early.
    ///
    /// The caller must keep the descriptors open.
    /// - Returns: whether one was ready in time.
    /// - Throws: `CancellationError`, or an error of epoll or of starting the thread.
    func wait(for wanted: [Wanted], within time: Duration? = nil) async throws -> Bool {
        let waiter = Waiter()
        defer { for (descriptor, _) in wanted { forget(waiter, descriptor) } }
        for (descriptor, readiness) in wanted {
            try add(Wish(waiter: waiter, wanted: readiness), descriptor)
        }
        let timer = time.map { time in
            Task.detached {
                try? await Task.sleep(for: time)
                waiter.finish(.timedOut)
            }
        }
        defer { timer?.cancel() }
        let outcome = await withTaskCancellationHandler {
            await waiter.wait()
        } onCancel: {
            waiter.finish(.cancelled)
        }
        if outcome == .cancelled { throw CancellationError() }
        return outcome == .ready
    }

    private func add(_ wish: Wish, _ descriptor: CInt) throws(ContainerError) {
        let isReady = try wishes.withLock { (wishes) throws(ContainerError) -> Bool in
            let others = wishes.ofDescriptors[descriptor] ?? []
            do throws(SystemCallError) {
                let queue = if let queue = wishes.queue { queue } else { try start() }
                wishes.queue = queue
                guard try queue.set(Self.union(others + [wish]), of: descriptor) else {
                    return true
                }
            } catch {
                throw ContainerError(
                    .systemCall, "unable to wait for descriptor \(descriptor)", failure: error,
                    hint: "is the limit of open files, of epoll watches or of threads reached?")
            }
            wishes.ofDescriptors[descriptor] = others + [wish]
            return false
        }
        // A regular file: epoll refuses it, and its reads and writes never block.
        if isReady { wish.waiter.finish(.ready) }
    }

    private static func union(_ wishes: [Wish]) -> Readiness {
        wishes.reduce(.none) { $0.union($1.wanted) }
    }

    private func forget(_ waiter: Waiter, _ descriptor: CInt) {
        wishes.withLock { wishes in
            guard let all = wishes.ofDescriptors[descriptor] else { return }
            keep(all.filter { $0.waiter !== waiter }, of: descriptor, &wishes)
        }
    }

    private func keep(_ remaining: [Wish], of descriptor: CInt, _ wishes: inout Wishes) {
        if remaining.isEmpty {
            wishes.queue?.remove(descriptor)
            wishes.ofDescriptors[descriptor] = nil
        } else {
            // A change of a descriptor that epoll has accepted cannot fail.
            _ = try? wishes.queue?.set(Self.union(remaining), of: descriptor)
            wishes.ofDescriptors[descriptor] = remaining
        }
    }

    private func start() throws(SystemCallError) -> ReadinessQueue {
        let queue = try ReadinessQueue()
        let hasStarted = startThread {
            while true {
                for (descriptor, seen) in queue.next() { self.tell(descriptor, seen) }
            }
        }
        if hasStarted { return queue }
        queue.end()
        throw SystemCallError("pthread_create", "", errno: .resourceTemporarilyUnavailable)
    }

    private func tell(_ descriptor: CInt, _ seen: Readiness) {
        let ready = wishes.withLock { wishes -> [Waiter] in
            guard let all = wishes.ofDescriptors[descriptor] else {
                wishes.queue?.remove(descriptor)
                return []
            }
            keep(all.filter { !$0.wanted.isMet(by: seen) }, of: descriptor, &wishes)
            return all.filter { $0.wanted.isMet(by: seen) }.map(\.waiter)
        }
        for waiter in ready { waiter.finish(.ready) }
    }
}
#endif
