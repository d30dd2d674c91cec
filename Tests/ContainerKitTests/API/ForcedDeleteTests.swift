// SPDX-License-Identifier: Apache-2.0

import Foundation
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// `delete --force` of what an interrupted create or another version left.
@Suite("A forced delete", .serialized, .enabled(if: geteuid() == 0, "needs root"))
struct ForcedDeleteTests {
    private let directory: TemporaryDirectory
    private let container: Container
    private let cgroup: Cgroup
    private let sleeper = Process()

    init() throws {
        directory = try TemporaryDirectory()
        let id = "swrunc-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let store = ContainerStore(at: FilePath(directory.path))
        container = Container(id: id, store: store)
        let host = try CgroupHierarchies.discover()
        cgroup = try Cgroup.create(
            try CgroupPlan(cgroupsPath: "/\(id)", id: id, resources: nil, host: host))
        sleeper.executableURL = URL(fileURLWithPath: "/bin/sleep")
        sleeper.arguments = ["60"]
        try sleeper.run()
    }

    private func cleanUp() {
        try? cgroup.killAll()
        // Not TERM: the threads of a task pool block it, and children inherit that.
        kill(sleeper.processIdentifier, SIGKILL)
        sleeper.waitUntilExit()
        try? cgroup.remove()
    }

    private var record: ContainerRecord {
        ContainerRecord(
            id: container.id, ociVersion: "1.3.0", bundle: "/b", rootfs: "/b/rootfs",
            created: "2026-01-01T00:00:00Z", annotations: [:], cgroups: cgroup.layout)
    }

    private func write(_ json: JSONValue) throws {
        let state = try StateDirectory.make(container.id, in: directory.path)
        let path = "\(state.path)/\(StateDirectory.recordName)"
        try Data(json.encoded()).write(to: URL(fileURLWithPath: path))
    }

    private var stateIsGone: Bool { access("\(directory.path)/\(container.id)", F_OK) != 0 }

    @Test("a forced delete ends the init and the cgroup of a record of a later version")
    func laterVersion() throws {
        defer { cleanUp() }
        var record = record
        record.isComplete = true
        record.pid = sleeper.processIdentifier
        record.startTime = try #require(try startTime(of: record.pid))
        guard case .object(let object) = record.json else { return }
        var later: JSONObject = ["version": .integer(1000)]
        for member in object.members where member.key != "version" && member.key != "bundle" {
            later.append(member.key, member.value)
        }
        try write(.object(later))
        try container.delete(force: true)
        sleeper.waitUntilExit()
        #expect(sleeper.terminationReason == .uncaughtSignal)
        #expect(!cgroup.exists)
        #expect(stateIsGone)
    }

    @Test("a forced delete of a creation that started no init spares the processes in its cgroup")
    func foreignCgroup() throws {
        defer { cleanUp() }
        try cgroup.attach(Int(sleeper.processIdentifier))
        try write(record.json)
        try container.delete(force: true)
        #expect(stateIsGone)
        #expect(try cgroup.processes() == [Int(sleeper.processIdentifier)])
    }

    @Test("a forced delete of a creation that was starting init kills the processes in its cgroup")
    func ownCgroup() throws {
        defer { cleanUp() }
        try cgroup.attach(Int(sleeper.processIdentifier))
        try write(record.json)
        let path = "\(directory.path)/\(container.id)/\(StateDirectory.progressName)"
        try Data().write(to: URL(fileURLWithPath: path))
        try container.delete(force: true)
        #expect(stateIsGone)
        #expect(!cgroup.exists)
    }
}
