// SPDX-License-Identifier: Apache-2.0

/// Rows of text in columns, in the layout of Go's tabwriter, which runc uses for its tables.
///
/// A column is three spaces wider than its widest cell, and at least 12 wide; the last one is not
/// padded.
struct ColumnTable {
    private static let leastWidth = 12
    private static let gap = 3

    /// The rows, all with the same number of cells.
    var rows: [[String]]

    /// The table, one row per line.
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
