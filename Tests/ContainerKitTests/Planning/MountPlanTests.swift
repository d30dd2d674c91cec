// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Plans of mounts")
struct MountPlanTests {
    private func plan(_ mounts: [Mount], _ host: CgroupHierarchies = .planV2, cgroup: Bool = true)
        throws -> LaunchPlan
    {
        try PlanCase(
            name: "mounts", host: host,
            change: {
                $0.mounts = mounts
                if !cgroup { $0.linux?.namespaces?.removeAll { $0.kind == .cgroup } }
            }
        ).plan()
    }

    private func filesystems(_ plan: LaunchPlan) -> [FilesystemMount] {
        plan.childSteps.compactMap { planned in
            switch planned.step {
            case .mount(.mountFilesystem(let mount)),
                .mount(.mountCgroupHierarchies(_, let mount, _)):
                mount
            default: nil
            }
        }
    }

    @Test(
        "a mount destination is compared without empty components, . and ..",
        arguments: [
            ("/dev/", "/dev"), ("//dev", "/dev"), ("/x/../dev/.", "/dev"), ("dev", "/dev"),
            ("/../../dev", "/dev"), ("/a//b/./c/", "/a/b/c"),
        ])
    func spelling(_ destination: String, _ expected: String) throws {
        #expect(destination.rootedPath == expected)
        let mount = Mount(destination: destination, type: "tmpfs")
        #expect(try filesystems(plan([mount])).map(\.destination) == [expected])
    }

    @Test(
        "a destination below the host's path of the rootfs is taken as a path in the container",
        arguments: [
            ("/bundle/rootfs/data", "/data"), ("/bundle/./rootfs//a/../b", "/b"),
            ("/bundle/rootfs2", "/bundle/rootfs2"), ("/bundle", "/bundle"),
        ])
    func destinationOfTheHost(_ destination: String, _ expected: String) throws {
        let mount = Mount(destination: destination, type: "tmpfs")
        #expect(try filesystems(plan([mount])).map(\.destination) == [expected])
    }

    @Test(
        "no mount covers the root, whatever its type and however the root is spelled",
        arguments: ["/", "//", "/.", "/x/..", ".", "..", "/bundle/rootfs", "/bundle/./rootfs/"],
        [
            Mount(destination: "", type: "tmpfs"), Mount(destination: "", type: "proc"),
            Mount(destination: "", type: "cgroup"), Mount(destination: "", type: "overlay"),
            Mount(destination: "", source: "/srv", options: ["rbind", "ro"]),
            Mount(destination: "", type: "bind", source: "/srv"),
            Mount(destination: "", type: "tmpfs", options: ["tmpcopyup"]),
        ])
    func overTheRoot(_ destination: String, _ mount: Mount) {
        var mount = mount
        mount.destination = destination
        let error = #expect(throws: SpecError.self) { try plan([mount]) }
        #expect(error?.path.description == "mounts[0].destination")
        #expect(error?.message.contains("\"\(destination)\" is the container's root") == true)
    }

    @Test("a remount of the root changes the existing root mount")
    func remountedRoot() throws {
        let found = try plan([
            Mount(destination: "/", options: ["bind", "remount", "ro"])
        ])
        #expect(
            found.childSteps.contains { planned in
                if case .mount(.changeMount(at: "/", let changes)) = planned.step {
                    changes.first?.set == .readOnly
                } else {
                    false
                }
            })
    }

    // MARK: Devices

    /// The names of devices that are made.
    private func devices(_ mounts: [Mount], _ nodes: [DeviceNode] = []) throws -> [String] {
        let found = try PlanCase(
            name: "devices",
            change: {
                $0.mounts = mounts
                $0.linux?.devices = nodes
            }
        ).plan()
        return found.childSteps.flatMap { planned -> [String] in
            if case .device(.makeDevices(_, let devices)) = planned.step {
                return devices.map(\.name)
            }
            return []
        }
    }

    private let dev = Mount(destination: "/dev", type: "tmpfs")

    @Test("a mount of the config on the path of a default device replaces the device")
    func mountedDevice() throws {
        let fuse = DeviceNode(kind: .character, path: "/dev//fuse", major: 10, minor: 229)
        let mounts = ["/dev/random", "/dev/./tty", "/dev/fuse"].map {
            Mount(destination: $0, source: "/dev/urandom", options: ["bind"])
        }
        #expect(
            try devices([dev] + mounts, [fuse]) == ["null", "zero", "full", "urandom"])
        #expect(
            try devices(mounts + [dev], [fuse]) == [
                "null", "zero", "full", "random", "urandom", "tty", "fuse",
            ])
    }

    @Test("a default device yields to a file of its name; one of linux.devices does not")
    func givingWay() throws {
        let fuse = DeviceNode(kind: .character, path: "/dev/fuse", major: 10, minor: 229)
        let found = try PlanCase(name: "devices", change: { $0.linux?.devices = [fuse] }).plan()
        let made = found.childSteps.flatMap { planned -> [Device] in
            if case .device(.makeDevices(_, let devices)) = planned.step { return devices }
            return []
        }
        #expect(made.filter { !$0.keepsExisting }.map(\.name) == ["fuse"])
        #expect(made.filter(\.keepsExisting).count == 6)
    }

    @Test(
        "host device nodes are attached read-only where container users map to the host's root",
        arguments: [(0, true), (100_000, false)])
    func hostsRoot(_ id: UInt32, _ isReadOnly: Bool) throws {
        let maps = [IDMapping(containerID: 5, hostID: id, size: 10)]
        let found = try PlanCase(
            name: "devices",
            change: {
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
            }
        ).plan()
        let devices = found.parentSteps.compactMap { planned -> Device? in
            if case .mount(.hostDevice(_, _, let device)) = planned.step { return device }
            return nil
        }
        #expect(devices.count == 6)
        #expect(devices.allSatisfy { $0.isReadOnly == isReadOnly })
        #expect(MountChange.ofAttached(devices[0]).set == (isReadOnly ? .readOnly : .empty))
    }

    // MARK: Sources in earlier mounts

    @Test(
        "a mount source inside the rootfs is cloned by the child, after earlier mounts",
        arguments: [
            ("rootfs/mnt", "/mnt"), ("/bundle/rootfs/mnt/a/b", "/mnt/a/b"),
            ("/bundle/./rootfs//mnt/", "/mnt"), ("rootfs", "/"), ("rootfs/mnt2", "/mnt2"),
            ("rootfs/later", "/later"), ("/mnt", nil), ("/bundle", nil),
            ("rootfs/../rootfs/mnt", nil),
            ("/bundle/rootfs2/mnt", nil), ("rootfs/deep", "/deep"),
            ("rootfs/deep/er/x", "/deep/er/x"),
        ] as [(String, String?)])
    func earlierMounts(_ source: String, _ place: String?) throws {
        let found = try plan([
            Mount(destination: "/mnt", type: "tmpfs"),
            Mount(destination: "/deep/er", source: "/srv", options: ["bind"]),
            Mount(destination: "/copy", source: source, options: ["bind"]),
            Mount(destination: "/later", type: "tmpfs"),
        ])
        let cloned = found.childSteps.compactMap { planned -> String? in
            guard case .mount(.cloneContainerTree(let tree, for: 2)) = planned.step else {
                return nil
            }
            return tree.path
        }
        #expect(cloned == (place.map { [$0] } ?? []))
        let isPrepared = found.parentSteps.contains { planned in
            guard case .mount(.bind(let bind)) = planned.step else { return false }
            return bind.index == 2
        }
        #expect(isPrepared == (place == nil))
    }

    @Test(
        "no device is made in a /dev that is shared with the host",
        arguments: [
            Mount(destination: "/dev", source: "/dev", options: ["rbind"]),
            Mount(destination: "/dev/", source: "/dev", options: ["bind"]),
            Mount(destination: "//dev", type: "bind", source: "/dev"),
            Mount(destination: "/x/../dev", source: "/dev", options: ["bind"]),
            Mount(destination: "/dev/.", type: "devtmpfs", source: "devtmpfs"),
        ])
    func sharedDev(_ mount: Mount) throws {
        for planned in try plan([mount]).childSteps {
            switch planned.step {
            case .device(.makeDevices), .file(.makeLinks): Issue.record("\(planned.step)")
            default: break
            }
        }
    }

    @Test(
        "a mount over /proc must be procfs itself or an emulated file of it",
        arguments: [
            (Mount(destination: "/proc", type: "tmpfs"), "/proc", "it is not of type proc"),
            (Mount(destination: "//proc/", type: "sysfs"), "/proc", "it is not of type proc"),
            (
                Mount(destination: "/proc", source: "/srv", options: ["bind"]), "/proc",
                "it is not of type proc"
            ),
            (
                Mount(destination: "/proc", type: "proc", source: "/srv", options: ["rbind"]),
                "/proc", "it is not of type proc"
            ),
            (
                Mount(destination: "/x/../proc/sys", type: "tmpfs"), "/proc/sys",
                "it is inside /proc"
            ),
            (
                Mount(destination: "/proc/self/attr", source: "/srv", options: ["bind"]),
                "/proc/self/attr", "it is inside /proc"
            ),
            (
                Mount(destination: "/proc/stat/x", type: "tmpfs"), "/proc/stat/x",
                "it is inside /proc"
            ),
        ])
    func refusedProc(_ mount: Mount, _ destination: String, _ problem: String) {
        let error = #expect(throws: SpecError.self) { try plan([mount]) }
        #expect(error?.path.description == "mounts[0].destination")
        #expect(
            error?.message == "\"\(destination)\" cannot be mounted because \(problem)")
    }

    @Test(
        "mounts of procfs, of emulated files and of paths that only resemble /proc are allowed",
        arguments: [
            Mount(destination: "/proc", type: "proc", source: "proc"),
            Mount(destination: "/proc/", source: "/proc", options: ["rbind"]),
            Mount(destination: "/proc/cpuinfo", source: "/srv/cpuinfo", options: ["bind"]),
            Mount(destination: "/proc/sys/kernel/ns_last_pid", source: "/srv/x", options: ["bind"]),
            Mount(destination: "/process", type: "tmpfs"),
            Mount(destination: "/x/proc/sys", type: "tmpfs"),
        ])
    func acceptedProc(_ mount: Mount) throws {
        _ = try plan([mount])
    }

    @Test("a cgroup mount has the propagation and attributes that its options name")
    func cgroupChanges() throws {
        let mount = Mount(
            destination: "/sys/fs/cgroup", type: "cgroup", options: ["rnosuid", "rslave"])
        let changes = [
            MountChange(set: .noSetUserID, recursive: true),
            MountChange(recursive: true, propagation: .slave),
        ]
        #expect(try filesystems(plan([mount])).map(\.changes) == [changes])
        #expect(try filesystems(plan([mount], .planV1)).map(\.changes) == [changes])
    }

    @Test("cgroup file system options are refused where the host's hierarchy is mounted")
    func cgroupOptions() throws {
        let mount = Mount(
            destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro", "memory_recursiveprot"])
        #expect(
            try filesystems(plan([mount])).map(\.options) == [["memory_recursiveprot"]])
        for (host, hasNamespace) in [(CgroupHierarchies.planV1, true), (.planV2, false)] {
            let error = #expect(throws: SpecError.self) {
                try plan([mount], host, cgroup: hasNamespace)
            }
            #expect(error?.path.description == "mounts[0].options")
            #expect(error?.message.contains("\"memory_recursiveprot\"") == true)
        }
    }

    private func cgroupTree(_ options: [String], isTrusted: Bool = true) throws -> BindMount {
        let plan = try PlanCase(
            name: "cgroup",
            change: {
                $0.mounts = [
                    Mount(destination: "/sys/fs/cgroup", type: "cgroup", options: options)
                ]
                $0.linux?.namespaces?.removeAll { $0.kind == .cgroup }
                if isTrusted { return }
                let maps = [IDMapping(containerID: 0, hostID: 100_000, size: 10)]
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
            }
        ).plan()
        let trees = plan.parentSteps.compactMap { planned -> BindMount? in
            if case .mount(.bind(let bind)) = planned.step { return bind }
            return nil
        }
        return try #require(trees.first)
    }

    @Test("the v2 cgroup mount is the whole hierarchy without a cgroup namespace")
    func wholeHierarchy() throws {
        let tree = try cgroupTree(["ro", "noatime"])
        #expect(tree.source == "/sys/fs/cgroup" && !tree.recursive)
        let always: MountAttributes = .noSetUserID | .noDevices | .noExecution
        #expect(
            tree.changes == [
                MountChange(
                    set: always.union(.readOnly | .noAccessTime), propagation: .private)
            ])
        #expect(
            try cgroupTree(["rw", "rslave", "shared"]).changes == [
                MountChange(set: always, propagation: .private),
                MountChange(recursive: true, propagation: .slave),
                MountChange(propagation: .shared),
            ])
    }

    @Test(
        "the whole v2 hierarchy is read-only in a user namespace, despite options (CVE-2023-25809)")
    func readOnlyHierarchy() throws {
        for options in [[], ["rw"], ["rrw"]] {
            #expect(
                try cgroupTree(options, isTrusted: false).changes.last
                    == MountChange(set: .readOnly))
        }
    }

    @Test("a recursively read-only tmpfs becomes read-only once its contents are made")
    func recursivelyReadOnly() throws {
        let found = try plan([Mount(destination: "/t/", type: "tmpfs", options: ["rro"])])
        #expect(filesystems(found).map(\.changes) == [[]])
        #expect(found.childSteps.contains { $0.step == .mount(.makeReadOnly("/t")) })
    }

    @Test(
        "mount trees are sent to the child one by one in order if there are too many to inherit")
    func manyTrees() throws {
        let mounts = (0..<20).map {
            Mount(destination: "/m/\($0)", type: "bind", source: "/usr", options: ["bind"])
        }
        func trees(_ mounts: [Mount]) throws -> (sent: [Int], received: [Int], inherited: Int) {
            let plan = try plan(mounts)
            let sent = plan.parentSteps.compactMap { planned -> Int? in
                guard case .mount(.send(.mountTree(let index))) = planned.step else {
                    return nil
                }
                return index
            }
            let received = plan.childSteps.compactMap { planned -> Int? in
                guard case .mount(.receiveMountTree(.mountTree(let index))) = planned.step else {
                    return nil
                }
                return index
            }
            var inherited = 0
            for case .process(.closeDescriptors(0, let keeping, _)) in plan.childSteps.map(\.step) {
                inherited += keeping.count { if case .mountTree = $0 { true } else { false } }
            }
            return (sent, received, inherited)
        }
        let many = try trees(mounts)
        #expect(many.sent == Array(0..<20))
        #expect(many.received == many.sent)
        #expect(many.inherited == 0)
        let few = try trees(Array(mounts.prefix(TreeSupply.mostInherited)))
        #expect(few.sent == [] && few.received == [])
        #expect(few.inherited == TreeSupply.mostInherited)
    }
}
