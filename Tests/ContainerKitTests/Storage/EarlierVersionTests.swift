// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import RuntimeSpec
import Testing

@testable import ContainerKit

/// The files that an earlier version left for the commands of this one.
///
/// `conformance/upgrade` does the same with live containers.
@Suite("Containers of version 0.1")
struct EarlierVersionTests {
    /// A record as version 0.1 wrote it, and what it must tell.
    struct Kept: Sendable, CustomTestStringConvertible {
        let name: String
        var isPausedBeforeStart = false
        var hasPidNamespace = true
        var poststopHooks = 1
        var waitsAt = 596

        var testDescription: String { name }

        var json: [UInt8] {
            get throws {
                let root = URL(filePath: #filePath).deletingLastPathComponent()
                    .deletingLastPathComponent().deletingLastPathComponent()
                    .deletingLastPathComponent()
                var bytes = [UInt8](
                    try Data(contentsOf: root.appending(path: "spec-fixtures/records-0.1/\(name)")))
                if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
                return bytes
            }
        }
    }

    private static let records = [
        Kept(name: "created.json"), Kept(name: "running.json"),
        Kept(name: "paused.json", isPausedBeforeStart: true),
        Kept(name: "ran.json", waitsAt: 591),
        Kept(name: "shared.json", hasPidNamespace: false, poststopHooks: 0, waitsAt: 337),
    ]

    @Test("a record of version 0.1 tells its init, cgroups and hooks", arguments: records)
    func record(_ kept: Kept) throws {
        let record = try #require(try ContainerRecord(JSONValue(json: kept.json)))
        #expect(record.id + ".json" == kept.name && record.isComplete && record.hasProgram)
        #expect(record.pid > 1 && record.startTime > 0 && !record.followsNoPlan)
        #expect(record.isPausedBeforeStart == kept.isPausedBeforeStart)
        #expect(record.hasPidNamespace == kept.hasPidNamespace)
        #expect(record.hooks?.poststop?.count ?? 0 == kept.poststopHooks)
        #expect(record.startWaitIndex == kept.waitsAt)
        let paths = Set(record.cgroups.directories.map(\.cgroup))
        #expect(record.cgroups.directories.count == 10 && paths == ["/\(record.id)"])
    }

    @Test(
        "a record is written back as version 0.1 wrote it, with members that 0.1 ignores",
        arguments: records)
    func writtenBack(_ kept: Kept) throws {
        let bytes = try kept.json
        let record = try #require(try ContainerRecord(JSONValue(json: bytes)))
        #expect(record.json.asInFirstVersion.encoded() == bytes)
    }

    @Test("a start leaves the progress page of version 0.1 as it is: it has no room for notes")
    func page() throws {
        let store = try TemporaryDirectory()
        let state = try StateDirectory.make("c", in: store.path)
        var page = [UInt8](repeating: 0, count: Int(getauxval(UInt(AT_PAGESZ))))
        page[0] = 7
        let path = "\(state.path)/\(StateDirectory.progressName)"
        try Data(page).write(to: URL(filePath: path))
        state.noteOrder()
        #expect(try [UInt8](Data(contentsOf: URL(filePath: path))) == page)
        let index = try state.readProgress()?.index
        #expect(index == 7)
        try FileManager.default.removeItem(atPath: path)
        try state.remove()
    }
}

extension JSONValue {
    /// The record without what later versions have added.
    var asInFirstVersion: JSONValue {
        guard case .object(let object) = self else { return self }
        var kept = JSONObject()
        for member in object.members where member.key != "freezer" {
            kept.append(member.key, member.value)
        }
        return .object(kept)
    }
}
