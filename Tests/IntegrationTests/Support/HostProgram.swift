// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Glibc
import Synchronization
import SystemPackage
import Testing

/// Whether a process has ended: it is gone, a zombie (Z), or just being reaped (X).
func hasEnded(_ pid: pid_t) -> Bool {
    guard let stat = try? readText("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else {
        return true
    }
    return ["Z", "X"].contains(stat[end...].split(separator: " ").dropFirst().first)
}

/// This process as a separate host program: its resources can be counted, since no other test runs
/// in it (`#expect(processExitsWith:)`).
enum HostProgram {
    /// How many descriptors are open.
    static var descriptorCount: Int { entries(of: "/proc/self/fd").count }

    /// The children, including zombies.
    static var children: [pid_t] {
        entries(of: "/proc").compactMap { name in
            guard let pid = pid_t(name), let text = try? readText("/proc/\(pid)/stat"),
                let end = text.lastIndex(of: ")")
            else { return nil }
            // The state letter, followed by the parent.
            let fields = text[end...].split(separator: " ")
            return fields.count > 2 && fields[2] == "\(getpid())" ? pid : nil
        }
    }
}

/// Ends hanging launches: kills this process's children if a launch takes too long, which turns the
/// hang into an error, and this process itself if that does not help.
final class Watchdog: Sendable {
    private struct Watch {
        var name = ""
        var end: ContinuousClock.Instant?
        var hung: [String] = []
    }

    private let watch = Mutex(Watch())
    private let isOver = Atomic(false)

    init() {
        Thread.detachNewThread { [self] in
            while !isOver.load(ordering: .relaxed) {
                look()
                usleep(20_000)
            }
        }
    }

    /// The launches that hung so far.
    var hung: [String] { watch.withLock { $0.hung } }

    /// Calls `body`, and counts it as hung if it takes longer; on a slow machine it may.
    func limit<Result>(_ name: String, seconds: Double = 30, _ body: () throws -> Result) rethrows
        -> Result
    {
        watch.withLock {
            $0.name = name
            $0.end = .now + .seconds(seconds * Double(Host.slowness))
        }
        defer { watch.withLock { $0.end = nil } }
        return try body()
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
    }

    private func look() {
        let late: (name: String, again: Bool)? = watch.withLock { watch in
            guard let end = watch.end, end < .now else { return nil }
            let again = watch.hung.last == watch.name
            watch.hung.append(watch.name)
            watch.end = .now + .seconds(5 * Double(Host.slowness))
            return (watch.name, again)
        }
        guard let late else { return }
        if late.again {
            FileHandle.standardError.write(Data("\(late.name) hangs without a child\n".utf8))
            _exit(97)
        }
        for child in HostProgram.children { kill(child, SIGKILL) }
    }
}

extension TestBundle {
    /// The store and the bundle as ContainerKit's types.
    var containerStore: ContainerStore { ContainerStore(at: FilePath(store)) }

    func loaded() throws(ContainerError) -> ContainerKit.Bundle {
        try ContainerKit.Bundle(at: FilePath(directory), spec: spec)
    }

    /// Runs a container from this process to its end, and deletes it.
    func runFromHere() throws(ContainerError) -> ContainerKit.ExitStatus {
        let status = try Container.run(id, from: loaded(), in: containerStore).wait()
        try containerStore.container(id).delete()
        return status
    }
}
