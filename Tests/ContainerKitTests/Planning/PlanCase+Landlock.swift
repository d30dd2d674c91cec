// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec

@testable import ContainerKit

extension PlanCase {
    /// The annotation, of which the kernel knows everything.
    static let landlockPlan = try? LandlockPlan(.everything, abi: 6)

    static let landlock: [PlanCase] = [
        PlanCase(
            name: "landlock-of-run", filter: smallFilter,
            facts: {
                $0.startsAtOnce = true
                $0.landlock = landlockPlan
            },
            change: { $0.process?.user = User(uid: 1000, gid: 1000) }),
        PlanCase(
            name: "landlock-before-capabilities", filter: smallFilter,
            facts: { $0.landlock = landlockPlan },
            change: {
                $0.hooks = Hooks(startContainer: [Hook(path: "/bin/start")])
                $0.process?.noNewPrivileges = false
            }),
    ]
}
