// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("tmpcopyup and the container's cgroup", Host.root)
struct TmpfsCopyTests {
    /// A container whose image has this many MiB in /data, which becomes a tmpfs.
    private func prepare(_ bundle: TestBundle, megabytes: Int) throws {
        try makeDirectory("\(bundle.rootfs)/data")
        let block = String(repeating: "x", count: megabytes << 20)
        try writeText(block, to: "\(bundle.rootfs)/data/big")
        bundle.addMount("tmpfs", "tmpfs", at: "/data", "tmpcopyup")
        bundle.linux.cgroupsPath = "/\(bundle.token)-copy"
    }

    private func directory(_ bundle: TestBundle, _ controller: String) throws -> String {
        let hierarchy = try #require(
            Host.hierarchies.first {
                Host.isUnified ? $0.isUnified : $0.controllers.contains(controller)
            })
        return "\(hierarchy.mountPoint)/\(bundle.token)-copy"
    }

    @Test("the memory of tmpcopyup's copies is charged to the container")
    func charged() throws {
        try TestBundle.use { bundle throws in
            try prepare(bundle, megabytes: 40)
            try bundle.startSleeping()
            let file = Host.isUnified ? "memory.current" : "memory.usage_in_bytes"
            let text = try readText("\(directory(bundle, "memory"))/\(file)")
            let usage = try #require(Int(text.trimmed))
            #expect(usage > 40 << 20)
        }
    }

    @Test("tmpcopyup beyond the memory limit is one error that names the mount and the cause")
    func limit() throws {
        try TestBundle.use { bundle throws in
            try prepare(bundle, megabytes: 40)
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20, swap: 16 << 20)
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            bundle.expectFailure(
                try bundle.run(),
                naming: ["mounts[\(index)]", "on /data", "OOM-killed", "\"/data/big\""])
        }
    }

    @Test(
        "tmpcopyup without an OOM killer is an error instead of an endless wait for memory",
        .enabled(if: !Host.isUnified, "cgroup v2 has no such switch"))
    func noKiller() throws {
        try TestBundle.use { bundle throws in
            try prepare(bundle, megabytes: 40)
            bundle.linux.resources?.memory = MemoryResources(
                limit: 16 << 20, swap: 16 << 20, disableOOMKiller: true)
            bundle.expectFailure(
                try bundle.run(), naming: ["on /data", "cannot allocate memory"])
        }
    }

    @Test("tmpcopyup ends with a killed runtime, and delete removes what is left")
    func killed() throws {
        try TestBundle.use { bundle throws in
            try prepare(bundle, megabytes: 60)
            // A hundredth of a CPU.
            bundle.linux.resources?.cpu = CPUResources(quota: 1000, period: 100_000)
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let create = try bundle.start(["create", "--bundle", bundle.directory, bundle.id])
            let file = "\(try directory(bundle, "cpu"))/cgroup.procs"
            func isEmpty() -> Bool? { (try? readText(file)).map(\.isEmpty) }
            #expect(waits(20) { isEmpty() == false })
            kill(create.pid, SIGKILL)
            _ = try create.wait()
            #expect(waits(20) { isEmpty() == true })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.cgroups().isEmpty)
        }
    }

    @Test(
        "delete --force ends the process that copies, and removes the cgroup, if create was killed",
        InnerRun.traced)
    func killedCreate() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/etc", "tmpcopyup")
            try bundle.writeConfig()
            // The copying process waits for its parent's word, which a killed parent never writes.
            let done = try RunningCommand(
                [
                    InnerRun.strace, "-qq", "-o", "/dev/null", "-e", "trace=recvmsg", "-e",
                    "inject=recvmsg:signal=KILL:when=1", Host.runtime, "--root", bundle.store,
                    "create", "--bundle", bundle.directory, bundle.id,
                ], token: bundle.token
            ).wait()
            #expect(done.status == 128 + SIGKILL, "\(done)")
            #expect(waits(20) { !bundle.leftovers.processes().isEmpty })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }
}
