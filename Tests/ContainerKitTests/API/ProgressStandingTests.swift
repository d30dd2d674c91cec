// SPDX-License-Identifier: Apache-2.0

import InitProgram
import Testing

@testable import ContainerKit

@Suite("How far init has come")
struct ProgressStandingTests {
    /// A complete record whose init waits for start at 5, and executes its program at 7 or 8.
    private func record(hasPidNamespace: Bool) -> ContainerRecord {
        var record = ContainerRecord(
            id: "c", ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: .empty)
        record.isComplete = true
        record.hasPidNamespace = hasPidNamespace
        record.startWaitIndex = 5
        record.lastInstructions = [(5, "ppoll"), (6, "close"), (7, "execve"), (8, "execve")]
            .map { index, call in
                RecordedInstruction(
                    index: index, origin: "process.args", theme: nil, call: call, arguments: "",
                    note: "")
            }
        return record
    }

    /// Init may have been executed itself: where it needs no further clone into namespaces.
    @Test(
        "an init without a pid namespace that has executed something runs if it was at its program",
        arguments: [
            (3, ContainerProgress.Standing.preparing), (5, .waiting), (6, .starting),
            (7, .running), (8, .running),
        ])
    func withoutNamespace(_ index: Int, _ expected: ContainerProgress.Standing) {
        let found = ContainerProgress.standing(
            record(hasPidNamespace: false), (index, 0), .executed)
        #expect(found == expected)
    }

    @Test("an init of a pid namespace that has executed something runs, whatever its page shows")
    func withNamespace() {
        let record = record(hasPidNamespace: true)
        #expect(ContainerProgress.standing(record, (5, 0), .executed) == .running)
        #expect(ContainerProgress.standing(record, nil, .executed) == .running)
        #expect(ContainerProgress.standing(record, (5, 0), .preparing) == .waiting)
    }

    @Test("an init that lives and whose page is missing runs if it has executed something")
    func withoutPage() {
        let record = record(hasPidNamespace: false)
        #expect(ContainerProgress.standing(record, nil, .executed) == .running)
        #expect(ContainerProgress.standing(record, nil, .preparing) == .unknown)
    }
}
