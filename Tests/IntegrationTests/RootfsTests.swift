// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Root file system, devices and protected paths", Host.root)
struct RootfsTests {
    @Test("the rootfs is writable unless root.readonly is set", arguments: [true, false])
    func readonly(_ isReadOnly: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.spec.root?.readonly = isReadOnly
            bundle.script("echo x >/etc/new")
            let done = try bundle.run()
            #expect((done.status == 0) != isReadOnly, "\(done)")
            #expect(exists("\(bundle.rootfs)/etc/new") != isReadOnly)
            if isReadOnly { #expect(done.error.contains("Read-only file system")) }
        }
    }

    @Test("a read-only rootfs leaves its mounts and the host's directory writable")
    func readonlyIsNotRecursive() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.root?.readonly = true
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp")
            #expect(try bundle.output(of: "echo x >/tmp/new && cat /tmp/new") == "x")
            try writeText("host", to: "\(bundle.rootfs)/etc/host")
        }
    }

    @Test("root.path is absolute, or relative to the bundle", arguments: [true, false])
    func rootPath(_ isAbsolute: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.spec.root?.path = isAbsolute ? bundle.rootfs : "./rootfs"
            #expect(try bundle.output(of: "cat /etc/group") == "root:x:0:\nann:x:1000:")
        }
    }

    @Test("no host file system is left in the container's mounts")
    func oldRootIsGone() throws {
        try TestBundle.use { bundle throws in
            let mounts = try bundle.output(of: "cut -d' ' -f5 /proc/self/mountinfo").lines
            let allowed = ["/", "/proc", "/dev", "/sys"]
            for mount in mounts {
                #expect(
                    allowed.contains { mount == $0 || $0 != "/" && mount.hasPrefix($0 + "/") },
                    "\(mount)")
            }
            #expect(mounts.filter { $0 == "/" }.count == 1)
        }
    }

    @Test("no mount of the container is visible on the host")
    func mountsStayInside() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(bundle.leftovers.mounts() == [])
        }
    }

    // MARK: Names

    @Test("hostname and domain name are the config's")
    func names() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.hostname = "box-1"
            bundle.spec.domainname = "example.org"
            let text = try bundle.output(of: "hostname; cat /proc/sys/kernel/domainname")
            #expect(text == "box-1\nexample.org")
            var name = [CChar](repeating: 0, count: 65)
            gethostname(&name, name.count)
            #expect(
                String(decoding: name.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) != "box-1")
        }
    }

    // MARK: Devices

    @Test("the default devices exist with mode 0666, and work")
    func devices() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(
                of: """
                    cd /dev; stat -c '%n %F %t:%T %a %u:%g' null zero full random urandom tty
                    echo x >null && head -c 3 zero | wc -c && head -c 3 urandom | wc -c
                    """)
            #expect(
                text.lines == [
                    "null character special file 1:3 666 0:0",
                    "zero character special file 1:5 666 0:0",
                    "full character special file 1:7 666 0:0",
                    "random character special file 1:8 666 0:0",
                    "urandom character special file 1:9 666 0:0",
                    "tty character special file 5:0 666 0:0", "3", "3",
                ])
        }
    }

    @Test("the default links of /dev exist")
    func deviceLinks() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(
                of: "cd /dev; for l in fd stdin stdout stderr core ptmx; do readlink $l; done")
            #expect(
                text.lines == [
                    "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2",
                    "/proc/kcore", "pts/ptmx",
                ])
        }
    }

    @Test("the default devices exist even without a mount on /dev")
    func devicesInRootfs() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.linux.maskedPaths = nil
            let text = try bundle.output(of: "stat -c '%t:%T %a' /dev/null; readlink /dev/fd")
            #expect(text.lines == ["1:3 666", "/proc/self/fd"])
        }
    }

    @Test("linux.devices are made with their type, number, mode and owner")
    func configuredDevices() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.devices = [
                DeviceNode(
                    kind: .character, path: "/dev/made/fuse", major: 10, minor: 229,
                    fileMode: 0o640, uid: 1000, gid: 1001),
                DeviceNode(kind: .block, path: "/dev/loop7", major: 7, minor: 300, fileMode: 0o600),
                DeviceNode(kind: .fifo, path: "/dev/pipe", major: 0, minor: 0),
                DeviceNode(
                    kind: .character, path: "/dev/null", major: 1, minor: 3, fileMode: 0o600),
            ]
            let text = try bundle.output(
                of: "cd /dev; stat -c '%F %t:%T %a %u:%g' made/fuse loop7 pipe null")
            #expect(
                text.lines == [
                    "character special file a:e5 640 1000:1001",
                    "block special file 7:12c 600 0:0", "fifo 0:0 666 0:0",
                    "character special file 1:3 600 0:0",
                ])
        }
    }

    @Test("a bind-mounted /dev is left unchanged")
    func boundDev() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/dev")
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.linux.maskedPaths = nil
            bundle.addMount(nil, "\(bundle.directory)/dev", at: "/dev", "bind")
            #expect(try bundle.output(of: "ls -A /dev") == "")
            #expect(entries(of: "\(bundle.directory)/dev") == [])
        }
    }

    @Test("ptmx opens a terminal of the container's own devpts")
    func ptmx() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(of: "exec 3<>/dev/ptmx && ls /dev/pts")
            #expect(text.lines == ["0", "ptmx"])
        }
    }

    // MARK: Masked and read-only paths

    @Test(
        "masked files and directories read as empty, whatever their type; missing ones are skipped")
    func masked() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/secrets")
            try writeText("secret", to: "\(bundle.rootfs)/secrets/a")
            try makeDirectory("\(bundle.rootfs)/keys")
            try writeText("secret", to: "\(bundle.rootfs)/key")
            try check(symlink("keys", "\(bundle.rootfs)/link"), "symlink")
            try writeText("secret", to: "\(bundle.rootfs)/keys/b")
            bundle.linux.maskedPaths = ["/secrets", "/key", "/missing", "/missing/deep", "/link"]
            let text = try bundle.output(
                of: """
                    ls -A /secrets /keys; cat /key; ls / | grep -c missing
                    (echo x >/secrets/new && echo written) 2>/dev/null; echo x >/key; cat /key
                    """)
            #expect(!text.contains("secret\n") && !text.contains("written"), "\(text)")
            #expect(text.lines == ["/keys:", "/secrets:", "0"])
            #expect(try readText("\(bundle.rootfs)/key") == "secret")
        }
    }

    @Test("read-only paths can be read but not written; missing ones are skipped")
    func readonlyPaths() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/config")
            try writeText("setting", to: "\(bundle.rootfs)/config/a")
            bundle.linux.readonlyPaths = ["/config", "/missing", "/proc/sys"]
            bundle.linux.maskedPaths = []
            let text = try bundle.output(
                of: """
                    cat /config/a; echo; echo x >/config/a; echo x >/config/new
                    echo x >/proc/sys/kernel/shm_rmid_forced && echo written
                    cat /config/a; echo; ls /config
                    """.replacing("echo x", with: "2>/dev/null echo x"))
            #expect(text.lines == ["setting", "setting", "a"])
        }
    }

    @Test("the template's masked and read-only paths of /proc are in force")
    func templatePaths() throws {
        try TestBundle.use { bundle throws in
            let text = try bundle.output(
                of: """
                    for p in /proc/keys /proc/timer_list; do [ -e $p ] && wc -c <$p; done
                    ls -A /sys/firmware; (echo 1 >/proc/sys/kernel/shm_rmid_forced) 2>&1 | sed 's/.*: //'
                    """)
            #expect(Set(text.lines) == ["0", "Read-only file system"])
        }
    }

    // MARK: sysctl

    @Test("kernel parameters of the container's namespaces are set, written with dots or slashes")
    func sysctl() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.sysctl = [
                "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1",
                "net/ipv4/conf/lo/forwarding": "0", "fs.mqueue.msg_max": "12",
            ]
            let text = try bundle.output(
                of: """
                    cd /proc/sys; cat net/ipv4/ip_forward kernel/shm_rmid_forced
                    cat net/ipv4/conf/lo/forwarding fs/mqueue/msg_max
                    """)
            #expect(text.lines == ["1", "1", "0", "12"])
        }
    }
}
