// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite("Copying files from and to a running container", Host.root)
struct ContainerFilesTests {
    /// A container that sleeps, and the test's own directory beside its root.
    private func use(
        _ change: (TestBundle) throws -> Void = { _ in },
        _ body: (TestBundle, Container) throws -> Void
    ) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try change(bundle)
            let (container, process) = try Container.createProcess(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            try container.start()
            do {
                try body(bundle, container)
            } catch {
                try? container.kill(.kill)
                _ = try? process.wait()
                throw error
            }
            try? container.kill(.kill)
            _ = try process.wait()
            try container.delete(force: true)
        }
    }

    private func copyIn(
        _ text: String, to path: FilePath, _ container: Container,
        permissions: FilePermissions = [.ownerReadWrite], user: User = User(), limit: Int? = nil
    ) throws -> Int {
        var ends: [CInt] = [-1, -1]
        try check(pipe(&ends), "pipe")
        defer { for end in ends { close(end) } }
        try check(write(ends[1], text, text.utf8.count), "write")
        close(ends[1])
        ends[1] = -1
        return try container.copyIn(
            FileDescriptor(rawValue: ends[0]), to: path, permissions: permissions, user: user,
            limitBytes: limit)
    }

    private func copyOut(_ path: FilePath, _ container: Container, limit: Int? = nil) throws
        -> String
    {
        var ends: [CInt] = [-1, -1]
        try check(pipe(&ends), "pipe")
        defer { for end in ends { close(end) } }
        let count = try container.copyOut(
            path, to: FileDescriptor(rawValue: ends[1]), limitBytes: limit)
        var buffer = [UInt8](repeating: 0, count: 1000)
        guard count > 0 else { return "" }
        try check(read(ends[0], &buffer, buffer.count), "read")
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    private func refusal(_ body: () throws -> Void) -> Errno? {
        (#expect(throws: ContainerError.self) { try body() })?.failure?.errno
    }

    @Test("a file is copied in with its mode and owner, also into a mount, and copied out again")
    func roundTrip() throws {
        try use { bundle, container throws in
            #expect(
                try copyIn(
                    "text\n", to: "/tmp/new", container,
                    permissions: [.ownerReadWrite, .setUserID], user: User(uid: 1000, gid: 1001))
                    == 5)
            var status = stat()
            try check(stat("\(bundle.rootfs)/tmp/new", &status), "stat")
            #expect(status.st_uid == 1000 && status.st_gid == 1001)
            #expect(status.st_mode == S_IFREG | 0o4600)
            #expect(try copyOut("tmp/new", container) == "text\n")
            // Another that was there is replaced.
            #expect(try copyIn("", to: "/tmp/new", container) == 0)
            #expect(try copyOut("/tmp/../tmp/new", container) == "")
            // /dev/shm is a mount of the container, which the host does not see.
            #expect(try copyIn("shared", to: "/dev/shm/a", container) == 6)
            #expect(try copyOut("/dev/shm/a", container) == "shared")
            #expect(access("\(bundle.rootfs)/dev/shm/a", F_OK) != 0)
            var process = try container.template()
            process.args = ["grep", "-q", "shared", "/dev/shm/a"]
            #expect(try container.exec(process).wait() == .exited(0))
            #expect(entries(of: "\(bundle.rootfs)/tmp") == ["new"])
        }
    }

    @Test("no link in the container leads a file copy out of it")
    func links() throws {
        try use { bundle throws in
            let outside = "\(bundle.directory)/outside"
            try makeDirectory(outside)
            try writeText("secret", to: "\(outside)/secret")
            for (name, target) in [
                ("absolute", outside), ("upward", "../../../../../../..\(outside)"),
                ("magic", "/proc/1/root\(outside)"), ("self", "/proc/self/root/etc"),
                ("file", "\(outside)/secret"), ("passwd", "/etc/passwd"),
            ] {
                try check(symlink(target, "\(bundle.rootfs)/\(name)"), "symlink")
            }
        } _: { bundle, container throws in
            for path in [
                "absolute/secret", "upward/secret", "magic/secret", "file", "self/passwd",
                "../../../outside/secret",
            ] as [FilePath] {
                let errno = refusal { _ = try copyOut(path, container) }
                #expect(errno == .noSuchFileOrDirectory || errno == .tooManySymbolicLinkLevels)
            }
            for path in ["absolute/new", "upward/new", "magic/new", "self/new"] as [FilePath] {
                let errno = refusal { _ = try copyIn("x", to: path, container) }
                #expect(errno == .noSuchFileOrDirectory || errno == .tooManySymbolicLinkLevels)
            }
            #expect(entries(of: "\(bundle.directory)/outside") == ["secret"])
            // A link within leads to the container's own; one at the end is replaced, not followed.
            #expect(try copyOut("passwd", container).hasPrefix("root:x:0"))
            let before = try readText("\(bundle.rootfs)/etc/passwd")
            _ = try copyIn("new", to: "passwd", container)
            #expect(try readText("\(bundle.rootfs)/etc/passwd") == before)
            #expect(try copyOut("passwd", container) == "new")
        }
    }

    @Test("a copy opens only regular files, and no files of the kernel")
    func otherFiles() throws {
        try use { bundle throws in
            try check(mkfifo("\(bundle.rootfs)/fifo", 0o644), "mkfifo")
        } _: { _, container throws in
            for path in ["/fifo", "/dev/zero", "/etc", "/proc/version", "/sys/kernel"] as [FilePath]
            {
                #expect(refusal { _ = try copyOut(path, container) } == .invalidArgument)
            }
            #expect(refusal { _ = try copyIn("x", to: "/proc/a", container) } == .invalidArgument)
            // A fifo, too, is replaced and not opened.
            #expect(try copyIn("text", to: "/fifo", container) == 4)
            #expect(try copyOut("/fifo", container) == "text")
            for path in ["/", "..", "/tmp/..", "."] as [FilePath] {
                let error = #expect(throws: ContainerError.self) {
                    try copyIn("x", to: path, container)
                }
                #expect(error?.code == .invalidArgument)
            }
            #expect(refusal { _ = try copyIn("x", to: "/tmp", container) } == .isDirectory)
        }
    }

    @Test("a copy beyond the size limit is an error and leaves nothing")
    func limit() throws {
        try use { bundle, container throws in
            #expect(try copyIn("12345", to: "/tmp/a", container, limit: 5) == 5)
            #expect(
                refusal { _ = try copyIn("123456", to: "/tmp/b", container, limit: 5) }
                    == .fileTooLarge)
            #expect(entries(of: "\(bundle.rootfs)/tmp") == ["a"])
            #expect(refusal { _ = try copyOut("/tmp/a", container, limit: 4) } == .fileTooLarge)
            let error = #expect(throws: ContainerError.self) {
                try copyOut("/tmp/a", container, limit: -1)
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test("no file can be copied into a read-only root")
    func readOnly() throws {
        try use {
            $0.spec.root?.readonly = true
        } _: { _, container throws in
            #expect(refusal { _ = try copyIn("x", to: "/tmp/a", container) } == .readOnlyFileSystem)
            #expect(try copyIn("x", to: "/dev/shm/a", container) == 1)
        }
    }

    @Test(
        "the owner of a copied file is a user of the container; one without a mapping is an error")
    func mappedUser() throws {
        try use { bundle throws in
            try bundle.makeUserNamespace()
        } _: { _, container throws in
            _ = try copyIn("x", to: "/dev/shm/a", container, user: User(uid: 7, gid: 8))
            var process = try container.template()
            process.args = ["sh", "-c", "test $(stat -c %u:%g /dev/shm/a) = 7:8"]
            #expect(try container.exec(process).wait() == .exited(0))
            let error = #expect(throws: ContainerError.self) {
                try copyIn("x", to: "/dev/shm/b", container, user: User(uid: 70_000))
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test("no file can be copied from or to a container that has ended")
    func ended() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            let process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            _ = try process.wait()
            let container = try bundle.containerStore.container(bundle.id)
            let error = #expect(throws: ContainerError.self) {
                try copyOut("/etc/passwd", container)
            }
            #expect(error?.code == .notRunning)
            try container.delete()
        }
    }

    @Test("a terminal gets the size that the caller sets")
    func resize() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("read word; stty size; read word; stty size")
            var options = LaunchOptions()
            options.terminal = .master
            let process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            let master = try #require(process.terminalMaster)
            let terminal = Terminal(master: try check(fcntl(master, F_DUPFD_CLOEXEC, 3), "dup"))
            try process.resizeTerminal(rows: 33, columns: 77)
            try terminal.type("\n")
            #expect(terminal.sees("33 77"))
            try ContainerProcess.resizeTerminal(
                FileDescriptor(rawValue: master), rows: 7, columns: 9)
            try terminal.type("\n")
            #expect(terminal.sees("7 9"))
            #expect(try process.wait() == .exited(0))
            try bundle.containerStore.container(bundle.id).delete()

            bundle.process.terminal = false
            let plain = try Container.run(
                "\(bundle.id)-plain", from: bundle.loaded(), in: bundle.containerStore)
            let error = #expect(throws: ContainerError.self) {
                try plain.resizeTerminal(rows: 1, columns: 1)
            }
            #expect(error?.code == .invalidArgument)
            _ = try plain.wait()
            try bundle.containerStore.container("\(bundle.id)-plain").delete()
        }
    }
}
