// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// A caller's limit for the time that a call may take in all, from the moment this is made.
struct TimeLimit: Sendable, CustomStringConvertible {
    /// When the time is over.
    let deadline: Deadline
    private let length: Duration

    init(_ length: Duration) {
        self.length = length
        deadline = Deadline(length)
    }

    /// Whether the time is over.
    var isOver: Bool { deadline.remainingMilliseconds == 0 }

    /// The length, such as `2s` or `500ms`.
    var description: String {
        let (seconds, attoseconds) = length.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "\(seconds)s" }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? "\(seconds)s" : "\(whole + milliseconds)ms"
    }
}
#endif
