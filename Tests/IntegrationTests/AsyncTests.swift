// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import ContainerKitAsync
import Glibc
import Synchronization
import SystemPackage
import Testing

/// Lets tasks go on once this many have arrived.
actor Gathering {
    private let count: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(of count: Int) {
        self.count = count
    }

    func arrive() async {
        await withCheckedContinuation { continuation in
            waiting.append(continuation)
            guard waiting.count == count else { return }
            for continuation in waiting { continuation.resume() }
            waiting = []
        }
    }
}

extension TestBundle {
    /// Like `use`, for an async body.
    static func useAsync<Result>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (TestBundle) async throws -> Result
    ) async throws -> Result {
        let bundle = try TestBundle.made()
        defer { bundle.cleanUp() }
        return try await body(bundle)
    }

    /// The bundle with a script as its process.
    func running(_ text: String) throws -> ContainerBundle {
        script(text)
        return try ContainerBundle(at: FilePath(directory), spec: spec)
    }
}

/// Counts the rounds of a running task.
private final class Ticks: Sendable {
    private let number = Mutex(0)

    var count: Int { number.withLock { $0 } }

    func add() {
        number.withLock { $0 += 1 }
    }
}

private typealias Ended = ContainerKit.ExitStatus

@Suite("Containers in async tasks", Host.root, .patience)
struct AsyncTests {
    @Test("containers run at the same time and do not block unrelated tasks")
    func together() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running("read line; exit 4")
            let (store, id) = (bundle.containerStore, bundle.id)
            let gathering = Gathering(of: 8)
            let ticks = Ticks()
            let ticker = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .milliseconds(2))
                    ticks.add()
                }
            }
            let statuses = try await withThrowingTaskGroup(of: Ended.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await withContainer(
                            config, id: "\(id)-\(number)", in: store, input: .writer
                        ) { container in
                            // No process ends before all bodies run.
                            await gathering.arrive()
                            let before = ticks.count
                            while ticks.count < before + 3 { await Task.yield() }
                            container.standardInput?.close()
                        }.termination.status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            ticker.cancel()
            #expect(statuses == Array(repeating: .exited(4), count: 8))
            #expect(try store.states().isEmpty)
        }
    }

    @Test(
        "a container's input is written, and its output and errors are collected up to their limits"
    )
    func streams() async throws {
        try await TestBundle.useAsync { bundle in
            let store = bundle.containerStore
            let input = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let echo = try await withContainer(
                try bundle.running("cat; echo problem >&2"), id: bundle.id, in: store,
                input: .bytes(input), output: .collected(limit: 1 << 20),
                error: .collected(limit: 100))
            #expect(echo.output?.bytes == input && echo.output?.isTruncated == false)
            #expect(echo.error?.text == "problem\n")
            let long = try await withContainer(
                try bundle.running("head -c 200000 /dev/zero; exit 2"), id: bundle.id, in: store,
                output: .collected(limit: 1000))
            #expect(long.output?.bytes.count == 1000 && long.output?.isTruncated == true)
            #expect(long.termination.status == .exited(2) && long.error == nil)
            let both = try await withContainer(
                try bundle.running("echo one; echo two >&2; echo three"), id: bundle.id, in: store,
                output: .collected(limit: 100), error: .combined)
            #expect(both.output?.text == "one\ntwo\nthree\n")
        }
    }

    @Test("container input that nobody reads is dropped without a signal to the host")
    func unreadInput() async throws {
        try await TestBundle.useAsync { bundle in
            let result = try await withContainer(
                try bundle.running("exec 0</dev/null; sleep 0.05; exit 3"), id: bundle.id,
                in: bundle.containerStore, input: .bytes([UInt8](repeating: 1, count: 1 << 20)))
            #expect(result.termination.status == .exited(3))
        }
    }

    @Test("a task exchanges lines with a container's process; output that it leaves is dropped")
    func conversation() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running(
                "while read word; do echo got $word; done; echo; head -c 200000 /dev/zero")
            let result = try await withContainer(
                config, id: bundle.id, in: bundle.containerStore, input: .writer, output: .sequence
            ) { container in
                let input = try #require(container.standardInput)
                var lines = try #require(container.standardOutput).lines().makeAsyncIterator()
                var answers: [String?] = []
                for word in ["one", "two"] {
                    try await input.write("\(word)\n")
                    answers.append(try await lines.next())
                }
                input.close()
                answers.append(try await lines.next())
                return answers
            }
            #expect(result.value == ["got one", "got two", ""])
            #expect(result.termination.status == .exited(0))
        }
    }

    @Test("overlong output lines come in parts, and the last line needs no newline")
    func longLines() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running("printf 'abcdef\\nab\\n\\nabc\\nabcdefgh'")
            let result = try await withContainer(
                config, id: bundle.id, in: bundle.containerStore, output: .sequence
            ) { container in
                var found: [String] = []
                for try await line in try #require(container.standardOutput).lines(limit: 3) {
                    found.append(line)
                }
                return found
            }
            #expect(result.value == ["abc", "def", "ab", "", "abc", "abc", "def", "gh"])
        }
    }

    @Test("a container is asked to end at its time limit, and killed if it does not")
    func timeout() async throws {
        try await TestBundle.useAsync { bundle in
            let store = bundle.containerStore
            let polite = try await withContainer(
                try bundle.running("trap 'echo bye; exit 5' TERM; while :; do sleep 0.02; done"),
                id: bundle.id,
                in: store, output: .collected(limit: 10), timeout: .milliseconds(500),
                teardown: [.send(.terminate, allowing: .seconds(60))])
            #expect(polite.timedOut && polite.termination.status == .exited(5))
            #expect(polite.output?.text == "bye\n")
            let stubborn = try await withContainer(
                try bundle.running("trap '' TERM HUP; while :; do sleep 0.02; done"), id: bundle.id,
                in: store, timeout: .milliseconds(100),
                teardown: [
                    .send(.hangUp, allowing: .milliseconds(50)),
                    .send(.terminate, allowing: .milliseconds(50)),
                ])
            #expect(stubborn.timedOut && stubborn.termination.status == .signaled(SIGKILL))
            let quick = try await withContainer(
                try bundle.running("true"), id: bundle.id, in: store, timeout: .seconds(60))
            #expect(!quick.timedOut)
        }
    }

    @Test("a cancelled task or a throwing body ends the container and leaves nothing")
    func cancellation() async throws {
        struct Thrown: Error {}
        try await TestBundle.useAsync { bundle in
            let (store, id) = (bundle.containerStore, bundle.id)
            let config = try bundle.running("trap '' TERM; while :; do sleep 0.02; done")
            let steps = [TeardownStep.send(.terminate, allowing: .milliseconds(50))]
            let gathering = Gathering(of: 2)
            let task = Task {
                try await withContainer(config, id: id, in: store, teardown: steps) { _ in
                    await gathering.arrive()
                }
            }
            await gathering.arrive()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try store.states().isEmpty)
            await #expect(throws: Thrown.self) {
                try await withContainer(config, id: id, in: store, teardown: steps) { _ in
                    throw Thrown()
                }
            }
            #expect(try store.states().isEmpty)
            let early = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await withContainer(config, id: id, in: store)
            }
            await #expect(throws: CancellationError.self) { try await early.value }
        }
    }

    @Test("a body can exec with input, output and a time limit, pause, resume and send signals")
    func inside() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running("trap 'exit 6' TERM; while :; do sleep 0.02; done")
            let result = try await withContainer(config, id: bundle.id, in: bundle.containerStore) {
                container in
                let done = try await container.exec(
                    ["sh", "-c", "cat; exit 8"], input: .text("hello"),
                    output: .collected(limit: 100))
                #expect(done.termination.status == .exited(8) && done.output?.text == "hello")
                #expect(done.termination.usage != nil && !done.timedOut)
                let slow = try await container.exec(["sleep", "100"], timeout: .milliseconds(50))
                #expect(slow.timedOut && slow.termination.status == .signaled(SIGKILL))
                let refused = await #expect(throws: ContainerError.self) {
                    try await container.exec(["cat"], input: .writer)
                }
                #expect(refused?.code == .invalidArgument)
                try await container.pause()
                #expect(try container.container.state().status == .paused)
                try await container.resume()
                #expect(try await container.statistics().cpu.total > 0)
                try await container.signal(.terminate)
                return try await container.termination.status
            }
            #expect(result.value == .exited(6))
            #expect(result.statistics?.cpu.total ?? 0 > 0)
        }
    }

    @Test("many tasks can await the end of one process without a thread for each")
    func manyAwait() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running("read line; exit 4")
            _ = try await withContainer(
                config, id: bundle.id, in: bundle.containerStore, input: .writer
            ) { container in
                let statuses = try await withThrowingTaskGroup(of: Ended.self) { group in
                    for _ in 0..<100 {
                        group.addTask { try await container.termination.status }
                    }
                    // A cancelled one does not disturb the others.
                    let impatient = Task { try await container.termination }
                    impatient.cancel()
                    await #expect(throws: CancellationError.self) { try await impatient.value }
                    container.standardInput?.close()
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses == Array(repeating: .exited(4), count: 100))
            }
        }
    }

    @Test(
        "an out-of-memory event is reported for each container that had one",
        TerminationTests.countsMemory)
    func outOfMemory() async throws {
        try await TestBundle.useAsync { bundle in
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20)
            let config = try bundle.running("exec dd if=/dev/zero of=/dev/null bs=256M count=1")
            let (store, id) = (bundle.containerStore, bundle.id)
            let told = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let result = try await withContainer(
                            config, id: "\(id)-\(number)", in: store)
                        return result.termination.ranOutOfMemory
                            && result.statistics?.memory.outOfMemoryKills ?? 0 > 0
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(told == 20)
        }
    }

    @Test(
        "events report statistics, every out-of-memory since creation, and the end",
        TerminationTests.countsMemory)
    func events() async throws {
        try await TestBundle.useAsync { bundle in
            bundle.linux.resources?.memory = MemoryResources(limit: 32 << 20)
            let eats = "dd if=/dev/zero of=/dev/null bs=256M count=1"
            let config = try bundle.running("\(eats); touch /there; read line; \(eats); read line")
            let there = "\(bundle.rootfs)/there"
            let kills = try await withContainer(
                config, id: bundle.id, in: bundle.containerStore, input: .writer
            ) { container in
                while !exists(there) { try await Task.sleep(for: .milliseconds(5)) }
                var kills: [UInt64] = []
                var last: ContainerEvents.Element?
                var isAsked = false
                for try await event in container.events(every: .milliseconds(20)) {
                    last = event
                    guard case .outOfMemory(let count) = event else {
                        // The first statistics come after all events of the past.
                        if case .statistics = event, kills == [1], !isAsked {
                            isAsked = true
                            try await container.standardInput?.write("\n")
                        }
                        continue
                    }
                    kills.append(count)
                    if kills.count == 2 { container.standardInput?.close() }
                }
                #expect(last == .ended)
                return kills
            }.value
            #expect(kills == [1, 2])
        }
    }

    @Test("stream choices that make no sense are refused before a container is created")
    func refused() async throws {
        try await TestBundle.useAsync { bundle in
            let config = try bundle.running("true")
            let refusal = await #expect(throws: ContainerError.self) {
                try await withContainer(
                    config, id: bundle.id, in: bundle.containerStore, output: .combined)
            }
            #expect(refusal?.code == .invalidArgument)
            let unknown = await #expect(throws: ContainerError.self) {
                try await withContainer(config, id: "a/b", in: bundle.containerStore)
            }
            #expect(unknown?.code == .invalidID)
        }
    }

    @Test("fifty launches cancelled at any time leave no descriptor, thread or container")
    func manyCancelled() async {
        await #expect(processExitsWith: .success) {
            try await TestBundle.useAsync { bundle in
                let config = try bundle.running("sleep 0.05; cat; exit 1")
                let (store, id) = (bundle.containerStore, bundle.id)
                func round() async {
                    await withTaskGroup(of: Void.self) { group in
                        for number in 0..<50 {
                            group.addTask {
                                let task = Task {
                                    try await withContainer(
                                        config, id: "\(id)-\(number)", in: store,
                                        input: .text("some"), output: .collected(limit: 10),
                                        teardown: [.send(.terminate, allowing: .milliseconds(20))])
                                }
                                if number % 3 > 0 {
                                    try? await Task.sleep(
                                        for: .milliseconds(.random(in: 0...300)))
                                    task.cancel()
                                }
                                do {
                                    let result = try await task.value
                                    #expect(result.termination.status == .exited(1))
                                    #expect(result.output?.text == "some")
                                } catch is CancellationError {
                                    #expect(number % 3 > 0)
                                } catch {
                                    Issue.record("\(error)")
                                }
                            }
                        }
                    }
                }
                // What a process keeps open permanently exists after the first run.
                await round()
                let descriptors = entries(of: "/proc/self/fd").count
                for _ in 0..<2 { await round() }
                #expect(try store.states().isEmpty)
                #expect(bundle.leftovers.found() == [])
                #expect(waits { entries(of: "/proc/self/fd").count <= descriptors })
                let threads = entries(of: "/proc/self/task").count
                #expect(threads < 13 + 16 + sysconf(CInt(_SC_NPROCESSORS_ONLN)))
            }
        }
    }
}
