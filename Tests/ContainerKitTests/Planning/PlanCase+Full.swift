// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import SystemPackage

@testable import ContainerKit

extension PlanCase {
    /// spec-fixtures/good/full.json, which has every field of the specification.
    ///
    /// Without the limits of the cgroup: they are writes of the controllers, which have tests of their own,
    /// and no host takes all of them.
    static let fullSpec: Spec = {
        let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        let path = "/\(root)/spec-fixtures/good/full.json"
        guard let json = try? readFile(path), var spec = try? Spec(json: json) else {
            preconditionFailure("\(path) is no config")
        }
        spec.linux?.resources = nil
        return spec
    }()

    /// A field that is added to full.json shows in the plan by itself.
    static let full: [PlanCase] = [
        PlanCase(
            name: "full", filter: notifyingFilter,
            facts: {
                $0.caller.terminal = .consoleSocket("/run/console.sock")
                $0.host.resctrl = ResctrlTree(
                    root: "/sys/fs/resctrl", hasCacheAllocation: true,
                    hasBandwidthAllocation: true)
            },
            change: { $0 = fullSpec })
    ]
}
