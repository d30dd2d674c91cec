// SPDX-License-Identifier: Apache-2.0

internal import Testing

@testable import swrunc

@Suite("Colours on terminals")
struct TerminalStyleTests {
    @Test(
        "text is coloured only on a terminal that is not dumb, and not if NO_COLOR is set",
        arguments: [
            (true, ["TERM": "xterm"], true),
            (true, ["TERM": "xterm", "NO_COLOR": ""], true),
            (true, ["TERM": "xterm", "NO_COLOR": "1"], false),
            (true, ["TERM": "xterm", "NO_COLOR": "0"], false),
            (true, ["TERM": "dumb"], false),
            (true, ["TERM": ""], false),
            (true, [:], false),
            (false, ["TERM": "xterm"], false),
        ])
    func isOn(_ isTerminal: Bool, _ variables: [String: String], _ expected: Bool) {
        let style = TerminalStyle(isTerminal: isTerminal) { variables[$0] }
        #expect(style == TerminalStyle(isOn: expected))
    }

    @Test("emphasised text begins with its codes and ends with a reset")
    func sequences() {
        let style = TerminalStyle(isOn: true)
        #expect(style.apply(.red, to: "no") == "\u{1b}[31mno\u{1b}[0m")
        #expect(style.apply(.bold, .green, to: "yes") == "\u{1b}[1;32myes\u{1b}[0m")
    }

    @Test("plain, empty and unemphasised texts stay as they are")
    func unchanged() {
        #expect(TerminalStyle.plain.apply(.red, to: "no") == "no")
        #expect(TerminalStyle(isOn: true).apply(.red, to: "") == "")
        #expect(TerminalStyle(isOn: true).apply(to: "no") == "no")
    }
}
