// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitInspection

/// What the rows of top are sorted by; unknown values come last in either direction.
enum TopOrder: String, CaseIterable {
    case cpu, memory, io, pids, pressure, id

    /// The value that rows are sorted by, the highest first; nil if it is unknown.
    fileprivate func value(of usage: ContainerUsage) -> Double? {
        switch self {
        case .cpu: usage.cpuPercent
        case .memory: usage.usage.memoryBytes.map { Double($0) }
        case .io: usage.ioBytesPerSecond
        case .pids: usage.usage.pids.map { Double($0) }
        case .pressure: usage.highestPressure
        case .id: nil
        }
    }
}

/// Which containers top shows, and in which order: what the flags choose and the keys change.
struct TopView: Equatable {
    /// What a key asks for beyond another look at the same reading.
    enum Request: Equatable {
        case nothing, redraw, clear, refresh, quit
    }

    var order = TopOrder.cpu
    var isReversed = false
    /// Whether containers that are being created or have stopped are shown.
    var showsAll = false
    /// How many rows are above the first that is shown.
    var offset = 0

    /// The containers that are shown, sorted; those of equal value by their IDs.
    func rows(of usages: [ContainerUsage]) -> [ContainerUsage] {
        let shown = usages.filter { showsAll || ![.creating, .stopped].contains($0.status) }
        // The value of each is determined once.
        let keyed = shown.map { (value: order.value(of: $0), usage: $0) }
        return keyed.sorted { one, other in
            switch (one.value, other.value) {
            case (let first?, let second?) where first != second:
                return (first > second) != isReversed
            case (.some, nil): return true
            case (nil, .some): return false
            default:
                let isEarlier = one.usage.id.utf8.lexicographicallyPrecedes(other.usage.id.utf8)
                guard order == .id, isReversed else { return isEarlier }
                return other.usage.id.utf8.lexicographicallyPrecedes(one.usage.id.utf8)
            }
        }.map(\.usage)
    }

    /// Takes a key; `page` is how many rows are shown at once.
    mutating func take(_ key: TopKey, page: Int) -> Request {
        switch key {
        case .up: scroll(by: -1)
        case .down: scroll(by: 1)
        case .pageUp: scroll(by: -page)
        case .pageDown: scroll(by: page)
        case .home: offset = 0
        // Limited to the number of rows when they are drawn.
        case .end: offset = Int.max / 2
        case .character(let character): return take(character)
        }
        return .redraw
    }

    private mutating func scroll(by count: Int) {
        offset = max(0, offset + count)
    }

    private mutating func take(_ character: Character) -> Request {
        switch character {
        case "q", "Q": return .quit
        case " ", "\r", "\n": return .refresh
        case "\u{c}": return .clear
        // Capitals as in top(1).
        case "c", "P": sort(by: .cpu)
        case "m", "M": sort(by: .memory)
        case "i": sort(by: .io)
        case "p": sort(by: .pids)
        case "w": sort(by: .pressure)
        case "n": sort(by: .id)
        case "<": turn(by: -1)
        case ">": turn(by: 1)
        case "r", "R": isReversed.toggle()
        case "a": showsAll.toggle()
        default: return .nothing
        }
        return .redraw
    }

    /// The keys in one line.
    static let help =
        "q quit  sort: c cpu, m memory, i io, p pids, w pressure, n id; r reverse  a all"

    private mutating func sort(by order: TopOrder) {
        self.order = order
        isReversed = false
        offset = 0
    }

    private mutating func turn(by step: Int) {
        let all = TopOrder.allCases
        let now = all.firstIndex(of: order) ?? 0
        sort(by: all[(now + step + all.count) % all.count])
    }
}
