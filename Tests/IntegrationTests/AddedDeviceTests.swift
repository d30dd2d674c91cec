// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Devices of a running container", Host.root)
struct AddedDeviceTests {
    /// A device that no container may use by itself.
    private static let fuse = DeviceNode(kind: .character, path: "/dev/fuse", major: 10, minor: 229)

    private func devices(
        _ action: String, _ bundle: TestBundle, _ nodes: DeviceNode..., flags: [String] = []
    ) throws -> FinishedCommand {
        var options = CommandOptions()
        let list = JSONValue.array(nodes.map(\.encoded)).encoded()
        options.input = String(decoding: list, as: UTF8.self)
        return try bundle.start(["devices", action, bundle.id, "-"] + flags, options).wait()
    }

    private func succeed(
        _ action: String, _ bundle: TestBundle, _ nodes: DeviceNode..., flags: [String] = []
    ) throws {
        for node in nodes {
            let done = try devices(action, bundle, node, flags: flags)
            try #require(done.status == 0 && done.error == "", "\(done)")
        }
    }

    private func inside(_ bundle: TestBundle, _ script: String) throws -> FinishedCommand {
        try bundle.swrunc("exec", bundle.id, "/bin/sh", "-c", script)
    }

    /// Whether a process of the container may open a file for these operations.
    private func opens(_ bundle: TestBundle, _ path: String, _ operator: String = "<>") throws
        -> Bool
    {
        try inside(bundle, "exec 3\(`operator`)\(path) && echo open").text == "open"
    }

    private func paths(_ bundle: TestBundle) throws -> [String] {
        let done = try bundle.swrunc("devices", "list", bundle.id, "--format", "json")
        try #require(done.status == 0, "\(done)")
        return try DeviceNode.list(json: Array(done.output.utf8)).map(\.path)
    }

    /// Whether nodes in that directory can be opened: not if it is on a nodev mount, as /tmp may be.
    private static func areUsable(_ directory: String) -> Bool {
        // ST_NODEV of statvfs(3), behind _GNU_SOURCE.
        let noDevices: UInt = 4
        var status = statvfs()
        return statvfs(directory, &status) == 0 && status.f_flag & noDevices == 0
    }

    private func use(
        _ change: (TestBundle) throws -> Void = { _ in }, _ body: (TestBundle) throws -> Void
    ) throws {
        try TestBundle.use { bundle throws in
            try change(bundle)
            try bundle.startSleeping()
            try body(bundle)
        }
    }

    @Test("a device is made and permitted, and after its removal neither there nor permitted")
    func addAndRemove() throws {
        try use { bundle throws in
            var node = Self.fuse
            (node.path, node.fileMode, node.uid, node.gid) = ("/dev/deep/er/fuse", 0o606, 7, 8)
            try succeed("add", bundle, node)
            #expect(try opens(bundle, node.path))
            let seen = try inside(bundle, "stat -c '%a %u:%g %t:%T %F' \(node.path)")
            #expect(seen.text == "606 7:8 a:e5 character special file", "\(seen)")
            #expect(try paths(bundle) == [node.path])
            // A node that the container has made itself shows what the rules permit.
            try check(mknod("\(bundle.rootfs)/own", S_IFCHR | 0o666, 0xae5), "mknod")
            #expect(try opens(bundle, "/own") == Self.areUsable(bundle.rootfs))
            try succeed("remove", bundle, node)
            #expect(try !opens(bundle, "/own"))
            #expect(try inside(bundle, "ls /dev/deep/er").text == "")
            #expect(try paths(bundle) == [])
        }
    }

    @Test("the access that is asked for is the one that is permitted")
    func access() throws {
        try use { bundle throws in
            try succeed("add", bundle, Self.fuse, flags: ["--access", "r"])
            #expect(try opens(bundle, "/dev/fuse", "<"))
            #expect(try !opens(bundle, "/dev/fuse", "<>"))
            let wrong = try devices("add", bundle, Self.fuse, flags: ["--access", "xyz"])
            bundle.expectFailure(wrong, naming: ["before"])
        }
    }

    @Test("a device of the host is added by its path alone")
    func byPath() throws {
        try use { bundle throws in
            #expect(try bundle.swrunc("devices", "add", bundle.id, "/dev/fuse").status == 0)
            #expect(try opens(bundle, "/dev/fuse"))
            let table = try bundle.swrunc("devices", "list", bundle.id).output.lines
            #expect(table.last?.split(separator: " ") == ["/dev/fuse", "c", "10:229", "rwm"])
            #expect(try bundle.swrunc("devices", "remove", bundle.id, "/dev/fuse").status == 0)
            #expect(try !opens(bundle, "/dev/fuse", "<"))
        }
    }

    @Test("a node that was there stays, and so does what the config permits")
    func presentNode() throws {
        try use { bundle throws in
            bundle.linux.devices = [Self.fuse]
            bundle.linux.resources?.devices = [
                DeviceCgroupRule(allow: false, access: "rwm"),
                DeviceCgroupRule(
                    allow: true, kind: .character, major: 10, minor: 229, access: "r"),
            ]
        } _: { bundle throws in
            #expect(try !opens(bundle, "/dev/fuse", "<>"))
            try succeed("add", bundle, Self.fuse)
            #expect(try opens(bundle, "/dev/fuse", "<>"))
            try succeed("remove", bundle, Self.fuse)
            #expect(try !opens(bundle, "/dev/fuse", "<>"))
            #expect(try opens(bundle, "/dev/fuse", "<"))
        }
    }

    @Test("an update keeps what was added, also when it sets other rules")
    func update() throws {
        try use { bundle throws in
            try succeed("add", bundle, Self.fuse)
            for rules in [#""memory": {}"#, #""devices": [{"allow": false, "access": "rwm"}]"#] {
                var options = CommandOptions()
                options.input = "{\(rules)}"
                let done = try bundle.start(["update", "-r", "-", bundle.id], options).wait()
                try #require(done.status == 0, "\(done)")
                #expect(try opens(bundle, "/dev/fuse"), "\(rules)")
            }
            try succeed("remove", bundle, Self.fuse)
            #expect(try !opens(bundle, "/dev/fuse", "<"))
        }
    }

    @Test("what the container has put in the place of the node is not removed")
    func replacedNode() throws {
        try use { bundle throws in
            try succeed("add", bundle, Self.fuse)
            #expect(try inside(bundle, "rm /dev/fuse && echo mine >/dev/fuse").status == 0)
            try succeed("remove", bundle, Self.fuse)
            #expect(try inside(bundle, "cat /dev/fuse").text == "mine")
            // Nor is a link followed that stands there: the node that it leads to is another's.
            try succeed("add", bundle, Self.named("/dev/two"))
            try check(mknod("\(bundle.rootfs)/other", S_IFCHR | 0o600, 0xae5), "mknod")
            #expect(try inside(bundle, "rm /dev/two && ln -s /other /dev/two").status == 0)
            try succeed("remove", bundle, Self.named("/dev/two"))
            #expect(Glibc.access("\(bundle.rootfs)/other", F_OK) == 0)
        }
    }

    private static func named(_ path: String) -> DeviceNode {
        var node = fuse
        node.path = path
        return node
    }

    @Test("no link of the image leads a node out of the root")
    func hostileLinks() throws {
        let name = "swrunc-added-\(getpid())"
        try use { bundle throws in
            try check(symlink("../../../../../../..", "\(bundle.rootfs)/up"), "symlink")
            try check(symlink("/etc/dangling", "\(bundle.rootfs)/hole"), "symlink")
            try check(symlink("/dev/\(name)", "\(bundle.rootfs)/last"), "symlink")
        } _: { bundle throws in
            try succeed("add", bundle, Self.named("/up/dev/\(name)"), Self.named("/hole/node"))
            #expect(Glibc.access("/dev/\(name)", F_OK) != 0)
            #expect(Glibc.access("/etc/dangling", F_OK) != 0)
            #expect(try opens(bundle, "/etc/dangling/node") == Self.areUsable(bundle.rootfs))
            #expect(try inside(bundle, "ls /dev/\(name)").status == 0)
            let done = try devices("add", bundle, Self.named("/last"))
            bundle.expectFailure(done, naming: ["linux.devices[0].path", "/last"])
            try succeed("remove", bundle, Self.named("/up/dev/\(name)"))
            #expect(try inside(bundle, "ls /dev/\(name)").status != 0)
        }
    }

    @Test("when one device of a list fails, those before it are taken back")
    func undone() throws {
        try use { bundle throws in
            try writeText("", to: "\(bundle.rootfs)/etc/file")
            let done = try devices("add", bundle, Self.fuse, Self.named("/etc/file"))
            bundle.expectFailure(done, naming: ["linux.devices[1].path", "/etc/file"])
            #expect(try paths(bundle) == [])
            #expect(try inside(bundle, "ls /dev/fuse").status != 0)
        }
    }

    @Test("a record that cannot be written changes nothing")
    func unwritableRecord() throws {
        try use { bundle throws in
            try check(mknod("\(bundle.rootfs)/own", S_IFCHR | 0o666, 0xae5), "mknod")
            let staged = "\(bundle.store)/\(bundle.id)/.state.json"
            try makeDirectory(staged)
            bundle.expectFailure(try devices("add", bundle, Self.fuse), naming: [".state.json"])
            #expect(try inside(bundle, "ls /dev/fuse").status != 0)
            #expect(try !opens(bundle, "/own"))
            rmdir(staged)
            try succeed("add", bundle, Self.fuse)
            try makeDirectory(staged)
            bundle.expectFailure(try devices("remove", bundle, Self.fuse), naming: [".state.json"])
            #expect(try opens(bundle, "/dev/fuse"))
            rmdir(staged)
            #expect(try paths(bundle) == ["/dev/fuse"])
        }
    }

    @Test("in a user namespace the host's node is mounted, and unmounted again")
    func userNamespace() throws {
        try use { bundle throws in
            try bundle.makeUserNamespace()
        } _: { bundle throws in
            try succeed("add", bundle, Self.fuse)
            let seen = try inside(bundle, "stat -c '%t:%T' /dev/fuse; chmod 777 /dev/fuse")
            #expect(seen.text == "a:e5" && seen.error.contains("Read-only"), "\(seen)")
            let owned = DeviceNode(
                kind: .character, path: "/dev/owned", major: 10, minor: 229, uid: 5)
            bundle.expectFailure(
                try devices("add", bundle, owned), naming: ["linux.devices[0].uid"])
            try succeed("remove", bundle, Self.fuse)
            #expect(try inside(bundle, "stat -c %F /dev/fuse").text == "regular empty file")
        }
    }

    @Test("devices are added while a container waits for start or is paused, not to a stopped one")
    func states() throws {
        try TestBundle.use { bundle throws in
            // It ends at once if the device that is added before its start is not there.
            bundle.script("exec 3<>/dev/fuse && sleep 100")
            try bundle.create()
            try succeed("add", bundle, Self.fuse)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            try succeed("add", bundle, Self.named("/dev/late"))
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try opens(bundle, "/dev/late"))
            kill(pid_t(try bundle.state().pid), SIGKILL)
            #expect(waits { (try? bundle.state().status) == .stopped })
            bundle.expectFailure(
                try devices("add", bundle, Self.fuse), naming: ["container not running"])
        }
    }

    @Test("neither the host's own /dev nor a container with the host's mounts gets a node")
    func sharedPlaces() throws {
        try use { bundle throws in
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            try makeDirectory("\(bundle.directory)/dev")
            try check(mknod("\(bundle.directory)/dev/null", S_IFCHR | 0o666, 0x103), "mknod")
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/dev", source: "\(bundle.directory)/dev", options: ["rbind"]))
        } _: { bundle throws in
            let done = try devices("add", bundle, Self.fuse)
            bundle.expectFailure(done, naming: ["linux.devices[0]", "/dev is shared"])
        }
        try use { bundle throws in
            bundle.removeNamespace(.mount)
            bundle.spec.mounts = []
            bundle.linux.maskedPaths = nil
            bundle.linux.readonlyPaths = nil
        } _: { bundle throws in
            let done = try devices("add", bundle, Self.named("/etc/fuse"))
            bundle.expectFailure(done, naming: ["no mount namespace of its own"])
        }
    }

    @Test("a wrong action, path, access or list is refused with its name")
    func usage() throws {
        try use { bundle throws in
            func expectFailure(_ words: [String], input: String = "", _ naming: [String]) throws {
                var options = CommandOptions()
                options.input = input
                bundle.expectFailure(
                    try bundle.start(["devices"] + words, options).wait(), naming: naming)
            }
            try expectFailure(["put", bundle.id, "-"], ["does not know", "put"])
            try expectFailure(["add", bundle.id], ["needs a device"])
            try expectFailure(["add", bundle.id, "/nowhere"], ["/nowhere"])
            try expectFailure(["list", bundle.id, "-"], ["takes no file"])
            try expectFailure(["remove", bundle.id, "/dev/fuse"], ["no device was added"])
            try expectFailure(
                ["remove", bundle.id, "/dev/fuse", "--access", "r"], ["--access"])
            try expectFailure(
                ["add", bundle.id, "/dev/fuse", "--access", "x"], ["access", "r, w and m"])
            try expectFailure(["add", bundle.id, "-"], input: "[{}]", ["linux.devices[0].type"])
            try expectFailure(
                ["add", bundle.id, "-"],
                input: #"{"type": "c", "path": "dev/x", "major": 1, "minor": 1}"#,
                ["linux.devices[0].path", "not an absolute path"])
            try expectFailure(
                ["add", bundle.id, "-"],
                input: #"{"type": "c", "path": "/proc/x", "major": 1, "minor": 1}"#,
                ["linux.devices[0].path", "no place for a device"])
        }
    }

    @Test("a container with added devices is not checkpointed")
    func checkpoint() throws {
        try use { bundle throws in
            try succeed("add", bundle, Self.fuse)
            let image = "\(bundle.directory)/image"
            let done = try bundle.swrunc("checkpoint", "--image-path", image, bundle.id)
            bundle.expectFailure(done, naming: ["devices were added", "/dev/fuse"])
        }
    }

    @Test("all of this holds with cgroup v2, by its device program", InnerRun.outermost)
    func unified() throws {
        guard !Host.isUnified else { return }
        let script = """
            umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"
            """
        try InnerRun.expectSuccess(
            "unified", ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh"],
            filter: "AddedDeviceTests", count: 10)
    }
}
