// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Rights of the runtime")
struct RuntimeRightsTests {
    private func ranges(_ outside: UInt32, _ count: UInt32 = 1) -> [IDRange] {
        [IDRange(inside: 0, outside: outside, count: count)]
    }

    @Test("root writes any ID mapping, a user only its own ids, and newuidmap all others")
    func writers() {
        let own = IDMaps(users: ranges(1000), groups: ranges(1000))
        let user = RuntimeRights.ordinaryUser
        #expect(RuntimeRights().writer(of: own) == .runtime)
        #expect(user.writer(of: own) == .user)
        #expect(user.writer(of: IDMaps(users: ranges(1001), groups: ranges(1000))) == .tools)
        #expect(user.writer(of: IDMaps(users: ranges(1000), groups: ranges(5))) == .tools)
        #expect(user.writer(of: IDMaps(users: ranges(1000, 2), groups: ranges(1000))) == .tools)
    }

    private func refusal(
        _ rights: RuntimeRights = .ordinaryUser, _ change: (inout Spec) -> Void
    ) -> String? {
        var spec = Spec.rootlessTemplate(userID: 1000, groupID: 1000)
        spec.process?.terminal = false
        change(&spec)
        var facts = CreateFacts(
            id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .planNone))
        facts.host.rights = rights
        do throws(SpecError) {
            _ = try Launch(creating: spec, facts: facts, filter: nil)
            return nil
        } catch {
            return "\(error.path): \(error.message)"
        }
    }

    @Test("an ordinary user's container needs a user namespace with ID mappings")
    func namespace() {
        let text = refusal { $0.linux?.namespaces?.removeAll { $0.kind == .user } }
        #expect(
            text?.hasPrefix("linux.namespaces: rootless container requires user namespaces")
                == true)
        #expect(
            refusal { $0.linux?.gidMappings = nil }
                == "linux.gidMappings: rootless containers requires at least one mapping of a user "
                + "and of a group")
        #expect(refusal { _ in } == nil)
    }

    @Test(
        "an ordinary user's container permits ptrace for its seccomp listener if nobody else can use it"
    )
    func listener() throws {
        func steps(_ rights: RuntimeRights, _ change: (inout Spec) -> Void) throws -> [InitStep] {
            var spec = Spec.rootlessTemplate(userID: 1000, groupID: 1000)
            spec.process?.terminal = false
            spec.linux?.seccomp = Seccomp(
                defaultAction: .allow, listenerPath: "/agent",
                syscalls: [SeccompRule(names: ["mkdir"], action: .notify)])
            change(&spec)
            let filter = try SeccompFilter(compiling: try #require(spec.linux?.seccomp))
            var facts = CreateFacts(
                id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .planNone))
            facts.host.rights = rights
            let launch = try Launch(creating: spec, facts: facts, filter: filter)
            return launch.plan.childSteps.map(\.step)
        }
        let own = try steps(.ordinaryUser) { _ in }
        let index = try #require(own.firstIndex(of: .process(.permitPtrace)))
        guard case .filter(.loadSeccomp) = own[index + 1] else {
            Issue.record("\(own[index + 1])")
            return
        }
        // Root can take it anyway; a hook is the image's program; a process in a shared pid
        // namespace can name the process.
        let hook = Hook(path: "/bin/hook")
        #expect(try !steps(RuntimeRights()) { _ in }.contains(.process(.permitPtrace)))
        #expect(
            try !steps(.ordinaryUser) { $0.hooks = Hooks(startContainer: [hook]) }
                .contains(.process(.permitPtrace)))
        #expect(
            try !steps(.ordinaryUser) {
                $0.linux?.namespaces?.removeAll { $0.kind == .pid }
            }.contains(.process(.permitPtrace)))
        #expect(
            try !steps(.ordinaryUser) { $0.linux?.seccomp?.syscalls?[0].action = .allow }
                .contains(.process(.permitPtrace)))
    }

    @Test("a mount that an ordinary user cannot have is refused with its field")
    func mounts() {
        func mount(_ type: String?, _ options: String...) -> Mount {
            Mount(destination: "/data", type: type, source: "/srv", options: options)
        }
        #expect(
            refusal { $0.mounts?.append(mount("tmpfs", "tmpcopyup")) }
                == "mounts[7].options: tmpcopyup is not possible for a runtime that has no rights "
                + "over mounts")
        for mount in [mount(nil, "bind", "idmap"), mount("tmpfs", "idmap")] {
            #expect(
                refusal { $0.mounts?.append(mount) }
                    == "mounts[7].options: a runtime that has no rights over mounts cannot map the "
                    + "ids of a mount")
        }
    }

    @Test("a limit without a cgroup is refused with its field; device rules are left out")
    func limits() {
        #expect(
            refusal { $0.linux?.resources = Resources(memory: .init(limit: 1 << 20)) }
                == "linux.resources.memory.limit: the container has no cgroup for this limit: "
                + "rootless needs no limits + no cgrouppath when no permission is granted for "
                + "cgroups (or have one delegated)")
        let rules = [DeviceCgroupRule(allow: false, access: "rwm")]
        #expect(refusal { $0.linux?.resources = Resources(devices: rules) } == nil)
    }

    @Test(
        "a read-only bind mount of /sys is read-only with all mounts below it",
        arguments: [true, false])
    func readOnlySys(_ isReadOnly: Bool) throws {
        var spec = Spec.rootlessTemplate(userID: 1000, groupID: 1000)
        spec.process?.terminal = false
        if !isReadOnly { spec.mounts?[5].options?.removeAll { $0 == "ro" } }
        var facts = CreateFacts(
            id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .planNone))
        facts.host.rights = .ordinaryUser
        let plan = try Launch(creating: spec, facts: facts, filter: nil).plan
        let tree = plan.childSteps.lazy.compactMap { planned -> HostTree? in
            guard case .mount(.cloneHostTree(let tree, .mountTree(5))) = planned.step else {
                return nil
            }
            return tree
        }.first
        let found = try #require(tree)
        #expect(found.path == "/sys" && found.recursive)
        #expect(found.changes.contains(MountChange(set: .readOnly, recursive: true)) == isReadOnly)
    }
}
