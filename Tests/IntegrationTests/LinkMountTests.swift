// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Mounts of links", Host.root)
struct LinkMountTests {
    /// A file of the host and a link to it.
    private func link(_ bundle: TestBundle) throws -> String {
        try writeText("content", to: "\(bundle.directory)/file")
        try check(symlink("file", "\(bundle.directory)/link"), "symlink")
        return "\(bundle.directory)/link"
    }

    @Test("copy-symlink copies a source that is a link, and binds any other source")
    func copies() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("bind", try link(bundle), at: "/etc/link", "bind", "copy-symlink")
            bundle.addMount(
                "bind", "\(bundle.directory)/file", at: "/etc/file", "bind", "copy-symlink")
            #expect(try bundle.output(of: "readlink /etc/link; cat /etc/link") == "file\ncontent")
            // It exists now, and is the same file.
            #expect(try bundle.output(of: "readlink /etc/link") == "file")
            try check(unlink("\(bundle.rootfs)/etc/link"), "unlink")
            try check(symlink("files", "\(bundle.rootfs)/etc/link"), "symlink")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["mounts[7]", "/etc/link exists and is not a link to file"])
            try check(unlink("\(bundle.rootfs)/etc/link"), "unlink")
            try makeDirectory("\(bundle.rootfs)/etc/link")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["mounts[7]", "/etc/link exists and is not a link to file"])
        }
    }

    @Test(
        "an existing link of any length is compared completely with the copied one",
        arguments: ["1234567", "12345678", "123456789", String(repeating: "long/", count: 300)])
    func lengths(_ target: String) throws {
        try TestBundle.use { bundle throws in
            try check(symlink(target, "\(bundle.directory)/link"), "symlink")
            bundle.addMount(
                "bind", "\(bundle.directory)/link", at: "/etc/link", "bind", "copy-symlink")
            for _ in 0..<2 {
                #expect(try bundle.output(of: "readlink /etc/link") == target)
            }
            for other in [target + "x", String(target.dropLast()), "x" + target.dropFirst()] {
                try check(unlink("\(bundle.rootfs)/etc/link"), "unlink")
                try check(symlink(other, "\(bundle.rootfs)/etc/link"), "symlink")
                bundle.expectFailure(try bundle.run(), naming: ["exists and is not a link to"])
            }
        }
    }

    @Test("src-nofollow binds a link itself, over a link or a file")
    func source() throws {
        try TestBundle.use { bundle throws in
            let options = ["bind", "src-nofollow", "dest-nofollow"]
            let source = try link(bundle)
            try check(symlink("nowhere", "\(bundle.rootfs)/etc/link"), "symlink")
            for destination in ["/etc/link", "/etc/new"] {
                bundle.spec.mounts?.append(
                    Mount(
                        destination: destination, type: "bind", source: source, options: options))
            }
            #expect(
                try bundle.output(of: "readlink /etc/link; readlink /etc/new") == "file\nfile")
            var buffer = [UInt8](repeating: 0, count: 16)
            #expect(
                readlink("\(bundle.rootfs)/etc/link", &buffer, 16) == 7, "the image's own stays")
        }
    }

    @Test("dest-nofollow mounts over a link at the destination instead of following it")
    func destination() throws {
        try TestBundle.use { bundle throws in
            let file = try link(bundle)
            try writeText("other", to: "\(bundle.rootfs)/etc/other")
            try check(symlink("other", "\(bundle.rootfs)/etc/link"), "symlink")
            bundle.addMount("bind", file, at: "/etc/link", "bind", "dest-nofollow")
            #expect(try bundle.output(of: "cat /etc/link /etc/other") == "contentother")
        }
    }

    @Test("link mount options that exclude each other are refused")
    func conflict() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("bind", try link(bundle), at: "/etc/x", "copy-symlink", "dest-nofollow")
            bundle.script("true")
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[7].options", "copy-symlink excludes"])
        }
    }
}
