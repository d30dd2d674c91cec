// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Cgroups delegated to the container", Host.root)
struct DelegatedCgroupTests {
    private func prepare(_ bundle: TestBundle) {
        bundle.spec.annotations = ["run.oci.delegate-cgroup": "/payload"]
        bundle.linux.resources = Resources(pids: .init(limit: 20))
    }

    @Test(
        "a process may divide the sub-cgroup delegated to it; the limits stay above",
        .enabled(if: Host.isUnified, "needs cgroup v2 alone"))
    func delegated() throws {
        try TestBundle.use { bundle throws in
            prepare(bundle)
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                    options: ["nosuid", "noexec", "nodev", "rw"]))
            bundle.script(
                """
                cat /proc/self/cgroup
                cd /sys/fs/cgroup
                cat pids.max cgroup.subtree_control
                mkdir payload/mine && echo $$ > payload/mine/cgroup.procs && cat /proc/self/cgroup
                """)
            let done = try bundle.run()
            let lines = done.output.lines
            #expect(lines.first == "0::/payload" && lines.last == "0::/payload/mine", "\(done)")
            #expect(lines.contains("20"), "\(done)")
            #expect(lines.contains { $0.contains("pids") }, "\(done)")
            #expect(bundle.leftovers.found() == [])

            try bundle.startSleeping()
            let entered = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/cgroup")
            #expect(entered.text == "0::/payload", "\(entered)")
            #expect(try bundle.swrunc("ps", "-f", "json", bundle.id).text.hasPrefix("["))
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a cgroup that cannot be delegated fails the launch, and nothing is left")
    func refused() throws {
        try TestBundle.use { bundle throws in
            prepare(bundle)
            bundle.spec.annotations = ["run.oci.delegate-cgroup": "../beside"]
            bundle.expectFailure(
                try bundle.run(),
                naming: ["annotations.run.oci.delegate-cgroup", "is not a sub cgroup path"])
            guard !Host.isUnified else { return }
            prepare(bundle)
            bundle.expectFailure(
                try bundle.run(),
                naming: ["annotations.run.oci.delegate-cgroup", "needs cgroup v2 alone"])
            #expect(bundle.leftovers.found() == [])
        }
    }
}
