// SPDX-License-Identifier: Apache-2.0

// The code of the tutorial on a judge service; a test compares them.

internal import ContainerKitAsync
internal import SystemPackage

// Step 1: what comes in, and what is told about it.
struct Submission: Sendable {
    /// The program, which the image's interpreter runs.
    var source: [UInt8]
    /// The inputs, one for each test, and the outputs that are expected.
    var tests: [(input: String, expected: String)]
}

enum Verdict: Sendable, Hashable {
    case accepted
    case wrongAnswer(test: Int)
    case timeLimit(test: Int)
    case memoryLimit(test: Int)
    case runtimeError(test: Int, ExitStatus)
    /// The output is longer than the limit.
    case outputLimit(test: Int)
    /// The program does not fit into the sandbox.
    case tooLong
}

// Step 2: the sandbox of a submission. Its own process, cat, ends with its input.
func sandboxOfSubmission(rootfs: FilePath) throws -> ContainerBundle {
    var spec = try Spec.sandbox(
        ["cat"], memory: 256 << 20, pids: 64, cpus: 1,
        user: User(uid: 1000, gid: 1000))
    // The only place that can be written to; its contents count as memory.
    spec.mounts?.append(
        Mount(
            destination: "/tmp", type: "tmpfs", source: "tmp",
            options: ["nosuid", "nodev", "mode=1777", "size=16m"]))
    return try ContainerBundle(rootfs: rootfs, spec: spec)
}

// Step 3: one test, as another process of the container.
func run(
    _ test: Int, of submission: Submission, in container: RunningContainer
) async throws -> Verdict? {
    let result = try await container.exec(
        ["sh", "/tmp/program"], input: .text(submission.tests[test].input),
        output: .collected(limit: 64 << 10), timeout: .seconds(2))
    // The order matters: a killed program has also failed.
    if result.termination.ranOutOfMemory { return .memoryLimit(test: test) }
    if result.timedOut { return .timeLimit(test: test) }
    guard result.termination.status == .exited(0) else {
        return .runtimeError(test: test, result.termination.status)
    }
    guard let output = result.output, !output.isTruncated else { return .outputLimit(test: test) }
    return output.text == submission.tests[test].expected ? nil : .wrongAnswer(test: test)
}

// Step 4: a whole submission, in a container of its own.
func judge(
    _ submission: Submission, in store: ContainerStore, rootfs: FilePath
) async throws -> Verdict {
    try await withContainer(
        try sandboxOfSubmission(rootfs: rootfs), in: store, input: .writer
    ) { container in
        let copied = try await container.exec(
            ["sh", "-c", "cat >/tmp/program"], input: .bytes(submission.source))
        guard copied.termination.status == .exited(0) else { return .tooLong }
        for test in submission.tests.indices {
            if let verdict = try await run(test, of: submission, in: container) { return verdict }
        }
        return .accepted
    }.value
}

// Step 5: many at once, but not too many.
actor Judge {
    private let store = ContainerStore(at: "/run/judge")
    private let rootfs: FilePath
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(rootfs: FilePath, atOnce: Int) throws {
        self.rootfs = rootfs
        free = atOnce
        // What an earlier run of the service, which was killed, has left.
        for state in try store.states() { try store.container(state.id).delete(force: true) }
    }

    func verdict(on submission: Submission) async throws -> Verdict {
        if free == 0 {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            free -= 1
        }
        defer {
            if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
        }
        return try await judge(submission, in: store, rootfs: rootfs)
    }
}

// Step 6: limits for all submissions together.
func judgeInPool(
    _ bundle: ContainerBundle, number: Int, of pool: ControlGroup, in store: ContainerStore
) async throws -> Termination {
    let own = try pool.makeChild("submission-\(number)")
    defer { try? own.remove() }
    var options = LaunchOptions()
    options.adoptedCgroup = try own.adopted
    return try await withContainer(bundle, in: store, options: options).termination
}

func makePool() throws -> ControlGroup {
    // Half of a machine with 8 GiB and four CPUs.
    try ControlGroup.create(
        "/judge",
        limits: Resources(
            memory: MemoryResources(limit: 4 << 30),
            cpu: CPUResources(quota: 200_000, period: 100_000)))
}

// Step 7: the service; a cancelled request ends its container.
func serve(
    _ requests: AsyncStream<(Submission, @Sendable (Result<Verdict, any Error>) -> Void)>,
    rootfs: FilePath
) async throws {
    let judge = try Judge(rootfs: rootfs, atOnce: 8)
    await withDiscardingTaskGroup { group in
        for await (submission, answer) in requests {
            group.addTask {
                do {
                    answer(.success(try await judge.verdict(on: submission)))
                } catch {
                    // A program of others cannot cause this: the host is at fault.
                    answer(.failure(error))
                }
            }
        }
    }
}
