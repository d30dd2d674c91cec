// SPDX-License-Identifier: Apache-2.0

// IntegrationTests: real containers on the real kernel, as root, through the swrunc binary.
//
//   Host           what this machine is: root or not, its cgroup hierarchies, the binary to test
//   FinishedCommand, RunningCommand   one call of a program: descriptors, terminal, time limit
//   TestBundle     a bundle, a state directory and an id of its own for each test
//   Leftovers      what a test must not leave: processes, mounts, cgroups, state
//   Criu           whether there is a CRIU that works on this kernel
//   Terminal       a pty, and the listener of --console-socket
//   *Tests         one file a theme; a test's name is the rule
//
// SWRUNC names the binary (default: .build/release/swrunc of this package).

import Glibc
import Synchronization
import Testing

/// Facts about the machine that tests need.
enum Host {
    static let isRoot = geteuid() == 0

    /// Whether the tests run as root, which namespaces, mounts and cgroups require.
    static let root: ConditionTrait = .enabled(if: isRoot, "needs root")

    /// The binary under test.
    static let runtime: String = {
        if let path = environmentVariable("SWRUNC"), !path.isEmpty { return path }
        let package = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(package)/.build/release/swrunc"
    }()

    /// Whether the binary needs no loader and no library (no PT_INTERP in its program headers,
    /// elf(5)).
    static let runtimeIsStatic: Bool = {
        guard let image = try? readBytes(runtime), image.count > 64 else { return false }
        func number(at offset: Int, bytes: Int) -> Int {
            (0..<bytes).reduce(0) { $0 | Int(image[offset + $1]) << (8 * $1) }
        }
        let (start, size, count) = (
            number(at: 32, bytes: 8), number(at: 54, bytes: 2), number(at: 56, bytes: 2)
        )
        return (0..<count).allSatisfy { number(at: start + $0 * size, bytes: 4) != PT_INTERP }
    }()

    static let busybox: String = {
        for path in ["/bin/busybox", "/usr/bin/busybox"] where access(path, X_OK) == 0 {
            return path
        }
        return "/bin/busybox"
    }()

    /// The search path for programs; SWRUNC_CRIU names the directory of another criu than the
    /// host's.
    static let searchPath: String = {
        let usual = "/usr/sbin:/usr/bin:/sbin:/bin"
        return environmentVariable("SWRUNC_CRIU").map { "\($0):\(usual)" } ?? usual
    }()

    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Whether this process, and so a container, can have the capability with this number.
    static func hasCapability(_ number: Int) -> Bool {
        let status = (try? readText("/proc/self/status")) ?? ""
        let mask = status.value(of: "CapEff:").flatMap { UInt64($0, radix: 16) } ?? 0
        return mask & 1 << UInt64(number) != 0
    }

    /// How much slower this machine is than usual, from 1 to 10; an emulated machine is slower.
    static let slowness: Int = {
        let start = ContinuousClock.now
        for _ in 0..<5 {
            _ = try? RunningCommand([busybox, "true"], token: "none").wait()
        }
        // A usual machine needs 1.5 ms for one. An emulated one may be quick only as long as nothing
        // else runs.
        return min(max(Int((.now - start) / .milliseconds(50)), isEmulated ? 5 : 1), 10)
    }()

    /// Whether QEMU emulates the processor, as in the test VM.
    static let isEmulated = ((try? readText("/proc/cpuinfo")) ?? "").contains("QEMU")

    /// The number of rounds of a race: fewer if each is slow.
    static func rounds(_ count: Int) -> Range<Int> {
        0..<max(count / slowness, 3)
    }

    // MARK: Cgroups

    /// One mounted hierarchy: its mount point and its controllers (none for cgroup v2).
    struct Hierarchy: Sendable {
        let mountPoint: String
        let controllers: [String]
        var isUnified: Bool { controllers.isEmpty }
    }

    /// All mounted hierarchies, including the unified one.
    static let hierarchies: [Hierarchy] = {
        let known: Set<Substring> = [
            "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls",
            "net_prio", "perf_event", "hugetlb", "rdma", "misc", "name=systemd",
        ]
        return (try? readText("/proc/self/mountinfo"))?.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 3 else { return nil }
            let mountPoint = String(fields[4])
            switch fields[dash + 1] {
            case "cgroup2": return Hierarchy(mountPoint: mountPoint, controllers: [])
            case "cgroup":
                let controllers = fields[dash + 3].split(separator: ",").filter(known.contains)
                return Hierarchy(mountPoint: mountPoint, controllers: controllers.map(String.init))
            default: return nil
            }
        } ?? []
    }()

    /// Whether only cgroup v2 limits resources.
    static let isUnified = !hierarchies.contains { !$0.isUnified && $0.controllers.first != nil }

    /// The directory of a process's cgroup in the hierarchy of `controller`; nil if there is none.
    static func cgroup(of pid: Int, controller: String) throws -> String? {
        let lines = try readText("/proc/\(pid)/cgroup").split(separator: "\n")
        for line in lines {
            let parts = line.split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            let names = parts[1].split(separator: ",").map(String.init)
            let matches = isUnified ? names.isEmpty : names.contains(controller)
            guard matches,
                let hierarchy = hierarchies.first(where: {
                    isUnified ? $0.isUnified : $0.controllers.contains(controller)
                })
            else { continue }
            return hierarchy.mountPoint + parts[2]
        }
        return nil
    }

    /// The first two numbers of the kernel's release.
    ///
    /// `conformance/kernels/as-5.14`, under which a newer kernel looks older, sets the variable.
    static let kernelRelease: (Int, Int) = {
        let text =
            environmentVariable("SWRUNC_TEST_KERNEL")
            ?? (try? readText("/proc/sys/kernel/osrelease")) ?? ""
        let numbers = text.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : (0, 0)
    }()

    /// Whether mounts of the file system of /tmp can have mapped ids; a tmpfs's can since Linux 6.3.
    static let mapsTemporaryFiles: Bool = {
        let mounts = (try? readText("/proc/self/mounts")) ?? ""
        return kernelRelease >= (6, 3) || !mounts.contains(" /tmp tmpfs ")
    }()

    /// Whether the kernel has a namespace of this kind.
    static func hasNamespace(_ name: String) -> Bool {
        access("/proc/self/ns/\(name)", F_OK) == 0
    }
}

/// The error of a C library call.
struct CallError: Error, CustomStringConvertible {
    let call: String
    let number: CInt

    init(_ call: String) {
        self.call = call
        number = errno
    }

    var description: String { "\(call): \(String(cString: strerror(number)))" }
}

/// Throws with errno if `result` is negative.
@discardableResult
func check<Number: SignedInteger>(
    _ result: Number, _ call: @autoclosure () -> String
) throws -> Number {
    if result < 0 { throw CallError(call()) }
    return result
}

// MARK: Files

func readBytes(_ path: String) throws -> [UInt8] {
    let file = try check(open(path, O_RDONLY | O_CLOEXEC), "open \(path)")
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = try check(read(file, &buffer, buffer.count), "read \(path)")
        if count == 0 { return bytes }
        bytes += buffer.prefix(count)
    }
}

func readText(_ path: String) throws -> String {
    String(decoding: try readBytes(path), as: UTF8.self)
}

func writeText(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    func write() throws {
        let file = try check(
            open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), "open \(path)")
        defer { close(file) }
        let bytes = Array(text.utf8)
        try check(Glibc.write(file, bytes, bytes.count), "write \(path)")
        try check(fchmod(file, mode), "chmod \(path)")
    }
    if mode & 0o111 == 0 { return try write() }
    try writingPrograms.withLock { _ in try write() }
}

/// A pipe that programs started meanwhile do not inherit.
func makePipe() throws -> (reader: CInt, writer: CInt) {
    var ends: [CInt] = [-1, -1]
    try check(pipe(&ends), "pipe")
    for end in ends { try check(fcntl(end, F_SETFD, FD_CLOEXEC), "fcntl") }
    return (ends[0], ends[1])
}

func makeDirectory(_ path: String, mode: mode_t = 0o755) throws {
    try check(mkdir(path, mode), "mkdir \(path)")
}

func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
}

func entries(of path: String) -> [String] { names(in: path).sorted() }

/// The names, unsorted.
func names(in path: String, directoriesOnly: Bool = false) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        if directoriesOnly, entry.pointee.d_type != UInt8(DT_DIR) { continue }
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

/// Removes a tree without following links or crossing into mounts.
func removeTree(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
        for name in entries(of: path) { removeTree("\(path)/\(name)") }
        rmdir(path)
    } else {
        unlink(path)
    }
}

extension String {
    /// The text without white space at both ends.
    var trimmed: String {
        let blank: (Character) -> Bool = { $0.isWhitespace }
        return String(self.drop(while: blank).reversed().drop(while: blank).reversed())
    }

    /// The lines, without empty ones.
    var lines: [String] {
        split(whereSeparator: \.isNewline).map(String.init)
    }

    /// The rest of the line that begins with `key`, without white space around it.
    func value(of key: String) -> String? {
        lines.first { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)).trimmed }
    }
}

/// Checks `condition` every few milliseconds until it holds, for at most `seconds` of a usual
/// machine.
func waits(_ seconds: Double = 10, until condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds * Double(Host.slowness))
    while true {
        if try condition() { return true }
        if ContinuousClock.now > end { return false }
        usleep(5000)
    }
}

/// The target of a symbolic link; empty if it cannot be read.
func readLink(_ path: String) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = readlink(path, &buffer, buffer.count)
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
}

extension Trait where Self == TimeLimitTrait {
    /// A limit for async tests: each waits behind all others for its turn, half an hour on an
    /// emulated machine, and that counts.
    static var patience: Self { .timeLimit(.minutes(60)) }
}
