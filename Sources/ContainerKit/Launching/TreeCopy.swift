// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import SystemPackage
internal import TreeCopy

/// Where the process that copies is while it does: what it writes is charged there.
struct TreeCopyPlace {
    /// The cgroup; nil for the runtime's own.
    var cgroup: Cgroup?
    /// The directory of cgroup v2 that the process is born in.
    var directory: CInt?
    /// The `tasks` files of cgroup v1 by which it enters.
    var entrances: [CInt] = []

    /// The runtime's own cgroup.
    static let own = TreeCopyPlace()
}

/// A copy of a directory of an image into a file system that nobody else can see yet, by a process of its
/// own that is in the container's cgroup.
///
/// The process is a copy of the runtime that makes system calls alone (Sources/TreeCopy). It is gone when
/// `run` returns, and ends with the thread that called it.
struct TreeCopy {
    /// Both open for reading.
    let source: CInt
    let target: CInt
    /// The directory inside the rootfs, for the errors' texts.
    let destination: String
    /// What the target itself gets; nil leaves it as it is.
    var owner: UInt32?
    var group: UInt32?
    var mode: UInt16?

    /// Copies, and returns when all is there.
    ///
    /// - Throws: the call that was refused with its path; ENOMEM of `copy` for a process that was killed for
    ///   want of memory, ECANCELED for one that was killed otherwise.
    func run(in place: TreeCopyPlace) throws(SystemCallError) {
        let report = try Report()
        let killsBefore = place.cgroup?.oomKillCount ?? 0
        let process = try start(in: place, report)
        // A wait that fails leaves no process either.
        let ended = Result { () throws(SystemCallError) in
            try Self.awaitEnd(of: process, in: place.cgroup)
        }
        if case .failure = ended { try sendSignal(process.number, 9) }
        let status = try waitProcess(process.number)
        let ranOut = try ended.get()
        if report.isDone { return }
        let text = "\"\(destination)\(report.path)\""
        if let failure = report.failure(at: text) { throw failure }
        let wasForMemory = ranOut || (place.cgroup?.oomKillCount ?? 0) > killsBefore
        guard case .signaled = status else {
            throw SystemCallError("copy", text, errno: .canceled)
        }
        throw SystemCallError("copy", text, errno: wasForMemory ? .noMemory : .canceled)
    }

    private func start(in place: TreeCopyPlace, _ report: borrowing Report)
        throws(SystemCallError) -> OwnedDescriptor
    {
        var order = tree_copy_order()
        order.source = source
        order.target = target
        // -1 leaves one as it is.
        order.owner = owner.map { Int32(bitPattern: $0) } ?? -1
        order.group = group.map { Int32(bitPattern: $0) } ?? -1
        order.mode = mode.map(Int32.init) ?? -1
        order.cgroup = place.directory ?? -1
        order.entrance_count = Int32(place.entrances.count)
        order.report = report.pointer
        var descriptor: CInt = -1
        let result = place.entrances.withUnsafeBufferPointer { entrances in
            order.entrances = entrances.baseAddress
            return tree_copy_start(&order, &descriptor)
        }
        guard result > 0 else {
            throw SystemCallError("clone3", "tmpcopyup", errno: Errno(rawValue: CInt(-result)))
        }
        return OwnedDescriptor(taking: descriptor)
    }

    /// Waits, and ends a process that waits for memory in a cgroup of v1 whose processes are not to be
    /// killed for it: true then.
    private static func awaitEnd(of process: borrowing OwnedDescriptor, in cgroup: Cgroup?)
        throws(SystemCallError) -> Bool
    {
        let mayStall = cgroup?.stallsWithoutMemory ?? false
        var entries = [PollEntry(process.number, [.readable])]
        while try poll(&entries, timeoutMilliseconds: mayStall ? 100 : -1) == 0 {
            guard cgroup?.isWaitingForMemory == true else { continue }
            try sendSignal(process.number, 9)
            return true
        }
        return false
    }
}

/// The memory in which the process tells what it is at.
private struct Report: ~Copyable {
    let pointer: UnsafeMutablePointer<tree_copy_report>
    private static let sizeBytes = MemoryLayout<tree_copy_report>.size

    init() throws(SystemCallError) {
        // PROT_READ | PROT_WRITE; MAP_SHARED | MAP_ANONYMOUS.
        let address = try systemCall(
            "mmap", __NR_mmap, 0, Self.sizeBytes, 3, 0x21, -1, 0, describing: "tmpcopyup")
        guard let pointer = UnsafeMutablePointer<tree_copy_report>(bitPattern: address) else {
            preconditionFailure("mmap gave no address")
        }
        self.pointer = pointer
    }

    deinit {
        _ = raw_system_call(
            Int(__NR_munmap), Int(bitPattern: pointer), Self.sizeBytes, 0, 0, 0, 0)
    }

    var isDone: Bool { pointer.pointee.done == 1 }

    /// What was being copied.
    var path: String {
        withUnsafeBytes(of: &pointer.pointee.path) { bytes in
            String(
                decoding: bytes.prefix(Int(pointer.pointee.path_length)), as: UTF8.self)
        }
    }

    /// The call that was refused; nil if none was.
    func failure(at path: String) -> SystemCallError? {
        guard pointer.pointee.error != 0 else { return nil }
        let errno = Errno(rawValue: pointer.pointee.error)
        let call = Int(pointer.pointee.call)
        if call == Int(TREE_COPY_DEPTH.rawValue) {
            return SystemCallError(
                "copy", "\(path), deeper than \(TREE_COPY_DEEPEST) directories",
                errno: errno)
        }
        if call == Int(TREE_COPY_ENTER.rawValue) {
            return SystemCallError("write", "tasks of the container's cgroup", errno: errno)
        }
        return SystemCallError(Self.name(of: call), path, errno: errno)
    }

    /// In the order of `tree_copy_call`.
    private static let names: [String] = [
        "copy", "mmap", "write", "openat", "statx", "getdents64", "copy", "mkdirat", "mknodat",
        "readlinkat", "symlinkat", "ftruncate", "lseek", "sendfile", "fchown", "fchmod",
        "flistxattr", "fsetxattr", "utimensat",
    ]

    private static func name(of call: Int) -> String {
        names.indices.contains(call) ? names[call] : "copy"
    }
}

extension Cgroup {
    /// Whether a process that finds no memory waits for some instead of being killed.
    fileprivate var stallsWithoutMemory: Bool { memoryState("oom_kill_disable") }

    /// Whether such a process waits now.
    fileprivate var isWaitingForMemory: Bool { memoryState("under_oom") }

    /// Kernel: admin-guide/cgroup-v1/memory.rst, OOM Control.
    private func memoryState(_ key: String) -> Bool {
        guard !layout.isUnified, let index = layout.index(of: "memory"),
            let text = try? readFile("\(layout.directories[index].path)/memory.oom_control")
        else { return false }
        let words = words(of: text)
        guard let place = words.firstIndex(of: key), place + 1 < words.count else { return false }
        return words[place + 1] == "1"
    }
}
