// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import RuntimeSpec
import Testing

extension MountTests {
    @Test("mount(2) sets what fsconfig(2) cannot: iversion, and options of any length")
    func oldCall() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount(
                "tmpfs", "old", at: "/old/place", "iversion", "nosuid", "noexec", "noatime",
                "size=1m",
                "mode=700", "rnodev", "shared")
            var layers: [String] = []
            for number in 1...6 {
                let layer = "\(bundle.directory)/" + String(repeating: "l", count: 60) + "\(number)"
                try makeDirectory(layer)
                try writeText("", to: "\(layer)/file\(number)")
                layers.append(layer)
            }
            bundle.addMount(
                "overlay", "overlay", at: "/layers", "lowerdir=" + layers.joined(separator: ":"))
            bundle.script("cat /proc/self/mountinfo; ls /layers >/tmp/files")
            let mounts = try mounts(bundle)
            let old = try #require(mounts["/old/place"])
            #expect(old.type == "tmpfs" && old.tags.contains { $0.hasPrefix("shared:") })
            #expect(old.options.isSuperset(of: ["nosuid", "noexec", "nodev", "noatime"]))
            #expect(old.superOptions.isSuperset(of: ["size=1024k", "mode=700"]))
            #expect(mounts["/layers"]?.type == "overlay")
            #expect(
                try bundle.output(of: "ls /layers").lines == (1...6).map { "file\($0)" })
        }
    }

    @Test("remount changes an existing file system, or with bind the mount, and follows no link")
    func remount() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/one", "size=1m", "nosuid")
            bundle.addMount("tmpfs", "tmpfs", at: "/one", "remount", "ro", "size=2m")
            bundle.addMount("tmpfs", "tmpfs", at: "/two", "size=1m")
            bundle.addMount(nil, "", at: "/two", "bind", "remount", "ro", "noexec")
            let mounts = try mounts(bundle)
            #expect(mounts["/one"]?.options.contains("ro") == true)
            #expect(mounts["/one"]?.options.contains("nosuid") == false)
            #expect(mounts["/one"]?.superOptions.isSuperset(of: ["ro", "size=2048k"]) == true)
            #expect(mounts["/two"]?.options.isSuperset(of: ["ro", "noexec"]) == true)
            #expect(mounts["/two"]?.superOptions.isSuperset(of: ["rw", "size=1024k"]) == true)

            try check(symlink("two", "\(bundle.rootfs)/three"), "symlink")
            for options in [["remount", "ro"], ["bind", "remount", "ro"]] {
                bundle.spec.mounts?.append(Mount(destination: "/three", options: options))
                bundle.expectFailure(
                    try bundle.run(), naming: ["mounts[11]", "too many levels of symbolic links"])
                bundle.spec.mounts?.removeLast()
            }
            bundle.addMount(nil, "", at: "/tmp", "remount", "ro")
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[11]", "mount", "invalid argument"])
        }
    }
}
