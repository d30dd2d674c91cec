// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Mounts of a running container", Host.root)
struct AddedMountTests {
    /// A container that sleeps, and a directory of the host with one file.
    private func use(
        _ change: (TestBundle) throws -> Void = { _ in }, _ body: (TestBundle) throws -> Void
    ) throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try writeText("hello", to: "\(bundle.directory)/data/file")
            try change(bundle)
            try bundle.startSleeping()
            try body(bundle)
        }
    }

    private func mounts(
        _ action: String, _ bundle: TestBundle, _ mounts: Mount...
    ) throws -> FinishedCommand {
        var options = CommandOptions()
        let list = JSONValue.array(mounts.map(\.encoded)).encoded()
        options.input = String(decoding: list, as: UTF8.self)
        return try bundle.swrunc("mounts", action, bundle.id, "-", options: options)
    }

    private func add(_ bundle: TestBundle, _ list: Mount...) throws {
        for mount in list {
            let done = try mounts("add", bundle, mount)
            try #require(done.status == 0 && done.error == "", "\(done)")
        }
    }

    private func remove(_ bundle: TestBundle, _ destination: String) throws {
        let done = try mounts("remove", bundle, Mount(destination: destination))
        #expect(done.status == 0 && done.error == "", "\(done)")
    }

    private func inside(_ bundle: TestBundle, _ script: String) throws -> FinishedCommand {
        try bundle.swrunc("exec", bundle.id, "/bin/sh", "-c", script)
    }

    private func data(_ bundle: TestBundle, at path: String, _ options: String...) -> Mount {
        Mount(
            destination: path, source: "\(bundle.directory)/data", options: ["bind"] + options)
    }

    private func places(_ bundle: TestBundle) throws -> [String] {
        let done = try bundle.swrunc("mounts", "list", bundle.id, "--format", "json")
        try #require(done.status == 0, "\(done)")
        return try Mount.list(json: Array(done.output.utf8)).map(\.destination)
    }

    @Test("a bind mount is added with its options, seen by all processes, and removed")
    func bind() throws {
        try use { bundle throws in
            try add(bundle, data(bundle, at: "/new/place", "ro"))
            let seen = try inside(bundle, "cat /new/place/file; echo x 2>&1 >/new/place/file")
            #expect(seen.output.contains("hello"), "\(seen)")
            #expect((seen.output + seen.error).contains("Read-only file system"), "\(seen)")
            #expect(try places(bundle) == ["/new/place"])
            try remove(bundle, "/new/place")
            #expect(try inside(bundle, "ls /new/place").text == "")
            #expect(try places(bundle) == [])
            // Nothing of the host has changed.
            #expect(try readText("\(bundle.directory)/data/file") == "hello")
        }
    }

    @Test("a single file, a tmpfs and a mount with mapped IDs are added")
    func kinds() throws {
        try use { bundle throws in
            let file = "\(bundle.directory)/data/file"
            try add(
                bundle, Mount(destination: "/etc/one", source: file, options: ["bind"]),
                Mount(
                    destination: "/scratch", type: "tmpfs", source: "tmpfs",
                    options: ["size=64k", "mode=700", "nosuid"]),
                Mount(
                    destination: "/mapped", source: "\(bundle.directory)/data", options: ["bind"],
                    uidMappings: [IDMapping(containerID: 0, hostID: 5, size: 1)],
                    gidMappings: [IDMapping(containerID: 0, hostID: 6, size: 1)]))
            let seen = try inside(
                bundle,
                "cat /etc/one; echo; grep ' /scratch ' /proc/mounts; ls -n /mapped/file")
            #expect(seen.output.lines.first == "hello", "\(seen)")
            #expect(seen.output.contains("nosuid"), "\(seen)")
            #expect(seen.output.contains("size=64k"), "\(seen)")
            #expect(seen.output.contains(#/ 5 +6 /#), "\(seen)")
            for path in ["/etc/one", "/scratch", "/mapped"] { try remove(bundle, path) }
            #expect(try inside(bundle, "cat /proc/mounts").output.contains("scratch") == false)
        }
    }

    @Test("mounts are added while a container waits for start, and while it is paused")
    func states() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try writeText("hello", to: "\(bundle.directory)/data/file")
            bundle.script("cat /early/file; sleep 100")
            try bundle.create()
            try add(bundle, data(bundle, at: "/early"))
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            try add(bundle, data(bundle, at: "/late"))
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try inside(bundle, "cat /early/file /late/file").text == "hellohello")
            kill(pid_t(try bundle.state().pid), SIGKILL)
            #expect(waits { (try? bundle.state().status) == .stopped })
            let done = try mounts("add", bundle, data(bundle, at: "/x"))
            bundle.expectFailure(done, naming: ["container not running"])
        }
    }

    @Test("in a user namespace the mount point belongs to the container's root")
    func userNamespace() throws {
        try use { bundle throws in
            bundle.setNamespace(.user)
            bundle.linux.uidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
            bundle.linux.gidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
            try check(chown(bundle.rootfs, 100_000, 100_000), "chown")
            try check(chmod(bundle.directory, 0o755), "chmod")
        } _: { bundle throws in
            try add(
                bundle, data(bundle, at: "/made/here"),
                Mount(destination: "/scratch", type: "tmpfs", source: "tmpfs"))
            let seen = try inside(
                bundle, "cat /made/here/file; stat -c %u /made; touch /scratch/x && echo ok")
            #expect(seen.output.lines == ["hello0", "ok"], "\(seen)")
            try remove(bundle, "/made/here")
            try remove(bundle, "/scratch")
        }
    }

    @Test("a destination that leads out of the root by links stays inside")
    func hostileDestination() throws {
        try use { bundle throws in
            try check(symlink("../../../../../../..", "\(bundle.rootfs)/up"), "symlink")
            try check(symlink("/etc/dangling/deep", "\(bundle.rootfs)/hole"), "symlink")
        } _: { bundle throws in
            let name = "swrunc-added-\(getpid())"
            try add(
                bundle, data(bundle, at: "/up/\(name)"), data(bundle, at: "/hole/below"))
            #expect(access("/\(name)", F_OK) != 0)
            #expect(access("/etc/dangling", F_OK) != 0)
            let seen = try inside(bundle, "cat /\(name)/file /etc/dangling/deep/below/file")
            #expect(seen.text == "hellohello", "\(seen)")
        }
    }

    @Test("when one mount of a list fails, those before it are undone")
    func undone() throws {
        try use { bundle throws in
            let done = try mounts(
                "add", bundle, data(bundle, at: "/one"),
                Mount(destination: "/two", source: "/nowhere", options: ["bind"]))
            bundle.expectFailure(done, naming: ["mounts[1]", "/nowhere"])
            #expect(try places(bundle) == [])
            #expect(try inside(bundle, "ls /one").text == "")
        }
    }

    static let refused: [(Mount, [String])] = [
        (
            Mount(destination: "/p", type: "proc", source: "proc"),
            ["mounts[0].type", "\"proc\" cannot be added"]
        ),
        (
            Mount(destination: "/etc", options: ["bind", "remount", "ro"]),
            ["mounts[0].options", "remount"]
        ),
        (
            Mount(destination: "/", type: "tmpfs", source: "tmpfs"),
            ["mounts[0].destination", "root"]
        ),
        (
            Mount(destination: "/proc/sys", type: "tmpfs", source: "tmpfs"),
            ["mounts[0].destination", "inside /proc"]
        ),
        (
            Mount(destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]),
            ["mounts[0].options", "tmpcopyup"]
        ),
        (Mount(destination: "/x", type: "nonesuch", source: "x"), ["mounts[0]", "nonesuch"]),
    ]

    @Test("what only a new container can get is refused with its field", arguments: refused)
    func refusal(_ mount: Mount, _ words: [String]) throws {
        try use { bundle throws in
            bundle.expectFailure(try mounts("add", bundle, mount), naming: words)
            #expect(try places(bundle) == [])
        }
    }

    @Test("a container that shares the host's mounts gets no further ones")
    func sharedMounts() throws {
        try use { bundle throws in
            bundle.removeNamespace(.mount)
            bundle.spec.mounts = []
            bundle.linux.maskedPaths = nil
            bundle.linux.readonlyPaths = nil
        } _: { bundle throws in
            let done = try mounts("add", bundle, data(bundle, at: "/x"))
            bundle.expectFailure(done, naming: ["mounts[0]", "no mount namespace of its own"])
        }
    }

    @Test("only what was added is removed")
    func foreignMounts() throws {
        try use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp")
            let all = ["CAP_SYS_ADMIN"]
            bundle.process.capabilities = Capabilities(
                bounding: all, effective: all, permitted: all)
        } _: { bundle throws in
            for path in ["/tmp", "/nothing"] {
                let done = try mounts("remove", bundle, Mount(destination: path))
                bundle.expectFailure(done, naming: ["no mount was added", path])
            }
            try add(bundle, data(bundle, at: "/a"), data(bundle, at: "/b"))
            // The container covers one of them, and unmounts the other.
            let done = try inside(bundle, "mount -t tmpfs own /a && umount /b")
            try #require(done.status == 0, "\(done)")
            let covered = try mounts("remove", bundle, Mount(destination: "/a"))
            bundle.expectFailure(covered, naming: ["/a", "not what was added there"])
            #expect(try inside(bundle, "grep -c ' /a ' /proc/mounts").text == "2")
            try remove(bundle, "/b")
            #expect(try places(bundle) == ["/a"])
            #expect(try inside(bundle, "umount /a").status == 0)
            try remove(bundle, "/a")
            #expect(try places(bundle) == [])
        }
    }

    @Test("a container with added mounts is not checkpointed")
    func checkpoint() throws {
        try use { bundle throws in
            try add(bundle, data(bundle, at: "/a"))
            let image = "\(bundle.directory)/image"
            let done = try bundle.swrunc("checkpoint", "--image-path", image, bundle.id)
            bundle.expectFailure(done, naming: ["mounts were added", "/a"])
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("a wrong action, file or list of mounts is refused with its name")
    func usage() throws {
        try use { bundle throws in
            func expectFailure(_ words: [String], input: String = "", _ naming: [String]) throws {
                var options = CommandOptions()
                options.input = input
                bundle.expectFailure(
                    try bundle.start(["mounts"] + words, options).wait(), naming: naming)
            }
            try expectFailure(["put", bundle.id, "-"], ["does not know", "put"])
            try expectFailure(["add", bundle.id], ["needs a file"])
            try expectFailure(["add", bundle.id, "/nowhere"], ["/nowhere"])
            try expectFailure(["list", bundle.id, "-"], ["takes no file"])
            try expectFailure(["add", bundle.id, "-"], input: "[{}]", ["mounts[0].destination"])
            try expectFailure(["add", bundle.id, "-"], input: "7", ["standard input", "mounts"])
            try expectFailure(
                ["add", bundle.id, "-"], input: #"[{"destination":"/x","options":["bind"]}]"#,
                ["mounts[0].source"])
        }
    }
}
