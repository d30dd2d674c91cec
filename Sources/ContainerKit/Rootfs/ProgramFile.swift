// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// The file system in which a container's files are examined after a failure.
struct ImageView {
    /// A directory of the host: the rootfs, or the root directory of a running process.
    let path: String
    /// The destinations of the config's mounts, whose contents are unknown.
    var covered: [String] = []

    /// The view of a launch's program, as far as its rootfs shows it.
    init(path: String, mounts: [String] = []) {
        self.path = path
        covered = mounts.map { $0.rootedComponents.pathBelow }.filter { !$0.isEmpty }
    }

    fileprivate func covers(_ path: String) -> Bool {
        let path = path.rootedComponents.pathBelow
        return covered.contains { path.isSame($0) || path.begins(with: $0 + "/") }
    }
}

/// The reason why an existing program cannot be executed, as far as its file shows it.
///
/// The kernel uses one errno for the file itself and for its interpreter (of a script) or its
/// loader (of an ELF file). The image is not trusted: its paths are resolved below its root, only
/// regular files are opened, and only their beginning is read.
struct ProgramFile {
    /// The reason, if more is known than the errno.
    var reason: String?
    /// What to do about it.
    var hint: String?

    /// Examines the program at `path` of the container, whose execution failed with `errno`.
    init(_ path: String, in view: ImageView?, call: String, errno: CInt) {
        switch Errno(rawValue: errno) {
        case .noSuchFileOrDirectory where call == "execve",
            .notDirectory where call == "execve":
            explainMissing(path, view)
        case .permissionDenied: explainDenied(path, view, call)
        case .execFormatError: explainFormat(path, view)
        case .notPermitted where call == "execve":
            hint =
                "if the file has capabilities of its own (setcap), all of them must be in "
                + "process.capabilities.bounding"
        case .argListTooLong:
            hint =
                "process.args and process.env together are longer than the kernel takes, a quarter of "
                + "RLIMIT_STACK; one text has no more than 131071 bytes"
        case .resourceTemporarilyUnavailable:
            hint = "the user has as many processes as RLIMIT_NPROC allows"
        case .textFileBusy: hint = "somebody has the file open for writing"
        default: break
        }
    }

    // MARK: Reasons

    private mutating func explainMissing(_ path: String, _ view: ImageView?) {
        reason = "the file, or the interpreter or loader that it asks for"
        guard let view, let root = try? openFile(view.path, .pathOnly | .directory) else {
            return
        }
        var program = path
        // A script's interpreter may be a script itself; the kernel follows up to four.
        for _ in 0..<6 {
            guard program.begins(with: "/"), !view.covers(program) else { return }
            do throws(SystemCallError) {
                let start = try Self.start(of: program, in: root.number, unlessCovered: view)
                guard let start, let next = Interpreter(start) else { return }
                program = next.path
            } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
                guard !program.isSame(path) else { return reason = nil }
                reason = "the interpreter \(program.debugDescription) is missing"
                if program.ends(with: "\r") {
                    hint = "the script's lines end with CR LF; the kernel takes LF alone"
                }
                return
            } catch {
                return
            }
        }
    }

    private mutating func explainDenied(_ path: String, _ view: ImageView?, _ call: String) {
        hint =
            call == "execve"
            ? "if the file may be executed, it is its interpreter or loader that may not, or a security "
                + "module (AppArmor, SELinux) forbids it"
            : "the user may not execute the file or enter a directory above it, or the mount that it "
                + "is on has the option noexec"
        guard let view, path.begins(with: "/"), !view.covers(path),
            let root = try? openFile(view.path, .pathOnly | .directory),
            let file = try? openInRoot(root.number, path, .pathOnly),
            let mount = try? filesystemStatus(of: file.number),
            let status = try? status(of: file.number)
        else { return }
        if MountStatus(rawValue: mount.f_flags).contains(.noExecution) {
            hint = "the mount that the file is on has the option noexec"
        } else if !status.isExecutable {
            hint = "nobody may execute the file (chmod +x)"
        }
    }

    private mutating func explainFormat(_ path: String, _ view: ImageView?) {
        hint =
            "a program must be made for this machine, and a script begins with #! and its interpreter"
        guard let view, path.begins(with: "/"), !view.covers(path),
            let root = try? openFile(view.path, .pathOnly | .directory),
            let start = try? Self.start(of: path, in: root.number, unlessCovered: view)
        else { return }
        if start.isEmpty {
            reason = "the file is empty"
        } else if start.starts(with: Interpreter.elfMagic) {
            reason = "the program is made for another kind of machine"
        } else if !start.starts(with: "#!".utf8) {
            reason = "neither a program nor a script with an interpreter in its first line"
        }
    }

    // MARK: Files of the image

    /// The first bytes of a regular file; nil if a mount covers the place that the path leads to.
    private static func start(of path: String, in root: CInt, unlessCovered view: ImageView)
        throws(SystemCallError) -> [UInt8]?
    {
        if !view.covered.isEmpty {
            let place = try openInRoot(root, path, .pathOnly)
            // The path after resolving links, as the kernel reports it.
            let (resolved, top) = try (Self.name(of: place.number), Self.name(of: root))
            let prefix = top == "/" ? "" : top
            let inside = resolved.utf8.dropFirst(prefix.utf8.count)
            guard resolved.begins(with: prefix + "/"),
                !view.covers(String(decoding: inside, as: UTF8.self))
            else { return nil }
        }
        let file = try openRegularFile(path, inRoot: root)
        return try readAvailable(file.number, limitBytes: 65536)
    }

    private static func name(of descriptor: CInt) throws(SystemCallError) -> String {
        let link = try openFile("/proc/self/fd/\(descriptor)", .pathOnly | .noFollow)
        return String(decoding: try readLink(link.number), as: UTF8.self)
    }
}

/// The interpreter or loader that the beginning of an executable file names.
struct Interpreter: Equatable {
    static let elfMagic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]

    /// The path as in the file.
    let path: String

    /// The interpreter in a script's first line, or the loader of an ELF file; nil if there is
    /// none.
    ///
    /// Kernel: execve(2), elf(5): PT_INTERP.
    init?(_ start: [UInt8]) {
        let name: ArraySlice<UInt8>?
        if start.starts(with: "#!".utf8) {
            let line = start.dropFirst(2).prefix(254).prefix { $0 != UInt8(ascii: "\n") }
            name = line.drop { $0 == 32 || $0 == 9 }.prefix { $0 != 32 && $0 != 9 && $0 != 0 }
        } else {
            name = Self.loader(start)
        }
        guard let name, !name.isEmpty else { return nil }
        path = String(decoding: name, as: UTF8.self)
    }

    /// Supports 64-bit little-endian files only.
    private static func loader(_ file: [UInt8]) -> ArraySlice<UInt8>? {
        guard file.starts(with: elfMagic + [2, 1]),
            let table = number(file, at: 32, bytes: 8), let size = number(file, at: 54, bytes: 2),
            let count = number(file, at: 56, bytes: 2), size >= 56
        else { return nil }
        for index in 0..<count {
            let (start, overflow) = table.addingReportingOverflow(index * size)
            guard !overflow, let kind = number(file, at: start, bytes: 4) else { return nil }
            // PT_INTERP
            guard kind == 3 else { continue }
            guard let offset = number(file, at: start + 8, bytes: 8),
                let length = number(file, at: start + 32, bytes: 8), offset <= file.count,
                length <= file.count - offset
            else { return nil }
            return file[offset..<offset + length].prefix { $0 != 0 }
        }
        return nil
    }

    /// A little-endian number; nil if the file ends before it.
    private static func number(_ file: [UInt8], at offset: Int, bytes: Int) -> Int? {
        guard offset >= 0, offset <= file.count - bytes else { return nil }
        let value = file[offset..<offset + bytes].reversed().reduce(UInt64(0)) {
            $0 << 8 | UInt64($1)
        }
        return Int(exactly: value)
    }
}
#endif
