// SPDX-License-Identifier: Apache-2.0

internal import Testing

@testable internal import ContainerKit
@testable import swrunc

@Suite("The chart of --timings")
struct TimeChartTests {
    private func chart(
        width: Int? = nil, style: TerminalStyle = .plain, _ fill: (LaunchTrace, Int) -> Void
    ) -> [String] {
        let trace = LaunchTrace()
        fill(trace, trace.start)
        return TimeChart(
            title: "swrunc run box", start: trace.start, end: trace.start + 10_000_000,
            spans: trace.spans, width: width, style: style
        ).text.split(separator: "\n").map { String($0) }
    }

    @Test("each step is a line: its time, its part of the axis, the process, what, which field")
    func lines() {
        let lines = chart { trace, start in
            trace.add("a", "read the config", nil, .runtime, from: start, to: start + 5_000_000)
            trace.add(
                "b", "mount proc", "mounts[0]", .initProcess, from: start + 5_000_000,
                to: start + 5_001_000)
            trace.add(
                "c", "the rest", nil, .runtime, from: start + 6_000_000, to: start + 10_000_000)
        }
        #expect(
            lines == [
                "swrunc run box: 10.00 ms",
                "  ms  0                        10.00  in       step",
                "5.00  ###############                 runtime  read the config",
                "0.00                 .                init     mount proc (mounts[0])",
                "4.00                    ############  runtime  the rest",
            ])
    }

    @Test("a failed step says so, and a text of the config cannot control the terminal")
    func failures() {
        let lines = chart { trace, start in
            trace.add(
                "a", "mount \u{1b}[2J", nil, .initProcess, from: start, to: start + 1,
                hasFailed: true)
        }
        #expect(lines[2].hasSuffix("init     FAILED: mount \\x1b[2J"))
    }

    @Test("on a terminal a line is cut at its width; long and failed steps are emphasised")
    func terminals() {
        func fill(_ trace: LaunchTrace, _ start: Int) {
            trace.add(
                "a", "a step with a long text", nil, .runtime, from: start, to: start + 9_000_000)
            trace.add(
                "b", "short", nil, .initProcess, from: start + 9_000_000, to: start + 9_100_000)
            trace.add(
                "c", "broken", nil, .runtime, from: start + 9_500_000, to: start + 9_900_000,
                hasFailed: true)
        }
        let cut = chart(width: 50, fill)
        #expect(cut.allSatisfy { $0.unicodeScalars.count <= 50 })
        #expect(cut[2] == "9.00  runtime  a step with a long text")
        let narrow = chart(width: 20, fill)
        #expect(narrow[2] == "9.00  runtime  a ste")
        let styled = chart(style: TerminalStyle(isOn: true), fill)
        #expect(styled[0].hasPrefix("\u{1b}[1m") && styled[2].hasPrefix("\u{1b}[1m"))
        #expect(!styled[3].contains("\u{1b}"))
        #expect(styled[4].hasPrefix("\u{1b}[31m"))
    }

    @Test(
        "equal steps that follow each other are one line; a failed call without steps has a title")
    func rows() {
        let lines = chart { trace, start in
            for number in 0..<3 {
                trace.add(
                    "a", "take the tree", "mounts[1]", .initProcess,
                    from: start + number * 1_000_000, to: start + number * 1_000_000 + 500_000)
            }
        }
        #expect(lines.count == 3 && lines[2].hasPrefix("2.50  "))
        let text = TimeChart(
            title: "swrunc exec a\u{1b}b", start: 0, end: 1_000_000, hasFailed: true, spans: [],
            width: nil, style: .plain
        ).text
        #expect(text == "swrunc exec a\\x1bb: 1.00 ms, FAILED\n")
    }

    @Test("a span outside of the axis, by a clock that was set, stays on it")
    func clocks() {
        let lines = chart { trace, start in
            trace.add("a", "early", nil, .runtime, from: start - 9_000_000_000, to: start)
            trace.add("b", "late", nil, .runtime, from: start + 9_000_000_000, to: 0)
        }
        #expect(lines.count == 4)
        #expect(lines[2].contains("  .   ") && lines[3].contains("   .  "))
    }

    @Test("a clock that is set by centuries is no error")
    func centuries() {
        let lines = chart { trace, start in
            trace.add("a", "set", nil, .runtime, from: start, to: .max)
            trace.add("b", "wrapped", nil, .runtime, from: .min, to: .max)
        }
        #expect(lines.count == 4)
        #expect(lines[2].contains("wrapped") && lines[3].contains("set"))
    }
}
