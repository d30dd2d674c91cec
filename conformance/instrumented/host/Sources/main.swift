// SPDX-License-Identifier: Apache-2.0

// A host whose threads and then tasks all launch containers:
//
//     instrumented-host ROOTFS STORE THREADS LAUNCHES TASKS ROUNDS
//
// Each thread launches that many containers. In each round all tasks do, and most are cancelled at some moment. With
// 0 threads and 0 tasks it deletes what an earlier one has left in the store.
import ContainerKitAsync
import Foundation
import SystemPackage

let words = CommandLine.arguments
guard words.count == 7, let threads = Int(words[3]), let launches = Int(words[4]),
    let tasks = Int(words[5]),
    let rounds = Int(words[6])
else {
    print("usage: instrumented-host ROOTFS STORE THREADS LAUNCHES TASKS ROUNDS")
    exit(2)
}

var spec = Spec.template
spec.root = Root(path: words[1], readonly: true)
spec.process?.terminal = false
spec.process?.args = ["/bin/true"]
let store = ContainerStore(at: FilePath(words[2]))
let bundle = try ContainerKit.Bundle(at: FilePath(words[1]), spec: spec)

if threads == 0, tasks == 0 {
    for state in try store.states() { try store.container(state.id).delete(force: true) }
    exit(0)
}

/// The launches of one thread.
@Sendable func launchAll(
    _ thread: Int, of bundle: ContainerKit.Bundle, in store: ContainerStore, count: Int
) {
    do throws(ContainerError) {
        for number in 0..<count {
            let id = "instrumented-\(getpid())-\(thread)-\(number)"
            let process = try Container.run(id, from: bundle, in: store)
            let end = try process.wait()
            guard case .exited(0) = end else {
                print("\(id): \(end)")
                exit(1)
            }
            try store.container(id).delete()
        }
    } catch {
        print("\(error.code): \(error)")
        exit(1)
    }
}

/// The open descriptors of this process.
func descriptorCount() -> Int {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count
}

let running = DispatchGroup()
let start = ContinuousClock.now
for thread in 0..<threads {
    running.enter()
    let (bundle, store) = (bundle, store)
    Thread.detachNewThread {
        launchAll(thread, of: bundle, in: store, count: launches)
        running.leave()
    }
}
running.wait()
if threads > 0 {
    print("\(threads * launches) launches of \(threads) threads in \(ContinuousClock.now - start)")
}

// MARK: Tasks

/// How the containers of a round of tasks have ended.
struct Outcome: Sendable {
    var ended = 0
    var cancelled = 0

    static func + (one: Outcome, other: Outcome) -> Outcome {
        Outcome(ended: one.ended + other.ended, cancelled: one.cancelled + other.cancelled)
    }
}

/// Launches a container in a task, which is cancelled within a tenth of a second unless its number is 0 modulo 4.
@Sendable func launchOne(
    _ number: Int, of bundle: ContainerBundle, in store: ContainerStore
) async -> Outcome {
    let task = Task {
        try await withContainer(
            bundle, id: "task-\(getpid())-\(number)", in: store, input: .text("some"),
            output: .collected(limit: 10),
            teardown: [.send(.terminate, allowing: .milliseconds(10))])
    }
    if number % 4 > 0 {
        try? await Task.sleep(for: .microseconds(.random(in: 0...100_000)))
        task.cancel()
    }
    do {
        let end = try await task.value.termination.status
        guard end == .exited(0) else {
            print("task \(number): \(end)")
            exit(1)
        }
        return Outcome(ended: 1)
    } catch is CancellationError {
        return Outcome(cancelled: 1)
    } catch {
        print("task \(number): \(error)")
        exit(1)
    }
}

/// Launches a container in each of these tasks.
@Sendable func launchRound(
    _ tasks: Int, of bundle: ContainerBundle, in store: ContainerStore
) async -> Outcome {
    await withTaskGroup(of: Outcome.self) { group in
        for number in 0..<tasks {
            group.addTask { await launchOne(number, of: bundle, in: store) }
        }
        var outcome = Outcome()
        for await one in group { outcome = outcome + one }
        return outcome
    }
}

var all = Outcome()
var descriptors = 0
let tasksStart = ContinuousClock.now
for round in 0..<rounds {
    let (bundle, store) = (bundle, store)
    let outcome = await launchRound(tasks, of: bundle, in: store)
    all = all + outcome
    // What a process keeps open for ever is there after the first round.
    if round == 0 { descriptors = descriptorCount() }
}
if tasks > 0 {
    let left = try store.states().map(\.id)
    guard left.isEmpty else {
        print("left in the store: \(left.joined(separator: " "))")
        exit(1)
    }
    let now = descriptorCount()
    guard now <= descriptors else {
        print("\(now) descriptors are open, after the first round \(descriptors)")
        exit(1)
    }
    print(
        "\(tasks * rounds) launches of tasks in \(ContinuousClock.now - tasksStart): \(all.ended) to their end, "
            + "\(all.cancelled) cancelled; \(now) descriptors open")
}
