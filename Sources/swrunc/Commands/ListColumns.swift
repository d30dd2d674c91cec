// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

/// The chosen columns of `list --format "table COLUMN,..."`.
struct ListColumns: Equatable {
    /// One column.
    enum Column: String, CaseIterable {
        case id, pid, status, bundle, rootfs, created, owner
    }

    let columns: [Column]

    /// The columns that a format names; nil if it is not of this kind, such as `json`.
    ///
    /// - Throws: `invalidArgument` for an unknown column.
    init?(format: String) throws(ContainerError) {
        let words = format.split(separator: " ")
        guard words.count > 1, words[0] == "table" else { return nil }
        var columns: [Column] = []
        for name in words.dropFirst().flatMap({ $0.split(separator: ",") }) {
            guard let column = Column(rawValue: name.lowercased()) else {
                let known = Column.allCases.map(\.rawValue)
                throw ContainerError(
                    .invalidArgument, "--format: no column \(String(name).debugDescription)",
                    hint: "columns are " + known.joined(separator: ", "))
            }
            columns.append(column)
        }
        self.columns = columns
    }

    /// The table.
    ///
    /// - Parameters:
    ///   - states: the containers.
    ///   - now: if not nil, times are relative to it, in seconds since 1970.
    /// - Returns: lines, each with a newline.
    func table(of states: [State], now: Int64?) -> String {
        var table = ColumnTable(rows: [columns.map { $0.rawValue.uppercased() }])
        for state in states {
            table.rows.append(columns.map { Self.cell($0, of: state, now: now) })
        }
        return table.text
    }

    private static func cell(_ column: Column, of state: State, now: Int64?) -> String {
        switch column {
        case .id: state.id
        case .pid: "\(state.pid)"
        case .status: state.status.rawValue
        case .bundle: state.bundle
        case .rootfs: state.rootfs ?? ""
        case .created: time(state.created ?? "", now: now)
        case .owner: state.owner ?? ""
        }
    }

    private static func time(_ text: String, now: Int64?) -> String {
        guard let now, let then = Timestamp(text) else { return text }
        return age(seconds: now - then.seconds)
    }

    /// A time as people say it: `5 minutes ago`.
    static func age(seconds: Int64) -> String {
        let units: [(name: String, size: Int64)] = [
            ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1),
        ]
        for (name, size) in units where seconds >= size {
            let count = seconds / size
            return "\(count) \(name)\(count == 1 ? "" : "s") ago"
        }
        // The clock may have been set back.
        return "now"
    }
}
