// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit
@testable import InitProgram

@Suite("Plans as text")
struct LaunchPlanTextTests {
    static let plan = LaunchPlan(
        parentSteps: [
            PlannedParentStep(.runtime, .record(.begin)),
            PlannedParentStep("linux.namespaces", .child(.start([.uts, .pid], intoCgroup: true))),
        ],
        childSteps: [
            PlannedStep("hostname", .namespace(.setHostname("box"))),
            PlannedStep(
                "process.args",
                .execution(.execute(candidates: ["/bin/id"], arguments: ["id"], environment: []))),
        ])

    @Test("a plan prints as two numbered columns with their config fields")
    func columns() {
        #expect(
            Self.plan.explained() == """
                The runtime:
                   1  swrunc            make the state directory
                   2  linux.namespaces  clone the child into the container's cgroup with new namespaces: pid, uts

                The init process:
                   1  hostname      set the host name to "box"
                   2  process.args  execute "id"

                """)
    }

    @Test("a plan printed with system calls shows each init step followed by its instructions")
    func calls() {
        #expect(
            Self.plan.explained(includingCalls: true) == """
                Not listed: the calls by which init is born (the runtime's step "clone the child"), and a madvise that gives memory back before init waits for start.

                The runtime:
                   1  swrunc            make the state directory
                   2  linux.namespaces  clone the child into the container's cgroup with new namespaces: pid, uts

                The init process:
                   1  hostname      set the host name to "box"
                         sethostname("box", 3)
                   2  process.args  execute "id"
                         execve("/bin/id", ["id"], [0 variables])
                         stop: no executable was found

                """)
    }

    @Test("an empty plan prints its two headings only")
    func emptyPlan() {
        let plan = LaunchPlan(parentSteps: [], childSteps: [])
        #expect(plan.explained() == "The runtime:\n\nThe init process:\n")
    }
}
