// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Mounts with mapped ids", Host.root)
struct IdmappedMountTests {
    private static func map(_ inside: UInt32, _ outside: UInt32, _ size: UInt32) -> [IDMapping] {
        [IDMapping(containerID: inside, hostID: outside, size: size)]
    }

    /// A directory of the host with files of the users 0 and 7.
    private func makeSource(_ bundle: TestBundle) throws -> String {
        let source = "\(bundle.directory)/source"
        try makeDirectory(source)
        for (name, owner) in [("zero", 0), ("seven", 7)] as [(String, uid_t)] {
            try writeText(name, to: "\(source)/\(name)")
            try check(chown("\(source)/\(name)", owner, owner), "chown")
        }
        return source
    }

    private static let look = "stat -c %u:%g /data/zero /data/seven"

    @Test(
        "an idmapped mount's mappings set the owners of files without a user namespace",
        arguments: [[], ["idmap"]])
    func ownMaps(_ options: [String]) throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/data", source: source, options: ["bind"] + options,
                    uidMappings: Self.map(0, 1000, 10), gidMappings: Self.map(0, 2000, 5)))
            let text = try bundle.output(of: Self.look)
            // A user outside of all ranges is mapped to nobody.
            #expect(text.lines == ["1000:2000", "1007:65534"])
        }
    }

    @Test("idmap without mappings uses those of the user namespace, new or joined")
    func containerMaps() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            try bundle.makeUserNamespace()
            bundle.addMount(nil, source, at: "/data", "bind", "idmap")
            #expect(try bundle.output(of: Self.look).lines == ["0:0", "7:7"])
            #expect(try bundle.output(of: "echo > /data/new; stat -c %u /data/new") == "0")
            var status = stat()
            #expect(stat("\(source)/new", &status) == 0 && status.st_uid == 0)

            let holder = "\(bundle.id)-holder"
            try bundle.startSleeping(id: holder)
            bundle.joinUserNamespace(of: try bundle.state(holder).pid)
            #expect(try bundle.output(of: Self.look).lines == ["0:0", "7:7"])
        }
    }

    @Test("a mount's own mappings also apply in a user namespace")
    func both() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            try bundle.makeUserNamespace()
            let first = TestBundle.firstID
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/data", source: source, options: ["rbind", "ridmap"],
                    uidMappings: Self.map(0, first + 50, 10),
                    gidMappings: Self.map(0, first + 60, 10)))
            #expect(try bundle.output(of: Self.look).lines == ["50:60", "57:67"])
        }
    }

    @Test("idmap does not map the mounts below, ridmap does")
    func recursion() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            try makeDirectory("\(source)/below")
            try check(mount("tmpfs", "\(source)/below", "tmpfs", 0, nil), "mount")
            defer { umount2("\(source)/below", Int32(MNT_DETACH)) }
            for (word, owner) in [("idmap", "0"), ("ridmap", "1000")] {
                bundle.spec.mounts?.removeAll { $0.destination == "/data" }
                bundle.spec.mounts?.append(
                    Mount(
                        destination: "/data", source: source, options: ["rbind", word],
                        uidMappings: Self.map(0, 1000, 10), gidMappings: Self.map(0, 1000, 10)))
                let done = try bundle.output(of: "stat -c %u /data /data/below")
                #expect(done.lines == ["1000", owner], "\(word)")
            }
        }
    }

    @Test("a new tmpfs can have mapped ids")
    func tmpfs() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/fresh", type: "tmpfs", source: "tmpfs",
                    options: ["mode=711", "noexec"], uidMappings: Self.map(0, 1000, 10),
                    gidMappings: Self.map(0, 2000, 10)))
            bundle.script("stat -c '%u:%g %a' /fresh; grep ' /fresh ' /proc/mounts")
            let done = try bundle.run()
            #expect(done.status == 0, "\(done)")
            #expect(done.output.lines.first == "1000:2000 711")
            #expect(done.output.contains("noexec") && done.output.contains("idmapped"), "\(done)")
        }
    }

    @Test("crun's mappings in the idmap option are accepted, with ranges and ids of the container")
    func crunWords() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.addMount(
                nil, source, at: "/data", "bind", "idmap=uids=0-1000-1#7-50-1;gids=0-9-8")
            #expect(try bundle.output(of: Self.look).lines == ["1000:9", "50:16"])

            try bundle.makeUserNamespace()
            bundle.spec.mounts?.removeAll { $0.destination == "/data" }
            bundle.addMount(nil, source, at: "/data", "bind", "idmap=uids=@0-33-8")
            #expect(try bundle.output(of: Self.look).lines == ["33:0", "40:7"])
        }
    }

    @Test(
        "an invalid mapping is an error with the mount's field",
        arguments: [
            ("idmap", "idmap needs uidMappings and gidMappings, or a user namespace"),
            ("idmap=uids=0-1", "is not like uids=0-1000-10"),
            ("idmap=uids=@0-1-1", "is not like uids=0-1000-10"),
            ("ridmap=0-1-1", "is not like uids=0-1000-10"),
        ])
    func wrongWords(_ word: String, _ message: String) throws {
        try TestBundle.use { bundle throws in
            bundle.addMount(nil, "/tmp", at: "/data", "bind", word)
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[\(index)].options", message])
        }
    }

    @Test("a file system that cannot map ids is reported with its mount")
    func unsupported() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/data", source: "/proc", options: ["bind"],
                    uidMappings: Self.map(0, 1000, 10), gidMappings: Self.map(0, 1000, 10)))
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            let done = try bundle.run()
            bundle.expectFailure(
                done, naming: ["mounts[\(index)]", "/data", "of type proc", "MOUNT_ATTR_IDMAP"])
            #expect(done.error.contains("does not support id-mapped mounts"), "\(done)")
        }
    }
}
