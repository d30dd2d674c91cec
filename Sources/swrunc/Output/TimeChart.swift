// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// Where the time of a launch went, as text: a line for each step, on one axis for the runtime and
/// init.
struct TimeChart {
    private static let gap = "  "

    let title: String
    /// When the call began, in nanoseconds since 1970.
    let start: Int
    /// When it ended.
    let end: Int
    /// Whether it failed.
    var hasFailed = false
    /// The steps, by the time at which they began.
    let spans: [LaunchTrace.Span]
    /// The number of characters of a line; a longer step is cut, nil cuts none.
    let width: Int?
    let style: TerminalStyle

    /// The width of the axis, in characters; a narrow terminal has none.
    private var axisWidth: Int {
        guard let width else { return 30 }
        return width >= 90 ? 30 : width >= 60 ? 16 : 0
    }

    var text: String {
        let rows = rows
        let total = max(end &- start, 1)
        let times = rows.map { Self.milliseconds(duration($0)) }
        let timeWidth = times.reduce(2) { max($0, $1.utf8.count) }
        let works = rows.indices.filter { !rows[$0].step.utf8.starts(with: "wait ".utf8) }
        let longest = Set(
            works.sorted { duration(rows[$0]) > duration(rows[$1]) }.prefix(3))
        let whole = Self.milliseconds(total)
        let axis = axisWidth == 0 ? "" : "0" + Self.right(whole, axisWidth - 1) + Self.gap
        let outcome = hasFailed ? ", FAILED" : ""
        var lines = [
            style.apply(.bold, to: cut("\(Printable.text(title)): \(whole) ms\(outcome)")),
            cut(Self.right("ms", timeWidth) + Self.gap + axis + "in       step"),
        ]
        if rows.isEmpty { lines.removeLast() }
        for (index, row) in rows.enumerated() {
            let place = row.place == .runtime ? "runtime" : "init   "
            var step = Printable.text(row.step)
            if let field = row.field { step += " (\(Printable.text(field)))" }
            if row.hasFailed { step = "FAILED: " + step }
            let bar = axisWidth == 0 ? "" : bar(row, of: total) + Self.gap
            let line = cut(
                Self.right(times[index], timeWidth) + Self.gap + bar + place + Self.gap + step)
            let isLong = longest.contains(index) && duration(row) > total / 10
            if row.hasFailed {
                lines.append(style.apply(.red, to: line))
            } else {
                lines.append(isLong ? style.apply(.bold, to: line) : line)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The steps, of which equal ones that follow each other are one.
    private var rows: [LaunchTrace.Span] {
        var rows: [LaunchTrace.Span] = []
        for span in spans {
            guard let last = rows.last, last.place == span.place, last.step == span.step,
                last.field == span.field, !last.hasFailed
            else {
                rows.append(span)
                continue
            }
            rows[rows.count - 1].end = max(last.end, span.end)
            rows[rows.count - 1].hasFailed = span.hasFailed
        }
        return rows
    }

    /// Wrong but no error if a clock was set further than the numbers reach.
    private func duration(_ span: LaunchTrace.Span) -> Int { span.end &- span.start }

    private func cut(_ line: String) -> String {
        guard let width else { return line }
        return String(String.UnicodeScalarView(line.unicodeScalars.prefix(width)))
    }

    /// The part of the axis that the span takes; one too short for a character is a point.
    private func bar(_ span: LaunchTrace.Span, of total: Int) -> String {
        func place(_ time: Int) -> Double {
            let share = Double(time &- start) / Double(total)
            return min(max(share, 0), 1) * Double(axisWidth)
        }
        let (from, to) = (place(span.start), place(span.end))
        let first = min(Int(from), axisWidth - 1)
        let count = min(max(1, Int(to.rounded()) - first), axisWidth - first)
        let mark = to - from < 0.5 ? "." : "#"
        return String(repeating: " ", count: first) + String(repeating: mark, count: count)
            + String(repeating: " ", count: axisWidth - first - count)
    }

    /// A time with two decimals.
    private static func milliseconds(_ nanoseconds: Int) -> String {
        let hundredths = nanoseconds / 10_000 + (nanoseconds % 10_000 < 5000 ? 0 : 1)
        let rest = String(hundredths % 100)
        return "\(hundredths / 100)." + (rest.utf8.count == 1 ? "0" : "") + rest
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
