// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Opens a process, so that its pid cannot come to mean another one.
///
/// Kernel: pidfd_open(2), Linux 5.3.
func openProcess(_ pid: Int32) throws(SystemCallError) -> OwnedDescriptor {
    let number = try systemCall(
        "pidfd_open", __NR_pidfd_open, Int(pid), 0, describing: "\(pid)")
    return OwnedDescriptor(taking: CInt(number))
}

/// Sends a signal to an open process.
///
/// Kernel: pidfd_send_signal(2).
func sendSignal(_ pidfd: CInt, _ signal: Int32) throws(SystemCallError) {
    try systemCall(
        "pidfd_send_signal", __NR_pidfd_send_signal, Int(pidfd), Int(signal), 0, 0,
        describing: "descriptor \(pidfd), \(signal)")
}

/// Waits for a child to end.
///
/// If SIGCHLD is ignored, the kernel discards the status: the wait still ends with the process, and
/// the pidfd may still have the status. A status that cannot be known is an error.
///
/// Kernel: waitid(2) with P_PIDFD, Linux 5.4.
func waitProcess(_ pidfd: CInt) throws(SystemCallError) -> ExitStatus {
    let lost: SystemCallError
    do throws(SystemCallError) {
        if let status = try waitProcess(pidfd, options: .allChildren) { return status }
        lost = SystemCallError("waitid", "P_PIDFD, \(pidfd)", errno: .noChildProcess)
    } catch  where error.errno == .noChildProcess {
        lost = error
    }
    guard let status = keptStatus(pidfd) else { throw lost }
    return status
}

/// How a process ended that another process has waited for; nil if the kernel does not know.
///
/// Kernel: ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT of linux/pidfd.h, Linux 6.15.
func keptStatus(_ pidfd: CInt) -> ExitStatus? {
    let exitInfo: UInt64 = 1 << 3
    // struct pidfd_info has 64 bytes in its first version: the mask comes first, the status last.
    var info: InlineArray<8, UInt64> = .init(repeating: 0)
    info[0] = exitInfo
    let result = withUnsafeMutablePointer(to: &info) {
        raw_system_call(
            Int(__NR_ioctl), Int(pidfd), DeviceRequest.processInfo.rawValue, Int(bitPattern: $0), 0,
            0, 0)
    }
    guard result == 0, info[0] & exitInfo != 0 else { return nil }
    return ExitStatus(waitStatus: Int32(truncatingIfNeeded: info[7] >> 32))
}

/// The status of a child that has ended, waiting for it; nil while it runs.
///
/// Kernel: waitid(2) with P_PIDFD and WNOHANG.
func waitProcessIfEnded(_ pidfd: CInt) throws(SystemCallError) -> ExitStatus? {
    try waitProcess(pidfd, options: .allChildren | .noHang)
}

private func waitProcess(_ pidfd: CInt, options: WaitOptions) throws(SystemCallError) -> ExitStatus?
{
    // siginfo_t is 128 bytes: si_signo, si_errno, si_code, a gap, si_pid, si_uid, si_status.
    var words = [Int32](repeating: 0, count: 32)
    try withAddress(ofElements: &words) { (address, _) throws(SystemCallError) in
        _ = try systemCall(
            "waitid", __NR_waitid, WaitTarget.descriptor.rawValue, Int(pidfd), address,
            options.union(.exited).rawValue, 0, describing: "\(WaitTarget.descriptor), \(pidfd)")
    }
    // With WNOHANG, si_signo is zero if the process still runs.
    if words[0] == 0 { return nil }
    return words[2] == ChildCode.exited.rawValue ? .exited(words[6]) : .signaled(words[6])
}

/// A descriptor to wait for; a negative one is ignored.
///
/// The layout is that of `struct pollfd`.
struct PollEntry {
    var descriptor: CInt
    private let wantedBits: Int16
    private var seenBits: Int16 = 0

    /// The events seen.
    var seen: PollEvents { PollEvents(rawValue: Int(seenBits)) }

    init(_ descriptor: CInt, _ wanted: PollEvents) {
        self.descriptor = descriptor
        wantedBits = Int16(wanted.rawValue)
    }
}

/// Waits until a descriptor is ready; returns how many are, 0 after the timeout.
///
/// A negative timeout waits for ever. An interrupted wait starts again with the full timeout.
///
/// Kernel: ppoll(2).
@discardableResult
func poll(_ entries: inout [PollEntry], timeoutMilliseconds: Int = -1) throws(SystemCallError)
    -> Int
{
    var time = (
        seconds: timeoutMilliseconds / 1000, nanoseconds: timeoutMilliseconds % 1000 * 1_000_000
    )
    return try withAddress(ofElements: &entries) { (address, count) throws(SystemCallError) in
        try withAddress(of: &time) { (time) throws(SystemCallError) in
            try systemCall(
                "ppoll", __NR_ppoll, address, count, timeoutMilliseconds < 0 ? 0 : time, 0,
                SignalNumber.maskBytes,
                describing: "")
        }
    }
}

/// Sets a resource limit of another process.
///
/// Kernel: prlimit(2).
func setResourceLimit(pid: Int32, _ limit: PlannedLimit) throws(SystemCallError) {
    var values = (soft: limit.soft, hard: limit.hard)
    try withAddress(of: &values) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "prlimit64", __NR_prlimit64, Int(pid), limit.resource, address, 0,
            describing: "\(pid), \(limit.name), \(limit.soft), \(limit.hard)")
    }
}

/// Sets a resource limit of this process; returns the former one.
///
/// Kernel: prlimit(2).
func exchangeOwnLimit(_ limit: PlannedLimit) throws(SystemCallError) -> PlannedLimit {
    var values = (soft: limit.soft, hard: limit.hard)
    var former = values
    try withAddress(of: &values) { (values) throws(SystemCallError) in
        try withAddress(of: &former) { (former) throws(SystemCallError) in
            _ = try systemCall(
                "prlimit64", __NR_prlimit64, 0, limit.resource, values, former,
                describing: "0, \(limit.name), \(limit.soft), \(limit.hard)")
        }
    }
    return PlannedLimit(
        name: limit.name, resource: limit.resource, soft: former.soft, hard: former.hard)
}

/// The soft limit of this process for a resource; the highest number if there is none.
///
/// Kernel: prlimit(2).
func softLimit(of resource: ResourceLimit) throws(SystemCallError) -> UInt64 {
    var limit: (soft: UInt64, hard: UInt64) = (.max, .max)
    try withAddress(of: &limit) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "prlimit64", __NR_prlimit64, 0, resource.rawValue, 0, address,
            describing: "0, \(resource)")
    }
    return limit.soft
}

/// The contents of /proc/PID/stat.
struct ProcessStat: Equatable {
    /// The state letter: "R", "S", "D", "T", "t", "Z", "X" ...
    ///
    /// Source: proc_pid_stat(5).
    let state: Character
    /// The parent's pid; 0 if the parent is in another pid namespace.
    let parent: Int32
    /// Whether its first thread is exiting.
    ///
    /// Kernel: PF_EXITING in include/linux/sched.h.
    let isEnding: Bool
    /// Whether it has executed a program since it was cloned.
    ///
    /// Kernel: PF_FORKNOEXEC in include/linux/sched.h, which execve(2) clears.
    let hasExecuted: Bool
    /// The number of threads.
    let threadCount: Int
    /// The start time, in clock ticks after boot; `stat(of:)` takes out what this process's time
    /// namespace adds.
    fileprivate(set) var startTime: UInt64

    /// Parses the line; nil if it has another format.
    ///
    /// The second field is the process's name, which may contain anything, even a closing
    /// parenthesis: it ends at the last one.
    init?(parsing line: [UInt8]) {
        guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        // Where fields 3 to 22 begin, and where the last one ends.
        var starts = InlineArray<21, Int>(repeating: 0)
        var (count, position) = (0, end + 1)
        while position < line.count, count < 21 {
            if line[position] != UInt8(ascii: " "), line[position - 1] == UInt8(ascii: " ") {
                starts[count] = position
                count += 1
            }
            position += 1
        }
        guard count == 21 else { return nil }
        func number<Number: FixedWidthInteger>(ofField field: Int) -> Number? {
            let digits = line[starts[field - 3]..<starts[field - 2] - 1]
            return Number(String(decoding: digits, as: UTF8.self))
        }
        guard starts[1] == starts[0] + 2, let parent: Int32 = number(ofField: 4),
            let flags: UInt32 = number(ofField: 9), let threads: Int = number(ofField: 20),
            let time: UInt64 = number(ofField: 22)
        else { return nil }
        self.parent = parent
        isEnding = flags & 4 != 0
        hasExecuted = flags & 64 == 0
        threadCount = threads
        state = Character(Unicode.Scalar(line[starts[0]]))
        startTime = time
    }

    /// Takes out what this process's time namespace adds to the start time.
    fileprivate mutating func removeShift() {
        guard startTimeShift != 0 else { return }
        // The kernel adds in nanoseconds: for a start before the namespace's zero, the sum is below
        // zero, and wraps at 64 bits before it becomes ticks.
        if startTime > .max / 20_000_000 { startTime &-= .max / 10_000_000 }
        startTime &-= startTimeShift
    }

    /// Whether this is the process whose start time was recorded.
    func hasStarted(at recorded: UInt64) -> Bool {
        if recorded == startTime { return true }
        guard startTimeShift != 0 else { return false }
        // A shift that is no whole number of ticks leaves one too many or too few. Version 0.1
        // recorded what it saw.
        let difference = recorded &- startTime
        return difference == 1 || difference == .max || difference == startTimeShift
    }

    /// Whether the whole process has ended: if only the first thread is a zombie, others may still
    /// run.
    var hasEnded: Bool { (state == "Z" || state == "X") && threadCount <= 1 }
}

/// The state and start time of a process; nil if there is none with this pid.
///
/// - Throws: the error if this cannot be determined: a missing procfs, or one that hides the
///   process (hidepid), does not mean that it has ended.
func stat(of pid: Int32) throws(SystemCallError) -> ProcessStat? {
    guard pid > 0 else { return nil }
    var attempts = 3
    while true {
        do throws(SystemCallError) {
            let line = try readLine("/proc/\(pid)/stat")
            guard var stat = ProcessStat(parsing: line) else {
                throw SystemCallError("read", "\"/proc/\(pid)/stat\"", errno: .ioError)
            }
            stat.removeShift()
            return stat
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .noSuchProcess {
            guard try processExists(pid) else { return nil }
            // The process may have ended between the two calls, and its pid may be reused.
            attempts -= 1
            guard attempts > 0 else { throw error }
        }
    }
}

/// The clock ticks that this process's time namespace adds to the start times that it reads: without
/// them, a process has the same start time for all.
///
/// Kernel: time_namespaces(7), /proc/PID/timens_offsets.
private let startTimeShift: UInt64 = {
    guard let own = try? status(at: "/proc/self/ns/time"), own.stx_ino != NamespaceInode.firstTime,
        let text = try? readFile("/proc/self/timens_offsets", limitBytes: 4096)
    else { return 0 }
    let words = words(of: text)
    guard let place = words.firstIndex(of: "boottime"), place + 2 < words.count,
        let seconds = Int64(words[place + 1]), let nanoseconds = Int64(words[place + 2])
    else { return 0 }
    return UInt64(bitPattern: seconds &* 100 &+ nanoseconds / 10_000_000)
}()

/// The pid of a process that is a child of this one; nil if it is not, or was waited for.
///
/// Kernel: PIDFD_GET_INFO of ioctl_pidfd(2), from Linux 6.13; before, proc_pid_fdinfo(5).
func numberOfChild(_ pidfd: CInt) throws(SystemCallError) -> Int32? {
    let own = Int32(truncatingIfNeeded: raw_system_call(Int(__NR_getpid), 0, 0, 0, 0, 0, 0))
    // struct pidfd_info: mask and cgroupid of 64 bits, then pid, tgid, ppid, eight ids and exit_code.
    var info = InlineArray<16, UInt32>(repeating: 0)
    info[0] = 1  // PIDFD_INFO_PID
    let result = withUnsafeMutableBytes(of: &info) { bytes in
        raw_system_call(
            Int(__NR_ioctl), Int(pidfd), DeviceRequest.processInfo.rawValue,
            Int(bitPattern: bytes.baseAddress), 0, 0, 0)
    }
    guard result == 0 else { return try numberOfChild(byInfoOf: pidfd, own) }
    return Int32(bitPattern: info[6]) == own ? Int32(bitPattern: info[4]) : nil
}

/// Reads the pid from fdinfo, for a kernel without this ioctl.
func numberOfChild(byInfoOf pidfd: CInt, _ own: Int32) throws(SystemCallError) -> Int32? {
    let text = try readFile("/proc/self/fdinfo/\(pidfd)", limitBytes: 4096)
    let words = words(of: text)
    guard let place = words.firstIndex(of: "Pid:"), place + 1 < words.count,
        let pid = Int32(words[place + 1]), try stat(of: pid)?.parent == own
    else { return nil }
    return pid
}

/// Whether there is a process with this pid, including zombies.
///
/// Kernel: kill(2) with signal 0.
private func processExists(_ pid: Int32) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
        try sendSignal(0, to: Int(pid))
        return true
    } catch  where error.errno == .noSuchProcess {
        return false
    } catch  where error.errno == .notPermitted {
        return true
    }
}

/// The start time of a process, in clock ticks after boot; together with the pid it is unique.
func startTime(of pid: Int32) throws(SystemCallError) -> UInt64? {
    try stat(of: pid)?.startTime
}

/// A time: whole seconds and nanoseconds.
struct ClockTime: Equatable {
    var seconds: Int
    var nanoseconds: Int

    /// Seconds and nanoseconds since 1970 in UTC.
    static var wall: ClockTime { read(.wall) }
    /// The time of a clock that never goes backwards.
    static var monotonic: ClockTime { read(.monotonic) }

    /// The time in nanoseconds.
    var totalNanoseconds: Int { seconds &* 1_000_000_000 &+ nanoseconds }

    private static func read(_ clock: ClockKind) -> ClockTime {
        var time = ClockTime(seconds: 0, nanoseconds: 0)
        withUnsafeMutablePointer(to: &time) { pointer in
            // Both clocks always exist, so there is no error to handle.
            _ = raw_system_call(
                Int(__NR_clock_gettime), clock.rawValue, Int(bitPattern: pointer), 0, 0, 0, 0)
        }
        return time
    }
}

/// How the signal mask of a thread is changed.
///
/// Kernel: sigprocmask(2).
enum SignalMaskChange: Int {
    case block = 0
    case set = 2
}

/// Changes the signal mask of this thread, and returns the former one.
///
/// Kernel: rt_sigprocmask(2).
func changeSignalMask(_ change: SignalMaskChange, _ mask: UInt64) -> UInt64 {
    var mask = mask
    var former: UInt64 = 0
    withUnsafeMutablePointer(to: &mask) { mask in
        withUnsafeMutablePointer(to: &former) { former in
            _ = raw_system_call(
                Int(__NR_rt_sigprocmask), change.rawValue, Int(bitPattern: mask),
                Int(bitPattern: former), 8, 0, 0)
        }
    }
    return former
}

/// The children of a process's first thread; none if that is unknown.
///
/// Kernel: proc_pid_task_children(5), which a kernel may lack.
func childIDs(of pid: Int32) -> [Int32] {
    guard let text = try? readFile("/proc/\(pid)/task/\(pid)/children") else { return [] }
    return words(of: text).compactMap { Int32($0) }
}
#endif
