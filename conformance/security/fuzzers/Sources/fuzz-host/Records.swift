// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import ContainerKit
@testable import RuntimeSpec

extension Target {
    /// The record of a container, the notes of a checkpoint, statistics as JSON.
    static let record = Target("record", treeShare: 3) { bytes in
        _ = ContainerRecord(stateOf: bytes)
        guard let value = try? JSONValue(json: bytes) else { return }
        var salvaged = ContainerRecord(salvaged: "box")
        salvaged.salvage(value)
        // Where a number is a text, what is no number is written as none.
        if let record = ContainerRecord(value) {
            checkRoundTrip(record, "ContainerRecord", \.json) { ContainerRecord($0) }
            checkState(of: record)
            _ = (record.followsNoPlan, record.hasProgram, record.choices.map(CallerChoices.init))
            let page = [UInt8](repeating: 1, count: ProgressPage.sizeBytes)
            _ = record.timedSteps.begun { ProgressPage.time(ofMark: $0, page) }
        }
        if let notes = CheckpointNotes(value) {
            checkRoundTrip(notes, "CheckpointNotes", \.json) { CheckpointNotes($0) }
        }
        if let choices = CallerChoices(value) {
            let json = choices.json
            checkText(of: json)
            expect(
                CallerChoices(json)?.json.encoded() == json.encoded(),
                "CallerChoices: the encoding differs after decoding")
        }
        do throws(SpecDecodingError) {
            let statistics = try Statistics(encoded: value)
            checkRoundTrip(statistics, "Statistics", \.encoded) { try Statistics(encoded: $0) }
        } catch {
            check(error, in: bytes, of: "Statistics")
        }
    }
}

/// What is read of a record for the state alone is the same as the whole.
private func checkState(of record: ContainerRecord) {
    let freezer = record.cgroups.ofFreezer
    guard let state = ContainerRecord(stateOf: record.json.encoded()) else {
        return expect(!record.isComplete || freezer == nil, "the state of a record is not read")
    }
    expect(
        state.id == record.id && state.pid == record.pid && state.startTime == record.startTime
            && state.bundle == record.bundle && state.annotations == record.annotations
            && state.hooks == record.hooks && state.rootMount == record.rootMount,
        "the state of a record differs from the record")
    expect(state.cgroups == freezer, "the freezer of a record differs from its cgroups")
}
