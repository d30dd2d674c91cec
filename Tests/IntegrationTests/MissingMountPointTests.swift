// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Mount points behind dangling links, with earlier mounts on the path.
@Suite("Mount points behind links, in earlier mounts", Host.root)
struct MissingMountPointTests {
    private func makeVolume(_ bundle: TestBundle) throws -> String {
        let volume = "\(bundle.directory)/volume"
        try makeDirectory(volume)
        try writeText("content", to: "\(bundle.directory)/file")
        return volume
    }

    @Test(
        "a mount point behind a volume's dangling link is made where it leads in the container",
        arguments: [
            ("../other/one/file", "/other/one/file"), ("/far/file", "/far/file"),
            ("inner/file", "/volume/inner/file"), ("../../../file", "/file"),
            ("gone/../file", "/volume/file"), ("second", "/volume/third"),
        ])
    func fileOfVolume(_ target: String, _ place: String) throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink(target, "\(volume)/link"), "symlink")
            try check(symlink("third", "\(volume)/second"), "symlink")
            bundle.addMount(nil, volume, at: "/volume", "bind")
            bundle.addMount(nil, "\(bundle.directory)/file", at: "/volume/link", "bind")
            let text = try bundle.output(of: "cat /volume/link \(place)")
            #expect(text == "contentcontent")
        }
    }

    enum Kind: CaseIterable {
        case plain, userNamespace, mapped
    }

    @Test(
        "a mount point made behind a link into an earlier mount belongs to the container's root",
        arguments: Kind.allCases)
    func linkIntoMount(_ kind: Kind) throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink("/vol/app/data", "\(bundle.rootfs)/data"), "symlink")
            try check(symlink("/tmpfs/app/data", "\(bundle.rootfs)/more"), "symlink")
            if kind != .plain { try bundle.makeUserNamespace() }
            let first = kind == .userNamespace ? TestBundle.firstID : 0
            try check(chown(volume, first, first), "chown")
            bundle.addMount(nil, volume, at: "/vol", "bind")
            if kind == .mapped {
                let last = (bundle.spec.mounts?.count ?? 0) - 1
                bundle.spec.mounts?[last].options?.append("idmap")
            }
            bundle.addMount("tmpfs", "tmpfs", at: "/tmpfs")
            bundle.addMount("tmpfs", "tmpfs", at: "/data")
            bundle.addMount("tmpfs", "tmpfs", at: "/more")
            let text = try bundle.output(
                of: "grep -cE ' /(vol|tmpfs)/app/data ' /proc/self/mountinfo; "
                    + "stat -c '%u:%g %a' /vol/app /tmpfs/app")
            #expect(text.lines == ["2", "0:0 755", "0:0 755"])
            #expect(!exists("\(bundle.rootfs)/vol/app"))
            var status = stat()
            #expect(stat("\(volume)/app/data", &status) == 0 && status.st_uid == first)
        }
    }

    @Test("a working directory in an earlier mount is made, also with a terminal and hooks")
    func otherSteps() throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink("new/work", "\(volume)/link"), "symlink")
            bundle.addMount(nil, volume, at: "/vol", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/vol/link/tmpfs")
            bundle.spec.hooks = Hooks(createContainer: [Hook(path: "/bin/true")])
            bundle.process.cwd = "/vol/link/cwd"
            bundle.process.terminal = true
            bundle.script("pwd -P")
            let done = try bundle.run()
            #expect(done.text == "/vol/new/work/cwd", "\(done)")
            #expect(exists("\(volume)/new/work/cwd"))
        }
    }

    @Test(
        "dest-nofollow covers a link at the end of a path behind a dangling link")
    func coveredLink() throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink("new", "\(volume)/link"), "symlink")
            bundle.addMount(nil, volume, at: "/vol", "bind")
            bundle.addMount(
                nil, "\(bundle.directory)/file", at: "/vol/link/file", "bind", "dest-nofollow")
            #expect(try bundle.output(of: "cat /vol/new/file") == "content")
        }
    }

    @Test("a mount point in an earlier mount may be made among hundreds of mounts")
    func amongMany() throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink("new/one", "\(volume)/link"), "symlink")
            bundle.addMount(nil, volume, at: "/vol", "bind")
            bundle.addMount(nil, "\(bundle.directory)/file", at: "/vol/link", "bind")
            for number in 0..<600 {
                bundle.addMount(nil, volume, at: "/many/\(number)", "bind")
            }
            try check(symlink("far/two", "\(bundle.rootfs)/last"), "symlink")
            bundle.addMount(nil, "\(bundle.directory)/file", at: "/last", "bind")
            #expect(try bundle.output(of: "cat /vol/new/one /far/two") == "contentcontent")
        }
    }

    @Test("a mount point that cannot be made is an error with its mount, and nothing is left")
    func readOnlyVolume() throws {
        try TestBundle.use { bundle throws in
            let volume = try makeVolume(bundle)
            try check(symlink("new", "\(volume)/link"), "symlink")
            bundle.addMount(nil, volume, at: "/vol", "bind", "ro")
            bundle.addMount("tmpfs", "tmpfs", at: "/vol/link")
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[\(index)]", "read-only file system"])
        }
    }

    @Test("an ordinary user's container has mount points in earlier mounts, too", Host.rootless)
    func rootless() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            let volume = try makeVolume(bundle)
            try check(symlink("../one/file", "\(volume)/link"), "symlink")
            try check(symlink("/tmpfs/data", "\(bundle.rootfs)/data"), "symlink")
            try bundle.giveToUser()
            bundle.addMount("tmpfs", "tmpfs", at: "/tmpfs")
            bundle.addMount("tmpfs", "tmpfs", at: "/data")
            bundle.addMount(nil, volume, at: "/vol", "bind")
            bundle.addMount(nil, "\(bundle.directory)/file", at: "/vol/link", "bind")
            let text = try bundle.outputAsUser(
                of: "cat /one/file; grep -c ' /tmpfs/data ' /proc/self/mountinfo")
            #expect(text == "content1")
        }
    }

    @Test("a volume's link that another user swaps during the launch leads nowhere outside")
    func racingLink() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/host"
            try makeDirectory(host)
            let volume = try makeVolume(bundle)
            bundle.addMount(nil, volume, at: "/volume", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/volume/a/b/c")
            bundle.addMount("tmpfs", "tmpfs", at: "/volume/link/x/y")
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            let racer = try RunningCommand(
                [
                    "/bin/sh", "-c",
                    """
                    cd \(volume)
                    while :; do
                        ln -sfn a/b link; mkdir -p a/b; mv -T a kept
                        ln -sfn ../../../../../../..\(host) link; ln -s ../../../../..\(host) a
                        rm -rf kept a; ln -sfn \(host)/new link
                    done 2>/dev/null
                    """,
                ], CommandOptions(timeLimitSeconds: 600), token: bundle.token)
            defer { kill(racer.pid, SIGKILL) }
            for round in Host.rounds(40) {
                let done = try bundle.swrunc("run", "--bundle", bundle.directory, bundle.id)
                #expect(done.status == 0 || done.error.lines.count == 1, "round \(round): \(done)")
                #expect(entries(of: host) == [], "round \(round)")
            }
            kill(racer.pid, SIGKILL)
            _ = try racer.wait()
        }
    }
}
