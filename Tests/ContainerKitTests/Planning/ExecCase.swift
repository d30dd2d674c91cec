// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// A further process of a container whose plan is kept as text in Plans.
struct ExecCase: Sendable, CustomTestStringConvertible {
    /// The name of the file.
    var name: String
    var host: CgroupHierarchies = .planV2
    /// The namespaces of init that are not the caller's.
    var namespaces: NamespaceSet
    /// What the process gets from the container's config.
    var linux = Linux()
    var filter: SeccompFilter?
    /// The process of the template, without its terminal, is changed by this.
    var change: @Sendable (inout RuntimeSpec.Process, inout ExecFacts) -> Void = { _, _ in }

    var testDescription: String { name }

    func plan() throws -> LaunchPlan {
        var process = try #require(Spec.template.process)
        process.terminal = false
        let layout = try CgroupLayout(cgroupsPath: nil, id: "box", in: host)
        var facts = ExecFacts(id: "box", cgroups: layout)
        facts.namespaces = namespaces
        change(&process, &facts)
        return Launch(entering: process, of: linux, facts: facts, filter: filter).plan
    }
}

extension ExecCase {
    static let all: [ExecCase] = [
        ExecCase(name: "exec-v2", namespaces: [.mount, .pid, .uts, .cgroup]),
        ExecCase(
            name: "exec-user-namespace", namespaces: [.user, .mount, .pid, .cgroup],
            change: { process, facts in
                facts.initPid = 77
                process.rlimits = [Rlimit(type: "RLIMIT_CORE", hard: 0, soft: 0)]
            }),
        ExecCase(
            name: "exec-v1-with-terminal", host: .planV1, namespaces: [.mount, .network],
            change: { process, facts in
                process.terminal = true
                process.user = User(uid: 5, gid: 6)
                facts.caller.terminal = .consoleSocket("/run/console.sock")
                facts.caller.pidFile = "/run/exec.pid"
                facts.caller.replacedStreams = [0, 1, 2]
            }),
        ExecCase(name: "exec-without-mount-namespace", namespaces: [.pid]),
        ExecCase(
            name: "exec-attributes", namespaces: [.mount, .pid],
            linux: Linux(
                memoryPolicy: MemoryPolicy(mode: .preferred, nodes: "0", flags: [.relativeNodes]),
                personality: Personality(domain: .linux32)),
            change: { process, _ in
                process.execCPUAffinity = CPUAffinity(initial: "0-1,4", final: "1")
                process.scheduler = Scheduler(policy: .fifo, nice: -3, priority: 7)
                process.ioPriority = IOPriority(schedulingClass: .bestEffort, priority: 4)
            }),
        ExecCase(
            name: "exec-labels", namespaces: [.mount, .pid],
            change: { process, _ in
                process.apparmorProfile = "docker-default"
                process.selinuxLabel = "system_u:system_r:container_t:s0"
            }),
        ExecCase(
            name: "exec-landlock", namespaces: [.mount, .pid], filter: PlanCase.smallFilter,
            change: { _, facts in facts.landlock = PlanCase.landlockPlan }),
        // Every field that the specification has, so that a new one shows here by itself.
        ExecCase(
            name: "exec-full", namespaces: [.user, .mount, .pid, .network, .cgroup, .time],
            linux: PlanCase.fullSpec.linux ?? Linux(), filter: PlanCase.smallFilter,
            change: { process, facts in
                if let full = PlanCase.fullSpec.process { process = full }
                facts.caller.terminal = .consoleSocket("/run/console.sock")
                facts.initPid = 77
            }),
    ]
}
