// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The seccomp features of the running kernel.
///
/// Kernel: seccomp(2). The queries change nothing in this process.
enum SeccompSupport {
    /// Whether the kernel supports filters.
    static var isAvailable: Bool { supports(.errno) }

    /// Whether the kernel knows an action, by SECCOMP_GET_ACTION_AVAIL.
    static func supports(_ action: Seccomp.Action) -> Bool {
        var number = action.kernelValue(errno: 0)
        do throws(SystemCallError) {
            return try withAddress(of: &number) { (address) throws(SystemCallError) in
                try systemCall(
                    "seccomp", __NR_seccomp, SeccompOperation.isActionKnown.rawValue, 0, address,
                    describing: "\(SeccompOperation.isActionKnown), \(action.rawValue)") == 0
            }
        } catch {
            return false
        }
    }

    /// Whether the kernel knows a flag: it checks the flags before it reads the program, which is
    /// missing here.
    static func supports(_ flag: Seccomp.Flag) -> Bool {
        var flags = flag.kernelValue
        // The kernel accepts this flag only together with the one for a listener.
        if flag == .waitKillableReceive { flags |= .newListener }
        do throws(SystemCallError) {
            try systemCall(
                "seccomp", __NR_seccomp, SeccompOperation.setFilter.rawValue, flags.rawValue, 0,
                describing: "\(SeccompOperation.setFilter), \(flags), NULL")
            return false
        } catch {
            return error.errno == .badAddress
        }
    }

    /// The architectures that the linked libseccomp knows.
    static var architectures: [Seccomp.Architecture] {
        Seccomp.Architecture.allCases.filter { $0.libseccompToken != nil }
    }
}

extension Seccomp.Action {
    /// The kernel's value of the action, with an errno if the action takes one.
    ///
    /// Kernel: SECCOMP_RET_*.
    func kernelValue(errno: UInt16) -> UInt32 {
        switch self {
        case .kill, .killThread: UInt32(SECCOMP_RET_KILL_THREAD)
        case .killProcess: UInt32(SECCOMP_RET_KILL_PROCESS)
        case .trap: UInt32(SECCOMP_RET_TRAP)
        case .errno: UInt32(SECCOMP_RET_ERRNO) | UInt32(errno)
        case .trace: UInt32(SECCOMP_RET_TRACE) | UInt32(errno)
        case .allow: UInt32(SECCOMP_RET_ALLOW)
        case .log: UInt32(SECCOMP_RET_LOG)
        case .notify: UInt32(SECCOMP_RET_USER_NOTIF)
        }
    }
}

extension Seccomp.Flag {
    /// The flag for seccomp(2).
    var kernelValue: SeccompFilterFlags {
        switch self {
        case .threadSync: .threadSync
        case .log: .log
        case .speculationAllow: .speculationAllow
        case .waitKillableReceive: .waitKillableReceive
        }
    }
}

extension RuntimeVersion {
    /// The version of the linked libseccomp, such as "2.5.4".
    public static var libseccompVersion: String { ContainerKit.libseccompVersion() }
}
#endif
