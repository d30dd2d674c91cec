// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitMachine
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// The cgroup of the copying process, to which the copy is charged.
struct TreeCopyPlace {
    /// The cgroup; nil for the runtime's own.
    var cgroup: Cgroup?
    /// The cgroup v2 directory that the process is cloned into.
    var directory: CInt?
    /// The `tasks` files of cgroup v1 through which it enters.
    var entrances: [CInt] = []
    /// The caller's limit, after which the copy is given up.
    var limit: TimeLimit?
    /// Is told the process if that does not end after SIGKILL.
    var isStuck: (Int32) -> Void = { _ in }

    /// The runtime's own cgroup.
    static var own: TreeCopyPlace { TreeCopyPlace() }
}

/// Copies a directory of an image into a file system that nobody else can see yet, by a process of
/// its own in the container's cgroup.
///
/// Like init the process is born empty, and it runs a routine of the machine
/// (InitMachine/TreeCopy.c). It has ended when `run` returns, and it ends with the thread that
/// called it.
struct TreeCopy {
    /// The directory to copy, open at least by its path.
    let source: CInt
    /// The new directory, open for reading.
    let target: CInt
    /// The path inside the rootfs, for error messages.
    let destination: String
    /// Owner, group and mode of the target itself; nil leaves each unchanged.
    var owner: UInt32?
    var group: UInt32?
    var mode: UInt16?

    /// Copies, and returns once the copy is complete.
    ///
    /// - Throws: the refused call with its path; ENOMEM of `copy` if the process was killed for
    ///   lack of memory, ETIMEDOUT if the time is over, ECANCELED if it was killed otherwise.
    func run(in place: TreeCopyPlace) throws(SystemCallError) {
        var helper = try HelperChild()
        let page = helper.page
        let image = ProgramImage.treeCopy(
            by: ownProcessID, entrances: place.entrances.count, owner: owner, group: group,
            mode: mode)
        let killsBefore = place.cgroup?.oomKillCount ?? 0
        let child = try start(&helper, image, in: place)
        let process = OwnedDescriptor(taking: child.pidfd)
        // The process is ended even if the wait fails.
        let ended = Result { () throws(SystemCallError) in
            try Self.awaitEnd(of: process, in: place)
        }
        if case .failure(let error) = ended {
            try? sendSignal(process.number, Signal.kill.rawValue)
            guard error.errno != .timedOut || killedEnds(process.number, child.pid) else {
                StuckChildren.add(process.number)
                place.isStuck(child.pid)
                throw error
            }
        }
        // The host program may have taken its status; the page has the result.
        _ = try? waitProcess(process.number)
        let ranOut = try ended.get()
        let report = page.copyReport
        if report.isDone { return }
        let text = "\"\(destination)\(report.path)\""
        if page.error != 0 {
            let errno = Errno(rawValue: page.error)
            switch image.instruction(page.index) {
            case .copyTree: throw report.failure(at: text, errno)
            case .call(let call, _, _, _, _) where call.name == "openat":
                throw SystemCallError("openat", text, errno: errno)
            default:
                throw SystemCallError("write", "tasks of the container's cgroup", errno: errno)
            }
        }
        let wasForMemory = ranOut || (place.cgroup?.oomKillCount ?? 0) > killsBefore
        throw SystemCallError("copy", text, errno: wasForMemory ? .noMemory : .canceled)
    }

    private func start(
        _ helper: inout HelperChild, _ image: ProgramImage, in place: TreeCopyPlace
    ) throws(SystemCallError) -> ChildProcess {
        var inputs: DescriptorTable<CInt> = [.copySource: source, .copyTarget: target]
        for (index, entrance) in place.entrances.enumerated() {
            inputs[.cgroupTasks(index)] = entrance
        }
        return try helper.start(image, inputs: inputs, intoCgroup: place.directory)
    }

    /// Waits for the end of the copy.
    ///
    /// - Returns: whether it had to be killed, because it waited for memory in a v1 cgroup with the
    ///   OOM killer disabled.
    private static func awaitEnd(of process: borrowing OwnedDescriptor, in place: TreeCopyPlace)
        throws(SystemCallError) -> Bool
    {
        let mayStall = place.cgroup?.stallsWithoutMemory ?? false
        var entries = [PollEntry(process.number, .readable)]
        func time() -> Int {
            let remaining = place.limit?.deadline.remainingMilliseconds
            return mayStall ? min(100, remaining ?? 100) : remaining ?? -1
        }
        while try poll(&entries, timeoutMilliseconds: time()) == 0 {
            if place.limit?.isOver == true {
                throw SystemCallError("copy", "", errno: .timedOut)
            }
            guard place.cgroup?.isWaitingForMemory == true else { continue }
            try sendSignal(process.number, Signal.kill.rawValue)
            return true
        }
        return false
    }
}

extension UnsafeMutablePointer<tree_copy_report> {
    fileprivate var isDone: Bool { pointee.done == 1 }

    /// The path of the file that was being copied.
    fileprivate var path: String {
        withUnsafeBytes(of: &pointee.path) { bytes in
            String(decoding: bytes.prefix(Int(pointee.path_length)), as: UTF8.self)
        }
    }

    /// The refused call.
    fileprivate func failure(at path: String, _ errno: Errno) -> SystemCallError {
        if pointee.call == TREE_COPY_DEPTH.rawValue {
            return SystemCallError(
                "copy", "\(path), deeper than \(TREE_COPY_DEEPEST) directories", errno: errno)
        }
        let names = Self.names
        let call = Int(pointee.call)
        return SystemCallError(
            names.indices.contains(call) ? names[call] : "copy", path, errno: errno)
    }

    /// The names in the order of `tree_copy_call`.
    private static var names: [String] {
        [
            "mmap", "openat", "statx", "getdents64", "copy", "mkdirat", "mknodat", "readlinkat",
            "symlinkat", "ftruncate", "lseek", "sendfile", "fchown", "fchmod", "flistxattr",
            "fgetxattr", "fsetxattr", "utimensat",
        ]
    }
}

extension Cgroup {
    /// Whether a process without memory waits instead of being killed.
    fileprivate var stallsWithoutMemory: Bool { memoryState("oom_kill_disable") }

    /// Whether a process is waiting for memory now.
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
#endif
