// SPDX-License-Identifier: Apache-2.0

import Foundation
import KernelVocabulary
import SystemPackage
import Testing

/// The constants of the vocabulary are written by hand: these tests compare them with the headers.
@Suite("The kernel's vocabulary")
struct VocabularyTests {
    @Test("a set of flags prints as the headers spell it, with unknown bits in hexadecimal")
    func flags() {
        let attributes: MountAttributes = .readOnly | .noSetUserID
        #expect(attributes.description == "MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID")
        #expect(
            MountAttributes(rawValue: 0x4000_0001).description == "MOUNT_ATTR_RDONLY|0x40000000")
        #expect(MountAttributes.accessTimeMode.description == "MOUNT_ATTR__ATIME")
        #expect(MountAttributes.strictAccessTime.description == "MOUNT_ATTR_STRICTATIME")
        #expect(MountAttributes.empty.description == "0")
        #expect(OpenFlags.readOnly.description == "O_RDONLY")
        #expect((OpenFlags.pathOnly | .closeOnExec).description == "O_PATH|O_CLOEXEC")
    }

    @Test("an enumerated number prints its name, and an unknown one prints as a number")
    func numbers() {
        #expect(FilesystemCommand.create.description == "FSCONFIG_CMD_CREATE")
        #expect(NamedNumber(7, of: ResourceLimit.self).description == "RLIMIT_NOFILE")
        #expect(NamedNumber(99, of: ResourceLimit.self).description == "99")
    }

    @Test("a value made of several flags prints all of them")
    func compositions() {
        #expect(FileMode(.characterDevice, 0o666).description == "S_IFCHR|0666")
        #expect(FileMode(0o755).description == "0755")
        #expect(SocketType.raw().description == "SOCK_RAW|SOCK_CLOEXEC")
        #expect(
            SocketType.stream(.nonBlocking).description == "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC")
        #expect(
            MemoryPolicyWord(.bind, .staticNodes).description == "MPOL_BIND|MPOL_F_STATIC_NODES")
        #expect(
            IOPriorityWord(.bestEffort, 4).description == "IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)")
        #expect(CapabilityWord(1 << 5 | 1 << 63).description == "CAP_KILL|63")
        #expect(CapabilityWord(0).description == "0")
    }

    @Test("an errno prints its name, and an unknown one its number")
    func errnos() {
        #expect(Errno.noSuchFileOrDirectory.name == "ENOENT")
        #expect(Errno.resourceTemporarilyUnavailable.name == "EAGAIN")
        #expect(Errno(rawValue: 133).name == "EHWPOISON")
        #expect(Errno(rawValue: 134).name == "errno 134")
        #expect(Errno(rawValue: 41).name == "errno 41")
    }

    /// Names that Debian 12's headers lack, or that are internal to the kernel.
    static let notInHeaders: Set<String> = [
        "AT_EXECVE_CHECK", "CONFIGFS_MAGIC", "KEY_POS_ALL", "KEY_USR_LINK", "KEY_USR_READ",
        "KEY_USR_SEARCH", "KEY_USR_VIEW", "LANDLOCK_ACCESS_FS_IOCTL_DEV",
        "LANDLOCK_ACCESS_FS_TRUNCATE", "LANDLOCK_ACCESS_NET_BIND_TCP",
        "LANDLOCK_ACCESS_NET_CONNECT_TCP", "LANDLOCK_RULE_NET_PORT",
        "LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET", "LANDLOCK_SCOPE_SIGNAL", "MFD_EXEC",
        "MFD_NOEXEC_SEAL", "MPOL_WEIGHTED_INTERLEAVE",
        "PIDFD_GET_INFO", "STATX_MNT_ID_UNIQUE", "ST_NOSYMFOLLOW",
    ]

    @Test("every number of the vocabulary equals the one in the kernel's headers")
    func headers() throws {
        let words = Self.words
        #expect(words.count > 250)
        let values = try Self.compiled(words.map(\.name))
        for (name, number) in words {
            guard let value = values[name] else {
                #expect(Self.notInHeaders.contains(name), "\(name) is in no header")
                continue
            }
            #expect(number == value, "\(name)")
        }
    }

    private static func list<Flags: KernelFlags>(_ kind: Flags.Type) -> [(name: String, Int)] {
        Flags.names.map { ($0.name, $0.flag.rawValue) }
    }

    private static func list<Number: KernelNumber>(_ kind: Number.Type) -> [(name: String, Int)] {
        Number.allCases.map { ($0.name, $0.rawValue) }
    }

    static var words: [(name: String, Int)] {
        CapabilityNumber.names.enumerated().map { ($1, $0) }
            + kinds.flatMap { kind -> [(name: String, Int)] in
                if let kind = kind as? any KernelFlags.Type { return list(kind) }
                if let kind = kind as? any KernelNumber.Type { return list(kind) }
                return []
            }
    }

    /// All flags and numbers that the sources of the vocabulary declare.
    private static var kinds: [any KernelWord.Type] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/KernelVocabulary")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var kinds: [any KernelWord.Type] = []
        for case let file as URL in files ?? FileManager.DirectoryEnumerator() {
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
            let declaration = /(struct|enum) (\w+): (?:KernelFlags|Int, KernelNumber) \{/
            for match in text.matches(of: declaration) {
                // How the compiler spells a type's name: its module, itself, whether it is an enum.
                let spelling =
                    "16KernelVocabulary\(match.2.count)\(match.2)\(match.1 == "enum" ? "O" : "V")"
                if let kind = _typeByName(spelling) as? any KernelWord.Type {
                    kinds.append(kind)
                } else {
                    Issue.record("there is no type of the name \(spelling)")
                }
            }
        }
        return kinds
    }

    /// The values of names as a C compiler sees them; names that it does not know are left out.
    private static func compiled(_ names: [String]) throws -> [String: Int] {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "vocabulary-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var values = try values(of: names, { "#ifdef \($0)\n\($1)\n#endif" }, in: folder)
        // Others are enumerators: if one is missing, the program does not compile.
        let rest = names.filter { values[$0] == nil && !notInHeaders.contains($0) }
        for (name, value) in try Self.values(of: rest, { $1 }, in: folder) { values[name] = value }
        return values
    }

    /// In an order in which the headers can be included together.
    private static let headers = [
        "linux/capability.h", "linux/close_range.h", "linux/fs.h", "linux/futex.h", "linux/if.h",
        "linux/if_addr.h", "linux/ioprio.h", "linux/keyctl.h", "linux/landlock.h", "linux/magic.h",
        "linux/memfd.h",
        "linux/mempolicy.h", "linux/netlink.h", "linux/nsfs.h", "linux/personality.h",
        "linux/prctl.h", "linux/sched.h", "linux/seccomp.h", "linux/securebits.h",
        "linux/sockios.h", "linux/stat.h", "asm/ioctls.h", "fcntl.h", "linux/openat2.h",
        "sys/mount.h", "poll.h", "sched.h", "signal.h", "stdio.h", "sys/epoll.h", "sys/eventfd.h",
        "sys/file.h",
        "sys/inotify.h", "sys/mman.h", "sys/resource.h", "sys/signalfd.h", "sys/socket.h",
        "sys/statvfs.h", "sys/wait.h", "termios.h", "time.h", "unistd.h",
    ]

    private static func values(
        of names: [String], _ guarded: (_ name: String, _ line: String) -> String, in folder: URL
    ) throws -> [String: Int] {
        var lines = ["#define _GNU_SOURCE"] + headers.map { "#include <\($0)>" }
        lines.append("int main(void) {")
        lines += names.map { guarded($0, "printf(\"\($0) %lld\\n\", (long long)(\($0)));") }
        lines.append("}")
        let source = folder.appending(path: "names.c")
        let program = folder.appending(path: "names")
        try Data(lines.joined(separator: "\n").utf8).write(to: source)
        _ = try run("cc", ["-w", "-o", program.path, source.path])
        var values: [String: Int] = [:]
        for line in try run(program.path, []).split(separator: "\n") {
            let parts = line.split(separator: " ")
            values[String(parts[0])] = Int(parts[1])
        }
        return values
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program)")
        return String(decoding: output, as: UTF8.self)
    }
}
