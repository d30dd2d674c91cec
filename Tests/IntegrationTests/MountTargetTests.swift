// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Targets of mounts", Host.root)
struct MountTargetTests {
    @Test(
        "no mount gets into procfs or sysfs through a link of the image or of a volume",
        arguments: [
            ("/vol", "/proc/sys/kernel", "/vol"), ("/vol", "/proc", "/vol/sys"),
            ("/vol", "/proc/self/attr", "/vol"), ("/vol", "/sys/kernel", "/vol"),
            ("/data/vol", "/proc/sys", "/data/vol/kernel"), ("/vol", "/proc/uptime", "/vol"),
        ])
    func kernelTrees(_ link: String, _ target: String, _ destination: String) throws {
        try TestBundle.use { bundle throws in
            let volume = "\(bundle.directory)/volume"
            try makeDirectory(volume)
            bundle.addMount("bind", volume, at: "/data", "bind")
            let place = link.hasPrefix("/data/") ? "\(volume)/vol" : bundle.rootfs + link
            try check(symlink(target, place), "symlink")
            let source = target == "/proc/uptime" ? "/etc/hostname" : bundle.directory
            bundle.addMount("bind", source, at: destination, "bind")
            bundle.process.args = ["true"]
            bundle.expectFailure(
                try bundle.run(),
                naming: ["mounts[8]", destination, "leads into procfs or sysfs"])
            _ = bundle.spec.mounts?.popLast()
            if source == bundle.directory {
                bundle.addMount("tmpfs", "tmpfs", at: destination)
                bundle.expectFailure(
                    try bundle.run(), naming: ["mounts[8]", "leads into procfs or sysfs"])
            }
        }
    }

    @Test("emulated files are mounted over their procfs files, even one behind procfs's own link")
    func coverable() throws {
        try TestBundle.use { bundle throws in
            try writeText("emulated\n", to: "\(bundle.directory)/file")
            for path in ["/proc/uptime", "/proc/net/dev"] {
                bundle.addMount("bind", "\(bundle.directory)/file", at: path, "bind")
            }
            let text = try bundle.output(of: "cat /proc/uptime /proc/self/net/dev")
            #expect(text.lines.first == "emulated")
            #expect(try bundle.output(of: "cat /proc/net/dev").lines.count > 0)
        }
    }

    @Test("a link in the image to any other place is followed by mounts")
    func links() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/real")
            try check(symlink("../real", "\(bundle.rootfs)/etc/link"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/etc/link/deep/er")
            #expect(try bundle.output(of: "grep -c ' /real/deep/er ' /proc/self/mountinfo") == "1")
        }
    }

    @Test(
        "a mount that a link leads onto the root is refused, whatever its type",
        arguments: ["/", ".", "/proc/..", "/etc/../.."], ["bind", "tmpfs", "long", "mask", "ro"])
    func root(_ target: String, _ kind: String) throws {
        try TestBundle.use { bundle throws in
            try check(symlink(target, "\(bundle.rootfs)/vol"), "symlink")
            var field = "mounts[7]"
            switch kind {
            case "bind": bundle.addMount("bind", bundle.directory, at: "/vol", "bind")
            case "tmpfs": bundle.addMount("tmpfs", "tmpfs", at: "/vol")
            case "long": bundle.addMount("tmpfs", "tmpfs", at: "/vol", "iversion")
            case "mask":
                bundle.linux.maskedPaths?.append("/vol")
                field = "linux.maskedPaths"
            default:
                bundle.linux.readonlyPaths?.append("/vol")
                field = "linux.readonlyPaths"
            }
            bundle.process.args = ["true"]
            bundle.expectFailure(
                try bundle.run(), naming: [field, "leads to the container's root"])
        }
    }

    @Test("a mount that a link leads onto the host's root is refused and leaves no mounts")
    func rootAmongTheHosts() throws {
        try TestBundle.use { bundle throws in
            try check(symlink("/", "\(bundle.rootfs)/vol"), "symlink")
            bundle.linux.namespaces = [Namespace(kind: .pid)]
            bundle.linux.maskedPaths = nil
            bundle.linux.readonlyPaths = nil
            bundle.spec.hostname = nil
            bundle.addMount("tmpfs", "tmpfs", at: "/vol")
            bundle.process.args = ["true"]
            bundle.expectFailure(
                try bundle.run(), naming: ["mounts[7]", "leads to the container's root"])
            #expect(try !readText("/proc/self/mountinfo").contains(bundle.directory))
        }
    }

    @Test("the root as a read-only path is read-only for init and exec")
    func readOnlyRoot() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.readonlyPaths = ["/."]
            try bundle.startSleeping()
            let done = try bundle.swrunc("exec", bundle.id, "sh", "-c", "touch /new; ls /")
            #expect(done.error.contains("Read-only file system"))
            #expect(!done.output.lines.contains("new"))
        }
    }

    @Test(
        "later mounts of the host appear in a container only if its propagation is slave",
        arguments: [nil, .private, .shared, .slave, .recursivelySlave] as [Linux.Propagation?])
    func laterMounts(_ propagation: Linux.Propagation?) throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/mnt")
            // A separate shared mount, like a host's; mounts below it appear in its slaves.
            try check(mount(bundle.rootfs, bundle.rootfs, nil, UInt(MS_BIND), nil), "mount")
            try check(mount(nil, bundle.rootfs, nil, UInt(MS_SHARED), nil), "mount")
            defer { umount2(bundle.rootfs, Int32(MNT_DETACH)) }
            bundle.linux.rootfsPropagation = propagation
            try bundle.startSleeping()
            try check(mount("tmpfs", "\(bundle.rootfs)/mnt", "tmpfs", 0, nil), "mount")
            let seen = try bundle.swrunc(
                "exec", bundle.id, "grep", "-c", " /mnt ", "/proc/self/mountinfo")
            try check(umount2("\(bundle.rootfs)/mnt", Int32(MNT_DETACH)), "umount")
            let isSlave = propagation == .slave || propagation == .recursivelySlave
            #expect(seen.text == (isSlave ? "1" : "0"))
        }
    }

    @Test("the rootfs and the sources of mounts may be unbindable mounts")
    func unbindable() throws {
        try TestBundle.use { bundle throws in
            let volume = "\(bundle.directory)/volume"
            try makeDirectory(volume)
            try writeText("content\n", to: "\(volume)/file")
            for path in [bundle.rootfs, volume] {
                try check(mount(path, path, nil, UInt(MS_BIND), nil), "mount")
                try check(mount(nil, path, nil, UInt(MS_UNBINDABLE), nil), "mount")
            }
            defer {
                for path in [bundle.rootfs, volume] { umount2(path, Int32(MNT_DETACH)) }
            }
            try makeDirectory("\(bundle.rootfs)/data")
            bundle.addMount("bind", volume, at: "/data", "bind", "ro")
            #expect(try bundle.output(of: "cat /data/file") == "content")
        }
    }

    @Test("the whole v2 hierarchy is visible without a cgroup namespace, with the container's path")
    func wholeHierarchy() throws {
        guard Host.isUnified else { return print("skipped: this host has cgroup v1") }
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.cgroup)
            let text = try bundle.output(
                of: "p=$(cat /proc/self/cgroup); cat /sys/fs/cgroup${p#0::}/cgroup.procs; "
                    + "mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused")
            #expect(text.lines.first == "1")
            #expect(text.lines.last == "refused")
        }
    }
}
