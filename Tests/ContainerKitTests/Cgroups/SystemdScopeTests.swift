// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The scope of a container")
struct SystemdScopeTests {
    private static let system = SystemdHost(instance: .system, version: 257, controlGroup: "")
    private static let user = SystemdHost(
        instance: .user, version: 257,
        controlGroup: "/user.slice/user-1000.slice/user@1000.service")

    private func layout(_ path: String?, _ host: SystemdHost) throws -> CgroupLayout {
        let scope = try SystemdScope(cgroupsPath: path, id: "box", host: host)
        return try CgroupLayout(scope: scope, host: host, in: .planV2)
    }

    @Test(
        "cgroupsPath for systemd consists of slice, prefix and name",
        arguments: [
            (nil, "/system.slice/runc-box.scope"), ("", "/system.slice/runc-box.scope"),
            ("system.slice:docker:0123", "/system.slice/docker-0123.scope"),
            ("machine.slice:libpod:0123", "/machine.slice/libpod-0123.scope"),
            (":p:n", "/system.slice/p-n.scope"), ("a.slice::n", "/a.slice/-n.scope"),
            ("a-b-c.slice:p:n", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
            ("-.slice:p:n", "/p-n.scope"),
        ])
    func places(path: String?, expected: String) throws {
        #expect(try layout(path, Self.system).directories.map(\.cgroup) == [expected])
    }

    @Test("an ordinary user's units are below the user's systemd, by default in user.slice")
    func userPlaces() throws {
        let below = "/user.slice/user-1000.slice/user@1000.service"
        #expect(
            try layout(nil, Self.user).directories[0].cgroup == below + "/user.slice/runc-box.scope"
        )
        #expect(
            try layout("a-b.slice:p:n", Self.user).directories[0].cgroup
                == below + "/a.slice/a-b.slice/p-n.scope")
    }

    @Test("a scope on cgroup v1 is in every hierarchy, and is refused for a user's systemd")
    func legacyPlaces() throws {
        let scope = try SystemdScope(cgroupsPath: "a.slice:p:n", id: "box", host: Self.system)
        let layout = try CgroupLayout(scope: scope, host: Self.system, in: .planV1)
        #expect(layout.directories.count == CgroupHierarchies.planV1.hierarchies.count)
        #expect(Set(layout.directories.map(\.cgroup)) == ["/a.slice/p-n.scope"])
        #expect(throws: SpecError.self) {
            try CgroupLayout(scope: scope, host: Self.user, in: .planV1)
        }
    }

    @Test(
        "a cgroupsPath that names no systemd scope is refused",
        arguments: [
            (
                "/pods/one",
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, "
                    + "got \"/pods/one\" instead"
            ),
            (
                "a:b:c:d",
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, "
                    + "got \"a:b:c:d\" instead"
            ),
            ("a:p:n", "invalid slice name: \"a\""),
            (".slice:p:n", "invalid slice name: \".slice\""),
            ("a--b.slice:p:n", "invalid slice name: \"a--b.slice\""),
            ("-a.slice:p:n", "invalid slice name: \"-a.slice\""),
            ("../a.slice:p:n", "invalid slice name: \"../a.slice\""),
            ("a/b.slice:p:n", "invalid slice name: \"a/b.slice\""),
            ("a.slice:p:", "\"p-.scope\" is not the name of a systemd unit"),
            ("a.slice:p:../x", "\"p-../x.scope\" is not the name of a systemd unit"),
            ("a.slice:p:a b", "\"p-a b.scope\" is not the name of a systemd unit"),
            (
                "a.slice::b.slice",
                "\"a.slice::b.slice\" names a slice, in which systemd lets no process be"
            ),
        ])
    func refused(path: String, message: String) {
        let error = #expect(throws: SpecError.self) { try layout(path, Self.system) }
        #expect(error?.path == "linux.cgroupsPath")
        #expect(error?.message == message)
    }

    @Test("the state file keeps the name of the systemd scope")
    func recorded() throws {
        let layout = try layout("a-b.slice:p:n", Self.user)
        #expect(CgroupLayout(record: layout.record) == layout)
        var plain = layout
        plain.scope = nil
        #expect(CgroupLayout(record: plain.record) == plain)
        let inner = try layout.inSubgroup(["run.oci.systemd.subgroup": "a/./b"])
        #expect(inner.scope?.subgroup == "/a/b")
        #expect(inner.directories.allSatisfy { $0.path.hasSuffix("/p-n.scope/a/b") })
        #expect(CgroupLayout(record: inner.record) == inner)
        #expect(try layout.inSubgroup(["run.oci.systemd.subgroup": ""]) == layout)
    }

    @Test("cgroup annotations name only cgroups below the container's own")
    func annotatedCgroups() throws {
        func plan(_ host: CgroupHierarchies, _ annotations: [String: String]) throws(SpecError)
            -> CgroupPlan
        {
            var plan = try CgroupPlan(cgroupsPath: nil, id: "box", resources: nil, host: host)
            try plan.delegate(annotations)
            return plan
        }
        let name = "run.oci.delegate-cgroup"
        #expect(try plan(.planV2, [name: "/init"]).delegated == "/init")
        #expect(try plan(.planV2, [name: ""]).delegated == "")
        #expect(try plan(.planV1, [:]).delegated == "")
        for (host, path, message) in [
            (CgroupHierarchies.planV2, "../x", "../x is not a sub cgroup path"),
            (.planV1, "init", "needs cgroup v2 alone"),
        ] {
            let error = #expect(throws: SpecError.self) { try plan(host, [name: path]) }
            #expect(error?.description == "annotations.\(name): \(message)")
        }
    }

    @Test("a limit of one task is two until the process that keeps the scope has left")
    func roomForKeeper() throws {
        for resources in [
            Resources(pids: .init(limit: 1)), Resources(pids: .init(limit: 0)),
            Resources(unified: ["pids.max": "1"]),
        ] {
            let plan = try CgroupPlan(
                cgroupsPath: nil, id: "box", resources: resources, annotations: [:], host: .planV2,
                systemd: Self.system)
            #expect(texts(plan.resources) == ["1"])
            #expect(plan.properties.last == UnitProperty("TasksMax", .uint64(1)))
            let first = plan.withRoomForKeeper
            #expect(texts(first.resources) == ["2"])
            #expect(first.properties.last == UnitProperty("TasksMax", .uint64(2)))
            let then = try #require(plan.withoutRoomForKeeper)
            #expect(texts(then) == ["1"])
            #expect(then.properties == [UnitProperty("TasksMax", .uint64(1))])
        }
        let plan = try CgroupPlan(
            cgroupsPath: nil, id: "box", resources: Resources(pids: .init(limit: 2)),
            annotations: [:], host: .planV2, systemd: Self.system)
        #expect(plan.withRoomForKeeper == plan)
        #expect(plan.withoutRoomForKeeper == nil)
    }

    @Test("a process that stays in the scope is one more task for systemd, not for the container")
    func roomForStayingKeeper() throws {
        let plan = try CgroupPlan(
            cgroupsPath: nil, id: "box", resources: Resources(pids: .init(limit: 2)),
            annotations: [:], host: .planV2, systemd: Self.system, keepsAccounting: true)
        let scope = "/sys/fs/cgroup/system.slice/runc-box.scope"
        #expect(plan.layout.directories.map(\.path) == ["\(scope)/container"])
        #expect(plan.layout.keeperPath == "\(scope)/swrunc-keeper")
        #expect(texts(plan.withRoomForKeeper.resources) == ["2"])
        #expect(plan.withRoomForKeeper.properties.last == UnitProperty("TasksMax", .uint64(3)))
        #expect(plan.withoutRoomForKeeper == nil)
        let scopeRead = try #require(plan.layout.scope.flatMap { SystemdScope(record: $0.record) })
        #expect(scopeRead == plan.layout.scope)
    }

    @Test("accounting after the end needs cgroup v2, and a cgroup apart from the keeper's")
    func accountingRefusals() throws {
        func plan(_ host: CgroupHierarchies, _ subgroup: String) throws(SpecError) -> CgroupPlan {
            try CgroupPlan(
                cgroupsPath: nil, id: "box", resources: nil,
                annotations: ["run.oci.systemd.subgroup": subgroup], host: host,
                systemd: Self.system, keepsAccounting: true)
        }
        #expect(
            try plan(.planV2, "/own").layout.directories.map(\.cgroup)
                == ["/system.slice/runc-box.scope/own"])
        for (host, subgroup, message) in [
            (
                CgroupHierarchies.planV1, "",
                "linux.cgroupsPath: accounting after a container's end needs cgroup v2 alone"
            ),
            (
                .planV2, "swrunc-keeper/a",
                "annotations.run.oci.systemd.subgroup: /swrunc-keeper/a is the cgroup of the process "
                    + "that keeps a scope"
            ),
        ] {
            let error = #expect(throws: SpecError.self) { try plan(host, subgroup) }
            #expect(error?.description.hasPrefix(message) == true, "\(String(describing: error))")
        }
    }

    private func texts(_ plan: ResourcePlan) -> [String] {
        plan.steps.compactMap { step in
            if case .write(let write) = step { write.text } else { nil }
        }
    }
}
