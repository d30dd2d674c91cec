// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Mounts", Host.root)
struct MountTests {
    /// One line of /proc/self/mountinfo of the container.
    struct MountLine {
        let mountPoint: String
        let options: Set<String>
        let tags: [String]
        let type: String
        let superOptions: Set<String>

        init?(_ line: String) {
            let fields = line.split(separator: " ").map(String.init)
            guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 3 else { return nil }
            mountPoint = fields[4]
            options = Set(fields[5].split(separator: ",").map(String.init))
            tags = Array(fields[6..<dash])
            type = fields[dash + 1]
            superOptions = Set(fields[dash + 3].split(separator: ",").map(String.init))
        }
    }

    func mounts(_ bundle: TestBundle) throws -> [String: MountLine] {
        let lines = try bundle.output(of: "cat /proc/self/mountinfo").lines
        // The last mount at a mount point is the visible one.
        return Dictionary(
            lines.compactMap(MountLine.init).map { ($0.mountPoint, $0) },
            uniquingKeysWith: { $1 })
    }

    @Test("the template's file systems are mounted with their types and options")
    func templateMounts() throws {
        try TestBundle.use { bundle throws in
            let mounts = try mounts(bundle)
            #expect(mounts["/proc"]?.type == "proc")
            #expect(mounts["/dev"]?.type == "tmpfs")
            #expect(
                mounts["/dev"]?.superOptions.isSuperset(of: ["size=65536k", "mode=755"]) == true)
            #expect(mounts["/dev"]?.options.contains("nosuid") == true)
            #expect(mounts["/dev/pts"]?.type == "devpts")
            #expect(
                mounts["/dev/pts"]?.superOptions.isSuperset(of: [
                    "gid=5", "mode=620", "ptmxmode=666",
                ])
                    == true)
            #expect(mounts["/dev/shm"]?.type == "tmpfs")
            #expect(mounts["/dev/mqueue"]?.type == "mqueue")
            #expect(mounts["/sys"]?.type == "sysfs")
            for path in ["/dev/shm", "/dev/mqueue", "/sys"] {
                let options = mounts[path]?.options
                #expect(options?.isSuperset(of: ["nosuid", "noexec", "nodev"]) == true, "\(path)")
            }
            #expect(mounts["/sys"]?.options.contains("ro") == true)
        }
    }

    @Test("a relative destination starts at the root")
    func relativeDestination() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "some/place")
            bundle.process.args = ["grep", "/some/place tmpfs", "/proc/mounts"]
            let done = try bundle.run()
            #expect(done.status == 0, "\(done)")
            // The option is deprecated, and a warning says so.
            #expect(done.error.contains("level=warning") && done.error.contains("mounts[7]"))
        }
    }

    @Test("later mounts cover earlier ones; a mount point inside another mount is made there")
    func order() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "one", at: "/a", "size=1m")
            bundle.addMount("tmpfs", "two", at: "/a/b/c", "size=2m")
            bundle.addMount("tmpfs", "three", at: "/a/b/c", "size=3m")
            let mounts = try mounts(bundle)
            #expect(mounts["/a"]?.superOptions.contains("size=1024k") == true)
            #expect(mounts["/a/b/c"]?.superOptions.contains("size=3072k") == true)
            #expect(exists("\(bundle.rootfs)/a") && !exists("\(bundle.rootfs)/a/b"))
        }
    }

    @Test("data options reach the file system")
    func dataOptions() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/t", "mode=1770", "uid=1000", "gid=1001")
            #expect(try bundle.output(of: "stat -c '%a %u %g' /t") == "1770 1000 1001")
        }
    }

    @Test("a tmpfs without a mode option has the mode of the directory that it covers, if any")
    func coveredMode() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/covered")
            try check(chmod("\(bundle.rootfs)/covered", 0o2751), "chmod")
            try check(symlink("/covered", "\(bundle.rootfs)/link"), "symlink")
            for path in ["/covered", "/link", "/new"] {
                bundle.addMount("tmpfs", "tmpfs", at: path)
            }
            bundle.addMount("tmpfs", "tmpfs", at: "/covered", "mode=700")
            bundle.script(
                "umount /covered; stat -c %a /covered /new; umount /covered; stat -c %a /covered")
            bundle.process.capabilities = .some(
                Capabilities(
                    bounding: ["CAP_SYS_ADMIN"], effective: ["CAP_SYS_ADMIN"],
                    permitted: ["CAP_SYS_ADMIN"]))
            let done = try bundle.run()
            #expect(done.output.lines == ["2751", "1777", "2751"], "\(done)")
        }
    }

    @Test("a read-only tmpfs is read-only although mount points are made in it")
    func readOnlyTmpfs() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/t", "ro")
            bundle.addMount("tmpfs", "tmpfs", at: "/t/inner")
            let text = try bundle.output(
                of: "(echo >/t/x) 2>&1 | sed 's/.*: //'; echo >/t/inner/x && echo inner")
            #expect(text.lines == ["Read-only file system", "inner"])
        }
    }

    // MARK: Dangling links

    @Test("a mount point behind a dangling link of the image is made where the link leads")
    func danglingFile() throws {
        try TestBundle.use { bundle throws in
            try writeText("content", to: "\(bundle.directory)/data")
            try check(
                symlink("../gone/resolve/stub", "\(bundle.rootfs)/etc/resolv.conf"),
                "symlink")
            bundle.addMount(nil, "\(bundle.directory)/data", at: "/etc/resolv.conf", "bind")
            let text = try bundle.output(of: "cat /etc/resolv.conf /gone/resolve/stub")
            #expect(text == "contentcontent")
            #expect(try readText("\(bundle.rootfs)/gone/resolve/stub") == "")
        }
    }

    @Test(
        "directories behind dangling links are made for file system mounts and the process",
        arguments: ["lock", "/far/lock", "../../../lock", "second"])
    func danglingDirectory(_ target: String) throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try writeText("content", to: "\(bundle.directory)/data/file")
            try makeDirectory("\(bundle.rootfs)/var")
            try check(symlink(target, "\(bundle.rootfs)/var/link"), "symlink")
            try check(symlink("third", "\(bundle.rootfs)/var/second"), "symlink")
            bundle.addMount(nil, "\(bundle.directory)/data", at: "/var/link/data", "bind")
            bundle.addMount("tmpfs", "tmpfs", at: "/var/link/t", "size=1m")
            bundle.process.cwd = "/var/link/work"
            let text = try bundle.output(of: "cat /var/link/data/file; cd /var/link/t; pwd -P")
            let place =
                [
                    "lock": "/var/lock", "/far/lock": "/far/lock", "../../../lock": "/lock",
                    "second": "/var/third",
                ][target] ?? ""
            #expect(text == "content\(place)/t")
            #expect(exists("\(bundle.rootfs)\(place)/work"))
        }
    }

    @Test("no mount point is made through a link below a place that a mount covers")
    func linkIntoMount() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try makeDirectory("\(bundle.rootfs)/run")
            try makeDirectory("\(bundle.rootfs)/var")
            try check(symlink("../run", "\(bundle.rootfs)/var/run"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/run")
            bundle.addMount(nil, "\(bundle.directory)/data", at: "/var/run/secrets", "bind")
            #expect(try bundle.output(of: "ls -d /run/secrets") == "/run/secrets")
            #expect(!exists("\(bundle.rootfs)/run/secrets"))
        }
    }

    @Test("a loop of links is an error for its mount")
    func linksInCircles() throws {
        try TestBundle.use { bundle throws in
            try check(symlink("b", "\(bundle.rootfs)/a"), "symlink")
            try check(symlink("a", "\(bundle.rootfs)/b"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/a/x")
            let index = (bundle.spec.mounts?.count ?? 0) - 1
            bundle.expectFailure(try bundle.run(), naming: ["mounts[\(index)]"])
        }
    }

    // MARK: /dev and /proc

    @Test("a device and the console may be covered by bind mounts")
    func coveredDevice() throws {
        try TestBundle.use { bundle throws in
            try writeText("", to: "\(bundle.directory)/file")
            bundle.addMount(nil, "/dev/zero", at: "/dev/zero", "bind")
            bundle.addMount(nil, "\(bundle.directory)/file", at: "/dev/console", "bind")
            bundle.process.terminal = true
            bundle.script("stat -c %t:%T /dev/zero; test -c /dev/console && echo terminal")
            #expect(try bundle.run().text.lines == ["1:5", "terminal"])
        }
    }

    @Test(
        "a bind mount on /dev keeps the host's nodes, however its destination is spelled",
        arguments: ["/dev/", "//dev"])
    func otherSpelling(_ destination: String) throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/dev"
            try makeDirectory(host)
            try writeText("host", to: "\(host)/ptmx")
            bundle.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            bundle.linux.maskedPaths = nil
            bundle.addMount(nil, host, at: destination, "rbind")
            #expect(try bundle.output(of: "cat /dev/ptmx") == "host")
            #expect(entries(of: host) == ["ptmx"])
        }
    }

    @Test("a link in the image cannot bring host files to the place where devices are made")
    func bindThroughLink() throws {
        try TestBundle.use { bundle throws in
            let host = "\(bundle.directory)/dev"
            try makeDirectory(host)
            try writeText("host", to: "\(host)/ptmx")
            try check(symlink("dev", "\(bundle.rootfs)/link"), "symlink")
            bundle.linux.maskedPaths = nil
            bundle.addMount(nil, host, at: "/link", "bind")
            bundle.process.args = ["/bin/true"]
            let done = try bundle.run()
            #expect(done.status == 0, "\(done)")
            #expect(entries(of: host) == ["ptmx"])
            #expect(try readText("\(host)/ptmx") == "host")
        }
    }

    @Test("a later mount over a read-only tmpfs stays writable")
    func coveredReadOnly() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/b/t", "ro")
            bundle.addMount("tmpfs", "tmpfs", at: "/b")
            bundle.addMount("tmpfs", "tmpfs", at: "/b/t/inner")
            let text = try bundle.output(of: "echo >/b/t/x && echo written")
            #expect(text == "written")
        }
    }

    @Test("a mount inside /proc is refused in runc's words")
    func insideProc() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("tmpfs", "tmpfs", at: "/proc//sys")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["\"/proc/sys\" cannot be mounted because it is inside /proc"])
        }
    }

    // MARK: Bind mounts

    @Test("host directories and files can be bound; missing mount points are made")
    func binds() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            try writeText("content", to: "\(bundle.directory)/data/file")
            bundle.addMount("bind", "\(bundle.directory)/data", at: "/data", "bind")
            bundle.addMount("none", "\(bundle.directory)/data/file", at: "/etc/x/file", "bind")
            bundle.addMount(nil, "data", at: "/relative", "rbind", "ro")
            let text = try bundle.output(
                of: "cat /data/file /etc/x/file /relative/file; echo new >/data/made")
            #expect(text == "contentcontentcontent")
            #expect(try readText("\(bundle.directory)/data/made") == "new\n")
        }
    }

    @Test(
        "bind leaves out the mounts below the source, rbind includes them",
        arguments: ["bind", "rbind"])
    func recursiveBind(_ option: String) throws {
        try TestBundle.use { bundle throws in
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            try makeDirectory("\(data)/inner")
            try check(mount("tmpfs", "\(data)/inner", "tmpfs", 0, nil), "mount")
            defer { umount2("\(data)/inner", CInt(MNT_DETACH)) }
            try writeText("below", to: "\(data)/inner/file")
            bundle.addMount(nil, data, at: "/data", option)
            let text = try bundle.output(of: "cat /data/inner/file 2>/dev/null; true")
            #expect(text == (option == "rbind" ? "below" : ""))
        }
    }

    @Test(
        "ro makes only the top of a bind mount read-only, rro everything below it, too",
        arguments: ["ro", "rro"])
    func recursiveReadOnly(_ option: String) throws {
        try TestBundle.use { bundle throws in
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            try makeDirectory("\(data)/inner")
            try check(mount("tmpfs", "\(data)/inner", "tmpfs", 0, nil), "mount")
            defer { umount2("\(data)/inner", CInt(MNT_DETACH)) }
            bundle.addMount(nil, data, at: "/data", "rbind", option)
            let mounts = try mounts(bundle)
            #expect(mounts["/data"]?.options.contains("ro") == true)
            #expect(mounts["/data/inner"]?.options.contains("ro") == (option == "rro"))
            // The host's own mounts do not change.
            try writeText("host", to: "\(data)/inner/file")
            try writeText("host", to: "\(data)/file")
        }
    }

    @Test(
        "options of a bind mount become attributes of it",
        arguments: [
            "nosuid", "nodev", "noexec", "noatime", "nodiratime", "ro", "relatime",
            "rnosuid", "rnodev", "rnoexec", "rnoatime", "rro", "nosymfollow",
        ])
    func bindAttributes(_ option: String) throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            bundle.addMount(nil, "\(bundle.directory)/data", at: "/data", "rbind", option)
            let plain =
                option.hasPrefix("rno") || option == "rro" ? option.dropFirst() : option[...]
            let options = try mounts(bundle)["/data"]?.options
            #expect(options?.contains(String(plain)) == true, "\(options ?? [])")
        }
    }

    @Test(
        "a bind mount has its source's attributes, or only those that its options name",
        arguments: [[], ["suid"], ["ro"], ["rw", "noexec"]])
    func sourceAttributes(_ named: [String]) throws {
        try TestBundle.use { bundle throws in
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            let flags = UInt(MS_NOSUID | MS_NOEXEC)
            try check(mount("tmpfs", data, "tmpfs", flags, nil), "mount")
            defer { umount2(data, CInt(MNT_DETACH)) }
            bundle.spec.mounts?.append(
                Mount(destination: "/data", source: data, options: ["bind"] + named))
            let options = try #require(try mounts(bundle)["/data"]?.options)
            let expected = named.isEmpty ? ["nosuid", "noexec"] : named
            for attribute in ["ro", "nosuid", "noexec"] {
                #expect(options.contains(attribute) == expected.contains(attribute), "\(options)")
            }
        }
    }

    // MARK: Propagation

    @Test(
        "the propagation of a mount is that of its options",
        arguments: [
            ("private", ""), ("rprivate", ""), ("shared", "shared:"), ("unbindable", "unbindable"),
        ])
    func propagation(_ option: String, _ tag: String) throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.directory)/data")
            bundle.addMount(nil, "\(bundle.directory)/data", at: "/data", "bind", option)
            let tags = try #require(try mounts(bundle)["/data"]?.tags)
            if tag.isEmpty {
                #expect(tags == [])
            } else {
                #expect(tags.contains { $0.hasPrefix(tag) }, "\(tags)")
            }
        }
    }

    @Test(
        "rootfsPropagation sets the propagation of the container's root",
        arguments: [
            (Linux.Propagation.private, ""), (.shared, "shared:"), (.unbindable, "unbindable"),
        ])
    func rootPropagation(_ propagation: Linux.Propagation, _ tag: String) throws {
        try TestBundle.use { bundle throws in
            bundle.linux.rootfsPropagation = propagation
            let tags = try #require(try mounts(bundle)["/"]?.tags)
            if tag.isEmpty {
                #expect(tags == [])
            } else {
                #expect(tags.contains { $0.hasPrefix(tag) }, "\(tags)")
            }
        }
    }

    @Test(
        "rslave lets host mounts appear in a bound directory, but not container mounts on the host")
    func slaveMounts() throws {
        try TestBundle.use { bundle throws in
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            try check(mount(data, data, nil, UInt(MS_BIND), nil), "bind")
            // It has its own peer group, not the one of /tmp.
            try check(mount(nil, data, nil, UInt(MS_PRIVATE), nil), "make private")
            try check(mount(nil, data, nil, UInt(MS_SHARED), nil), "share")
            defer { umount2(data, CInt(MNT_DETACH)) }
            try makeDirectory("\(data)/host")
            try makeDirectory("\(data)/inside")
            bundle.addMount(nil, data, at: "/data", "rbind", "rslave")
            bundle.process.capabilities?.bounding?.append("CAP_SYS_ADMIN")
            bundle.process.capabilities?.effective?.append("CAP_SYS_ADMIN")
            bundle.process.capabilities?.permitted?.append("CAP_SYS_ADMIN")
            try bundle.startSleeping()
            try check(mount("tmpfs", "\(data)/host", "tmpfs", 0, nil), "mount")
            defer { umount2("\(data)/host", CInt(MNT_DETACH)) }
            try writeText("late", to: "\(data)/host/file")
            #expect(try bundle.swrunc("exec", bundle.id, "cat", "/data/host/file").text == "late")
            let mounted = try bundle.swrunc(
                "exec", bundle.id, "mount", "-t", "tmpfs", "tmpfs", "/data/inside")
            #expect(mounted.status == 0, "\(mounted)")
            #expect(bundle.leftovers.mounts() == [data, "\(data)/host"])
        }
    }

    // MARK: tmpcopyup

    @Test("tmpcopyup starts a tmpfs with the image's contents at that path")
    func copyUp() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory("\(bundle.rootfs)/var")
            try makeDirectory("\(bundle.rootfs)/var/deep", mode: 0o750)
            try writeText("from the image", to: "\(bundle.rootfs)/var/deep/file", mode: 0o646)
            try check(chown("\(bundle.rootfs)/var/deep/file", 1000, 1001), "chown")
            try check(symlink("deep/file", "\(bundle.rootfs)/var/link"), "symlink")
            bundle.addMount("tmpfs", "tmpfs", at: "/var", "tmpcopyup")
            let text = try bundle.output(
                of: """
                    cat /var/link; echo; stat -c '%a %u %g' /var/deep /var/deep/file
                    echo changed >/var/deep/file; grep -o '/var tmpfs' /proc/mounts
                    """)
            #expect(text.lines == ["from the image", "750 0 0", "646 1000 1001", "/var tmpfs"])
            #expect(try readText("\(bundle.rootfs)/var/deep/file") == "from the image")
        }
    }

    // MARK: cgroup

    @Test("the cgroup mount shows the container's own cgroup as its root")
    func cgroupMount() throws {
        try TestBundle.use { bundle throws in
            let directory = Host.isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids"
            let text = try bundle.output(
                of:
                    "cat \(directory)/cgroup.procs; ls \(directory); touch \(directory)/x 2>&1; true"
            )
            // The shell is process 1; the others have ended.
            #expect(text.lines.first == "1", "\(text)")
            #expect(!text.contains(bundle.token))
            #expect(text.contains("Read-only file system"))
        }
    }

    @Test("cgroup v1 mounts show only the container's cgroups without a cgroup namespace")
    func cgroupMountWithoutNamespace() throws {
        guard !Host.isUnified else { return print("skipped: this host has no cgroup v1") }
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.cgroup)
            let text = try bundle.output(of: "cat /sys/fs/cgroup/pids/cgroup.procs")
            #expect(text.lines.first == "1", "\(text)")
        }
    }

    @Test("a writable cgroup mount lets the container make cgroups of its own")
    func writableCgroupMount() throws {
        try TestBundle.use { bundle throws in
            let index = try #require(
                bundle.spec.mounts?.firstIndex { $0.destination == "/sys/fs/cgroup" })
            bundle.spec.mounts?[index].options = ["nosuid", "noexec", "nodev", "rw"]
            let directory = Host.isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids"
            let text = try bundle.output(of: "mkdir \(directory)/own && ls -d \(directory)/own")
            #expect(text == "\(directory)/own")
        }
    }
}
