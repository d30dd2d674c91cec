// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

@Suite("Signals and exit statuses")
struct SignalTests {
    @Test(
        "a signal is read by name, in any case, with or without SIG, or by number",
        arguments: [
            ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("Term", 15), ("15", 15),
            ("KILL", 9), ("SIGHUP", 1), ("WINCH", 28), ("SYS", 31), ("USR1", 10), ("STKFLT", 16),
            ("IOT", 6), ("ABRT", 6), ("SIGPOLL", 29), ("IO", 29), ("CLD", 17), ("CHLD", 17),
            ("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmin+30", 64), ("RTMAX", 64),
            ("SIGRTMAX-1", 63), ("RTMAX-30", 34), ("33", 33), ("64", 64),
        ])
    func parsing(_ text: String, _ number: Int32) throws {
        #expect(try Signal(parsing: text).rawValue == number)
    }

    @Test(
        "any other signal name is unknown, reported in the words that engines expect",
        arguments: [
            "", "SIG", "TERMINATE", "SIGSIGTERM", "0", "-1", "65", "99999999999", "RTMIN+31",
            "RTMAX-31", "RTMIN-1", "RTMIN+", "RTMIN+x", "RTMIN+999", " TERM", "1.5",
        ])
    func unknown(_ text: String) {
        #expect {
            try Signal(parsing: text)
        } throws: {
            "\($0)" == "unknown signal \"\(text)\""
        }
    }

    @Test("signal 0 is accepted where a caller only asks whether the process exists")
    func probe() throws {
        #expect(try Signal(parsing: "0", allowingProbe: true) == .probe)
    }

    @Test("every signal can be read back from its own name", arguments: Int32(1)...64)
    func roundTrip(_ number: Int32) throws {
        let signal = try #require(Signal(rawValue: number))
        #expect(try Signal(parsing: signal.description) == signal)
    }

    @Test(
        "a signal is written as in signal(7)",
        arguments: [(1, "SIGHUP"), (31, "SIGSYS"), (32, "32"), (34, "SIGRTMIN"), (64, "SIGRTMAX")])
    func names(_ number: Int32, _ name: String) {
        #expect(Signal(rawValue: number)?.description == name)
    }

    @Test("a shell reports death by a signal as 128 plus its number")
    func shellCodes() {
        #expect(ExitStatus.exited(0).shellCode == 0)
        #expect(ExitStatus.exited(255).shellCode == 255)
        #expect(ExitStatus.signaled(9).shellCode == 137)
    }
}
