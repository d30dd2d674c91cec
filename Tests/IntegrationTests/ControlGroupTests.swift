// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite("Cgroups without a container", Host.root)
struct ControlGroupTests {
    private static let hasPids =
        Host.hierarchies.contains { $0.controllers.contains("pids") }
        || ((try? readText("/sys/fs/cgroup/cgroup.controllers")) ?? "").contains("pids")

    /// A cgroup of a test, which is removed after it.
    private func use(_ body: (TestBundle, ControlGroup) throws -> Void) throws {
        try TestBundle.use { bundle throws in
            let group = try ControlGroup.create("/\(bundle.token)-group")
            defer {
                try? group.kill()
                try? group.remove()
            }
            try body(bundle, group)
        }
    }

    /// A process that sleeps in the cgroup.
    private func sleeper(_ bundle: TestBundle, in group: ControlGroup) throws -> RunningCommand {
        let command = try RunningCommand([Host.busybox, "sleep", "100"], token: bundle.token)
        try group.add(command.pid)
        return command
    }

    @Test("a cgroup is made once, found by its path, and gone after its removal")
    func life() throws {
        try use { bundle, group throws in
            #expect(group.paths.allSatisfy { exists($0.string) } && !group.paths.isEmpty)
            let path = "/\(bundle.token)-group"
            let twice = #expect(throws: ContainerError.self) { try ControlGroup.create(path) }
            #expect(twice?.code == .alreadyExists)
            #expect(group.paths.allSatisfy { exists($0.string) })
            let found = try ControlGroup.open(path)
            #expect(found.paths == group.paths)
            try found.remove()
            #expect(group.paths.allSatisfy { !exists($0.string) })
            // Removing it again is no error; nothing else can be done with it.
            try group.remove()
            let gone = #expect(throws: ContainerError.self) { try group.processes() }
            #expect(gone?.code == .unavailable)
            let missing = #expect(throws: ContainerError.self) { try ControlGroup.open(path) }
            #expect(missing?.code == .notFound)
            for name in ["", "/", "/../..", "a\0b"] {
                let wrong = #expect(throws: ContainerError.self) { try ControlGroup.create(name) }
                #expect(wrong?.code == .invalidArgument, "\(name.debugDescription)")
            }
        }
    }

    @Test("processes of a cgroup are listed, frozen, thawed, signalled and killed together")
    func processes() throws {
        try use { bundle, group throws in
            let first = try sleeper(bundle, in: group)
            let inner = try group.makeChild("inner")
            let second = try sleeper(bundle, in: inner)
            let found = try group.processes()
            #expect(found == [Int(first.pid), Int(second.pid)].sorted())
            #expect(try inner.processes() == [Int(second.pid)])
            #expect(try !group.isFrozen)
            try group.freeze()
            #expect(try group.isFrozen)
            try group.thaw()
            #expect(try !group.isFrozen)
            if group.paths.contains(where: { exists("\($0)/pids.current") }) {
                #expect(try group.statistics().pids.current == 2)
            }
            try inner.kill(.terminate)
            #expect(try second.wait().status == 128 + SIGTERM)
            // KILL also ends what is frozen.
            try group.freeze()
            try group.kill()
            #expect(try first.wait().status == 128 + SIGKILL)
            #expect(try group.processes() == [])
            for pid in [Int32(0), -1] {
                #expect(throws: ContainerError.self) { try group.add(pid) }
            }
        }
    }

    @Test("removing a cgroup also removes those below it, but not under living processes")
    func removal() throws {
        try use { bundle, group throws in
            let inner = try group.makeChild("a/b")
            let found = try group.child("a/b")
            #expect(found.paths == inner.paths)
            let command = try sleeper(bundle, in: inner)
            let refusal = #expect(throws: ContainerError.self) { try group.remove() }
            #expect(refusal?.code == .cgroup)
            #expect(inner.paths.contains { exists($0.string) })
            try group.kill()
            _ = try command.wait()
            try group.remove()
            #expect(group.paths.allSatisfy { !exists($0.string) })
            for name in ["", ".", "../x"] {
                #expect(throws: ContainerError.self) { try group.makeChild(name) }
            }
        }
    }

    @Test(
        "limits are set, changed and enforced, and a refused one makes no cgroup",
        .enabled(if: hasPids, "needs the controller pids"))
    func limits() throws {
        try use { bundle, group throws in
            let inner = try group.makeChild("inner", limits: Resources(pids: .init(limit: 30)))
            let file = try #require(
                inner.paths.map { "\($0)/pids.max" }.first { exists($0) })
            #expect(try readText(file).trimmed == "30")
            try inner.setLimits(Resources(pids: .init(limit: 1)))
            #expect(try readText(file).trimmed == "1")
            let go = "\(bundle.directory)/go"
            let command = try RunningCommand(
                [Host.busybox, "sh", "-c", "until test -e \(go); do :; done; (true); exit 0"],
                token: bundle.token)
            try inner.add(command.pid)
            #expect(try inner.statistics().pids.limit == 1)
            try writeText("", to: go)
            let done = try command.wait()
            #expect(done.status != 0 && done.error.contains("fork"), "\(done)")
            let wrong = #expect(throws: ContainerError.self) {
                try inner.setLimits(Resources(cpu: .init(cpus: "x")))
            }
            #expect(wrong?.field?.hasPrefix("linux.resources.cpu") == true, "\(wrong as Any)")
            #expect(throws: ContainerError.self) {
                try group.makeChild("other", limits: Resources(cpu: .init(cpus: "9999")))
            }
            #expect(throws: ContainerError.self) { try group.child("other") }
        }
    }
}
