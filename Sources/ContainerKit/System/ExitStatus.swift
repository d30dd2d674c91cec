// SPDX-License-Identifier: Apache-2.0

/// How a process ended.
///
/// Kernel: waitid(2), CLD_EXITED against CLD_KILLED and CLD_DUMPED.
public enum ExitStatus: Equatable, Hashable, Sendable {
    /// The process left by itself, with this status (0...255).
    case exited(Int32)
    /// A signal of this number ended it.
    case signaled(Int32)

    /// The status as a shell tells it: the status itself, or 128 and the number of the signal.
    public var shellCode: Int32 {
        switch self {
        case .exited(let status): status
        case .signaled(let number): 128 + number
        }
    }
}
