// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("restore --explain", Criu.needed)
struct RestoreExplanationTests {
    private func explained(_ bundle: TestBundle, _ words: String...) throws -> FinishedCommand {
        try bundle.start(
            [
                "restore", "--explain", "--bundle", bundle.directory, "--image-path", bundle.image,
                "--work-path", "\(bundle.directory)/never",
            ] + words + ["other"]
        ).wait()
    }

    @Test("restore --explain shows what is made, asked of CRIU and compared, and changes nothing")
    func text() throws {
        try TestBundle.use { bundle throws in
            let source = "\(bundle.directory)/source"
            try makeDirectory(source)
            bundle.addMount("bind", source, at: "/data", "bind")
            bundle.linux.readonlyPaths = ["/etc"]
            bundle.spec.hooks = Hooks(createRuntime: [Hook(path: "/bin/true")])
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.spec.root?.readonly = true
            try bundle.writeConfig()
            let done = try explained(bundle, "--tcp-established", "--copy")
            #expect(done.status == 0 && done.error == "", "\(done)")
            let lines = done.output.lines.map { $0.split(separator: " ").joined(separator: " ") }
            for line in [
                "ext_mnt key \"/data\", val \"\(source)\"", "tcp_established true",
                "tcp_close false", "root \"\(bundle.rootfs)\"", "/data \(source)",
                "linux.readonlyPaths these paths are read-only",
                "mounts make the mount points that the root lacks",
                "root.readonly make /tmp if the root lacks it, and make the root's mount read-only",
            ] {
                #expect(lines.contains(line), "\(line) in \(done.output)")
            }
            #expect(done.output.contains("--copy-shares mounts allows it"), "\(done)")
            #expect(done.output.contains("hooks.createRuntime"), "\(done)")
            #expect(access("\(bundle.directory)/never", F_OK) != 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("restore --explain prints JSON as an object of arrays; an unknown format is refused")
    func json() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let done = try explained(bundle, "--format", "json")
            #expect(done.status == 0, "\(done)")
            for key in ["before", "mounts", "sharing", "criu", "hooks", "checks", "after"] {
                #expect(done.output.contains("\"\(key)\": ["), "\(done)")
            }
            bundle.expectFailure(
                try explained(bundle, "--format", "xml"), naming: ["invalid format option"])
        }
    }
}
