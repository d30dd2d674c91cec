// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary

/// How a process ended.
///
/// Kernel: waitid(2), CLD_EXITED against CLD_KILLED and CLD_DUMPED.
public enum ExitStatus: Equatable, Hashable, Sendable {
    /// The process left by itself, with this status (0...255).
    case exited(Int32)
    /// A signal of this number ended it.
    case signaled(Int32)
    /// It has ended, and nobody tells how: somebody else has taken its status, or the host program ignores
    /// SIGCHLD, and the kernel is older than Linux 6.15.
    case unknown

    /// What a status word of wait(2) says.
    public init(waitStatus: Int32) {
        let signal = WaitStatus.signal(waitStatus)
        self = signal == 0 ? .exited(WaitStatus.exitStatus(waitStatus)) : .signaled(signal)
    }

    /// The status as a shell tells it: the status itself, or 128 and the number of the signal; 255 for one
    /// that is not known.
    public var shellCode: Int32 {
        switch self {
        case .exited(let status): status
        case .signaled(let number): 128 + number
        case .unknown: 255
        }
    }
}
