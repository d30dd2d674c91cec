// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Process {
    /// Whether HOME must be looked up in the image: the last value counts, and an empty one means
    /// missing.
    var lacksHome: Bool {
        guard let home = envBytes?.last(where: { $0.begins(with: "HOME=") }) else { return true }
        return home.bytes.count == 5
    }
}

/// The home directory of a user from the image's `etc/passwd`; "/" if it is not listed.
///
/// The image is not trusted: the path is resolved below `root`, and only a regular file of at most
/// 16 MiB is opened.
///
/// Spec: config.md, User. Source: passwd(5).
/// - Throws: `systemCall` if the file is too long.
func homeDirectory(ofUser uid: UInt32, inRoot root: CInt) throws(ContainerError) -> String {
    do throws(SystemCallError) {
        return PasswordFile.home(ofUser: uid, in: try passwordFile(inRoot: root)) ?? "/"
    } catch  where error.errno == .fileTooLarge {
        throw ContainerError(
            error, "unable to read the image's /etc/passwd", hint: "set HOME in process.env")
    } catch {
        return "/"
    }
}

private func passwordFile(inRoot root: CInt) throws(SystemCallError) -> [UInt8] {
    let file = try openRegularFile("etc/passwd", inRoot: root)
    return try readFile(file.number, limitBytes: 1 << 20, named: "etc/passwd")
}

/// Opens a regular file of an image for reading.
///
/// Opening a device or a FIFO could have side effects or block. So the path is first opened without
/// access, which does neither; reopening that descriptor cannot lead to another file.
func openRegularFile(_ path: String, inRoot root: CInt) throws(SystemCallError) -> OwnedDescriptor {
    let file = try openInRoot(root, path, .pathOnly)
    guard try status(of: file.number).kind == .regular, try !isOfKernel(file.number) else {
        throw SystemCallError("open", "\"\(path)\"", errno: .invalidArgument)
    }
    return try openFile(
        "/proc/self/fd/\(file.number)", .readOnly | .nonBlocking | .noTerminal)
}

/// Whether a file is on a file system of the kernel, where reading a regular file can have effects.
///
/// In a running container, a link may lead into its procfs, and `/proc/kmsg` is a regular file.
///
/// Kernel: fstatfs(2); include/uapi/linux/magic.h.
func isOfKernel(_ file: CInt) throws(SystemCallError) -> Bool {
    FilesystemMagic(rawValue: try filesystemStatus(of: file).f_type)?.isOfKernel ?? false
}

extension FilesystemMagic {
    fileprivate var isOfKernel: Bool {
        switch self {
        case .proc, .sysfs, .cgroup, .cgroup2, .tracefs, .debugfs, .configfs, .securityfs: true
        case .devpts: false
        }
    }
}

/// Parses passwd(5) as bytes, since names need not be UTF-8.
enum PasswordFile {
    /// The name in the first line with this user ID, or `#` and the ID, as runc lists owners.
    static func name(ofUser uid: UInt32, in contents: [UInt8]) -> String {
        for line in Lines(contents) {
            let fields = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count > 3, number(fields[2]) == uid else { continue }
            return String(decoding: fields[0], as: UTF8.self)
        }
        return "#\(uid)"
    }

    /// Paths longer than the kernel's PATH_MAX are ignored.
    private static let longestPath = 4096

    /// The home directory in the first line with this user ID; nil if it is empty.
    static func home(ofUser uid: UInt32, in contents: [UInt8]) -> String? {
        for line in Lines(contents) {
            let fields = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 6, omittingEmptySubsequences: false)
            guard fields.count >= 6, number(fields[2]) == uid else { continue }
            let home = fields[5]
            guard !home.isEmpty, home.count < longestPath, !home.contains(0) else { return nil }
            return String(decoding: home, as: UTF8.self)
        }
        return nil
    }

    /// Iterates over the lines, since an image may have millions.
    private struct Lines: Sequence, IteratorProtocol {
        private var rest: ArraySlice<UInt8>

        init(_ contents: [UInt8]) { rest = contents[...] }

        mutating func next() -> ArraySlice<UInt8>? {
            guard !rest.isEmpty else { return nil }
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            defer { rest = rest[end...].dropFirst() }
            return rest[..<end]
        }
    }

    /// A number of decimal digits only, up to the highest user ID.
    private static func number(_ text: ArraySlice<UInt8>) -> UInt32? {
        guard (1...10).contains(text.count) else { return nil }
        var value: UInt64 = 0
        for byte in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        return UInt32(exactly: value)
    }
}
#endif
