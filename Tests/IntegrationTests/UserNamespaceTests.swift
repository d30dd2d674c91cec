// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

extension TestBundle {
    /// The first host ID in the maps of these tests.
    static let firstID: UInt32 = 100_000

    /// Gives the container a new user namespace, whose root owns the root file system.
    func makeUserNamespace() throws {
        let maps = [IDMapping(containerID: 0, hostID: Self.firstID, size: 65536)]
        setNamespace(.user)
        linux.uidMappings = maps
        linux.gidMappings = maps
        try ownRootfs()
    }

    func ownRootfs() throws {
        let owner = "\(Self.firstID):\(Self.firstID)"
        let words = [Host.busybox, "chown", "-Rh", owner, rootfs]
        let done = try RunningCommand(words, token: token).wait()
        try #require(done.status == 0, "\(done)")
    }

    /// Joins the user namespace of a process.
    func joinUserNamespace(of pid: Int) {
        setNamespace(.user, path: "/proc/\(pid)/ns/user")
        linux.uidMappings = nil
        linux.gidMappings = nil
    }
}

@Suite("User namespaces", Host.root)
struct UserNamespaceTests {
    private func owner(_ path: String) -> (uid_t, gid_t)? {
        var status = stat()
        return lstat(path, &status) == 0 ? (status.st_uid, status.st_gid) : nil
    }

    @Test("the process is root in its user namespace, and an ordinary user on the host")
    func rootInside() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.process.capabilities = Capabilities(
                bounding: ["CAP_CHOWN"], effective: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"])
            let text = try bundle.output(
                of: "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/new; "
                    + "busybox chown 5:6 /tmp/new; grep -E 'Groups|CapEff' /proc/self/status")
            let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" }.map(String.init)
            let map = ["0", "100000", "65536"]
            #expect(words == ["0", "0"] + map + map + ["Groups:", "CapEff:", "0000000000000001"])
            let made = try #require(owner("\(bundle.rootfs)/tmp/new"))
            #expect(made == (TestBundle.firstID + 5, TestBundle.firstID + 6))
        }
    }

    @Test("all ranges of an ID mapping apply")
    func severalRanges() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.linux.uidMappings = [
                IDMapping(containerID: 0, hostID: TestBundle.firstID, size: 10),
                IDMapping(containerID: 10, hostID: 300_000, size: 5),
                IDMapping(containerID: 1000, hostID: 200_000, size: 1),
            ]
            bundle.process.user = User(uid: 1000, gid: 7, additionalGids: [8, 9])
            let text = try bundle.output(of: "id -u; id -g; id -G; touch /tmp/new")
            #expect(text.lines == ["1000", "7", "7 8 9"])
            let made = try #require(owner("\(bundle.rootfs)/tmp/new"))
            #expect(made == (200_000, TestBundle.firstID + 7))
        }
    }

    @Test("the path to the rootfs need not be accessible to the container's root")
    func closedBundle() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            try check(chmod(bundle.directory, 0o700), "chmod")
            #expect(try bundle.output(of: "echo in") == "in")
        }
    }

    @Test("a rootfs that the container's root may not search is reported with root.path")
    func closedRootfs() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.script("true")
            try check(chown(bundle.rootfs, 0, 0), "chown")
            try check(chmod(bundle.rootfs, 0o700), "chmod")
            let done = try bundle.run()
            bundle.expectFailure(done, naming: ["root.path", "user \(TestBundle.firstID)"])
            #expect(done.error.contains("chmod o+x"), "\(done)")
            try check(chmod(bundle.rootfs, 0o701), "chmod")
            #expect(try bundle.run().status == 0)
        }
    }

    @Test("default devices in a user namespace are the host's; only FIFOs can be made inside")
    func devices() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/kmsg", major: 1, minor: 11),
                DeviceNode(kind: .fifo, path: "/run/queue", fileMode: 0o640, uid: 3),
            ]
            let done = try bundle.output(
                of: "echo x > /dev/null; head -c 3 /dev/zero | wc -c; "
                    + "stat -c '%t:%T %F' /dev/null /dev/tty /dev/full /dev/kmsg; "
                    + "stat -c '%F %u %a' /run/queue; "
                    + "mknod /dev/new c 1 3 2>/dev/null || echo refused")
            let type = "character special file"
            #expect(
                done.lines == [
                    "3", "1:3 \(type)", "5:0 \(type)", "1:7 \(type)", "1:b \(type)",
                    "fifo 3 640", "refused",
                ])
        }
    }

    @Test(
        "a bind mount in a user namespace keeps locked attributes; clearing one is refused",
        arguments: [["nodev"], ["atime", "nodev"], ["rw"], ["exec"], ["noatime"]])
    func lockedAttributes(_ named: [String]) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            let flags = UInt(MS_RDONLY | MS_NOEXEC)
            try check(mount("tmpfs", data, "tmpfs", flags, nil), "mount")
            defer { umount2(data, CInt(MNT_DETACH)) }
            bundle.spec.mounts?.append(
                Mount(destination: "/data", source: data, options: ["bind"] + named))
            bundle.process.args = ["grep", " /data ", "/proc/mounts"]
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            let done = try bundle.run()
            guard named.contains("nodev") else {
                bundle.expectFailure(
                    done, naming: ["mounts[\(index)].options", "operation not permitted"])
                return
            }
            #expect(done.status == 0 && done.error == "")
            let options = done.output.split(separator: " ").dropFirst(3).first?.split(
                separator: ",")
            #expect(Set(options ?? []).isSuperset(of: ["ro", "noexec"]), "\(done)")
        }
    }

    @Test(
        "a device in a user namespace has its own path, mode and owner; the host's is unchanged"
    )
    func configuredDevices() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            var before = stat()
            try check(stat("/dev/null", &before), "stat")
            bundle.linux.devices = [
                DeviceNode(
                    kind: .character, path: "/dev/my/null", major: 1, minor: 3, fileMode: 0o640,
                    uid: 7, gid: 8),
                DeviceNode(kind: .character, path: "/opt/zero", major: 1, minor: 5),
                // The host has no ID with this number.
                DeviceNode(kind: .block, path: "/dev/none", major: 4000, minor: 3),
            ]
            let text = try bundle.output(
                of: "stat -c '%t:%T %a %u:%g' /dev/my/null /opt/zero /dev/none; "
                    + "head -c 3 /opt/zero | wc -c; "
                    + "cut -d' ' -f5 /proc/self/mountinfo | grep -c '^/$'")
            #expect(
                text.lines == ["1:3 640 7:8", "1:5 666 0:0", "fa0:3 666 0:0", "3", "1"])
            var after = stat()
            try check(stat("/dev/null", &after), "stat")
            #expect(after.st_mode == before.st_mode && after.st_uid == before.st_uid)
        }
    }

    @Test("a device's owner without a mapping is an error with its field")
    func unmappedOwner() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.linux.devices = [
                DeviceNode(
                    kind: .character, path: "/dev/my", major: 1, minor: 3, gid: 70_000)
            ]
            bundle.expectFailure(
                try bundle.run(),
                naming: [
                    "linux.devices[0].gid (/dev/my): 70000 has no mapping in linux.gidMappings"
                ])
        }
    }

    @Test("files made in a user namespace without a root belong to the process's user")
    func withoutRoot() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            let map = [
                IDMapping(containerID: 1000, hostID: TestBundle.firstID, size: 1)
            ]
            bundle.linux.uidMappings = map
            bundle.linux.gidMappings = map
            bundle.spec.mounts?.removeAll { $0.type == "devpts" }
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.linux.devices = [
                DeviceNode(
                    kind: .character, path: "/dev/my/null", major: 1, minor: 3, uid: 1000,
                    gid: 1000)
            ]
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp/new")
            try check(symlink("/tmp/new/far/place", "\(bundle.rootfs)/link"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/link")
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let done = try bundle.swrunc(
                "exec", "--user", "1000:1000", bundle.id, "/bin/sh", "-c",
                "id -u; stat -c %u:%g /tmp/new/far /dev/my/null; echo x >/dev/null && echo written")
            #expect(done.output.lines == ["1000", "1000:1000", "1000:1000", "written"], "\(done)")
            let refused = try bundle.swrunc("exec", "--user", "5", bundle.id, "/bin/true")
            #expect(
                refused.status == 255
                    && refused.error.contains("process.user.uid: 5 has no mapping"), "\(refused)")
        }
    }

    @Test(
        "an image's null device is covered in a user namespace, whatever it is, and leads nowhere")
    func hostileDevices() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            try check(symlink("/etc/passwd", "\(bundle.rootfs)/dev/null"), "symlink")
            try bundle.makeUserNamespace()
            let before = try readText("\(bundle.rootfs)/etc/passwd")
            let text = try bundle.output(of: "echo x > /dev/null; stat -c '%t:%T %F' /dev/null")
            #expect(text == "1:3 character special file")
            #expect(try readText("\(bundle.rootfs)/etc/passwd") == before)
        }
    }

    @Test("exec enters the user namespace of a container, started or not")
    func executions() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.setNamespace(.cgroup)
            bundle.process.args = ["/bin/sleep", "100"]
            bundle.process.rlimits = [Rlimit(type: "RLIMIT_NOFILE", hard: 100, soft: 99)]
            try bundle.create()
            for isStarted in [false, true] {
                if isStarted { #expect(try bundle.swrunc("start", bundle.id).status == 0) }
                let script =
                    "id -u; cat /proc/self/uid_map; ulimit -n; echo $$ > /tmp/pid; "
                    + "for n in user pid mnt net cgroup; do readlink /proc/self/ns/$n; done"
                let done = try bundle.swrunc("exec", bundle.id, "sh", "-c", script)
                #expect(done.status == 0, "\(done)")
                let pid = try bundle.state().pid
                var expected = ["0", "0 100000 65536", "99"]
                for name in ["user", "pid", "mnt", "net", "cgroup"] {
                    expected.append(try Self.link(name, of: pid))
                }
                let found = done.output.lines.map {
                    $0.split(separator: " ").joined(separator: " ")
                }
                #expect(found == expected)
            }
            let user = try bundle.swrunc("exec", "--user", "5:6", bundle.id, "id")
            #expect(user.text == "uid=5 gid=6", "\(user)")
            bundle.expectFailure(
                try bundle.swrunc("exec", "--user", "70000", bundle.id, "id"), status: 255,
                naming: ["process.user.uid: 70000 has no mapping in linux.uidMappings"])
        }
    }

    private static func link(_ name: String, of pid: Int) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = try check(
            readlink("/proc/\(pid)/ns/\(name)", &buffer, buffer.count), "readlink \(name)")
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    @Test(
        "exec and pods can enter a cgroup that was given to the container's root",
        .enabled(if: Host.isUnified, "only a cgroup of v2 is given away"))
    func ownedCgroup() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.setNamespace(.cgroup)
            bundle.spec.mounts?.append(
                Mount(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup"))
            try bundle.startSleeping()
            let path = try #require(bundle.leftovers.cgroups().first { $0.hasSuffix(bundle.id) })
            #expect(try #require(owner("\(path)/cgroup.procs")).0 == TestBundle.firstID)
            #expect(try #require(owner("\(path)/pids.max")).0 == 0)
            let script = "cat /proc/self/cgroup; mkdir /sys/fs/cgroup/inner && echo made"
            let done = try bundle.swrunc("exec", bundle.id, "sh", "-c", script)
            #expect(done.output.lines == ["0::/", "made"], "\(done)")

            let pid = try bundle.state().pid
            bundle.joinUserNamespace(of: pid)
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            let maps = [IDMapping(containerID: 0, hostID: TestBundle.firstID, size: 65536)]
            bundle.linux.uidMappings = maps
            bundle.linux.gidMappings = maps
            let other = "\(bundle.id)-pod"
            try bundle.writeConfig()
            let created = try bundle.swrunc("create", "--bundle", bundle.directory, other)
            // A warning is logged: the maps do not say for which user the cgroup is.
            #expect(created.status == 0, "\(created)")
            let second = try bundle.swrunc("exec", other, "cat", "/proc/self/cgroup")
            #expect(second.text == "0::/", "\(second)")
        }
    }

    @Test("a container can join another's user namespace, alone or with all other namespaces")
    func joined() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            let holder = "\(bundle.id)-holder"
            try bundle.startSleeping(id: holder)
            let pid = try bundle.state(holder).pid
            let user = try Self.link("user", of: pid)
            let script = "id -u; readlink /proc/self/ns/user; echo $$; echo > /dev/null; hostname"

            bundle.joinUserNamespace(of: pid)
            #expect(try bundle.output(of: script).lines == ["0", user, "1", "swrunc"])

            let kinds: [(Namespace.Kind, String)] = [
                (.network, "net"), (.ipc, "ipc"), (.uts, "uts"), (.pid, "pid"),
            ]
            for (kind, name) in kinds {
                bundle.setNamespace(kind, path: "/proc/\(pid)/ns/\(name)")
            }
            bundle.spec.hostname = nil
            let together = try bundle.output(
                of:
                    "id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net; ls -d /sys/class"
            )
            #expect(
                together.lines == ["0", user, try Self.link("net", of: pid), "/sys/class"])
        }
    }

    @Test("ID mappings beside a joined user namespace must equal those of the namespace")
    func joinedWithMaps() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            let holder = "\(bundle.id)-holder"
            try bundle.startSleeping(id: holder)
            let maps = bundle.linux.uidMappings
            bundle.joinUserNamespace(of: try bundle.state(holder).pid)
            bundle.linux.uidMappings = maps
            bundle.linux.gidMappings = maps
            bundle.script("id -u")
            let same = try bundle.run()
            #expect(same.status == 0 && same.text == "0", "\(same)")
            #expect(same.error == "")

            bundle.linux.gidMappings?[0].size = 500
            bundle.expectFailure(
                try bundle.run(),
                naming: ["linux.uidMappings", "the user namespace that is joined has other maps"])
        }
    }

    @Test("a new user namespace works with a network namespace that the host owns")
    func joinedNetwork() throws {
        try TestBundle.use { bundle throws in
            let holder = "\(bundle.id)-holder"
            try bundle.startSleeping(id: holder)
            let pid = try bundle.state(holder).pid
            let network = try Self.link("net", of: pid)
            try bundle.makeUserNamespace()
            bundle.setNamespace(.network, path: "/proc/\(pid)/ns/net")
            bundle.process.oomScoreAdj = 5
            let text = try bundle.output(
                of: "id -u; echo $$; readlink /proc/self/ns/net; cat /proc/self/oom_score_adj; "
                    + "grep ' /sys ' /proc/mounts")
            // sysfs shows the network namespace's devices, and here it is the host's mount.
            #expect(text.lines.prefix(4) == ["0", "1", network, "5"])
            #expect(text.lines.last == "sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0")
        }
    }

    @Test(
        "a user namespace can go with host namespaces, whose sysfs and mqueue are the host's"
    )
    func hostNamespaces() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            for kind in [Namespace.Kind.network, .ipc, .uts] { bundle.removeNamespace(kind) }
            bundle.spec.hostname = nil
            guard exists("/dev/mqueue") else { return print("this host has no /dev/mqueue") }
            let text = try bundle.output(of: "id -u; cat /proc/mounts; ls /sys/fs/cgroup | wc -l")
            #expect(text.lines.first == "0")
            #expect(text.contains("mqueue /dev/mqueue mqueue"))
            #expect(text.contains("sysfs /sys sysfs ro,"))
        }
    }

    @Test("OOM score and resource limits are set in a user namespace, even if only the host may")
    func scoreAndLimits() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.process.oomScoreAdj = 7
            bundle.process.rlimits = [
                Rlimit(type: "RLIMIT_CORE", hard: 0, soft: 0),
                Rlimit(type: "RLIMIT_NOFILE", hard: 77, soft: 64),
            ]
            let text = try bundle.output(
                of: "cat /proc/self/oom_score_adj; ulimit -c; ulimit -n; ulimit -H -n")
            #expect(text.lines == ["7", "0", "64", "77"])
        }
    }

    @Test("kernel parameters that belong to the user namespace are set")
    func sysctl() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.linux.sysctl = ["user.max_net_namespaces": "3", "net.ipv4.ip_forward": "1"]
            let text = try bundle.output(
                of: "cat /proc/sys/user/max_net_namespaces /proc/sys/net/ipv4/ip_forward")
            #expect(text.lines == ["3", "1"])
        }
    }

    @Test("a terminal works in a user namespace and belongs to the process's user")
    func terminal() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.process.terminal = true
            bundle.process.user = User(uid: 5, gid: 6)
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            bundle.script("tty; stat -c 'owner %u:%g' $(tty); stat -c 'type %t:%T' /dev/console")
            try bundle.create("--console-socket", socket.path)
            let terminal = try socket.receive()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(terminal.sees("/dev/pts/0"), "\(terminal.text)")
            #expect(terminal.sees("owner 5:"), "\(terminal.text)")
            #expect(terminal.sees("type 88:0"), "\(terminal.text)")
            #expect(try bundle.waits(for: .stopped))
        }
    }

    @Test("files that the runtime makes in a user namespace belong to the container's root")
    func owners() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            try check(symlink("/new/deep", "\(bundle.rootfs)/link"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/link/here")
            bundle.addMount("tmpfs", "tmpfs", at: "/fresh", "tmpcopyup", "gid=3")
            bundle.addMount("tmpfs", "tmpfs", at: "/etc", "tmpcopyup")
            let text = try bundle.output(
                of: "stat -c %u:%g /new /new/deep /new/deep/here /fresh /etc /etc/passwd /dev")
            #expect(text.lines == ["0:0", "0:0", "0:0", "0:3", "0:0", "0:0", "0:0"])
        }
    }

    @Test("a rootfs with an unmapped owner cannot be written to, and the error says so")
    func foreignRootfs() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            try check(chown(bundle.rootfs, 0, 0), "chown")
            bundle.addMount("tmpfs", "tmpfs", at: "/missing/point")
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            let done = try bundle.run()
            bundle.expectFailure(
                done, naming: ["mounts[\(index)]", "mkdirat($rootfs, \"missing\""])
            #expect(done.error.contains("does it own the rootfs?"), "\(done)")
        }
    }

    @Test("more ID mapping ranges than the kernel takes are an error with their field")
    func refusedMaps() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeUserNamespace()
            bundle.linux.gidMappings = (0..<400).map {
                IDMapping(containerID: $0, hostID: TestBundle.firstID + $0 * 2, size: 1)
            }
            bundle.expectFailure(
                try bundle.run(), naming: ["linux.gidMappings", "400 ranges", "340"])
        }
    }
}
