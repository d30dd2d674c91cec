// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// The resource usage of a process and of the children that it has waited for.
///
/// If a container's init has its own pid namespace, that is the usage of all its processes but
/// those of `exec`. Kernel: getrusage(2).
public struct ResourceUsage: Equatable, Hashable, Sendable {
    /// CPU time in user mode.
    public var userTime: Duration
    /// CPU time in kernel mode.
    public var systemTime: Duration
    /// The peak memory of a single process, in bytes.
    public var peakMemoryBytes: UInt64

    /// Makes a usage from its parts.
    public init(
        userTime: Duration = .zero, systemTime: Duration = .zero, peakMemoryBytes: UInt64 = 0
    ) {
        self.userTime = userTime
        self.systemTime = systemTime
        self.peakMemoryBytes = peakMemoryBytes
    }

    /// Decodes `struct rusage`: two times in seconds and microseconds, then the memory in KiB.
    fileprivate init(_ words: InlineArray<18, Int>) {
        userTime = .seconds(words[0]) + .microseconds(words[1])
        systemTime = .seconds(words[2]) + .microseconds(words[3])
        peakMemoryBytes = UInt64(clamping: words[4]).multipliedClamping(by: 1024)
    }
}

extension UInt64 {
    fileprivate func multipliedClamping(by factor: UInt64) -> UInt64 {
        let (product, isTooLarge) = multipliedReportingOverflow(by: factor)
        return isTooLarge ? .max : product
    }
}

/// How a process ended, and its resource usage if this process was its parent.
struct ProcessEnd: Equatable, Sendable {
    var status: ExitStatus
    var usage: ResourceUsage?
}

/// Waits for a child without blocking; nil while it runs.
///
/// - Throws: ECHILD if it is not a child of this process, or its status was taken already.
///
/// Kernel: waitid(2) with P_PIDFD and WNOHANG; unlike the C library's function, the call returns
/// the usage.
func takeEnd(ofChild pidfd: CInt) throws(SystemCallError) -> ProcessEnd? {
    let options: WaitOptions = .allChildren | .noHang | .exited
    // siginfo_t: si_signo, si_errno, si_code, a gap, si_pid, si_uid, si_status.
    var words = InlineArray<32, Int32>(repeating: 0)
    var usage = InlineArray<18, Int>(repeating: 0)
    try withAddress(of: &words) { (words) throws(SystemCallError) in
        try withAddress(of: &usage) { (usage) throws(SystemCallError) in
            _ = try systemCall(
                "waitid", __NR_waitid, WaitTarget.descriptor.rawValue, Int(pidfd), words,
                options.rawValue, usage, describing: "\(WaitTarget.descriptor), \(pidfd)")
        }
    }
    if words[0] == 0 { return nil }
    let hasExited = words[2] == ChildCode.exited.rawValue
    return ProcessEnd(
        status: hasExited ? .exited(words[6]) : .signaled(words[6]), usage: ResourceUsage(usage))
}

/// Whether a process has ended, even if it is not a child of this one.
func hasEnded(_ pidfd: CInt, withinMilliseconds limit: Int = 0) throws(SystemCallError) -> Bool {
    var entries = [PollEntry(pidfd, .readable)]
    return try poll(&entries, timeoutMilliseconds: limit) > 0
}

/// Waits for the end of a process that has got SIGKILL, under a limit that has passed.
///
/// On a slow machine that takes seconds. But a process that stays in uninterruptible calls, as on a
/// file system that does not answer, or in a frozen cgroup of v1, may never end.
/// - Returns: whether it has ended; false after most of a second if it is stuck, and after ten
///   seconds otherwise.
func killedEnds(_ pidfd: CInt, _ pid: Int32) -> Bool {
    var looks = 0
    let deadline = Deadline(secondsAhead: 10)
    while deadline.remainingMilliseconds > 0 {
        if (try? hasEnded(pidfd, withinMilliseconds: 100)) == true { return true }
        looks = stuckProcess(pid) == nil ? 0 : looks + 1
        if looks == 7 { return false }
    }
    return false
}

/// The process in an uninterruptible call: this one, or a child that it waits for, as the first of a
/// pid namespace does before it ends.
private func stuckProcess(_ pid: Int32) -> Int32? {
    ([pid] + childIDs(of: pid)).first { (try? stat(of: $0))?.state == "D" }
}

/// What to do about a process that does not end after SIGKILL.
func stuckHint(_ pid: Int32) -> String {
    guard let stuck = stuckProcess(pid) else {
        return "process \(pid) does not end: /proc/\(pid)/stack may tell why"
    }
    let place =
        (try? readFile("/proc/\(stuck)/wchan", limitBytes: 256))
        .map { String(decoding: $0, as: UTF8.self) } ?? ""
    // v1, v2.
    guard !place.begins(with: "__refrigerator"), !place.begins(with: "do_freezer_trap") else {
        return "process \(stuck) is frozen, and ends when its cgroup is thawed"
    }
    return "process \(stuck) is stuck in a call of the kernel's"
        + (place.isEmpty || place == "0" ? "" : " (\(place))")
        + ", and ends when the file system that it waits for answers or is given up "
        + "(umount --force)"
}

/// Processes that were killed and left, since they were stuck; each is waited for once it has ended.
///
/// Otherwise a program that embeds the library would collect zombies.
enum StuckChildren {
    private static let processes = GuardedValue<[CInt]>([])

    /// Keeps a copy of the pidfd of a child of this process.
    static func add(_ pidfd: CInt) {
        guard let copy = try? duplicate(pidfd, from: 3).release() else { return }
        processes.withLock { $0.append(copy) }
    }

    /// Waits for those that have ended.
    static func reap() {
        processes.withLock { processes in
            processes.removeAll { process in
                guard (try? hasEnded(process)) == true else { return false }
                _ = try? waitProcess(process)
                _ = OwnedDescriptor(taking: process)
                return true
            }
        }
    }
}

/// How a process has ended if this process cannot wait for it; nil if that is unknown.
func toldStatus(of pidfd: CInt, pid: Int32) -> ExitStatus? {
    // If its parent waits for it between the first two checks, the kernel then keeps the status.
    keptStatus(pidfd) ?? zombieStatus(of: pid, pidfd) ?? keptStatus(pidfd)
}

/// The status of a process that its parent has not waited for yet.
///
/// Source: proc_pid_stat(5), field 52. Without the right to trace the process, the field is 0; the
/// same right is needed to read its namespaces.
private func zombieStatus(of pid: Int32, _ pidfd: CInt) -> ExitStatus? {
    guard let line = try? readFile("/proc/\(pid)/stat", limitBytes: 4096),
        let status = waitStatus(ofEnded: line),
        status != 0 || (try? ContainerKit.status(at: "/proc/\(pid)/ns/user")) != nil,
        // The process still exists, so its pid was not reused meanwhile.
        (try? sendSignal(pidfd, 0)) != nil
    else { return nil }
    return ExitStatus(waitStatus: status)
}

/// The status in a line of /proc/PID/stat; nil if the process runs.
func waitStatus(ofEnded line: [UInt8]) -> Int32? {
    guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = words(of: Array(line[(end + 1)...]))
    // The first field here is number 3.
    guard fields.count > 49, fields[0] == "Z" || fields[0] == "X" else { return nil }
    return Int32(fields[49])
}
#endif
