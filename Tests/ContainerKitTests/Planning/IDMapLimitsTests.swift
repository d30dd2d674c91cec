// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Limits of id maps")
struct IDMapLimitsTests {
    /// Ranges of one ID each.
    private func ranges(_ count: Int, from first: UInt32) -> [IDRange] {
        (0..<count).map { IDRange(inside: first + UInt32($0), outside: first, count: 1) }
    }

    private func check(_ maps: IDMaps, pageBytes: Int = 4096) throws(SpecError) {
        let step = ParentStep.userNamespace(.writeIDMaps(maps, by: .runtime))
        try IDMapLimits(pageBytes: pageBytes).check([
            PlannedParentStep("linux.uidMappings", step)
        ])
    }

    @Test("an ID mapping has at most 340 ranges, for users and for groups")
    func count() throws {
        let most = ranges(340, from: 100)
        try check(IDMaps(users: most, groups: most))
        let users = #expect(throws: SpecError.self) {
            try check(IDMaps(users: ranges(341, from: 100), groups: most))
        }
        #expect(users?.path == "linux.uidMappings")
        let groups = #expect(throws: SpecError.self) {
            try check(IDMaps(users: most, groups: ranges(341, from: 100)))
        }
        #expect(groups?.path == "linux.gidMappings")
    }

    @Test("the text of an ID mapping is shorter than a page, whatever the machine's page size")
    func text() throws {
        // "1000000000 1000000000 1\n"
        let line = 24
        let longest = IDMaps(users: ranges(4095 / line, from: 1_000_000_000), groups: [])
        try check(longest)
        let error = #expect(throws: SpecError.self) {
            try check(IDMaps(users: ranges(4096 / line + 1, from: 1_000_000_000), groups: []))
        }
        #expect(error?.path == "linux.uidMappings")
        #expect(error?.message.contains("4104 bytes") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("page (4096 bytes)") == true)
        try check(IDMaps(users: ranges(340, from: 1_000_000_000), groups: []), pageBytes: 65536)
    }

    @Test("the ID mapping of a mount has the same limits, reported with its own field")
    func mount() {
        let maps = IDMaps(users: [], groups: ranges(341, from: 0))
        let bind = BindMount(
            index: 3, source: "/a", recursive: false, changes: [],
            idMap: MountIDMap(maps, recursive: false), destination: "/a")
        let step = PlannedParentStep("mounts[3]", .mount(.bind(bind)))
        let error = #expect(throws: SpecError.self) {
            try IDMapLimits(pageBytes: 4096).check([step])
        }
        #expect(error?.path == "mounts[3].gidMappings")
    }
}
