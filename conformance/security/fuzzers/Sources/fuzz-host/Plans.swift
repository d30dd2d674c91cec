// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import ContainerKit
@testable import InitProgram
@testable import RuntimeSpec

extension Target {
    /// A config that keeps the rules of the specification has a sound plan, or is refused in words.
    static let plan = Target("plan", treeShare: 3) { bytes in
        guard let read = try? Spec(json: bytes), (try? read.check(requiringProcess: false)) != nil
        else { return }
        var spec: Spec
        do throws(ContainerError) {
            spec = try read.followingAnnotations()
        } catch {
            return checkLine(error.description, of: "annotations")
        }
        // No filter is compiled here, which takes long.
        spec.linux?.seccomp = nil
        for host in HostFacts.all {
            var facts = CreateFacts(id: "box", bundlePath: "/bundle", host: host)
            if spec.process?.terminal == true { facts.caller.terminal = .master }
            facts.startsAtOnce = spec.hostname == nil
            do throws(SpecError) {
                check(try Launch(creating: spec, facts: facts, filter: nil).plan)
            } catch {
                check([error], of: "the plan")
            }
        }
        guard let process = spec.process, let linux = spec.linux,
            let layout = try? CgroupLayout(cgroupsPath: nil, id: "box", in: .completeV2)
        else { return }
        var facts = ExecFacts(id: "box", cgroups: layout)
        facts.namespaces = [.mount, .pid, .uts]
        if spec.hostname == nil { facts.namespaces.insert(.user) }
        check(Launch(entering: process, of: linux, facts: facts, filter: nil).plan)
    }
}

private func check(_ plan: LaunchPlan) {
    do throws(PlanFault) {
        try plan.check()
    } catch {
        fail("the plan has a fault: \(error)")
    }
    let image = plan.lowered()
    do throws(ProgramFault) {
        try image.check()
    } catch {
        // One that is too large is refused later; no input here makes such a one.
        fail("the program has a fault: \(error)")
    }
    let text = plan.explained(includingCalls: true)
    for line in text.split(separator: "\n") { checkLine(String(line), of: "explain") }
    let json = plan.explainedJSON(includingCalls: true)
    expect((try? JSONValue(json: Array(json.utf8))) != nil, "explain prints no JSON")
}

extension HostFacts {
    fileprivate static let all: [HostFacts] = {
        var complete = HostFacts(cgroups: .completeV2)
        complete.resctrl = ResctrlTree(
            root: "/sys/fs/resctrl", hasCacheAllocation: true, hasBandwidthAllocation: true)
        var systemd = HostFacts(cgroups: .completeV2)
        systemd.systemd = SystemdHost(instance: .system, version: 257, controlGroup: "")
        var ordinary = HostFacts(
            cgroups: CgroupHierarchies(mode: .none, hierarchies: [], unifiedControllers: []))
        ordinary.rights.preparesMounts = false
        ordinary.rights.mapsIDs = false
        ordinary.rights.userID = 1000
        ordinary.rights.groupID = 1000
        ordinary.rights.makesDevices = false
        ordinary.rights.mayGoWithoutCgroups = true
        return [complete, HostFacts(cgroups: .completeV1), systemd, ordinary]
    }()
}

extension CgroupHierarchies {
    fileprivate static let completeV2 = CgroupHierarchies(
        mode: .unified,
        hierarchies: [
            CgroupHierarchy(controllers: [], mountPoint: "/sys/fs/cgroup", ownPath: "/caller")
        ],
        unifiedControllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"])

    fileprivate static let completeV1 = CgroupHierarchies(
        mode: .legacy,
        hierarchies: [
            "cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls",
            "net_prio", "hugetlb", "pids", "rdma",
        ].map {
            CgroupHierarchy(controllers: [$0], mountPoint: "/sys/fs/cgroup/\($0)", ownPath: "")
        }, unifiedControllers: [])
}
