// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

@Suite("The sealed executable")
struct SealedExecutableTests {
    @Test("a program started from an ordinary file does not count as a sealed executable")
    func ordinary() throws {
        #expect(try SealedExecutable.isSealed() == false)
    }
}
