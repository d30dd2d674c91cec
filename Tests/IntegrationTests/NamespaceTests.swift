// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Namespaces", Host.root)
struct NamespaceTests {
    /// The names under /proc/PID/ns.
    private static let names: [(Namespace.Kind, String)] = [
        (.pid, "pid"), (.network, "net"), (.ipc, "ipc"), (.uts, "uts"), (.mount, "mnt"),
        (.cgroup, "cgroup"), (.time, "time"),
    ]

    private func link(_ name: String, of pid: some CustomStringConvertible = "self") -> String? {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = readlink("/proc/\(pid)/ns/\(name)", &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    @Test("a namespace that the config lists is new", arguments: names)
    func new(_ kind: Namespace.Kind, _ name: String) throws {
        try TestBundle.use { bundle throws in
            guard let host = link(name) else { return }
            bundle.setNamespace(kind)
            let inside = try bundle.output(of: "readlink /proc/self/ns/\(name)")
            #expect(inside.hasPrefix("\(name):[") && inside != host)
        }
    }

    @Test(
        "a namespace that the config does not list is the runtime's",
        arguments: names.filter { $0.0 != .mount })
    func shared(_ kind: Namespace.Kind, _ name: String) throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(kind)
            if kind == .uts { bundle.spec.hostname = nil }
            guard let host = link(name) else { return }
            #expect(try bundle.output(of: "readlink /proc/self/ns/\(name)") == host)
        }
    }

    @Test("a namespace is joined by its path", arguments: names.filter { $0.0 != .mount })
    func joined(_ kind: Namespace.Kind, _ name: String) throws {
        try TestBundle.use { bundle throws in
            guard link(name) != nil else { return }
            bundle.setNamespace(kind)
            try bundle.startSleeping(id: "\(bundle.id)-holder")
            let pid = try bundle.state("\(bundle.id)-holder").pid
            let holder = try #require(link(name, of: pid))
            bundle.setNamespace(kind, path: "/proc/\(pid)/ns/\(name)")
            if kind == .uts { bundle.spec.hostname = nil }
            #expect(try bundle.output(of: "readlink /proc/self/ns/\(name)") == holder)
        }
    }

    @Test("all namespaces but the mount namespace can be joined at once, as in a pod")
    func joinedTogether() throws {
        try TestBundle.use { bundle throws in
            bundle.setNamespace(.time)
            try bundle.startSleeping(id: "\(bundle.id)-holder")
            let pid = try bundle.state("\(bundle.id)-holder").pid
            let kinds = Self.names.filter { $0.0 != .mount }
            for (kind, name) in kinds {
                bundle.setNamespace(kind, path: "/proc/\(pid)/ns/\(name)")
            }
            bundle.spec.hostname = nil
            let links = kinds.map { "/proc/self/ns/\($0.1)" }.joined(separator: " ")
            let inside = try bundle.output(of: "for l in \(links); do readlink $l; done").lines
            #expect(inside == kinds.map { link($0.1, of: pid) })
        }
    }

    @Test("a process has pid 1 in a new pid namespace and sees no other process")
    func processOne() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(of: "echo $$; for p in /proc/[0-9]*; do echo $p; done")
            #expect(text.lines == ["1", "/proc/1"])
        }
    }

    @Test("a container in a joined pid namespace sees the other container's processes")
    func joinedProcesses() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping(id: "\(bundle.id)-holder")
            let pid = try bundle.state("\(bundle.id)-holder").pid
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            let text = try bundle.output(of: "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$")
            #expect(text.lines.first?.trimmed == "/bin/sleep 100")
            #expect(text.lines.last != "1")
        }
    }

    @Test("a path to another type of namespace is refused, and nothing is left")
    func wrongType() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            bundle.setNamespace(.network, path: "/proc/self/ns/uts")
            let index = (bundle.linux.namespaces?.count ?? 0) - 1
            bundle.expectFailure(try bundle.run(), naming: ["linux.namespaces[\(index)]"])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test(
        "a namespace path that is not a namespace is refused",
        arguments: ["/etc/passwd", "/nosuch", "/proc"])
    func noNamespace(_ path: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            bundle.setNamespace(.ipc, path: path)
            let index = (bundle.linux.namespaces?.count ?? 0) - 1
            bundle.expectFailure(try bundle.run(), naming: ["linux.namespaces[\(index)]", path])
        }
    }

    @Test("timeOffsets move the clocks of a new time namespace")
    func timeOffsets() throws {
        try TestBundle.use { bundle throws in
            bundle.setNamespace(.time)
            bundle.linux.timeOffsets = [
                "boottime": TimeOffset(seconds: 1_000_000, nanoseconds: 5),
                "monotonic": TimeOffset(seconds: 86400),
            ]
            let uptime = {
                let text = try readText("/proc/uptime").split(separator: ".").first
                return try #require(text.flatMap { Int($0) })
            }
            let before = try uptime()
            let text = try bundle.output(
                of: "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets")
            let inside = try #require(text.lines.first.flatMap { Int($0) }) - 1_000_000
            // The offset's nanoseconds may round up to the next second.
            #expect(try (before...uptime() + 1).contains(inside))
            let offsets = text.lines.dropFirst().map {
                $0.split(separator: " ").map(String.init)
            }
            #expect(offsets == [["monotonic", "86400", "0"], ["boottime", "1000000", "5"]])
        }
    }

    @Test("timeOffsets change neither the host nor a container without them")
    func noTimeOffsets() throws {
        try TestBundle.use { bundle throws in
            bundle.setNamespace(.time)
            let text = try bundle.output(of: "cat /proc/self/timens_offsets")
            #expect(text.lines.allSatisfy { $0.hasSuffix(" 0") })
        }
    }

    @Test("the loopback device of a new network namespace is up")
    func loopback() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(of: "ifconfig; cat /sys/class/net/lo/flags")
            #expect(text.contains("127.0.0.1") && text.contains("UP LOOPBACK RUNNING"))
            #expect(text.lines.last == "0x9")
        }
    }
}
