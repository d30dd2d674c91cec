// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

@Suite("Limits of time")
struct TimeLimitTests {
    @Test(
        "a limit prints as seconds, or as milliseconds if it has some",
        arguments: [
            (.seconds(2), "2s"), (.milliseconds(500), "500ms"), (.milliseconds(1500), "1500ms"),
            (.seconds(120), "120s"),
        ] as [(Duration, String)])
    func text(_ length: Duration, _ text: String) {
        #expect(TimeLimit(length).description == text)
    }

    @Test("a limit beyond the clock's range never comes, and one of no length is over")
    func range() {
        let endless = TimeLimit(.seconds(Int64.max))
        #expect(!endless.isOver && endless.deadline.remainingMilliseconds > 1 << 40)
        #expect(TimeLimit(.zero).isOver)
        #expect(!TimeLimit(.seconds(9)).isOver)
    }

    @Test("of two deadlines the earlier counts")
    func earlier() {
        let (near, far) = (Deadline(.seconds(5)), Deadline(.seconds(50)))
        #expect(near.limited(by: far) == near && far.limited(by: near) == near)
        #expect(near.limited(by: nil) == near)
    }
}
