// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Glibc
import Synchronization
import SystemPackage
import Testing

/// Threads of the host that only count: their counters show whether the host still runs.
private final class Beat: Sendable {
    private let counts: Mutex<[Int]>

    init(_ threads: Int) {
        counts = Mutex([Int](repeating: 0, count: threads))
        for number in 0..<threads {
            Thread.detachNewThread { [self] in
                while true {
                    counts.withLock { $0[number] += 1 }
                    usleep(1000)
                }
            }
        }
    }

    /// Whether every thread is still running.
    var goesOn: Bool {
        let before = counts.withLock { $0 }
        return waits(2) { counts.withLock { zip($0, before).allSatisfy { $0 > $1 } } }
    }
}

/// The state letters of this process's threads.
private func threadStates() -> [String] {
    entries(of: "/proc/self/task").compactMap { thread in
        guard let text = try? readText("/proc/self/task/\(thread)/stat"),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[end...].split(separator: " ").dropFirst().first.map(String.init)
    }
}

/// An exec in a separate thread.
private final class ExecInThread: Sendable {
    private let outcome = Mutex<Result<ContainerKit.ExitStatus, ContainerError>?>(nil)

    init(_ container: Container, _ words: [String], ignoresPause: Bool = false) throws {
        var process = try container.template()
        process.args = words
        var options = LaunchOptions()
        options.ignoresPause = ignoresPause
        Thread.detachNewThread { [self, process, options] in
            let result: Result<ContainerKit.ExitStatus, ContainerError>
            do throws(ContainerError) {
                result = .success(try container.exec(process, options: options).wait())
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
        }
    }

    var result: Result<ContainerKit.ExitStatus, ContainerError>? { outcome.withLock { $0 } }
}

@Suite("Hosts whose containers are frozen or starved", Host.root)
struct StarvedCgroupTests {
    private static let memory: ConditionTrait = .enabled(
        if: Host.isUnified
            && ((try? readText("/sys/fs/cgroup/cgroup.controllers")) ?? "").contains("memory"),
        "needs cgroup v2 with the memory controller")

    // MARK: Frozen

    @Test(
        "an exec into a frozen cgroup waits for the thaw without blocking the host's other launches"
    )
    func frozen() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                let beat = Beat(4)
                bundle.process.args = ["/bin/sleep", "100"]
                let container = try Container.create(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore)
                try container.start()
                try container.pause()
                let execs = try (0..<3).map { _ in
                    try ExecInThread(container, ["/bin/true"], ignoresPause: true)
                }
                // No exec can end before the thaw.
                usleep(useconds_t(300_000 * Host.slowness))
                #expect(execs.allSatisfy { $0.result == nil })
                // In state D, the host could not even be killed by SIGKILL.
                #expect(!threadStates().contains("D"))
                #expect(beat.goesOn)
                bundle.process.args = ["/bin/true"]
                let other = try Container.run(
                    "\(bundle.id)-other", from: bundle.loaded(), in: bundle.containerStore)
                #expect(try other.wait() == .exited(0))

                try container.resume()
                #expect(waits { execs.allSatisfy { $0.result != nil } })
                for exec in execs { #expect(try exec.result?.get() == .exited(0)) }

                try container.pause()
                let last = try ExecInThread(container, ["/bin/true"], ignoresPause: true)
                usleep(useconds_t(100_000 * Host.slowness))
                try container.delete(force: true)
                #expect(waits { last.result != nil }, "the exec hangs")
                #expect(beat.goesOn && HostProgram.children.count <= 1)
                try bundle.containerStore.container("\(bundle.id)-other").delete()
            }
            exit(0)
        }
    }

    @Test(
        "an exec into a frozen v2 cgroup waits for the thaw without blocking the host",
        InnerRun.outermost,
        .enabled(if: !Host.isUnified, "cgroup v2 is what this machine has"))
    func frozenUnified() throws {
        let script =
            "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\""
        try InnerRun.expectSuccess(
            "cgroup v2", ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh"],
            filter: "^IntegrationTests\\.StarvedCgroupTests/frozen\\(", count: 1)
    }

    // MARK: Out of memory

    /// A container whose processes are all killed when its memory runs out.
    private static func limit(_ bundle: TestBundle, bytes: Int64) {
        bundle.linux.resources = Resources(
            memory: MemoryResources(limit: bytes, swap: bytes),
            unified: ["memory.oom.group": "1"])
    }

    @Test(
        "execs into a cgroup that is killed for lack of memory do not harm the host", memory)
    func dyingGroup() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                let beat = Beat(4)
                StarvedCgroupTests.limit(bundle, bytes: 16 << 20)
                var killed = 0
                for round in Host.rounds(12) {
                    bundle.script("while :; do sleep 1; done")
                    let container = try Container.create(
                        bundle.id, from: bundle.loaded(), in: bundle.containerStore)
                    try container.start()
                    // Some processes use all the memory, and others enter meanwhile.
                    let hogs = try (0..<2).map { _ in
                        try ExecInThread(container, ["tail", "/dev/zero"])
                    }
                    var execs: [ExecInThread] = []
                    let isDead = try waits(20) {
                        execs.append(try ExecInThread(container, ["/bin/true"]))
                        return try container.state().status == .stopped
                    }
                    #expect(isDead, "round \(round): the group has not been killed")
                    #expect(waits { (hogs + execs).allSatisfy { $0.result != nil } })
                    killed += hogs.count { (try? $0.result?.get()) == .signaled(SIGKILL) }
                    try container.delete(force: true)
                    #expect(beat.goesOn)
                }
                #expect(killed > 0)
                #expect(bundle.leftovers.found() == [])
            }
            exit(0)
        }
    }

    @Test(
        "a launch whose memory limit is too small for itself is an error; the host survives", memory
    )
    func dyingInit() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                let beat = Beat(4)
                bundle.process.args = ["/bin/true"]
                var failures = 0
                // From almost nothing, page by page.
                for pages in 1..<Int64(40) {
                    StarvedCgroupTests.limit(bundle, bytes: pages * 4096)
                    do throws(ContainerError) {
                        _ = try bundle.runFromHere()
                    } catch {
                        failures += 1
                        #expect(bundle.leftovers.states() == [], "\(error)")
                    }
                }
                #expect(failures > 0)
                #expect(beat.goesOn)
            }
            exit(0)
        }
    }
}
