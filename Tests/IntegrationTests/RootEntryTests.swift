// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Entering the root", Host.root)
struct RootEntryTests {
    /// The lines of the host's mount table that name the bundle.
    private func mounts(of bundle: TestBundle) throws -> [String] {
        try readText("/proc/self/mountinfo").lines.filter { $0.contains(bundle.token) }
    }

    /// The mounts on the host's "/".
    private func mountsOfRoot() throws -> [String] {
        try readText("/proc/self/mountinfo").lines.filter { $0.split(separator: " ")[4] == "/" }
    }

    private func removeMountNamespace(_ bundle: TestBundle) {
        bundle.removeNamespace(.mount)
        bundle.linux.maskedPaths = nil
        bundle.linux.readonlyPaths = nil
        bundle.spec.mounts?.removeAll { $0.type == "cgroup" }
    }

    // MARK: --no-pivot

    @Test("a container with --no-pivot has its own root")
    func moved() throws {
        try TestBundle.use { bundle throws in
            bundle.script(
                "cd /; ls -d bin/busybox; cd /..; ls -d bin/busybox; wc -l < /proc/mounts")
            let done = try bundle.run("--no-pivot")
            #expect(done.status == 0, "\(done)")
            #expect(done.text.lines.prefix(2) == ["bin/busybox", "bin/busybox"])
        }
    }

    /// The kernel lets a user namespace mount a procfs if the mount namespace has one without
    /// masks, even one that is hidden under the root.
    ///
    /// The runtime has a copy of the host's mounts to itself: what other tests mount there after it
    /// has read the table would not be unmounted.
    @Test(
        "a user namespace with --no-pivot gets no procfs without masks", arguments: [true, false])
    func noBareProcfs(_ masksPaths: Bool) throws {
        try TestBundle.use { bundle throws in
            let sets = ["CAP_SYS_ADMIN", "CAP_SETFCAP"]
            bundle.process.capabilities = Capabilities(
                bounding: sets, effective: sets, permitted: sets)
            bundle.process.noNewPrivileges = false
            if !masksPaths { bundle.linux.maskedPaths = nil }
            bundle.process.args = [
                "/bin/busybox", "unshare", "-mrpf", "/bin/sh", "-c",
                "mount -t proc none /proc && echo mounted",
            ]
            try bundle.writeConfig()
            let call = [
                "/usr/bin/unshare", "--mount", Host.runtime, "--root", bundle.store, "run",
                "--no-pivot", "--bundle", bundle.directory, bundle.id,
            ]
            let done = try RunningCommand(call, CommandOptions(), token: bundle.token).wait()
            #expect(done.status != 0 && done.text == "", "\(done)")
            #expect(done.error.contains("denied") || done.error.contains("permitted"), "\(done)")
        }
    }

    @Test(
        "no procfs or sysfs of the host stays in the mount namespace with --no-pivot",
        arguments: [nil, Linux.Propagation.recursivelyShared])
    func kernelTreesAreDropped(_ propagation: Linux.Propagation?) throws {
        try TestBundle.use { bundle throws in
            bundle.linux.rootfsPropagation = propagation
            bundle.process.args = ["/bin/sleep", "100"]
            let before = try mountsOfRoot()
            try bundle.create("--no-pivot")
            _ = try bundle.swrunc("start", bundle.id)
            #expect(try mounts(of: bundle) == [] && mountsOfRoot() == before)
            let inside = try bundle.swrunc("exec", bundle.id, "cat", "/proc/self/mountinfo").text
            let kernel = inside.lines.filter { $0.contains(" - proc ") || $0.contains(" - sysfs ") }
            let points = Set(kernel.map { $0.split(separator: " ")[4] })
            #expect(points.allSatisfy { $0.hasPrefix("/proc") || $0.hasPrefix("/sys") })
            #expect(try bundle.swrunc("exec", bundle.id, "ls", "/bin/busybox").status == 0)
        }
    }

    @Test("--no-pivot is refused if it would change the host")
    func refused() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.rootfsPropagation = .private
            bundle.expectFailure(
                try bundle.run("--no-pivot"),
                naming: ["rootfsPropagation of [r]private is not safe without pivot_root"])
            bundle.linux.rootfsPropagation = nil
            removeMountNamespace(bundle)
            bundle.expectFailure(
                try bundle.run("--no-pivot"),
                naming: ["unable to use no-pivot without a private MNT namespace"])
        }
    }

    // MARK: Without a mount namespace

    @Test("a container without a mount namespace has its own root, and the host's mounts")
    func shared() throws {
        try TestBundle.use { bundle throws in
            removeMountNamespace(bundle)
            var buffer = [UInt8](repeating: 0, count: 64)
            let count = readlink("/proc/self/ns/mnt", &buffer, buffer.count)
            let host = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
            let inside = try bundle.output(of: "readlink /proc/self/ns/mnt; ls -d /bin/busybox")
            #expect(inside.lines == [host, "/bin/busybox"])
            #expect(try mounts(of: bundle) == [], "run has taken its mounts off the host's table")
        }
    }

    @Test("exec enters the container's root without a mount namespace")
    func execution() throws {
        try TestBundle.use { bundle throws in
            removeMountNamespace(bundle)
            try bundle.startSleeping()
            let before = try mounts(of: bundle)
            #expect(!before.isEmpty, "they are among the host's")
            try writeText("inside", to: "\(bundle.rootfs)/marker")
            let done = try bundle.swrunc("exec", bundle.id, "cat", "/marker")
            #expect(done.text == "inside", "\(done)")
            let gone = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(gone.status == 0, "\(gone)")
            #expect(try mounts(of: bundle) == [])
        }
    }

    @Test("a failed create without a mount namespace leaves no mount")
    func failure() throws {
        try TestBundle.use { bundle throws in
            removeMountNamespace(bundle)
            bundle.process.args = ["/bin/none"]
            bundle.expectFailure(try bundle.run(), naming: ["/bin/none"])
            #expect(try mounts(of: bundle) == [])
        }
    }

    @Test("delete does not unmount what it did not mount")
    func foreignMount() throws {
        try TestBundle.use { bundle throws in
            removeMountNamespace(bundle)
            try bundle.startSleeping()
            try check(umount2(bundle.rootfs, CInt(MNT_DETACH)), "umount")
            try check(
                mount("tmpfs", bundle.rootfs, "tmpfs", 0, nil), "mount a tmpfs")
            let gone = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(gone.status == 0, "\(gone)")
            let left = try mounts(of: bundle)
            #expect(left.count == 1 && left[0].contains("tmpfs"), "\(left)")
            try check(umount2(bundle.rootfs, CInt(MNT_DETACH)), "umount")
        }
    }

    @Test("the host's root cannot be a container's root without a mount namespace")
    func hostRoot() throws {
        try TestBundle.use { bundle throws in
            removeMountNamespace(bundle)
            bundle.spec.root?.path = "/"
            bundle.spec.mounts = nil
            bundle.expectFailure(
                try bundle.run(),
                naming: [
                    "root.path",
                    "a container without a mount namespace cannot have the host's root as its own",
                ])
        }
    }
}
