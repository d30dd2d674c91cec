// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

/// A host, described by its /proc/self/mountinfo and /proc/self/cgroup.
struct CgroupHost: Sendable, CustomTestStringConvertible {
    var name: String
    var mountInfo: String
    var ownCgroups: String
    var testDescription: String { name }

    var hierarchies: CgroupHierarchies {
        CgroupHierarchies(mountInfo: Array(mountInfo.utf8), ownCgroups: Array(ownCgroups.utf8))
    }

    static let hybrid = CgroupHost(
        name: "hybrid",
        mountInfo: """
            23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
            31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
            34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
            36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
            37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
            39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
            """,
        ownCgroups: """
            9:name=systemd:/init.scope
            8:pids:/
            6:freezer:/
            5:devices:/
            4:memory:/caller/a:b
            3:cpuset:/
            1:cpu,cpuacct:/
            0::/caller
            """)

    static let unified = CgroupHost(
        name: "v2",
        mountInfo: """
            23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
            30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
            """,
        ownCgroups: "0::/user.slice/session-1.scope\n")

    static let legacy = CgroupHost(
        name: "v1",
        mountInfo: """
            35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
            36 31 0:33 / /sys/fs/cgroup/with\\040space rw - cgroup cgroup rw,devices
            37 31 0:32 / /elsewhere/memory rw - cgroup cgroup rw,memory
            """,
        ownCgroups: "4:memory:/docker/abc/child\n5:devices:/..\n2:cpu:/\n")
}

/// The v2 host with its controllers, as `discover` would find them.
let unifiedHost: CgroupHierarchies = {
    var host = CgroupHost.unified.hierarchies
    host.unifiedControllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"]
    return host
}()

@Suite("Cgroup hierarchies of a host")
struct CgroupHierarchiesTests {
    @Test(
        "a host with v1 controllers and a cgroup2 mount is hybrid; the unified hierarchy comes last"
    )
    func hybrid() throws {
        let host = CgroupHost.hybrid.hierarchies
        #expect(host.mode == .hybrid)
        #expect(
            host.hierarchies.map(\.controllers) == [
                ["cpu", "cpuacct"], ["cpuset"], ["memory"], ["devices"], ["freezer"], ["pids"],
                ["name=systemd"], [],
            ])
        #expect(host.hierarchies.last?.mountPoint == "/sys/fs/cgroup/unified")
        #expect(host.hierarchies.last?.ownPath == "/caller")
    }

    @Test("the caller's cgroup path may contain a colon, and the root cgroup has an empty path")
    func ownPaths() throws {
        let host = CgroupHost.hybrid.hierarchies
        #expect(host.hierarchies[2].ownPath == "/caller/a:b")
        #expect(host.hierarchies[0].ownPath == "")
    }

    @Test("a host with only a cgroup2 mount is v2")
    func unified() throws {
        let host = CgroupHost.unified.hierarchies
        #expect(host.mode == .unified)
        #expect(
            host.hierarchies == [
                CgroupHierarchy(
                    controllers: [], mountPoint: "/sys/fs/cgroup",
                    ownPath: "/user.slice/session-1.scope")
            ])
    }

    @Test("a named v1 hierarchy beside cgroup2 does not make a host hybrid")
    func namedOnly() throws {
        let host = CgroupHierarchies(
            mountInfo: Array(
                (CgroupHost.unified.mountInfo
                    + "\n40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd")
                    .utf8),
            ownCgroups: Array("1:name=systemd:/\n0::/\n".utf8))
        #expect(host.mode == .unified)
        #expect(host.hierarchies.count == 1)
    }

    @Test("a path is relative to a mounted subtree; the first mount of a hierarchy counts")
    func subtree() throws {
        let host = CgroupHost.legacy.hierarchies
        #expect(host.mode == .legacy)
        #expect(
            host.hierarchies == [
                CgroupHierarchy(
                    controllers: ["memory"], mountPoint: "/sys/fs/cgroup/memory",
                    ownPath: "/child"),
                CgroupHierarchy(
                    controllers: ["devices"], mountPoint: "/sys/fs/cgroup/with space", ownPath: ""),
            ])
    }

    @Test("a host without cgroups has no hierarchy")
    func none() throws {
        let host = CgroupHierarchies(
            mountInfo: Array("23 1 254:0 / / rw - ext4 /dev/vda rw\n\nshort line\n".utf8),
            ownCgroups: [])
        #expect(host.hierarchies.isEmpty)
    }

    @Test("a v2 root at its usual place is found alike with and without the mount table")
    func usualPlace() throws {
        var host = CgroupHost.unified.hierarchies
        host.unifiedControllers = ["cpu", "memory"]
        let ownCgroups = Array(CgroupHost.unified.ownCgroups.utf8)
        let found = CgroupHierarchies(
            usualUnified: Array("cpu memory\n".utf8), ownCgroups: ownCgroups)
        #expect(found == host)
        let atRoot = CgroupHierarchies(usualUnified: [], ownCgroups: Array("0::/\n".utf8))
        #expect(atRoot?.hierarchies.first?.ownPath == "")
    }

    @Test(
        "the mount table is needed for v1 hierarchies and outside of the caller's cgroup namespace",
        arguments: ["4:memory:/\n0::/\n", "1:name=systemd:/\n", "0::/../other\n", ""])
    func unusual(_ ownCgroups: String) {
        let found = CgroupHierarchies(usualUnified: [], ownCgroups: Array(ownCgroups.utf8))
        #expect(found == nil)
    }

    @Test("this machine's hierarchies can be read")
    func discovery() throws {
        let host = try CgroupHierarchies.discover()
        #expect(!host.hierarchies.isEmpty)
        #expect(host.hierarchies.allSatisfy { $0.mountPoint.hasPrefix("/") })
    }
}

/// A cgroupsPath, and its directory in the memory hierarchy of a hybrid host and on v2.
struct PathCase: Sendable, CustomTestStringConvertible {
    var cgroupsPath: String?
    var legacy: String
    var unified: String
    var testDescription: String { cgroupsPath ?? "absent" }
}

@Suite("Cgroup paths")
struct CgroupLayoutTests {
    @Test(
        "absolute paths are below the mount, others below (v1) or beside (v2) the caller",
        arguments: [
            PathCase(cgroupsPath: nil, legacy: "/caller/a:b/c1", unified: "/user.slice/c1"),
            PathCase(cgroupsPath: "", legacy: "/caller/a:b/c1", unified: "/user.slice/c1"),
            PathCase(cgroupsPath: "/a/b", legacy: "/a/b", unified: "/a/b"),
            PathCase(cgroupsPath: "a/b", legacy: "/caller/a:b/a/b", unified: "/user.slice/a/b"),
            PathCase(cgroupsPath: "/../../x", legacy: "/x", unified: "/x"),
            PathCase(cgroupsPath: "../../x", legacy: "/caller/a:b/x", unified: "/user.slice/x"),
            PathCase(cgroupsPath: "//a/./b/../c/", legacy: "/a/c", unified: "/a/c"),
        ])
    func placed(_ example: PathCase) throws {
        let hybrid = try CgroupLayout(
            cgroupsPath: example.cgroupsPath, id: "c1", in: CgroupHost.hybrid.hierarchies)
        let memory = try #require(hybrid.index(of: "memory"))
        #expect(hybrid.directories[memory].path == "/sys/fs/cgroup/memory" + example.legacy)
        let unified = try CgroupLayout(
            cgroupsPath: example.cgroupsPath, id: "c1", in: unifiedHost)
        #expect(unified.directories.map(\.path) == ["/sys/fs/cgroup" + example.unified])
    }

    @Test(
        "a path that names the root or the caller's own cgroup is refused",
        arguments: ["/", ".", "..", "/a/..", "a/../.."])
    func refused(_ path: String) throws {
        let error = #expect(throws: SpecError.self) {
            try CgroupLayout(cgroupsPath: path, id: "c1", in: unifiedHost)
        }
        #expect(
            error?.description
                == "linux.cgroupsPath: \"\(path)\" does not name a cgroup of the container's own")
    }

    @Test(
        "a cgroup record can be read back unchanged",
        arguments: [CgroupHost.hybrid, .unified, .legacy])
    func record(_ host: CgroupHost) throws {
        let layout = try CgroupLayout(cgroupsPath: "/a/b", id: "c1", in: host.hierarchies)
        let text = layout.record.encoded()
        #expect(CgroupLayout(record: try JSONValue(json: text)) == layout)
    }

    @Test("a cgroup record with a field of the wrong type is refused")
    func badRecord() throws {
        #expect(CgroupLayout(record: .object(["mode": .string("v3")])) == nil)
        #expect(CgroupLayout(record: .null) == nil)
    }
}

@Suite("Mounts of hierarchies")
struct CgroupMountTests {
    private func found(
        _ mountInfo: String, _ own: String, hidden: Set<UInt64> = []
    ) -> CgroupHierarchies {
        CgroupHierarchies(
            mountInfo: Array(mountInfo.utf8), ownCgroups: Array(own.utf8),
            isReachable: { mount, _ in !hidden.contains(mount) })
    }

    @Test("hierarchies covered by another mount do not count: a hybrid host may become v2")
    func covered() {
        let mounts =
            CgroupHost.hybrid.mountInfo
            + "\n50 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
        let host = found(mounts, CgroupHost.hybrid.ownCgroups, hidden: Set(32...41))
        #expect(host.mode == .unified)
        #expect(host.hierarchies.map(\.mountPoint) == ["/sys/fs/cgroup"])
        #expect(host.hierarchies.map(\.ownPath) == ["/caller"])
    }

    @Test("of two mounts of a hierarchy, one at the usual place wins, then a writable one")
    func twice() {
        let host = found(
            """
            20 1 0:32 / /odd\\040place/memory rw - cgroup cgroup rw,memory
            21 1 0:32 / /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory
            22 1 0:32 / /sys/fs/cgroup/second rw shared:1 master:2 - cgroup cgroup memory,rw
            23 1 0:33 / /odd\\040place/cpu rw - cgroup cgroup rw,cpuacct,cpu
            24 1 0:32 / /sys/fs/cgroup/third rw - cgroup cgroup rw,memory
            25 1 0:34 / /srv/2 rw - cgroup2 none rw
            """, "1:cpu,cpuacct:/a\n4:memory:/\n0::/b\n", hidden: [25])
        #expect(
            host.hierarchies.map(\.mountPoint) == ["/sys/fs/cgroup/second", "/odd place/cpu"])
        #expect(host.mode == .legacy)
    }

    @Test("a mount whose path only begins like the usual place does not count as usual")
    func similarName() {
        let host = found(
            """
            20 1 0:32 / /sys/fs/cgroups rw - cgroup cgroup rw,memory
            21 1 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            """, "4:memory:/\n")
        #expect(host.hierarchies.map(\.mountPoint) == ["/sys/fs/cgroup/memory"])
    }
}

@Suite("The cgroup of an init that has moved")
struct FollowedCgroupTests {
    @Test(
        "the kernel says to which cgroup an init has moved, if its path can be expressed here",
        arguments: [
            ("0::/pods/box/init.scope\n", "/pods/box/init.scope"),
            ("0::/pods/box\n", "/pods/box"), ("0::/pods/boxes/a\n", "/pods/boxes/a"),
            ("0::/../pods/box/../a\n", "/pods/box"), ("4:memory:/pods/box/a\n", "/pods/box"),
            ("0::/\n", "/pods/box"), ("", "/pods/box"),
        ])
    func follows(membership: String, cgroup: String) throws {
        var host = CgroupHierarchies.none
        host.hierarchies = [
            CgroupHierarchy(controllers: [], mountPoint: "/sys/fs/cgroup", ownPath: "")
        ]
        let layout = try CgroupLayout(cgroupsPath: "/pods/box", id: "box", in: host)
        #expect(layout.following(Array(membership.utf8)).directories.map(\.cgroup) == [cgroup])
    }
}
