// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The size of a plan")
struct PlanSizeTests {
    @Test("a plan that is too large for a program is an error, before anything is done")
    func tooLarge() throws {
        var spec = Spec.template
        spec.process?.terminal = false
        spec.linux?.maskedPaths = (0..<35_000).map { "/proc/masked/\($0)" }
        let facts = CreateFacts(id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .planV2))
        let launch = try Launch(creating: spec, facts: facts, filter: nil)
        let launcher = Launcher(
            launch.plan, options: LaunchOptions(), storePath: "/nowhere", record: nil,
            config: spec.encoded.encoded())
        let error = #expect(throws: ContainerError.self) { try launcher.run() }
        #expect(error?.code == .unsupported)
        #expect(error?.message.hasPrefix("the plan is too large") == true)
    }
}
