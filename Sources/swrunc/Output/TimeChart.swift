// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// Where the time of a launch went, as text: a line for each step, on one axis for the runtime and
/// init.
struct TimeChart {
    /// The width of the axis, in characters.
    private static let axisWidth = 30
    private static let gap = "  "

    let title: String
    /// When the call began, in nanoseconds since 1970.
    let start: Int
    /// When it ended.
    let end: Int
    /// The steps, by the time at which they began.
    let spans: [LaunchTrace.Span]
    /// The number of characters of a line; a longer step is cut, nil cuts none.
    let width: Int?
    let style: TerminalStyle

    var text: String {
        let total = max(end - start, 1)
        let times = spans.map { Self.milliseconds($0.end - $0.start) }
        let timeWidth = times.reduce(2) { max($0, $1.utf8.count) }
        let longest = Set(
            spans.indices.sorted { duration(spans[$0]) > duration(spans[$1]) }.prefix(3))
        let axis = "0" + Self.right(Self.milliseconds(total), Self.axisWidth - 1)
        var lines = [
            style.apply(.bold, to: "\(title): \(Self.milliseconds(total)) ms"),
            Self.right("ms", timeWidth) + Self.gap + axis + Self.gap + "in       step",
        ]
        for (index, span) in spans.enumerated() {
            let place = span.place == .runtime ? "runtime" : "init   "
            var step = Printable.text(span.step)
            if let field = span.field { step += " (\(Printable.text(field)))" }
            if span.hasFailed { step = "FAILED: " + step }
            let line =
                Self.right(times[index], timeWidth) + Self.gap + bar(span, of: total) + Self.gap
                + place + Self.gap + step
            let cut = width.map { String(line.unicodeScalars.prefix($0)) } ?? line
            let isLong = longest.contains(index) && duration(span) * 10 > total
            if span.hasFailed {
                lines.append(style.apply(.red, to: cut))
            } else {
                lines.append(isLong ? style.apply(.bold, to: cut) : cut)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func duration(_ span: LaunchTrace.Span) -> Int { span.end - span.start }

    /// The part of the axis that the span takes; one too short for a character is a point.
    private func bar(_ span: LaunchTrace.Span, of total: Int) -> String {
        func place(_ time: Int) -> Double {
            let share = Double(time - start) / Double(total)
            return min(max(share, 0), 1) * Double(Self.axisWidth)
        }
        let (from, to) = (place(span.start), place(span.end))
        let first = min(Int(from), Self.axisWidth - 1)
        let count = min(max(1, Int(to.rounded()) - first), Self.axisWidth - first)
        let mark = to - from < 0.5 ? "." : "#"
        return String(repeating: " ", count: first) + String(repeating: mark, count: count)
            + String(repeating: " ", count: Self.axisWidth - first - count)
    }

    /// A time with two decimals.
    private static func milliseconds(_ nanoseconds: Int) -> String {
        let hundredths = (nanoseconds + 5000) / 10_000
        let rest = String(hundredths % 100)
        return "\(hundredths / 100)." + (rest.utf8.count == 1 ? "0" : "") + rest
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
