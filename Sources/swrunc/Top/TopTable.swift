// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

/// The table of top: a header and a row for each container, with `-` for what is unknown.
struct TopTable {
    private static let titles = [
        "ID", "STATUS", "CPU%", "MEM", "LIMIT", "MEM%", "READ/S", "WRITE/S", "PIDS", "CPU-P",
        "MEM-P", "IO-P",
    ]
    /// IDs are not cut shorter than this; the columns at the right are cut instead.
    private static let leastIDWidth = 12
    /// Memory in use beyond this share of the limit is marked.
    private static let alarmingMemoryPercent = 90.0

    let usages: [ContainerUsage]

    /// The table as lines without newlines, the header first.
    ///
    /// - Parameters:
    ///   - width: the columns of the terminal, beyond which lines are cut; nil if nothing is cut.
    ///   - style: how text is emphasised.
    /// - Returns: the lines.
    func lines(width: Int? = nil, _ style: TerminalStyle = .plain) -> [String] {
        var rows = usages.map(Self.cells)
        var widths = Self.titles.indices.map { column in
            rows.reduce(Self.titles[column].utf8.count) { max($0, $1[column].unicodeScalars.count) }
        }
        if let width {
            let others = widths.dropFirst().reduce(0) { $0 + 1 + $1 }
            widths[0] = min(widths[0], max(Self.leastIDWidth, width - others))
            for index in rows.indices { rows[index][0] = Self.cut(rows[index][0], to: widths[0]) }
        }
        var header = Self.line(Self.titles.map { ($0, nil) }, widths, limit: width, style)
        header = style.apply(.bold, to: header)
        return [header]
            + zip(rows, usages).map { cells, usage in
                let marked = cells.indices.map { column in
                    (cells[column], Self.emphasis(of: Self.titles[column], in: usage))
                }
                return Self.line(marked, widths, limit: width, style)
            }
    }

    private static func cells(_ usage: ContainerUsage) -> [String] {
        let values = usage.usage
        return [
            // IDs have no control characters; a terminal must not depend on that.
            Printable.text(usage.id), usage.status.rawValue, percent(usage.cpuPercent),
            size(values.memoryBytes.map { Double($0) }),
            size(values.memoryLimitBytes.map { Double($0) }), percent(values.memoryPercent),
            size(usage.readBytesPerSecond), size(usage.writtenBytesPerSecond),
            values.pids.map { "\($0)" } ?? unknown, percent(values.cpuPressure),
            percent(values.memoryPressure), percent(values.ioPressure),
        ]
    }

    private static func emphasis(of title: String, in usage: ContainerUsage)
        -> TerminalStyle.Emphasis?
    {
        switch title {
        case "STATUS": usage.status == .running ? nil : .dim
        case "MEM%":
            (usage.usage.memoryPercent ?? 0) > alarmingMemoryPercent ? .red : nil
        default: nil
        }
    }

    /// One line: ID and status at the left of their columns, numbers at the right.
    private static func line(
        _ cells: [(text: String, emphasis: TerminalStyle.Emphasis?)], _ widths: [Int],
        limit: Int?, _ style: TerminalStyle
    ) -> String {
        var line = ""
        var room = limit ?? Int.max
        for (column, cell) in cells.enumerated() {
            let gap = column == 0 ? 0 : 1
            let count = cell.text.unicodeScalars.count
            let padding = String(repeating: " ", count: max(0, widths[column] - count))
            let isText = column < 2
            // A number that is cut would be another number.
            guard room >= gap + (isText ? min(count, 1) : widths[column]) else { break }
            room -= gap
            let text = cut(cell.text, to: room)
            line += String(repeating: " ", count: gap)
            if !isText { line += padding }
            line += cell.emphasis.map { style.apply($0, to: text) } ?? text
            if isText, column < cells.count - 1 {
                line += String(padding.prefix(room - min(room, count)))
            }
            room -= min(room, widths[column])
        }
        return line
    }
}

// MARK: - Cells

extension TopTable {
    static let unknown = "-"

    /// The text, which ends with `+` if it was longer.
    static func cut(_ text: String, to width: Int) -> String {
        guard text.unicodeScalars.count > width else { return text }
        guard width > 0 else { return "" }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(width - 1))) + "+"
    }

    /// A share with one digit after the point: `12.3`.
    static func percent(_ share: Double?) -> String {
        guard let share, share >= 0, share < 1e9 else { return unknown }
        let tenths = Int((share * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// A number of bytes in units of 1024: `512B`, `1.5K`, `128M`.
    static func size(_ bytes: Double?) -> String {
        guard var rest = bytes, rest >= 0 else { return unknown }
        for unit in ["B", "K", "M", "G", "T", "P", "E"] {
            let hasPoint = unit != "B" && rest < 9.95
            let shown = hasPoint ? (rest * 10).rounded() / 10 : rest.rounded()
            // Rounding may reach the next unit.
            guard shown < 1024 || unit == "E" else {
                rest /= 1024
                continue
            }
            guard shown < 1e6 else { return unknown }
            let tenths = Int((shown * 10).rounded())
            return hasPoint ? "\(tenths / 10).\(tenths % 10)\(unit)" : "\(tenths / 10)\(unit)"
        }
        return unknown
    }
}
