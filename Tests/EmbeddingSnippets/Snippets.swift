// SPDX-License-Identifier: Apache-2.0

// The code of the article on embedding; a test compares them.

internal import ContainerKitAsync
internal import Synchronization
internal import SystemPackage

// A config as a value: Docker's defaults, without a network, with what a program of others may use.
func sandbox(_ arguments: [String], rootfs: FilePath) throws -> ContainerBundle {
    var spec = try Spec.sandbox(
        arguments, memory: 64 << 20, pids: 32, cpus: 1, user: User(uid: 1000, gid: 1000))
    spec.mounts?.append(
        Mount(
            destination: "/tmp", type: "tmpfs", source: "tmp",
            options: ["nosuid", "nodev", "mode=1777", "size=16m"]))
    return try ContainerBundle(rootfs: rootfs, spec: spec)
}

// A sandbox that may mount, and in which nobody is traced.
func mounting(_ arguments: [String]) throws -> Spec {
    var spec = try Spec.sandbox(arguments)
    spec.process?.capabilities?.bounding?.append("CAP_SYS_ADMIN")
    spec.process?.capabilities?.permitted?.append("CAP_SYS_ADMIN")
    spec.process?.capabilities?.effective?.append("CAP_SYS_ADMIN")
    let mounts = Seccomp.CallTheme(
        "mounts", because: "the sandbox builds images", calls: "mount umount2 pivot_root")
    spec.linux?.seccomp = .sandbox(
        Seccomp.sandboxThemes.filter { $0.name != "tracing" } + [mounts])
    return spec
}

// Runs a program with an input: its output, at most 64 KiB of it, and how it ended.
func judge(_ arguments: [String], _ input: String, rootfs: FilePath) async throws -> String {
    let store = ContainerStore(at: "/run/judge")
    let result = try await withContainer(
        try sandbox(arguments, rootfs: rootfs), in: store, input: .text(input),
        output: .collected(limit: 64 << 10), error: .combined, timeout: .seconds(10))

    if result.timedOut { return "time limit" }
    if result.termination.ranOutOfMemory { return "memory limit" }
    switch result.termination.status {
    case .exited(0): return result.output?.text ?? ""
    case .exited(let status): return "status \(status)"
    case .signaled(let number): return "signal \(number)"
    case .unknown: return "ended"
    }
}

// Talks with a program line by line.
func ask(_ questions: [String], of bundle: ContainerBundle, in store: ContainerStore)
    async throws -> [String]
{
    try await withContainer(bundle, in: store, input: .writer, output: .sequence) { container in
        guard let input = container.standardInput, let output = container.standardOutput else {
            return []
        }
        var lines = output.lines().makeAsyncIterator()
        var answers: [String] = []
        for question in questions {
            try await input.write("\(question)\n")
            guard let answer = try await lines.next() else { break }
            answers.append(answer)
        }
        return answers
    }.value
}

// Two programs at a time, which share 256 MiB.
func pair(_ bundle: ContainerBundle, in store: ContainerStore) async throws -> Statistics {
    let both = try ControlGroup.create(
        "/judge/pair", limits: Resources(memory: MemoryResources(limit: 256 << 20)))
    defer { try? both.remove() }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for name in ["one", "two"] {
            group.addTask {
                var options = LaunchOptions()
                options.adoptedCgroup = try both.makeChild(name).adopted
                try await withContainer(bundle, in: store, options: options)
            }
        }
        try await group.waitForAll()
    }
    return try both.statistics()
}

// Runs a container in cgroups that another program has made: one on cgroup v2, one for each hierarchy on v1.
func run(
    _ bundle: ContainerBundle, in store: ContainerStore, with received: [FileDescriptor]
) async throws -> Statistics? {
    var options = LaunchOptions()
    options.adoptedCgroup = try AdoptedCgroup(received)
    return try await withContainer(bundle, in: store, options: options).statistics
}

// Watches a running container, and runs another process in it.
func watch(_ bundle: ContainerBundle, in store: ContainerStore) async throws {
    try await withContainer(bundle, in: store, error: .inherit) { container in
        let version = try await container.exec(
            ["uname", "-r"], output: .collected(limit: 100), timeout: .seconds(5))
        print("kernel:", version.output?.text ?? "")
        for try await event in container.events(every: .seconds(1)) {
            switch event {
            case .statistics(let now): print("memory:", now.memory.usage.usage)
            case .outOfMemory(let kills): print("killed for want of memory:", kills)
            case .memoryHigh(let times): print("held up:", times)
            case .ended: print("ended")
            }
        }
    }
}

// Gives a program its input as a file, and takes its result, of at most a mebibyte.
func exchange(_ input: FileDescriptor, _ result: FileDescriptor, with container: Container) throws {
    try container.copyIn(input, to: "/tmp/input", user: User(uid: 1000, gid: 1000))
    try container.copyOut("/tmp/result", to: result, limitBytes: 1 << 20)
}

// Ends gracefully: INT, a second later TERM, three seconds later KILL.
func serve(_ bundle: ContainerBundle, in store: ContainerStore) async throws {
    let server = Task {
        try await withContainer(
            bundle, in: store,
            teardown: [
                .send(.interrupt, allowing: .seconds(1)), .send(.terminate, allowing: .seconds(3)),
            ])
    }
    try await Task.sleep(for: .seconds(60))
    server.cancel()
    // Returns when nothing of the container is left.
    _ = await server.result
}

// A program that waits for all its children passes on the statuses of containers.
final class Reaper: Sendable {
    private let taken = Mutex<[Int32: Int32]>([:])

    /// Called by the loop around wait4(-1, ...).
    func take(_ pid: Int32, waitStatus: Int32) {
        taken.withLock { $0[pid] = waitStatus }
    }

    func options() -> LaunchOptions {
        var options = LaunchOptions()
        options.reapedStatus = { pid in
            let word = self.taken.withLock { $0.removeValue(forKey: pid) }
            return word.map { ExitStatus(waitStatus: $0) }
        }
        return options
    }
}

// Without tasks: the program's own event loop waits for the descriptor.
func launch(_ bundle: ContainerBundle, in store: ContainerStore) throws -> Termination {
    let (container, process) = try Container.createProcess("job", from: bundle, in: store)
    try container.start()
    // In a real program, pass exitDescriptor to poll(2), epoll(7) or an event loop.
    let termination = try process.waitIfEnded() ?? process.waitForTermination()
    try container.delete()
    return termination
}

// A container started by another program, or by an earlier run of this one.
func follow(_ id: String, in store: ContainerStore) async throws -> Termination {
    let process = try store.container(id).process()
    return try await process.termination
}
