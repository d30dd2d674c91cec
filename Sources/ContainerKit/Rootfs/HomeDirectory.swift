// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Process {
    /// Whether HOME has to be found in the image: the last value counts, and an empty one is none.
    var lacksHome: Bool {
        guard let home = envBytes?.last(where: { $0.begins(with: "HOME=") }) else { return true }
        return home.bytes.count == 5
    }
}

/// The home directory of a user as the image's `etc/passwd` has it; "/" where it tells none.
///
/// The image is not trusted: the path is resolved below `root`, only a regular file is ever opened,
/// and none that is longer than 16 MiB.
///
/// Spec: config.md, User. Source: passwd(5).
/// - Throws: `systemCall` for a file that is too long to be read.
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
/// To open a device or a fifo can do something, or wait for ever. Whatever it is, a descriptor without
/// access does neither, and opening that again cannot end up at another file.
func openRegularFile(_ path: String, inRoot root: CInt) throws(SystemCallError) -> OwnedDescriptor {
    let file = try openInRoot(root, path, .pathOnly)
    guard try status(of: file.number).kind == .regular, try !isOfKernel(file.number) else {
        throw SystemCallError("open", "\"\(path)\"", errno: .invalidArgument)
    }
    return try openFile(
        "/proc/self/fd/\(file.number)", .readOnly | .nonBlocking | .noTerminal)
}

/// Whether a file is one of the kernel's own, whose type says nothing of what reading it does: of a
/// running container the link may lead into its mounts, and `/proc/kmsg` is a regular file.
///
/// Kernel: fstatfs(2); include/uapi/linux/magic.h.
private func isOfKernel(_ file: CInt) throws(SystemCallError) -> Bool {
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

/// The lines of passwd(5), as bytes: names need not be UTF-8.
enum PasswordFile {
    /// The name of the first line whose field 3 is the user's number, or `#` and the number, as runc
    /// lists owners.
    static func name(ofUser uid: UInt32, in contents: [UInt8]) -> String {
        for line in Lines(contents) {
            let fields = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count > 3, number(fields[2]) == uid else { continue }
            return String(decoding: fields[0], as: UTF8.self)
        }
        return "#\(uid)"
    }

    /// Longer paths than the kernel's PATH_MAX are of no use to anyone.
    private static let longestPath = 4096

    /// Field 6 of the first line whose field 3 is the user's number; nil if it is empty.
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

    /// The lines one by one: an image may have millions.
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

    /// Decimal digits and nothing else, up to the highest user number.
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
