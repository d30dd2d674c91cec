// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// The place in the progress page where init notes the time at which a step begins.
///
/// A mark is a `struct timespec` of the clock that both processes read alike: CLOCK_REALTIME,
/// because a time namespace shifts all others.
package enum TimeMark {
    /// The offset of the first mark, behind all else that a child writes.
    package static let firstOffset = 1024
    /// The size of a mark.
    package static let sizeBytes = 16
    /// The most marks that fit into the smallest page.
    package static let limit = (4096 - firstOffset) / sizeBytes

    /// The offset of a mark.
    package static func offset(_ number: Int) -> Int { firstOffset + number * sizeBytes }

    /// Whether a call may write a mark at this offset of the page.
    static func isPlace(_ offset: Int) -> Bool {
        offset >= firstOffset && offset < self.offset(limit)
            && (offset - firstOffset) % sizeBytes == 0
    }

    /// The steps that get a mark, by index: all of them if they fit, else one of two, or three.
    ///
    /// No step behind a filter gets one: the filter is made for the config's program, and may
    /// refuse the call.
    static func steps(of steps: [InitStep]) -> [Int] {
        let filter = steps.firstIndex { if case .filter = $0 { true } else { false } }
        let count = filter.map { $0 + 1 } ?? steps.count
        let distance = (count + limit - 1) / limit
        return count == 0 ? [] : Array(stride(from: 0, to: count, by: distance))
    }
}

extension Assembler {
    /// Notes the time in a mark; where a filter of the runtime's own refuses that, the mark stays
    /// empty.
    mutating func noteTime(_ number: Int) {
        call(
            .clockGetTime, [.named(ClockKind.wall), .progress(TimeMark.offset(number))],
            ignoring: [.notPermitted, .permissionDenied, .noFunction, .invalidArgument])
    }
}

extension SystemCall {
    fileprivate static var clockGetTime: SystemCall {
        SystemCall("clock_gettime", __NR_clock_gettime)
    }
}
#endif
