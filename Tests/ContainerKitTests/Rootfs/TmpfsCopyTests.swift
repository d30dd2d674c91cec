// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import InitProgram
import KernelVocabulary
import SystemPackage
import Testing

@testable import ContainerKit

/// Copies into mounts that are never attached: they vanish when their descriptor is closed.
@Suite("tmpcopyup", .enabled(if: geteuid() == 0, "needs root"))
struct TmpfsCopyTests {
    let root: TemporaryDirectory

    init() throws {
        root = try TemporaryDirectory()
        mkdir(root.path + "/data", 0o750)
    }

    private func copy(
        options: [String] = [], attributes: MountAttributes = .empty, changes: [MountChange] = [],
        at destination: String = "/data"
    ) throws -> OwnedDescriptor {
        let directory = try openFile(root.path, .pathOnly | .directory)
        return try tmpfsCopy(
            of: FilesystemMount(
                type: "tmpfs", source: "tmpfs", destination: destination, options: options,
                attributes: attributes, changes: changes), from: directory.number)
    }

    private func path(_ name: String) -> String { "\(root.path)/data/\(name)" }

    /// The type and mode, owner and size of a name in the copy; links are not followed.
    private func facts(_ tree: borrowing OwnedDescriptor, _ name: String) throws -> clinux_statx {
        let file = try openFile(name, .pathOnly | .noFollow, at: tree.number)
        return try status(of: file.number)
    }

    private func names(_ tree: borrowing OwnedDescriptor) throws -> Set<String> {
        Set(
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd/\(tree.number)"))
    }

    @Test("tmpcopyup copies files with data, owner, mode, times and extended attributes")
    func files() throws {
        let data = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 * 7) })
        try data.write(to: URL(fileURLWithPath: path("file")))
        chown(path("file"), 12, 34)
        chmod(path("file"), 0o4751)
        var times = [
            timespec(tv_sec: 1000, tv_nsec: 5), timespec(tv_sec: 2000, tv_nsec: 6),
        ]
        utimensat(AT_FDCWD, path("file"), &times, 0)
        let capability: [UInt8] = [0, 0, 0, 2, 0, 4] + [UInt8](repeating: 0, count: 14)
        try #require(
            capability.withUnsafeBytes { value in
                path("file").withCString { path in
                    "security.capability".withCString { name in
                        raw_system_call(
                            Int(__NR_setxattr), Int(bitPattern: path), Int(bitPattern: name),
                            Int(bitPattern: value.baseAddress), value.count, 0, 0)
                    }
                }
            } == 0)

        let tree = try copy()
        #expect(try Data(readFile("file", at: tree.number)) == data)
        let facts = try facts(tree, "file")
        #expect(facts.stx_mode == 0o104751)
        #expect([facts.stx_uid, facts.stx_gid] == [12, 34])
        #expect([facts.stx_mtime.tv_sec, Int64(facts.stx_mtime.tv_nsec)] == [2000, 6])
        let copied = try openFile("file", .readOnly, at: tree.number)
        let count = "security.capability".withCString {
            raw_system_call(
                Int(__NR_fgetxattr), Int(copied.number), Int(bitPattern: $0), 0, 0, 0, 0)
        }
        #expect(count == capability.count)
    }

    @Test("tmpcopyup copies directories, links, FIFOs, sockets and devices as what they are")
    func kinds() throws {
        mkdir(path("directory"), 0o700)
        chmod(path("directory"), 0o1777)
        try Data([1]).write(to: URL(fileURLWithPath: path("directory/inner")))
        symlink("/etc/shadow", path("link"))
        lchown(path("link"), 5, 6)
        mkfifo(path("fifo"), 0o600)
        try #require(mknod(path("null"), S_IFCHR | 0o666, 0x103) == 0)
        try #require(mknod(path("big"), S_IFBLK | 0o600, makedev(259, 70_000)) == 0)
        try #require(mknod(path("socket"), S_IFSOCK | 0o644, 0) == 0)

        let tree = try copy()
        #expect(try facts(tree, "directory").stx_mode == 0o041777)
        #expect(try readFile("directory/inner", at: tree.number) == [1])
        let link = try facts(tree, "link")
        #expect(link.stx_mode & 0o170000 == 0o120000)
        #expect([link.stx_uid, link.stx_gid] == [5, 6])
        let target = try FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/fd/\(tree.number)/link")
        #expect(target == "/etc/shadow")
        #expect(try facts(tree, "fifo").stx_mode == 0o010600)
        #expect(try facts(tree, "socket").stx_mode == 0o140644)
        let null = try facts(tree, "null")
        #expect(null.kind == .characterDevice)
        #expect([null.stx_rdev_major, null.stx_rdev_minor] == [1, 3])
        let big = try facts(tree, "big")
        #expect([big.stx_rdev_major, big.stx_rdev_minor] == [259, 70_000])
    }

    private func makedev(_ major: dev_t, _ minor: dev_t) -> dev_t {
        minor & 0xff | major << 8 | (minor & ~0xff) << 12
    }

    @Test("tmpcopyup keeps a hole that is larger than the memory")
    func holes() throws {
        let file = open(path("sparse"), O_CREAT | O_WRONLY, 0o644)
        try #require(ftruncate(file, 1 << 42) == 0)
        pwrite(file, "end", 3, 1 << 41)
        close(file)
        let tree = try copy(options: ["size=1m"])
        #expect(try facts(tree, "sparse").stx_size == 1 << 42)
        let copied = try openFile("sparse", .readOnly, at: tree.number)
        var bytes = [UInt8](repeating: 0, count: 3)
        #expect(pread(copied.number, &bytes, 3, 1 << 41) == 3)
        #expect(bytes == Array("end".utf8))
    }

    @Test("tmpcopyup keeps file names that are not UTF-8")
    func oddNames() throws {
        let name: [CChar] = Array(path("").utf8CString.dropLast()) + [-1, -2, 10, 0]
        close(open(name, O_CREAT | O_WRONLY, 0o644))
        let tree = try copy()
        let copied =
            Array("/proc/self/fd/\(tree.number)/".utf8CString.dropLast()) + [-1, -2, 10, 0]
        #expect(access(copied, F_OK) == 0)
    }

    @Test("tmpcopyup copies owner and mode of the directory, unless mount options set them")
    func topDirectory() throws {
        chown(root.path + "/data", 8, 9)
        chmod(root.path + "/data", 0o3710)
        let plain = try facts(try copy(), ".")
        #expect(plain.stx_mode == 0o043710)
        #expect([plain.stx_uid, plain.stx_gid] == [8, 9])
        let named = try facts(try copy(options: ["mode=700", "uid=3"]), ".")
        #expect(named.stx_mode == 0o040700)
        #expect([named.stx_uid, named.stx_gid] == [3, 9])
    }

    @Test("tmpcopyup of a missing directory leaves an empty tmpfs; of a file it is an error")
    func missing() throws {
        #expect(try names(try copy(at: "/nothing/here")).isEmpty)
        try Data().write(to: URL(fileURLWithPath: path("file")))
        #expect {
            _ = try copy(at: "/data/file")
        } throws: {
            ($0 as? SystemCallError)?.errno == .notDirectory
        }
    }

    @Test("a symlink in the destination of tmpcopyup stays below the root")
    func destinationLink() throws {
        symlink("/", root.path + "/top")
        symlink("/../../..", root.path + "/up")
        #expect(try names(try copy(at: "/top")).isSuperset(of: ["data", "top"]))
        #expect(try names(try copy(at: "up")).isSuperset(of: ["data", "top"]))
        #expect(try names(try copy(at: "top")).contains("etc") == false)
    }

    @Test("tmpcopyup copies before the mount becomes read-only", arguments: [0, 1])
    func readOnly(_ way: Int) throws {
        try Data([1]).write(to: URL(fileURLWithPath: path("file")))
        let tree =
            way == 0
            ? try copy(attributes: .readOnly | .noSetUserID)
            : try copy(options: ["ro"], changes: [MountChange(set: .noDevices)])
        #expect(try readFile("file", at: tree.number) == [1])
        #expect {
            _ = try openFile("file", .writeOnly, at: tree.number)
        } throws: {
            ($0 as? SystemCallError)?.errno == .readOnlyFileSystem
        }
    }

    @Test("tmpcopyup of too much data or too deep a tree is an error that names the path")
    func limits() throws {
        try Data(count: 100_000).write(to: URL(fileURLWithPath: path("zeros")))
        #expect {
            _ = try copy(options: ["size=4k"])
        } throws: {
            "\($0)" == "sendfile(\"/data/zeros\"): no space left on device"
        }
        unlink(path("zeros"))
        try FileManager.default.createDirectory(
            atPath: path(Array(repeating: "d", count: 130).joined(separator: "/")),
            withIntermediateDirectories: true)
        #expect {
            _ = try copy()
        } throws: {
            ($0 as? SystemCallError)?.errno == .fileNameTooLong
        }
    }

    @Test("a refused tmpfs option is reported in the file system's words")
    func wrongOption() throws {
        #expect {
            _ = try copy(options: ["size=much"])
        } throws: {
            "\($0)".contains("size") && "\($0)".hasPrefix("fsconfig(tmpfs, ")
        }
    }
}
