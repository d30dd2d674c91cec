// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Devices", Host.root)
struct DeviceTests {
    @Test(
        "a mount of the config on a default device or link replaces it, also in a user namespace",
        arguments: ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "fd"])
    func mountedOver(_ name: String) throws {
        for hasUserNamespace in [false, true] {
            try TestBundle.use { bundle throws in
                if hasUserNamespace { try bundle.makeUserNamespace() }
                try writeText("mine\n", to: "\(bundle.directory)/file")
                bundle.addMount("bind", "\(bundle.directory)/file", at: "/dev/\(name)", "bind")
                #expect(try bundle.output(of: "cat /dev/\(name)") == "mine")
            }
        }
    }

    @Test(
        "the image's own files in /dev stay without a mount there; linux.devices must match them"
    )
    func imagesOwn() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            let dev = "\(bundle.rootfs)/dev"
            try check(mknod("\(dev)/random", S_IFCHR | 0o600, 0x109), "mknod")
            try writeText("file\n", to: "\(dev)/full")
            try writeText("file\n", to: "\(dev)/ptmx")
            #expect(
                try bundle.output(of: "cd /dev; stat -c '%t:%T %a' random; cat full ptmx").lines
                    == ["1:9 600", "file", "file"])
            bundle.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/random", major: 1, minor: 8)
            ]
            bundle.expectFailure(
                try bundle.run(), naming: ["linux.devices[0]", "is another device than 1:8"])
        }
    }

    @Test("no file of a volume behind the image's /dev is removed or changes its owner")
    func volumeBehindDev() throws {
        try TestBundle.use { bundle throws in
            let volume = "\(bundle.directory)/volume"
            try makeDirectory(volume)
            try writeText("mine\n", to: "\(volume)/ptmx")
            try check(mknod("\(volume)/fuse", S_IFCHR | 0o600, 0xae5), "mknod")
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.addMount("bind", volume, at: "/vol", "bind")
            try check(rmdir("\(bundle.rootfs)/dev"), "rmdir")
            try check(symlink("/vol", "\(bundle.rootfs)/dev"), "symlink")
            bundle.linux.devices = ["fuse", "new"].map {
                DeviceNode(
                    kind: .character, path: "/dev/\($0)", major: 10, minor: 229, fileMode: 0o640,
                    uid: 5, gid: 6)
            }
            let text = try bundle.output(of: "cat /dev/ptmx; stat -c '%u:%g %a' /dev/fuse /dev/new")
            #expect(text.lines == ["mine", "0:0 600", "5:6 640"])
            #expect(try readText("\(volume)/ptmx") == "mine\n")
        }
    }

    @Test("root in the container cannot change the host's null device through a mask or a device")
    func hostsNodes() throws {
        var before = stat()
        try check(lstat("/dev/null", &before), "lstat")
        for host in [nil, 0, TestBundle.firstID] as [UInt32?] {
            try TestBundle.use { bundle throws in
                if let host {
                    try bundle.makeUserNamespace()
                    let maps = [IDMapping(containerID: 0, hostID: host, size: 65536)]
                    bundle.linux.uidMappings = maps
                    bundle.linux.gidMappings = maps
                    if host == 0 {
                        try check(chown(bundle.rootfs, 0, 0), "chown")
                    }
                }
                try writeText("", to: "\(bundle.rootfs)/etc/key")
                bundle.linux.maskedPaths = ["/etc/key"]
                // The device already has this mode: if possible, nothing is changed.
                let text = try bundle.output(
                    of: "chmod 666 /etc/key 2>&1; touch /etc/key 2>&1; echo x >/etc/key; "
                        + "cat /etc/key" + (host == nil ? "" : "; chmod 666 /dev/null 2>&1; true"))
                let refusals = text.lines
                #expect(refusals.count == (host == nil ? 2 : 3))
                #expect(
                    refusals.allSatisfy {
                        $0.contains("Read-only file system") || $0.contains("not permitted")
                    }, "\(text)")
            }
        }
        var after = stat()
        try check(lstat("/dev/null", &after), "lstat")
        #expect(after.st_mode == before.st_mode && after.st_uid == before.st_uid)
    }

    @Test("the mqueue mount of a new ipc namespace belongs to the root of its user namespace")
    func messageQueues() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            let text = try bundle.output(
                of: "stat -c %u:%g /dev/mqueue; touch /dev/mqueue/queue && ls /dev/mqueue")
            #expect(text.lines == ["0:0", "queue"])
            // The same in a joined user namespace.
            try bundle.startSleeping(id: "\(bundle.id)-first")
            bundle.joinUserNamespace(of: try bundle.state("\(bundle.id)-first").pid)
            #expect(try bundle.output(of: "stat -c %u:%g /dev/mqueue") == "0:0")
        }
    }

    @Test("a terminal is opened only once its file is known to be on a devpts")
    func terminalOfDevpts() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            try makeDirectory("\(bundle.rootfs)/dev/pts")
            // Opening a fifo for reading and writing would succeed, and change what its owner sees.
            try check(mkfifo("\(bundle.rootfs)/dev/pts/ptmx", 0o666), "mkfifo")
            bundle.process.terminal = true
            bundle.process.args = ["true"]
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.writeConfig()
            let done = try bundle.swrunc(
                "create", "--bundle", bundle.directory, "--console-socket", socket.path, bundle.id)
            bundle.expectFailure(
                done, naming: ["process.terminal", "/dev/pts is not a devpts file system"])
        }
    }
}
