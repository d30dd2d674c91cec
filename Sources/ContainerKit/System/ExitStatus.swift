// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

/// How a process ended.
///
/// Kernel: waitid(2), CLD_EXITED against CLD_KILLED and CLD_DUMPED.
public enum ExitStatus: Equatable, Hashable, Sendable {
    /// The process exited by itself, with this status (0 to 255).
    case exited(Int32)
    /// A signal with this number killed the process.
    case signaled(Int32)
    /// It is unknown how the process ended: another part of the program has taken its status, or
    /// the host program ignores SIGCHLD, and the kernel is older than Linux 6.15.
    case unknown

    /// Decodes a status word of wait(2).
    public init(waitStatus: Int32) {
        let signal = WaitStatus.signal(waitStatus)
        self = signal == 0 ? .exited(WaitStatus.exitStatus(waitStatus)) : .signaled(signal)
    }

    /// The status as a shell reports it: the exit status, or 128 plus the signal's number; 255 if
    /// unknown.
    public var shellCode: Int32 {
        switch self {
        case .exited(let status): status
        case .signaled(let number): 128 + number
        case .unknown: 255
        }
    }
}
#endif
