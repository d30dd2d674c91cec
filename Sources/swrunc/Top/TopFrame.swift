// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

/// What a terminal shows of one reading: a title, the keys or a warning, and the table.
struct TopFrame {
    /// The lines above the rows: title, keys, header.
    private static let headLines = 3

    let program: String
    let usages: [ContainerUsage]
    /// The containers that cannot be read, and why.
    var failures: [(id: String, reason: String)] = []
    let interval: String

    /// How many rows fit.
    static func page(rows: Int) -> Int { max(1, rows - headLines) }

    /// The bytes that draw the frame over the former one, and the offset that they show.
    ///
    /// Nothing scrolls: the cursor goes home, each line is cleared before it is written, and the
    /// last row of the terminal has no newline. Clearing behind a line would take the character in
    /// the last column, on which the cursor stays.
    ///
    /// Standard: ECMA-48, CUP, EL and ED.
    func drawing(_ view: inout TopView, rows: Int, columns: Int, _ style: TerminalStyle) -> String {
        let lines = lines(&view, rows: rows, columns: columns, style)
        return "\u{1b}[H" + lines.map { "\u{1b}[K" + $0 }.joined(separator: "\r\n")
            + (lines.count < rows ? "\r\n\u{1b}[J" : "")
    }

    /// At most `rows` lines of at most `columns` characters, without newlines.
    ///
    /// The offset of the view is limited to the rows that there are.
    func lines(_ view: inout TopView, rows: Int, columns: Int, _ style: TerminalStyle) -> [String] {
        let shown = view.rows(of: usages)
        let page = Self.page(rows: rows)
        view.offset = min(view.offset, max(0, shown.count - page))
        let table = TopTable(usages: Array(shown[view.offset...].prefix(page)))
        let second =
            warning.map { style.apply(.yellow, to: TopTable.cut($0, to: columns)) }
            ?? style.apply(.dim, to: TopTable.cut(TopView.help, to: columns))
        let all =
            [TopTable.cut(title(view, shown: shown.count, page: page), to: columns), second]
            + table.lines(width: columns, style)
        return Array(all.prefix(max(1, rows)))
    }

    private func title(_ view: TopView, shown: Int, page: Int) -> String {
        var counts: [String] = []
        for status in State.Status.allCases {
            let count = usages.count { $0.status == status }
            if count > 0 { counts.append("\(count) \(status.rawValue)") }
        }
        var title =
            "\(Printable.text(program)) top: " + ReportText.count(usages.count, "container")
            + (counts.isEmpty ? "" : " (\(counts.joined(separator: ", ")))")
            + ", by \(view.order.rawValue)\(view.isReversed ? " reversed" : ""), every \(interval)"
        if shown > page {
            title += ", rows \(view.offset + 1)-\(min(shown, view.offset + page)) of \(shown)"
        }
        return title
    }

    private var warning: String? {
        guard let first = failures.first else { return nil }
        let count = failures.count == 1 ? "" : " (and \(failures.count - 1) more)"
        return Printable.text("cannot read \(first.id)\(count): \(first.reason)")
    }
}
