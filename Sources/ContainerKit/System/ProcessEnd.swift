// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// What a process has used, with those of its children that it has waited for.
///
/// Of a container whose init has a pid namespace of its own, that is all of it but what `exec` started.
/// Kernel: getrusage(2).
public struct ResourceUsage: Equatable, Hashable, Sendable {
    /// CPU time in user mode.
    public var userTime: Duration
    /// CPU time in the kernel.
    public var systemTime: Duration
    /// The most memory that one of the processes has had at a time, in bytes.
    public var peakMemoryBytes: UInt64

    /// A usage of its parts.
    public init(
        userTime: Duration = .zero, systemTime: Duration = .zero, peakMemoryBytes: UInt64 = 0
    ) {
        self.userTime = userTime
        self.systemTime = systemTime
        self.peakMemoryBytes = peakMemoryBytes
    }

    /// Takes `struct rusage`: two times of seconds and microseconds each, then the memory in KiB.
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

/// How a process ended, and what it used where its parent is told.
struct ProcessEnd: Equatable, Sendable {
    var status: ExitStatus
    var usage: ResourceUsage?
}

/// The end of a child, which is taken out of the process table; nil while it runs.
///
/// - Throws: ECHILD for what is no child of this process, or is none any more.
///
/// Kernel: waitid(2) with P_PIDFD and WNOHANG; the call itself, unlike the C library's, tells the usage.
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

/// Whether a process has ended, somebody else's child too.
func hasEnded(_ pidfd: CInt) throws(SystemCallError) -> Bool {
    var entries = [PollEntry(pidfd, .readable)]
    return try poll(&entries, timeoutMilliseconds: 0) > 0
}

/// How a process has ended whose status is somebody else's to take, or was taken; nil where nobody tells.
func toldStatus(of pidfd: CInt, pid: Int32) -> ExitStatus? {
    // Whoever takes it out of the process table between two looks has made the kernel keep it.
    keptStatus(pidfd) ?? zombieStatus(of: pid, pidfd) ?? keptStatus(pidfd)
}

/// The status of a process that its parent has not waited for yet.
///
/// Source: proc_pid_stat(5), field 52. Who may not trace the process reads 0 there, and may not look at its
/// namespaces either.
private func zombieStatus(of pid: Int32, _ pidfd: CInt) -> ExitStatus? {
    guard let line = try? readFile("/proc/\(pid)/stat", limitBytes: 4096),
        let status = waitStatus(ofEnded: line),
        status != 0 || (try? ContainerKit.status(at: "/proc/\(pid)/ns/user")) != nil,
        // Still there: the number was no other's meanwhile.
        (try? sendSignal(pidfd, 0)) != nil
    else { return nil }
    return ExitStatus(waitStatus: status)
}

/// The status in a line of /proc/PID/stat; nil for a process that runs.
func waitStatus(ofEnded line: [UInt8]) -> Int32? {
    guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = words(of: Array(line[(end + 1)...]))
    // Field 3 is the first here.
    guard fields.count > 49, fields[0] == "Z" || fields[0] == "X" else { return nil }
    return Int32(fields[49])
}
