// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import KernelVocabulary

/// The signals of a command in the foreground: blocked in the calling thread, and read from a
/// descriptor to be passed on.
///
/// To be made before the process is started, so that no signal that comes in between ends the caller
/// and leaves the container behind. The mask is put back when the value goes away.
///
/// Kernel: signalfd(2).
public struct ForegroundSignals: ~Copyable, Sendable {
    static let continuation: Int32 = 18
    static let windowChange: Int32 = 28
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

    var number: CInt { descriptor.number }

    /// Blocks the signals that can be passed on.
    ///
    /// - Throws: `systemCall` when no descriptor is left.
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

    /// Calls `body` with every signal that waits, but SIGPIPE: a write that failed has told that.
    borrowing func take(_ body: (Int32) -> Void) {
        // struct signalfd_siginfo has 128 bytes and starts with the number, which is below 65.
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

    /// A signal that came too late for the process is dropped.
    deinit {
        take { _ in }
        _ = changeSignalMask(.set, former)
    }
}
