// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Testing

@testable import ContainerKitInspection
@testable import swrunc

@Suite("swrunc top: table, order and keys")
struct TopTests {
    private static func usage(
        _ id: String, _ status: State.Status = .running, cpu: Double? = nil, io: Double? = nil,
        _ change: (inout CgroupUsage) -> Void = { _ in }
    ) -> ContainerUsage {
        var usage = CgroupUsage()
        change(&usage)
        var result = ContainerUsage(
            ContainerMeter.Reading(
                id: id, status: status, created: "", nanoseconds: 0, usage: usage), since: nil)
        result.cpuPercent = cpu
        result.readBytesPerSecond = io
        result.writtenBytesPerSecond = io
        return result
    }

    private static var full: ContainerUsage {
        usage("web", cpu: 123.45, io: 2_000_000) {
            $0.memoryBytes = 96 << 20
            $0.memoryLimitBytes = 100 << 20
            $0.pids = 12
            $0.cpuPressure = 0.04
            $0.memoryPressure = 99.96
            $0.ioPressure = 5
        }
    }

    // MARK: Numbers

    @Test(
        "bytes have three digits and a unit",
        arguments: [
            (0, "0B"), (1023, "1023B"), (1024, "1.0K"), (1025, "1.0K"), (10_188, "9.9K"),
            (10_189, "10K"), (1_048_064, "1.0M"), (1_047_552, "1023K"), (5_368_709_120, "5.0G"),
            (1.5e12, "1.4T"), (1e18, "888P"), (18e18, "16E"), (nil, "-"), (-1, "-"),
            (.infinity, "-"), (.nan, "-"),
        ] as [(Double?, String)])
    func sizes(_ bytes: Double?, _ text: String) {
        #expect(TopTable.size(bytes) == text)
    }

    @Test(
        "shares have one digit after the point",
        arguments: [
            (0, "0.0"), (0.04, "0.0"), (0.05, "0.1"), (99.96, "100.0"), (6400, "6400.0"),
            (nil, "-"), (-0.5, "-"), (.infinity, "-"), (.nan, "-"),
        ] as [(Double?, String)])
    func shares(_ share: Double?, _ text: String) {
        #expect(TopTable.percent(share) == text)
    }

    // MARK: Table

    @Test("the table has what is known, and - for what is not")
    func table() {
        #expect(
            TopTable(usages: [Self.full, Self.usage("job", .paused)]).lines() == [
                "ID  STATUS   CPU% MEM LIMIT MEM% READ/S WRITE/S PIDS CPU-P MEM-P IO-P",
                "web running 123.5 96M  100M 96.0   1.9M    1.9M   12   0.0 100.0  5.0",
                "job paused      -   -     -    -      -       -    -     -     -    -",
            ])
    }

    @Test("without containers there is the header alone")
    func emptyTable() {
        #expect(TopTable(usages: []).lines().count == 1)
    }

    @Test(
        "no line is wider than the terminal, at any width, and no number is cut", arguments: 0...90)
    func widths(_ width: Int) {
        let long = Self.usage(String(repeating: "x", count: 64), .creating, cpu: 1)
        let table = TopTable(usages: [Self.full, long])
        let whole = table.lines(width: 200)
        for (line, full) in zip(table.lines(width: width), whole) {
            #expect(line.count <= width)
            let words = line.split(separator: " ").dropFirst(2)
            #expect(full.split(separator: " ").dropFirst(2).starts(with: words))
        }
    }

    @Test("a long ID gives way to the columns, and ends with a mark")
    func longIDs() {
        let long = Self.usage(String(repeating: "x", count: 64))
        let line = TopTable(usages: [long]).lines(width: 90)[1]
        #expect(line.hasPrefix("xxxxx") && line.hasSuffix("-"))
        #expect(line.split(separator: " ")[0].hasSuffix("x+"))
        #expect(TopTable(usages: [long]).lines(width: 40)[1].hasPrefix("xxxxxxxxxxx+ running"))
        #expect(TopTable(usages: [long]).lines()[1].hasPrefix(long.id + " "))
    }

    @Test("control characters never reach the terminal")
    func controls() {
        let bad = "a\u{1b}[2J\u{9b}31m\nb"
        var view = TopView()
        var frame = TopFrame(program: bad, usages: [Self.usage(bad)], interval: "1s")
        frame.failures = [(bad, bad)]
        for style in [TerminalStyle.plain, TerminalStyle(isOn: true)] {
            let lines = frame.lines(&view, rows: 24, columns: 200, style)
            let text = lines.joined().unicodeScalars
            #expect(!lines.joined().contains("\u{1b}[2J"))
            #expect(text.allSatisfy { !Printable.isControl($0) || $0 == "\u{1b}" })
            if !style.isOn { #expect(text.allSatisfy { $0 != "\u{1b}" }) }
        }
    }

    @Test("text is emphasised only with a style, and its width is the same")
    func emphasis() {
        let table = TopTable(usages: [Self.full, Self.usage("job", .paused)])
        let styled = table.lines(width: 80, TerminalStyle(isOn: true))
        #expect(styled[0].hasPrefix("\u{1b}[1mID"))
        #expect(styled[1].contains("\u{1b}[31m96.0\u{1b}[0m"))
        #expect(styled[2].contains("\u{1b}[2mpaused\u{1b}[0m"))
        let bare = styled.map { $0.replacing(/\u{1b}\[[0-9;]*m/, with: "") }
        #expect(bare == table.lines(width: 80))
    }

    // MARK: Frame

    @Test("a frame fits the terminal, whatever its size")
    func frames() {
        let usages = (0..<50).map { Self.usage("c\($0)") }
        let frame = TopFrame(program: "swrunc", usages: usages, interval: "1s")
        for (rows, columns) in [(1, 1), (2, 5), (3, 80), (4, 10), (24, 80), (100, 300)] {
            var view = TopView()
            let lines = frame.lines(&view, rows: rows, columns: columns, .plain)
            #expect(lines.count == min(rows, 53))
            #expect(lines.allSatisfy { $0.count <= columns })
        }
    }

    @Test("a frame goes home, and clears each line before it, and what is below")
    func drawing() {
        var view = TopView()
        let frame = TopFrame(program: "swrunc", usages: [], interval: "2s")
        let text = frame.drawing(&view, rows: 24, columns: 80, .plain)
        #expect(
            text.hasPrefix(
                "\u{1b}[H\u{1b}[Kswrunc top: 0 containers, by cpu, every 2s\r\n\u{1b}[Kq quit"))
        #expect(text.hasSuffix("IO-P\r\n\u{1b}[J"))
        let full = frame.drawing(&view, rows: 3, columns: 80, .plain)
        #expect(full.hasSuffix("IO-P"), "nothing scrolls, and the last column stays")
    }

    @Test("scrolling stops at the last row, and the title tells which rows are shown")
    func scrolling() {
        let usages = (10..<60).map { Self.usage("c\($0)") }
        let frame = TopFrame(program: "swrunc", usages: usages, interval: "1s")
        var view = TopView(order: .id)
        func first() -> String {
            let lines = frame.lines(&view, rows: 13, columns: 120, .plain)
            return String(lines[3].prefix(3))
        }
        #expect(first() == "c10")
        for (key, expected) in [
            (TopKey.down, "c11"), (.pageDown, "c21"), (.up, "c20"), (.end, "c50"), (.down, "c50"),
            (.pageUp, "c40"), (.home, "c10"), (.up, "c10"),
        ] {
            #expect(view.take(key, page: 10) == .redraw)
            #expect(first() == expected, "\(key)")
        }
        let title = frame.lines(&view, rows: 13, columns: 120, .plain)[0]
        #expect(title.hasSuffix("rows 1-10 of 50"))
    }

    @Test("the title counts the containers by status, and a warning takes the place of the keys")
    func titles() {
        let usages = [
            Self.usage("a"), Self.usage("b", .stopped), Self.usage("c"), Self.usage("d", .paused),
        ]
        var frame = TopFrame(program: "swrunc", usages: usages, interval: "1s")
        var view = TopView(order: .memory, isReversed: true)
        let lines = frame.lines(&view, rows: 24, columns: 120, .plain)
        #expect(
            lines[0]
                == "swrunc top: 4 containers (2 running, 1 paused, 1 stopped), by memory reversed, every 1s"
        )
        #expect(lines[1] == TopView.help)
        #expect(TopView.help.count <= 80)
        frame.failures = [("x", "damaged"), ("y", "damaged")]
        #expect(
            frame.lines(&view, rows: 24, columns: 120, .plain)[1]
                == "cannot read x (and 1 more): damaged")
    }

    // MARK: Order

    private static let some = [
        usage("a", cpu: 1, io: nil) { $0.pids = 3 },
        usage("b", cpu: nil, io: 5) { $0.pids = 3 },
        usage("c", cpu: 9, io: 1) { $0.memoryBytes = 7 },
        usage("d", cpu: 5) {
            $0.memoryBytes = 8
            $0.ioPressure = 2
        },
        usage("e", .stopped, cpu: 99),
    ]

    @Test(
        "rows are sorted with the highest first, unknown values last, and equal ones by ID",
        arguments: [
            (TopOrder.cpu, "cdab", "adcb"), (.memory, "dcab", "cdab"), (.io, "bcad", "cbad"),
            (.pids, "abcd", "abcd"), (.pressure, "dabc", "dabc"), (.id, "abcd", "dcba"),
        ])
    func orders(_ order: TopOrder, _ ids: String, _ reversed: String) {
        func shown(_ view: TopView) -> String { view.rows(of: Self.some).map(\.id).joined() }
        #expect(shown(TopView(order: order)) == ids)
        #expect(shown(TopView(order: order, isReversed: true)) == reversed)
    }

    @Test("containers that have stopped are shown on request only")
    func stopped() {
        #expect(!TopView().rows(of: Self.some).contains { $0.id == "e" })
        #expect(TopView(showsAll: true).rows(of: Self.some)[0].id == "e")
    }

    // MARK: Keys

    @Test(
        "keys change the view",
        arguments: [
            ("c", TopView(order: .cpu)), ("m", TopView(order: .memory)),
            ("M", TopView(order: .memory)), ("i", TopView(order: .io)),
            ("p", TopView(order: .pids)), ("P", TopView(order: .cpu)),
            ("w", TopView(order: .pressure)), ("n", TopView(order: .id)),
            ("r", TopView(order: .io, isReversed: true)),
            ("a", TopView(order: .io, showsAll: true)),
            ("<", TopView(order: .memory)), (">", TopView(order: .pids)),
        ] as [(Character, TopView)])
    func keys(_ key: Character, _ expected: TopView) {
        var view = TopView(order: .io)
        #expect(view.take(.character(key), page: 10) == .redraw)
        #expect(view == expected)
    }

    @Test("the order turns at its ends, and a new one starts at the top, not reversed")
    func turning() {
        var view = TopView(order: .cpu, isReversed: true, offset: 7)
        #expect(view.take(.character("<"), page: 10) == .redraw)
        #expect(view == TopView(order: .id))
        #expect(view.take(.character(">"), page: 10) == .redraw)
        #expect(view == TopView(order: .cpu))
    }

    @Test("keys quit, read again, and draw on a clear screen; others do nothing")
    func requests() {
        var view = TopView()
        for (key, request) in [
            ("q", TopView.Request.quit), ("Q", .quit), (" ", .refresh), ("\r", .refresh),
            ("\u{c}", .clear), ("x", .nothing), ("\u{4}", .nothing),
        ] as [(Character, TopView.Request)] {
            #expect(view.take(.character(key), page: 10) == request)
        }
        #expect(view == TopView())
    }

    @Test(
        "sequences are keys, whole or unknown, and their letters are none",
        arguments: [
            ("q", [TopKey.character("q")]), ("\u{1b}[A\u{1b}[B", [.up, .down]),
            ("\u{1b}OA\u{1b}OF", [.up, .end]), ("\u{1b}[5~\u{1b}[6~", [.pageUp, .pageDown]),
            ("\u{1b}[H\u{1b}[4~\u{1b}[1~", [.home, .end, .home]),
            // F5, a moved mouse, Alt-q, an arrow with a modifier, bytes that are not ASCII.
            ("\u{1b}[15~m", [.character("m")]), ("\u{1b}[<0;12;3Mc", [.character("c")]),
            ("\u{1b}q", []), ("\u{1b}[1;5A", []), ("\u{e9}", []),
            // An escape alone, then a sequence.
            ("\u{1b}\u{1b}[A", [.up]),
            ("\u{1b}[999999999999999999999999999999999q", []),
        ])
    func sequences(_ typed: String, _ keys: [TopKey]) {
        var whole = TopKeyReader()
        #expect(whole.keys(in: typed.utf8) == keys)
        // The same in pieces of one byte.
        var reader = TopKeyReader()
        #expect(typed.utf8.flatMap { reader.keys(in: [$0]) } == keys)
    }

    // MARK: Flags

    @Test(
        "an interval is a number of seconds or a duration",
        arguments: [
            ("1", Duration.seconds(1), "1s"), ("0.5", .milliseconds(500), "0.5s"),
            ("250ms", .milliseconds(250), "250ms"), ("1m30s", .seconds(90), "1m30s"),
            ("100ms", .milliseconds(100), "100ms"),
        ])
    func intervals(_ text: String, _ time: Duration, _ shown: String) throws {
        let found = try Command.topInterval(text)
        #expect(found.0 == time && found.1 == shown)
    }

    @Test(
        "what is no interval is refused by the name of the flag",
        arguments: ["", "x", "-1", "0", "99ms", "0.01", ".", "1..2", "1 s", "inf", "nan", "1e9"])
    func wrongIntervals(_ text: String) {
        #expect {
            try Command.topInterval(text)
        } throws: { error in
            (error as? ContainerError)?.code == .invalidArgument
                && (error as? ContainerError)?.message.hasPrefix("--interval: ") == true
        }
    }
}
