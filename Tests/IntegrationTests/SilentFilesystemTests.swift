// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite(
    "A limit for the time of a launch, on a file system that does not answer", Host.root,
    .enabled(if: access("/dev/fuse", R_OK | W_OK) == 0, "no /dev/fuse"))
struct SilentFilesystemTests {
    private static let limit = "\(Host.slowness)s"
    /// From the call to the error: the limit, a second, and the time of a slow machine.
    private static let most = Duration.seconds(2 * Host.slowness + 2)

    private func using(
        _ kind: SilentFilesystem.Kind,
        _ body: (TestBundle, SilentFilesystem) throws -> Void
    ) throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.directory)/silent"
            try makeDirectory(path)
            let files = try SilentFilesystem(on: path, kind)
            // Before the bundle is cleaned up, which would wait for it, too.
            defer { files.end() }
            try body(bundle, files)
        }
    }

    /// The process that the hint says is stuck.
    private func stuckProcess(_ done: FinishedCommand) throws -> Int32 {
        let words = done.error.split { " \"".contains($0) }
        let place = try #require(words.firstIndex(of: "stuck"), "\(done)")
        return try #require(Int32(words[max(place - 2, 0)]), "\(done)")
    }

    /// Whether the process has not ended; one that nobody has waited for yet has.
    private func exists(_ pid: Int32) -> Bool {
        guard let text = try? readText("/proc/\(pid)/stat") else { return false }
        return text.split(separator: ")").last?.hasPrefix(" Z") == false
    }

    enum Place: String, CaseIterable, Sendable {
        case source, root, namespace, hook, agent, bundle
    }

    private func put(_ path: String, at place: Place, of bundle: TestBundle) -> String {
        switch place {
        case .source:
            bundle.addMount("bind", path, at: "/mnt", "rbind")
            return "mounts[\((bundle.spec.mounts ?? []).count - 1)].source"
        case .root:
            bundle.spec.root?.path = "\(path)/rootfs"
            return "root.path"
        case .namespace:
            bundle.setNamespace(.uts, path: "\(path)/uts")
            return ".path"
        case .hook:
            bundle.spec.hooks = Hooks(poststart: [Hook(path: "\(path)/hook")])
            return "hooks.poststart[0].path"
        case .agent:
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow, listenerPath: "\(path)/agent",
                syscalls: [SeccompRule(names: ["execve"], action: .notify)])
            return "linux.seccomp.listenerPath"
        case .bundle: return "config.json"
        }
    }

    @Test(
        "a create that needs it ends in time, names the place, and leaves nothing",
        arguments: Place.allCases)
    func create(_ place: Place) throws {
        try using(.unread) { bundle, files throws in
            let field = put(files.path, at: place, of: bundle)
            try bundle.writeConfig()
            let start = ContinuousClock.now
            let done = try bundle.swrunc(
                "create", "--timeout", Self.limit, "--bundle",
                place == .bundle ? files.path : bundle.directory, bundle.id)
            bundle.expectFailure(
                done,
                naming: [
                    "timeout of \(Self.limit): the file system of \(files.path)", field,
                    "does not answer",
                ])
            #expect(.now - start < Self.most)
            #expect(entries(of: bundle.store).isEmpty)
            #expect(bundle.leftovers.found() == ["mount \(files.path)"])
        }
    }

    @Test("where not even a kill ends the look, the process is named, and ends when it can")
    func unkillable() throws {
        try using(.silent) { bundle, files throws in
            bundle.addMount("bind", files.path, at: "/mnt", "rbind")
            let start = ContinuousClock.now
            let done = try bundle.run("--timeout", Self.limit)
            #expect(.now - start < Self.most)
            bundle.expectFailure(done, naming: ["\(files.path) does not answer"])
            #expect(done.error.contains("umount --force"))
            let stuck = try stuckProcess(done)
            #expect(exists(stuck) && entries(of: bundle.store).isEmpty)
            files.end()
            #expect(waits { !exists(stuck) })
        }
    }

    @Test("an init that is stuck is named with its step; the container stays until it has ended")
    func stuckInit() throws {
        try using(.withRoot) { bundle, files throws in
            bundle.addMount("bind", files.path, at: "/mnt", "rbind")
            bundle.process.cwd = "/mnt/sub"
            let start = ContinuousClock.now
            let done = try bundle.run("--timeout", Self.limit)
            #expect(.now - start < Self.most)
            bundle.expectFailure(
                done,
                naming: [
                    "process.cwd", "timeout of \(Self.limit): init is at the step: make /mnt/sub",
                ])
            #expect(done.error.contains("delete --force \(bundle.id)"))
            let stuck = try stuckProcess(done)
            #expect(exists(stuck))
            let early = try bundle.swrunc("delete", "--force", bundle.id)
            bundle.expectFailure(early, naming: ["container init still running"])
            #expect(try stuckProcess(early) == stuck)
            #expect(entries(of: bundle.store) == [bundle.id])
            files.end()
            #expect(waits { !exists(stuck) })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(entries(of: bundle.store).isEmpty && bundle.leftovers.found() == [])
        }
    }

    @Test(
        "what a tmpfs covers may be silent, too: from the start, or once tmpcopyup reads it",
        arguments: [
            (SilentFilesystem.Kind.unread, "does not answer"),
            (.withRoot, "the runtime is at the step: "),
        ])
    func copy(_ kind: SilentFilesystem.Kind, _ words: String) throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.rootfs)/data"
            try makeDirectory(path)
            let files = try SilentFilesystem(on: path, kind)
            defer { files.end() }
            bundle.addMount("tmpfs", "tmpfs", at: "/data", "tmpcopyup")
            let start = ContinuousClock.now
            bundle.expectFailure(
                try bundle.run("--timeout", Self.limit),
                naming: ["mounts[7]", "timeout of \(Self.limit): ", words])
            #expect(.now - start < Self.most)
            // The process that copies is in the container's cgroup.
            let stays = kind == .withRoot
            #expect(entries(of: bundle.store) == (stays ? [bundle.id] : []))
            guard stays else { return }
            let early = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(early.status == 1)
            let stuck = try stuckProcess(early)
            files.end()
            #expect(waits { !exists(stuck) })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
        }
    }

    @Test("an exec that is stuck is named; the container goes on")
    func exec() throws {
        try using(.withRoot) { bundle, files throws in
            bundle.addMount("bind", files.path, at: "/mnt", "rbind")
            try bundle.startSleeping()
            let start = ContinuousClock.now
            let done = try bundle.swrunc(
                "exec", "--timeout", Self.limit, "--cwd", "/mnt/sub", bundle.id, "true")
            #expect(.now - start < Self.most)
            bundle.expectFailure(
                done, status: 255, naming: ["timeout of \(Self.limit): init is at the step: "])
            let stuck = try stuckProcess(done)
            #expect(exists(stuck) && !done.error.contains("delete --force"))
            #expect(try bundle.state().status == .running)
            files.end()
            #expect(waits { !exists(stuck) })
        }
    }

    @Test("what is missing or refused is no matter of time: the launch itself says so")
    func missing() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("bind", "\(bundle.directory)/missing", at: "/mnt", "rbind")
            bundle.addMount("bind", "\(bundle.rootfs)/etc", at: "/more", "rbind")
            bundle.expectFailure(
                try bundle.run("--timeout", "1m"), naming: ["missing", "no such file or directory"])
        }
    }

    @Test("a path behind a missing one is looked at, too")
    func behindMissing() throws {
        try using(.unread) { bundle, files throws in
            bundle.addMount("bind", "\(bundle.directory)/missing", at: "/mnt", "rbind")
            bundle.addMount("bind", files.path, at: "/more", "rbind")
            bundle.expectFailure(
                try bundle.run("--timeout", Self.limit),
                naming: ["the file system of \(files.path) does not answer"])
        }
    }
}
