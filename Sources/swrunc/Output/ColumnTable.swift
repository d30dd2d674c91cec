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
            let widest = rows.reduce(0) { max($0, Self.width(of: $1[column])) }
            widths.append(max(Self.leastWidth, widest + Self.gap))
        }
        // Bytes, since adding to a string costs several times as much.
        var text: [UInt8] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                text += cell.utf8
                if column < row.count - 1 {
                    let padding = widths[column] - Self.width(of: cell)
                    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
                }
            }
            text.append(UInt8(ascii: "\n"))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The number of scalars: of bytes, but for those that continue one.
    private static func width(of cell: String) -> Int {
        cell.utf8.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
    }
}
