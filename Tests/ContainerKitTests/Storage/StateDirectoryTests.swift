// SPDX-License-Identifier: Apache-2.0

import Foundation
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The state directory")
struct StateDirectoryTests {
    private let store: TemporaryDirectory

    init() throws {
        store = try TemporaryDirectory()
    }

    @Test("an id is taken once")
    func exclusive() throws {
        let first = try StateDirectory.make("c", in: store.path)
        let error = #expect(throws: ContainerError.self) {
            _ = try StateDirectory.make("c", in: store.path)
        }
        #expect(error?.code == .alreadyExists)
        try first.remove()
        try StateDirectory.make("c", in: store.path).remove()
    }

    @Test("removing a deleted container leaves the directory of the next one of its id")
    func removesOnlyItsOwn() throws {
        let old = try StateDirectory.make("c", in: store.path)
        #expect(rmdir(old.path) == 0)
        let new = try StateDirectory.make("c", in: store.path)
        try old.remove()
        let isCurrent = new.isCurrent
        #expect(isCurrent)
        try new.remove()
        #expect(access(new.path, F_OK) != 0)
    }

    @Test("a new directory is the one of its name, whoever deletes meanwhile")
    func concurrentDeletes() async throws {
        let path = store.path
        let made = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var made = 0
                    for _ in 0..<500 {
                        do throws(ContainerError) {
                            let state = try StateDirectory.make("c", in: path)
                            let isCurrent = state.isCurrent
                            #expect(isCurrent)
                            made += 1
                            try state.remove()
                        } catch {
                            #expect(error.code == .alreadyExists, "\(error)")
                        }
                    }
                    return made
                }
            }
            group.addTask {
                for _ in 0..<1000 {
                    guard let state = try StateDirectory.open("c", in: path) else { continue }
                    try state.lock()
                    if state.isCurrent { try state.remove() }
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        #expect(made > 0)
    }

    // MARK: Records

    private static let cgroups = """
        "cgroups": {"mode": "\(CgroupHierarchies.Mode.unified.rawValue)", "unifiedControllers": [], "directories":
        [{"controllers": [], "mountPoint": "/sys/fs/cgroup", "cgroup": "/c"}]}
        """

    @Test(
        "of a record that cannot be read, init and cgroup are taken where they are there",
        arguments: [
            (#"{"version": 2, "pid": 7, "startTime": 9, \#(cgroups)}"#, 7, 1),
            (#"{"pid": 7, "startTime": 9}"#, 7, 0),
            (#"{"pid": 7, \#(cgroups)}"#, 0, 1),
            (#"{"pid": -1, "startTime": 9, \#(cgroups)}"#, 0, 1),
        ] as [(String, Int32, Int)])
    func salvaged(_ json: String, _ pid: Int32, _ directories: Int) throws {
        let value = try JSONValue(json: Array(json.utf8))
        #expect(ContainerRecord(value) == nil)
        let record = try #require(ContainerRecord(salvaging: value, id: "c"))
        #expect(record.pid == pid)
        #expect(record.cgroups.directories.count == directories)
        #expect(try directories > 0 || Cgroup(record.cgroups).isEmpty)
    }

    @Test("a record with neither tells nothing", arguments: ["{}", "[]", #"{"pid": 7}"#])
    func nothingToSalvage(_ json: String) throws {
        let value = try JSONValue(json: Array(json.utf8))
        #expect(ContainerRecord(salvaging: value, id: "c") == nil)
    }
}
