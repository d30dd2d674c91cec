// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import SystemPackage

/// The life of the container of `withContainer`; it is ended only once, however often this is asked
/// for.
final class ContainerRun: Sendable {
    let container: Container
    let process: ContainerProcess
    let streams: ContainerStreams
    private let tasks: StreamTasks
    private let teardown: [TeardownStep]
    private let progress = GuardedValue(Progress())

    private struct Progress {
        var teardown: Task<Void, Never>?
        var end: Task<RunEnd, any Error>?
        var timer: Task<Void, Never>?
        var timedOut = false
    }

    /// The result of the container after its end.
    struct RunEnd: Sendable {
        var termination: Termination
        var timedOut: Bool
        var output: CollectedOutput?
        var error: CollectedOutput?
        var statistics: Statistics?
    }

    private init(
        _ container: Container, _ process: ContainerProcess, _ streams: ContainerStreams,
        _ teardown: [TeardownStep], _ timeout: Duration?
    ) {
        self.container = container
        self.process = process
        self.streams = streams
        self.teardown = teardown
        tasks = streams.begin()
        guard let timeout else { return }
        let timer = Task.detached { [weak self] in
            guard (try? await Task.sleep(for: timeout)) != nil else { return }
            self?.timeOut()
        }
        progress.withLock { $0.timer = timer }
    }

    /// Creates and starts the container, unless the task is cancelled before its turn.
    static func launch(
        _ id: String, _ bundle: Bundle, _ store: ContainerStore, _ options: LaunchOptions,
        _ choices: StreamChoices, _ teardown: [TeardownStep], _ timeout: Duration?
    ) async throws -> ContainerRun {
        let cancelled = CancellationMark()
        let launched = try await withTaskCancellationHandler {
            try await choices.launch {
                (io) throws(ContainerError) -> ContainerProcess? in
                // The task may have been cancelled while it waited for its turn.
                if cancelled.isSet { return nil }
                var options = options
                options.io = io
                return try Container.run(id, from: bundle, in: store, options: options)
            }
        } onCancel: {
            cancelled.set()
        }
        guard let process = launched.process else { throw CancellationError() }
        return ContainerRun(
            Container(id: id, store: store), process, launched.streams, teardown, timeout)
    }

    private func timeOut() {
        guard process.keptTermination == nil else { return }
        progress.withLock { $0.timedOut = true }
        beginTeardown()
    }

    /// Begins to end the container, unless this has begun already.
    @discardableResult
    func beginTeardown() -> Task<Void, Never> {
        progress.withLock { progress in
            if let task = progress.teardown { return task }
            let task = Task.detached { await self.tearDown() }
            progress.teardown = task
            return task
        }
    }

    private func tearDown() async {
        for step in teardown {
            guard process.keptTermination == nil else { return }
            await send(step.signal)
            if await ends(within: step.time) { return }
        }
        await send(.kill)
    }

    private func send(_ signal: Signal) async {
        do throws(ContainerError) {
            try await BlockingPool.ending.run { [container] () throws(ContainerError) in
                try container.kill(signal)
            }
        } catch {
            // If the state cannot be read, the process can still be signalled.
            try? process.signal(signal)
        }
    }

    private func ends(within time: Duration) async -> Bool {
        let isThere = try? await DescriptorPoller.shared.wait(
            for: [(process.exitDescriptor.rawValue, .readable)], within: time)
        return isThere ?? false
    }

    /// Waits for the process and for the deletion of the container, even if the task is cancelled.
    func finish() async throws -> RunEnd {
        let task = progress.withLock { progress in
            if let task = progress.end { return task }
            let task = Task.detached { try await self.end() }
            progress.end = task
            return task
        }
        return try await task.value
    }

    private func end() async throws -> RunEnd {
        streams.bodyInput?.close()
        let drained = streams.drained()
        let termination: Result<Termination, any Error>
        do {
            termination = .success(try await process.termination)
        } catch {
            // The process cannot be waited for; deleting the container ends it.
            termination = .failure(error)
        }
        let (timer, timedOut) = progress.withLock { ($0.timer, $0.timedOut) }
        timer?.cancel()
        let statistics = try? await BlockingPool.ending.run {
            [container] () throws(ContainerError) in
            try container.statistics()
        }
        try await delete()
        // No process is left that could write or read the streams.
        await tasks.input?.value
        var end = RunEnd(
            termination: try termination.get(), timedOut: timedOut, statistics: statistics)
        end.output = await tasks.output?.value
        end.error = await tasks.error?.value
        for task in drained { _ = await task.value }
        return end
    }

    private func delete() async throws {
        do throws(ContainerError) {
            try await BlockingPool.ending.run { [container] () throws(ContainerError) in
                try container.delete(force: true)
            }
        } catch {
            // Another process may have deleted it already.
            guard error.code == .notFound else {
                tasks.cancel()
                throw error
            }
        }
    }
}

/// Whether a task was cancelled, for code that runs on another thread.
final class CancellationMark: Sendable {
    private let mark = GuardedValue(false)

    var isSet: Bool { mark.withLock { $0 } }

    func set() { mark.withLock { $0 = true } }
}
#endif
