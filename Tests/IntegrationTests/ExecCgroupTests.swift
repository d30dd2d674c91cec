// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("exec into a cgroup below the container's", Host.root)
struct ExecCgroupTests {
    /// The cgroup of an exec's process in the memory hierarchy, or in the only one.
    private func cgroup(_ bundle: TestBundle, _ words: String...) throws -> String {
        let script = "cat /proc/self/cgroup"
        let done = try bundle.start(["exec"] + words + [bundle.id, "sh", "-c", script]).wait()
        try #require(done.status == 0, "\(done)")
        let prefix = Host.isUnified ? "0::" : ":memory:"
        let line = try #require(done.text.lines.first { $0.contains(prefix) }, "\(done)")
        return String(try #require(line.split(separator: ":").last))
    }

    /// Makes a cgroup below the container's in every hierarchy; removed with the container.
    private func makeBelow(_ bundle: TestBundle, _ name: String) throws {
        for path in bundle.leftovers.cgroups() where path.hasSuffix(bundle.id) {
            try check(mkdir("\(path)/\(name)", 0o755), "mkdir \(path)/\(name)")
            guard !Host.isUnified else { continue }
            // On v1, no process can enter a cgroup without CPUs.
            for file in ["cpuset.cpus", "cpuset.mems"] where access("\(path)/\(file)", F_OK) == 0 {
                try writeText(readText("\(path)/\(file)"), to: "\(path)/\(name)/\(file)")
            }
        }
    }

    @Test("one path of --cgroup is for all hierarchies, and / is the container's own cgroup")
    func onePath() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            try makeBelow(bundle, "inner")
            #expect(try cgroup(bundle) == "/")
            #expect(try cgroup(bundle, "--cgroup", "/") == "/")
            #expect(try cgroup(bundle, "--cgroup", "inner") == "/inner")
            #expect(try cgroup(bundle, "--cgroup", "/a/.././inner/") == "/inner")
        }
    }

    @Test(
        "--cgroup takes separate paths for controllers on cgroup v1",
        .enabled(if: !Host.isUnified, "cgroup v2 has one path"))
    func controllers() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            try makeBelow(bundle, "inner")
            #expect(try cgroup(bundle, "--cgroup", "memory:inner") == "/inner")
            #expect(try cgroup(bundle, "--cgroup", "cpu,pids:inner") == "/")
        }
    }

    @Test("a --cgroup path that leads out, does not exist or names no controller is refused")
    func refused() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            for (value, message) in [
                ("..", ".. is not a sub cgroup path"),
                ("a/../../\(bundle.id)", "is not a sub cgroup path"),
                ("nonexistent", "/nonexistent/cgroup.procs: no such file or directory"),
                ("whaaat:/", "unknown controller whaaat"),
            ] {
                bundle.expectFailure(
                    try bundle.swrunc("exec", "--cgroup", value, bundle.id, "true"), status: 255,
                    naming: [message])
            }
        }
    }

    @Test(
        "exec follows an init that moved below only if the container's cgroup takes no process",
        .enabled(if: Host.isUnified, "cgroup v2 alone forbids processes beside children"))
    func movedInit() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            try makeBelow(bundle, "inner")
            let own = try #require(bundle.leftovers.cgroups().first { $0.hasSuffix(bundle.id) })
            try writeText("\(bundle.state().pid)", to: "\(own)/inner/cgroup.procs")
            #expect(try cgroup(bundle) == "/")
            try writeText("+memory", to: "\(own)/cgroup.subtree_control")
            #expect(try cgroup(bundle) == "/inner")
            bundle.expectFailure(
                try bundle.swrunc("exec", "--cgroup", "/", bundle.id, "true"), status: 255,
                naming: ["adding pid", "cgroup.procs: device or resource busy"])
        }
    }
}
