// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Calls `body`, which writes to files, without a signal if a file exceeds the caller's
/// RLIMIT_FSIZE.
///
/// Besides EFBIG, the kernel sends SIGXFSZ to the writing thread, which would end a host program
/// without a handler. The signal is blocked in this thread and removed; handlers and other threads
/// are not affected.
///
/// Kernel: setrlimit(2), rt_sigtimedwait(2).
func withoutFileSizeSignal<Result: ~Copyable>(
    _ body: () throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    guard try softLimit(of: .fileSize) != .max else { return try body() }

    let maskBytes = SignalNumber.maskBytes
    var signal = SignalNumber.fileSize.bit
    var mask: UInt64 = 0
    var pending: UInt64 = 0
    try withAddress(of: &signal) { (signal) throws(SystemCallError) in
        try withAddress(of: &mask) { (mask) throws(SystemCallError) in
            _ = try systemCall(
                "rt_sigprocmask", __NR_rt_sigprocmask, SignalMaskChange.block.rawValue, signal,
                mask,
                maskBytes, describing: "\(SignalMaskChange.block), \(SignalNumber.fileSize)")
        }
    }
    defer {
        try? withAddress(of: &mask) { (mask) throws(SystemCallError) in
            _ = try systemCall(
                "rt_sigprocmask", __NR_rt_sigprocmask, SignalMaskChange.set.rawValue, mask, 0,
                maskBytes, describing: "")
        }
    }
    try withAddress(of: &pending) { (pending) throws(SystemCallError) in
        _ = try systemCall(
            "rt_sigpending", __NR_rt_sigpending, pending, maskBytes, describing: "")
    }
    defer {
        // A signal that was already pending is the host program's.
        if pending & signal == 0 { takeAway(signal) }
    }
    return try body()
}

/// Removes a blocked signal if it is pending for this thread.
private func takeAway(_ signal: UInt64) {
    var signal = signal
    var time: (seconds: Int, nanoseconds: Int) = (0, 0)
    try? withAddress(of: &signal) { (signal) throws(SystemCallError) in
        try withAddress(of: &time) { (time) throws(SystemCallError) in
            // EAGAIN: it is not pending.
            _ = try systemCall(
                "rt_sigtimedwait", __NR_rt_sigtimedwait, signal, 0, time,
                SignalNumber.maskBytes, describing: "")
        }
    }
}
#endif
