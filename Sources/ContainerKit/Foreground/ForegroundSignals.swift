// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary

/// The signals of a command in the foreground, blocked in the calling thread and read from a
/// descriptor.
///
/// Make this before the process is started: a signal in between would otherwise end the caller and
/// leave the container behind. The former mask is restored by the deinit.
///
/// Kernel: signalfd(2).
public struct ForegroundSignals: ~Copyable, Sendable {
    package static let continuation: Int32 = 18
    package static let windowChange: Int32 = 28
    /// SIGHUP, SIGINT, SIGQUIT and SIGTERM.
    static let ending: [Int32] = [1, 2, 3, 15]

    private static let pipe: Int32 = 13
    /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGCHLD, SIGSTOP, SIGTTIN,
    /// SIGTTOU, SIGURG and SIGSYS; 32 and 33 belong to the C library.
    private static let untouched: [Int32] = [
        4, 5, 6, 7, 8, 9, 11, 17, 19, 21, 22, 23, 31, 32, 33,
    ]

    private let former: UInt64
    private let descriptor: OwnedDescriptor

    /// Readable while signals wait.
    package var number: CInt { descriptor.number }

    /// Blocks the signals that can be forwarded.
    ///
    /// - Throws: `systemCall` if no descriptor is left.
    public init() throws(ContainerError) {
        self = try reporting { () throws(SystemCallError) in try ForegroundSignals(blocking: ()) }
    }

    init(blocking: Void) throws(SystemCallError) {
        var mask = UInt64.max
        for signal in Self.untouched { mask &= ~(1 << UInt64(signal - 1)) }
        let number = try withAddress(of: &mask) { (mask) throws(SystemCallError) in
            try systemCall(
                "signalfd", __NR_signalfd4, -1, mask, SignalNumber.maskBytes,
                (SignalQueueFlags.nonBlocking | .closeOnExec).rawValue, describing: "")
        }
        descriptor = OwnedDescriptor(taking: CInt(number))
        former = changeSignalMask(.block, mask)
    }

    /// Calls `body` with every pending signal but SIGPIPE, which a failed write has already
    /// reported.
    package borrowing func take(_ body: (Int32) -> Void) {
        // struct signalfd_siginfo has 128 bytes and starts with the signal, which is below 65.
        let recordBytes = 128
        while let records = try? readAvailable(number, limitBytes: 8 * recordBytes),
            !records.isEmpty
        {
            for start in stride(from: 0, to: records.count, by: recordBytes) {
                let signal = Int32(records[start])
                if signal != Self.pipe { body(signal) }
            }
        }
    }

    /// Drops signals that came too late for the process.
    deinit {
        take { _ in }
        _ = changeSignalMask(.set, former)
    }
}
#endif
