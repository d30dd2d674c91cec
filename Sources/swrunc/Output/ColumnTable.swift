// SPDX-License-Identifier: Apache-2.0

/// Rows of text in columns, as Go's tabwriter lays out the tables of runc.
///
/// A column is as wide as its widest cell and three spaces, and at least 12; the last one ends where
/// its text ends.
struct ColumnTable {
    private static let leastWidth = 12
    private static let gap = 3

    /// Rows of equally many cells.
    var rows: [[String]]

    /// The table, a line a row.
    var text: String {
        var widths: [Int] = []
        for column in rows.first?.indices ?? 0..<0 {
            let widest = rows.reduce(0) { max($0, $1[column].unicodeScalars.count) }
            widths.append(max(Self.leastWidth, widest + Self.gap))
        }
        var text = ""
        for row in rows {
            for (column, cell) in row.enumerated() {
                text += cell
                if column < row.count - 1 {
                    let padding = widths[column] - cell.unicodeScalars.count
                    text += String(repeating: " ", count: padding)
                }
            }
            text += "\n"
        }
        return text
    }
}
