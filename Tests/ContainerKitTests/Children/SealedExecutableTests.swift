// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

@Suite("The sealed executable")
struct SealedExecutableTests {
    @Test("a program that was started from an ordinary file is not taken for sealed")
    func ordinary() throws {
        #expect(try SealedExecutable.isSealed() == false)
    }
}
