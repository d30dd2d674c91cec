// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Bind mounts whose source, a path of the host, is inside the root file system, at a place that an
/// earlier mount of the same container covers.
@Suite("Bind mounts of what an earlier mount shows", Host.root)
struct EarlierMountTests {
    /// A directory of the host with a file, and a directory below it that a mount covers.
    private func makeSource(_ bundle: TestBundle) throws -> String {
        let source = "\(bundle.directory)/source"
        try makeDirectory("\(source)")
        try makeDirectory("\(source)/inner")
        try writeText("host", to: "\(source)/inner/file")
        // Only the owner can reach it by its path on the host.
        try check(chmod(source, 0o750), "chmod")
        return source
    }

    enum Kind: CaseIterable {
        case plain, userNamespace, mapped, mappedInUserNamespace

        var hasUserNamespace: Bool { self == .userNamespace || self == .mappedInUserNamespace }
        var isMapped: Bool { self == .mapped || self == .mappedInUserNamespace }
    }

    @Test(
        "a bind mount's source inside the rootfs is what an earlier mount shows there",
        arguments: Kind.allCases)
    func source(_ kind: Kind) throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            try makeDirectory("\(bundle.rootfs)/mnt")
            try makeDirectory("\(bundle.rootfs)/mnt/inner")
            // Mapped IDs are not the owner's.
            if kind != .plain { try check(chmod(source, 0o755), "chmod") }
            if kind.hasUserNamespace { try bundle.makeUserNamespace() }
            bundle.addMount(nil, source, at: "/mnt", "rbind", "rprivate")
            bundle.addMount("tmpfs", "tmpfs", at: "/mnt/inner", "nosuid")
            let first = TestBundle.firstID
            let map = [IDMapping(containerID: 0, hostID: first, size: 100)]
            // As engines write the host's paths of files in the container.
            bundle.spec.mounts?.append(
                Mount(
                    destination: "\(bundle.rootfs)/copy", source: "\(bundle.rootfs)/mnt",
                    options: ["rbind", "ro"], uidMappings: kind.isMapped ? map : [],
                    gidMappings: kind.isMapped ? map : []))
            bundle.script(
                """
                echo new >/mnt/inner/file; cat /copy/inner/file
                touch /copy/file 2>/dev/null || echo read-only
                stat -c %u:%g /copy
                """)
            let done = try bundle.run()
            #expect(done.error == "")
            let owner =
                switch kind {
                case .plain: "0:0"
                case .userNamespace: "65534:65534"
                case .mapped: "\(first):\(first)"
                case .mappedInUserNamespace: "0:0"
                }
            #expect(done.output.lines == ["new", "read-only", owner])
            #expect(try readText("\(source)/inner/file") == "host")
        }
    }

    @Test("a non-recursive bind of an earlier mount leaves out the mounts below it")
    func withoutRecursion() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.addMount(nil, source, at: "/mnt", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/mnt/inner")
            bundle.addMount(nil, "rootfs/mnt", at: "/copy", "bind")
            #expect(try bundle.output(of: "cat /copy/inner/file") == "host")
        }
    }

    @Test("a file in an earlier mount can be the source of a bind mount")
    func file() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.addMount(nil, source, at: "/mnt", "bind")
            bundle.addMount(nil, "\(bundle.rootfs)/mnt/inner/file", at: "/etc/of-mount", "bind")
            #expect(try bundle.output(of: "cat /etc/of-mount") == "host")
        }
    }

    enum Way: CaseIterable {
        case inVolume, toOtherMount, ofImage
    }

    @Test(
        "links on the way to a source in an earlier mount are followed in the container",
        arguments: Way.allCases)
    func followedLinks(_ way: Way) throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.addMount(nil, source, at: "/mnt", "bind")
            bundle.addMount(nil, source, at: "/other", "bind")
            var path = "mnt/link"
            switch way {
            case .inVolume: try check(symlink("inner", "\(source)/link"), "symlink")
            case .toOtherMount: try check(symlink("/other/inner", "\(source)/link"), "symlink")
            case .ofImage:
                path = "link/inner"
                try check(symlink("/mnt", "\(bundle.rootfs)/link"), "symlink")
            }
            bundle.addMount(nil, "\(bundle.rootfs)/\(path)", at: "/copy", "rbind")
            bundle.addMount(nil, "\(bundle.rootfs)/\(path)/file", at: "/file", "bind")
            #expect(try bundle.output(of: "cat /copy/file /file") == "hosthost")
        }
    }

    @Test(
        "no link leads a source in an earlier mount to procfs, sysfs or other mounts",
        arguments: ["/proc", "../proc", "../../../../proc", "/"])
    func links(_ target: String) throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            try check(symlink(target, "\(source)/link"), "symlink")
            bundle.addMount(nil, source, at: "/mnt", "bind")
            for path in target == "/" ? ["link", "link/proc/sys"] : ["link", "link/sys"] {
                bundle.addMount(nil, "\(bundle.rootfs)/mnt/\(path)", at: "/copy", "rbind")
                bundle.script("ls /copy")
                bundle.expectFailure(
                    try bundle.run(),
                    naming: [
                        "mounts[8]", "the source /mnt/\(path) leads through a link to",
                    ])
                bundle.spec.mounts?.removeLast()
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    @Test("a source that is missing in an earlier mount is reported with its field")
    func missing() throws {
        try TestBundle.use { bundle throws in
            let source = try makeSource(bundle)
            bundle.addMount(nil, source, at: "/mnt", "bind")
            bundle.addMount(nil, "\(bundle.rootfs)/mnt/nothing", at: "/copy", "bind")
            bundle.expectFailure(
                try bundle.run(),
                naming: [
                    "mounts[8]", "unable to find the source /mnt/nothing",
                    "no such file or directory",
                ])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("an earlier mount whose file system cannot map ids is reported, and nothing is left")
    func unmappable() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/copy")
            let map = [IDMapping(containerID: 0, hostID: 1000, size: 10)]
            bundle.spec.mounts?.append(
                Mount(
                    destination: "/copy", source: "\(bundle.rootfs)/proc", options: ["rbind"],
                    uidMappings: map, gidMappings: map))
            bundle.expectFailure(
                try bundle.run(),
                naming: [
                    "mounts[7]", "unable to map the ids of the mount on /copy", "mount_setattr",
                ])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a source in the rootfs that no earlier mount covers is taken from the image")
    func uncovered() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/srv")
            try writeText("image", to: "\(bundle.rootfs)/srv/file")
            bundle.addMount(nil, "rootfs/srv", at: "/copy", "bind")
            #expect(try bundle.output(of: "cat /copy/file") == "image")
        }
    }
}
