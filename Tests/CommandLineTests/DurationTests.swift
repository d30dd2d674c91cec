// SPDX-License-Identifier: Apache-2.0

internal import Testing

@testable import swrunc

@Suite("Durations of the command line")
struct DurationTests {
    @Test(
        "a duration is read as Go does",
        arguments: [
            ("5s", Duration.seconds(5)), ("100ms", .milliseconds(100)), ("1m30s", .seconds(90)),
            ("1.5h", .seconds(5400)), ("0", .zero), ("0s", .zero), ("7us", .microseconds(7)),
            ("7µs", .microseconds(7)), ("3ns", .nanoseconds(3)), (".5s", .milliseconds(500)),
        ])
    func read(_ text: String, _ duration: Duration) {
        #expect(Duration(goText: text) == duration)
    }

    @Test(
        "a text that is not a duration is refused",
        arguments: ["", "5", "s", "5 s", "1x", "1.2.3s", "5s5", "-5s", "+", "99999999h"])
    func refused(_ text: String) {
        #expect(Duration(goText: text) == nil)
    }
}
