// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Ownership of cgroups", Host.root)
struct CgroupOwnershipTests {
    /// The directory of a cgroup in every hierarchy.
    private func directories(_ path: String) -> [String] {
        Host.hierarchies.map { $0.mountPoint + path }
    }

    @Test(
        "a failed create removes the empty cgroup of cgroupsPath, even one that existed before"
    )
    func failedCreate() throws {
        try TestBundle.use { bundle throws in
            let parent = "/\(bundle.token)-engine"
            let made = directories(parent) + directories("\(parent)/inner")
            for path in made { try check(mkdir(path, 0o755), "mkdir \(path)") }
            defer { for path in made.reversed() { rmdir(path) } }
            bundle.linux.cgroupsPath = "\(parent)/inner"
            bundle.process.args = ["no-such-program"]
            bundle.expectFailure(try bundle.run(), naming: ["no-such-program"])
            #expect(directories("\(parent)/inner").allSatisfy { !exists($0) })
            #expect(directories(parent).allSatisfy { exists($0) })
        }
    }

    @Test("a cgroup that has a process is left as it is, and create is refused")
    func occupied() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = "/\(bundle.token)-shared"
            try bundle.startSleeping()
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let done = try bundle.swrunc("run", "--bundle", bundle.directory, "\(bundle.id)-2")
            bundle.expectFailure(
                done, naming: ["container's cgroup is not empty: 1 process(es) found"])
            #expect(try bundle.state().status == .running)
            #expect(directories("/\(bundle.token)-shared").allSatisfy { exists($0) })
        }
    }

    @Test("of two concurrent creates with one cgroupsPath, one is refused and the other succeeds")
    func twoCreates() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.cgroupsPath = "/\(bundle.token)-shared"
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            for _ in 0..<5 {
                let ids = ["\(bundle.id)-1", "\(bundle.id)-2", "\(bundle.id)-3"]
                let commands = try ids.map {
                    try bundle.start(["create", "--bundle", bundle.directory, $0])
                }
                let done = try commands.map { try $0.wait() }
                #expect(done.map(\.status).sorted() == [0, 1, 1], "\(done)")
                for (id, one) in zip(ids, done) {
                    guard one.status == 0 else {
                        #expect(one.message.contains("container's cgroup is "), "\(one)")
                        continue
                    }
                    #expect(try bundle.state(id).status == .created)
                    #expect(try bundle.swrunc("delete", "--force", id).status == 0)
                }
                #expect(directories("/\(bundle.token)-shared").allSatisfy { !exists($0) })
            }
        }
    }
}

/// Only the v2 hierarchy: on a hybrid host in a mount namespace in which it covers the others.
@Suite(
    "A container whose init has left its cgroup", Host.root,
    .enabled(if: Host.hierarchies.contains { $0.isUnified }, "needs a cgroup v2 hierarchy"))
struct LeftCgroupTests {
    private let root = Host.hierarchies.first { $0.isUnified }?.mountPoint ?? ""

    private func swrunc(_ bundle: TestBundle, _ words: String...) throws -> FinishedCommand {
        let call = [Host.runtime, "--root", bundle.store] + words
        guard !Host.isUnified else { return try RunningCommand(call, token: bundle.token).wait() }
        let cover = """
            mount --make-rprivate / && mount --bind "$0" /sys/fs/cgroup && exec "$@"
            """
        return try RunningCommand(
            ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", cover, root] + call,
            token: bundle.token
        ).wait()
    }

    private func use(_ body: (_ bundle: TestBundle, _ own: String, _ pid: Int) throws -> Void)
        throws
    {
        try TestBundle.use { bundle throws in
            let (own, other) = ("\(root)/\(bundle.token)-own", "\(root)/\(bundle.token)-other")
            bundle.linux.cgroupsPath = "/\(bundle.token)-own"
            bundle.linux.resources = nil
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let done = try swrunc(
                bundle, "run", "--detach", "--bundle", bundle.directory, bundle.id)
            try #require(done.status == 0 && done.error == "", "\(done)")
            // The runtime has not used what it could not reach.
            #expect(bundle.leftovers.cgroups() == [own])
            let pid = try bundle.state().pid
            try check(mkdir(other, 0o755), "mkdir")
            try writeText("\(pid)", to: "\(other)/cgroup.procs")
            defer {
                _ = try? swrunc(bundle, "delete", "--force", bundle.id)
                _ = waits { rmdir(other) == 0 }
            }
            try body(bundle, own, pid)
        }
    }

    @Test("exec joins the present cgroup of init if the container's own cgroup is gone")
    func exec() throws {
        try use { bundle, own, pid throws in
            try check(rmdir(own), "rmdir")
            let done = try swrunc(bundle, "exec", bundle.id, "/bin/grep", "0::", "/proc/1/cgroup")
            #expect(done.status == 0, "\(done)")
            let file = "\(bundle.directory)/pid"
            #expect(
                try swrunc(
                    bundle, "exec", "--detach", "--pid-file", file, bundle.id, "/bin/sleep", "100"
                ).status == 0)
            let cgroup = try readText("/proc/\(readText(file))/cgroup").lines.first {
                $0.hasPrefix("0::")
            }
            #expect(cgroup == "0::/\(bundle.token)-other")
        }
    }

    @Test("exec stays in the container's own cgroup as long as that can be entered")
    func ownCgroup() throws {
        try use { bundle, own, pid throws in
            let file = "\(bundle.directory)/pid"
            #expect(
                try swrunc(
                    bundle, "exec", "--detach", "--pid-file", file, bundle.id, "/bin/sleep", "100"
                ).status == 0)
            #expect(try readText("\(own)/cgroup.procs").trimmed == readText(file))
        }
    }

    @Test("pause reports that init has left its cgroup, and leaves nothing frozen")
    func pause() throws {
        try use { bundle, own, pid throws in
            bundle.expectFailure(
                try swrunc(bundle, "pause", bundle.id),
                naming: ["init has left the container's cgroup"])
            #expect(try readText("\(own)/cgroup.freeze").trimmed == "0")
            try check(rmdir(own), "rmdir")
            bundle.expectFailure(
                try swrunc(bundle, "pause", bundle.id), naming: ["the container's cgroup is gone"])
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("ps, events, update, kill and delete handle a container whose cgroup is gone")
    func truth() throws {
        try use { bundle, own, pid throws in
            try check(rmdir(own), "rmdir")
            #expect(try swrunc(bundle, "ps", "--format", "json", bundle.id).text == "[\(pid)]")
            bundle.expectFailure(
                try swrunc(bundle, "events", "--stats", bundle.id),
                naming: ["the container's cgroup is gone"])
            let update = try swrunc(bundle, "update", bundle.id)
            #expect(update.error.contains("init has left the container's cgroup"), "\(update)")
            #expect(try swrunc(bundle, "kill", "--all", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            #expect(try swrunc(bundle, "delete", bundle.id).status == 0)
        }
    }
}
