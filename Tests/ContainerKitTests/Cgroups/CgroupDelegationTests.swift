// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Delegation of cgroups")
struct CgroupDelegationTests {
    /// A config that asks for delegation to user 1000.
    private static var spec: Spec {
        var spec = Spec.template
        spec.process?.user.uid = 1000
        spec.linux?.namespaces?.removeAll { $0.kind == .cgroup || $0.kind == .user }
        spec.linux?.namespaces?.append(Namespace(kind: .cgroup))
        spec.mounts = [
            Mount(
                destination: "/sys/fs/cgroup/", type: "cgroup", source: "cgroup",
                options: ["nosuid", "rw"])
        ]
        return spec
    }

    private func owner(isUnified: Bool = true, _ change: (inout Spec) -> Void) -> UInt32? {
        var spec = Self.spec
        change(&spec)
        return CgroupDelegation.owner(spec, isUnified: isUnified)
    }

    @Test("the container's user owns its cgroup if it is mounted writable as the cgroup root")
    func owned() {
        #expect(owner { _ in } == 1000)
        #expect(
            owner {
                $0.process?.user.uid = 7
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = [
                    IDMapping(containerID: 0, hostID: 5, size: 1),
                    IDMapping(containerID: 1, hostID: 100_000, size: 10),
                ]
            } == 100_006)
    }

    @Test("a cgroup is not given to the user unless it is v2, writable and the namespace's root")
    func kept() {
        #expect(owner(isUnified: false) { _ in } == nil)
        #expect(owner { $0.mounts = [] } == nil)
        #expect(owner { $0.mounts?[0].options = ["ro"] } == nil)
        #expect(owner { $0.mounts?[0].destination = "/sys/fs/cgroup/inner" } == nil)
        #expect(owner { $0.linux?.namespaces?.removeAll { $0.kind == .cgroup } } == nil)
        #expect(
            owner {
                $0.linux?.namespaces?.removeAll { $0.kind == .cgroup }
                $0.linux?.namespaces?.append(Namespace(kind: .cgroup, path: "/proc/1/ns/cgroup"))
            } == nil)
        // The host's root owns the cgroup already; a user without an ID on the host cannot own it.
        #expect(owner { $0.process?.user.uid = 0 } == nil)
        #expect(
            owner {
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 9, size: 1000)]
            } == nil)
        #expect(
            owner {
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = [
                    IDMapping(containerID: 0, hostID: .max - 3, size: 2000)
                ]
            } == nil)
    }

    @Test(
        "the owner of a cgroup gets its directory and the delegable files, but not the limits",
        .enabled(
            if: geteuid() == 0 && (try? CgroupHierarchies.discover())?.mode == .unified,
            "needs root and cgroup v2"))
    func onDisk() throws {
        let id = "swrunc-test-owner-\(getpid())"
        let plan = try CgroupPlan(
            cgroupsPath: nil, id: id, resources: Resources(pids: .init(limit: 9)),
            host: try CgroupHierarchies.discover())
        let cgroup = try Cgroup.create(plan)
        defer { try? cgroup.remove() }
        try cgroup.delegate(to: 4242)
        let path = cgroup.layout.directories[0].path
        func user(_ name: String) -> UInt32 {
            var status = Glibc.stat()
            return lstat(path + name, &status) == 0 ? status.st_uid : .max
        }
        #expect(user("") == 4242)
        for file in ["/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"] {
            #expect(user(file) == 4242)
        }
        for file in ["/pids.max", "/cgroup.freeze", "/cgroup.kill"] {
            #expect(user(file) == 0)
        }
    }
}
