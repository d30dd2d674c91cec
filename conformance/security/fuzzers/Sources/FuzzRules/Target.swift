// SPDX-License-Identifier: Apache-2.0

import CMemory
import Glibc

/// Something that reads bytes.
package struct Target: Sendable {
    package var name: String
    /// How many of four changes are changes of a document's tree; the others are of its bytes.
    package var treeShare: UInt32
    package var run: @Sendable ([UInt8]) -> Void

    package init(
        _ name: String, treeShare: UInt32 = 0, _ run: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.name = name
        self.treeShare = treeShare
        self.run = run
    }

    /// The target that the environment names.
    package static func chosen(of targets: [Target]) -> Target {
        let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = targets.first(where: { $0.name == name }) else {
            let names = targets.map(\.name).joined(separator: ", ")
            fatalError("FUZZ_TARGET is \"\(name)\", not one of \(names)")
        }
        return target
    }
}

/// Runs inputs, and compares what they cost with the limits.
package struct Watch: Sendable {
    private let target: Target
    private var count = 0

    /// The CPU time that one input may take, also in a debug build and on busy machines.
    private static let longestSeconds = 2.0
    /// What the peak of memory may grow by for one input.
    private static let mostKilobytes = 128 << 10
    /// Every so many inputs, one is run again and again, to see whether memory is lost.
    private static let leakInterval = 64
    private static let leakRounds = 8

    package init(_ target: Target) {
        self.target = target
    }

    package mutating func run(_ start: UnsafePointer<UInt8>?, _ size: Int) {
        let bytes = Array(UnsafeBufferPointer(start: start, count: size))
        let (memory, time) = (peak_kilobytes(), Self.seconds)
        target.run(bytes)
        let taken = Self.seconds - time
        expect(taken < Self.longestSeconds, "\(size) bytes took \(taken) seconds")
        let grown = peak_kilobytes() - memory
        expect(grown < Self.mostKilobytes, "\(size) bytes took \(grown) kilobytes of memory")
        // The first input is among them, so that a replay looks too.
        if count % Self.leakInterval == 0 { checkLeak(bytes) }
        count += 1
    }

    /// Memory in use is the same before and after a run, once everything is there that is made once.
    private func checkLeak(_ bytes: [UInt8]) {
        var last = bytes_in_use()
        var least = Int.max
        for _ in 0..<Self.leakRounds {
            target.run(bytes)
            let now = bytes_in_use()
            least = min(least, now - last)
            guard least > 0 else { return }
            last = now
        }
        fail("each run loses \(least) bytes of memory or more")
    }

    private static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
