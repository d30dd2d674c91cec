// SPDX-License-Identifier: Apache-2.0

import ContainerKitInspection
import Testing

@Suite("Inspection")
struct ModuleTests {
    @Test("who imports the inspection has ContainerKit with it")
    func exported() throws { #expect(try Spec.sandbox(["true"]).process?.args == ["true"]) }
}
