// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Glibc
import Synchronization
import Testing

/// Threads that allocate and free memory all the time, so that a clone happens while other threads
/// hold the locks of malloc and of the Swift runtime.
private final class BusyThreads: Sendable {
    private let isOver = Atomic(false)
    private let rounds: Mutex<[Int]>
    private let running: Mutex<Int>

    init(_ count: Int) {
        rounds = Mutex([Int](repeating: 0, count: count))
        running = Mutex(count)
        for number in 0..<count {
            Thread.detachNewThread { [self] in
                var seed = UInt64(number)
                while !isOver.load(ordering: .relaxed) {
                    Self.allocate(&seed)
                    rounds.withLock { $0[number] += 1 }
                    // There are far fewer processors than threads: this leaves time for the
                    // launches.
                    sched_yield()
                }
                running.withLock { $0 -= 1 }
            }
        }
    }

    /// The number of rounds of each thread.
    var counts: [Int] { rounds.withLock { $0 } }

    /// Ends the threads and waits for them.
    func stop() -> Bool {
        isOver.store(true, ordering: .relaxed)
        return waits(20) { running.withLock { $0 } == 0 }
    }

    private static func allocate(_ seed: inout UInt64) {
        let blocks = (0..<16).map { _ in
            // The constants are Knuth's.
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return malloc(Int(seed >> 33) % 100_000 + 1)
        }
        var words: [String: [Int]] = [:]
        for number in 0..<16 {
            let key = "a key that is too long to be stored inline \(number % 8)"
            words[key, default: []].append(number)
        }
        for block in blocks { free(block) }
        precondition(words.count == 8)
    }
}

@Suite("Stress", Host.root)
struct StressTests {
    /// STRESS_LAUNCHES: 50 by default, 300 in CI, 2,000 for a full run.
    static let launches = Host.environmentVariable("STRESS_LAUNCHES").flatMap { Int($0) } ?? 50

    @Test("no init hangs in a host whose threads allocate all the time, and nothing leaks")
    func busyHost() async {
        await #expect(processExitsWith: .success) {
            do {
                try Self.launchBesideThreads()
            } catch {
                Issue.record(error)
            }
        }
    }

    private static func launchBesideThreads() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            let watchdog = Watchdog()
            defer { watchdog.stop() }
            // What the first launch opens permanently is no leak.
            try Self.launch(0, bundle, watchdog)
            let busy = BusyThreads(32)
            let before = HostProgram.descriptorCount
            for number in 1...Self.launches {
                try Self.launch(number, bundle, watchdog)
                if !watchdog.hung.isEmpty { break }
            }
            #expect(watchdog.hung == [])
            #expect(HostProgram.descriptorCount == before)
            #expect(HostProgram.children == [])
            #expect(busy.counts.allSatisfy { $0 > 0 }, "\(busy.counts)")
            #expect(busy.stop())
        }
    }

    /// Every fifth container runs to its end; the others are created, and deleted unstarted.
    private static func launch(_ number: Int, _ bundle: TestBundle, _ watchdog: Watchdog) throws {
        try watchdog.limit("launch \(number)") {
            if number.isMultiple(of: 5) {
                let process = try Container.run(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore)
                #expect(try process.wait() == .exited(0), "launch \(number)")
                try bundle.containerStore.container(bundle.id).delete()
            } else {
                let container = try Container.create(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore)
                #expect(try container.state().status == .created, "launch \(number)")
                try container.delete()
            }
        }
        #expect(bundle.leftovers.states() == [], "launch \(number)")
    }
}
