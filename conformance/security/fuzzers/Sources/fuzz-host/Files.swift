// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import ContainerKit

extension Target {
    /// A compiled filter from the cache, and the page with a child's progress: the first byte chooses.
    static let files = Target("files") { bytes in
        guard let choice = bytes.first else { return }
        let contents = Array(bytes.dropFirst())
        switch choice {
        case UInt8(ascii: "s"):
            let key = Array("key".utf8)
            guard let filter = SeccompCache.filter(in: contents, for: key) else { return }
            expect(filter.instructionCount > 0, "a filter without an instruction")
            let again = SeccompCache.filter(in: SeccompCache.entry(filter, key), for: key)
            expect(again == filter, "a filter differs after it was stored")
        case UInt8(ascii: "p"): checkPage(contents)
        default: break
        }
    }
}

/// A page has a fixed size: the input is its beginning, and the beginning of the notes.
private func checkPage(_ contents: [UInt8]) {
    let half = ProgressPage.sizeBytes / 2
    let parts = contents.split(separator: UInt8(ascii: "\n"), maxSplits: 1)
    var page = [UInt8](repeating: 0, count: 2 * half)
    for (index, part) in parts.enumerated() {
        let part = part.prefix(half)
        page.replaceSubrange((index * half)..<(index * half + part.count), with: part)
    }
    for bytes in [contents, Array(page.prefix(half)), page] {
        if let (index, _) = ProgressPage.read(bytes) {
            expect(index == Int(Int32(truncatingIfNeeded: index)), "an index of 64 bits")
        }
        if let (pid, _) = ProgressPage.process(bytes) { expect(pid > 0, "process \(pid)") }
        if let (stone, creator) = ProgressPage.creation(bytes) {
            expect(stone > 0 && creator > 0, "processes \(stone) and \(creator)")
        }
        for mark in [-1, 0, 1, 7, Int.max] { _ = ProgressPage.time(ofMark: mark, bytes) }
        for moment in [ProgressPage.Moment.reported, .ordered] {
            _ = ProgressPage.time(of: moment, bytes)?.description
        }
    }
}
