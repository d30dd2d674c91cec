// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Processes, their rights and their signals.

#if os(Linux)
/// What a new process shares with its parent, and which namespaces it gets.
///
/// Kernel: clone3(2), unshare(2), setns(2). Source: linux/sched.h.
@frozen public struct CloneFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var newTime: Self { Self(rawValue: 0x80) }
    @inlinable public static var memory: Self { Self(rawValue: 0x100) }
    @inlinable public static var tellsPidfd: Self { Self(rawValue: 0x1000) }
    @inlinable public static var waitsForExec: Self { Self(rawValue: 0x4000) }
    @inlinable public static var sibling: Self { Self(rawValue: 0x8000) }
    @inlinable public static var newMount: Self { Self(rawValue: 0x2_0000) }
    @inlinable public static var tellsParentNumber: Self { Self(rawValue: 0x10_0000) }
    @inlinable public static var newCgroup: Self { Self(rawValue: 0x200_0000) }
    @inlinable public static var newUTS: Self { Self(rawValue: 0x400_0000) }
    @inlinable public static var newIPC: Self { Self(rawValue: 0x800_0000) }
    @inlinable public static var newUser: Self { Self(rawValue: 0x1000_0000) }
    @inlinable public static var newPid: Self { Self(rawValue: 0x2000_0000) }
    @inlinable public static var newNetwork: Self { Self(rawValue: 0x4000_0000) }
    @inlinable public static var clearHandlers: Self { Self(rawValue: 0x1_0000_0000) }
    @inlinable public static var intoCgroup: Self { Self(rawValue: 0x2_0000_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.newTime, "CLONE_NEWTIME"), (.memory, "CLONE_VM"), (.tellsPidfd, "CLONE_PIDFD"),
            (.waitsForExec, "CLONE_VFORK"), (.sibling, "CLONE_PARENT"), (.newMount, "CLONE_NEWNS"),
            (.tellsParentNumber, "CLONE_PARENT_SETTID"), (.newCgroup, "CLONE_NEWCGROUP"),
            (.newUTS, "CLONE_NEWUTS"), (.newIPC, "CLONE_NEWIPC"), (.newUser, "CLONE_NEWUSER"),
            (.newPid, "CLONE_NEWPID"), (.newNetwork, "CLONE_NEWNET"),
            (.clearHandlers, "CLONE_CLEAR_SIGHAND"), (.intoCgroup, "CLONE_INTO_CGROUP"),
        ]
    }
}

/// The operation of prctl(2).
///
/// Source: linux/prctl.h.
public enum ProcessControl: Int, KernelNumber {
    case endWithParent = 1
    case setDumpable = 4
    case keepCapabilities = 8
    case setName = 15
    case dropFromBoundingSet = 24
    case getSecureBits = 27
    case noNewPrivileges = 38
    case ambientSet = 47

    public var name: String {
        switch self {
        case .endWithParent: "PR_SET_PDEATHSIG"
        case .setDumpable: "PR_SET_DUMPABLE"
        case .keepCapabilities: "PR_SET_KEEPCAPS"
        case .setName: "PR_SET_NAME"
        case .dropFromBoundingSet: "PR_CAPBSET_DROP"
        case .getSecureBits: "PR_GET_SECUREBITS"
        case .noNewPrivileges: "PR_SET_NO_NEW_PRIVS"
        case .ambientSet: "PR_CAP_AMBIENT"
        }
    }
}

/// The operation of PR_CAP_AMBIENT.
///
/// Source: linux/prctl.h.
public enum AmbientCommand: Int, KernelNumber {
    case isSet = 1
    case raise = 2
    case clearAll = 4

    public var name: String {
        switch self {
        case .isSet: "PR_CAP_AMBIENT_IS_SET"
        case .raise: "PR_CAP_AMBIENT_RAISE"
        case .clearAll: "PR_CAP_AMBIENT_CLEAR_ALL"
        }
    }
}

/// How capabilities change when user IDs change.
///
/// Kernel: capabilities(7). Source: linux/securebits.h.
@frozen public struct SecureBits: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var noRoot: Self { Self(rawValue: 0x1) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.noRoot, "SECBIT_NOROOT")
        ]
    }
}

/// The version of the structures that capset(2) takes.
///
/// Source: linux/capability.h.
public enum CapabilityVersion: Int, KernelNumber {
    /// Two words of 32 bits for each set.
    case third = 0x2008_0522

    public var name: String {
        switch self {
        case .third: "_LINUX_CAPABILITY_VERSION_3"
        }
    }
}

/// The operation of keyctl(2).
///
/// Source: linux/keyctl.h.
public enum KeyCommand: Int, KernelNumber {
    case joinSession = 1
    case setPermissions = 5

    public var name: String {
        switch self {
        case .joinSession: "KEYCTL_JOIN_SESSION_KEYRING"
        case .setPermissions: "KEYCTL_SETPERM"
        }
    }
}

/// Who may do what with a key.
///
/// Kernel: keyctl_setperm(3). Source: include/linux/key.h.
@frozen public struct KeyPermissions: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var possessorAll: Self { Self(rawValue: 0x3f00_0000) }
    @inlinable public static var userView: Self { Self(rawValue: 0x1_0000) }
    @inlinable public static var userRead: Self { Self(rawValue: 0x2_0000) }
    @inlinable public static var userSearch: Self { Self(rawValue: 0x8_0000) }
    @inlinable public static var userLink: Self { Self(rawValue: 0x10_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.possessorAll, "KEY_POS_ALL"), (.userView, "KEY_USR_VIEW"),
            (.userRead, "KEY_USR_READ"), (.userSearch, "KEY_USR_SEARCH"),
            (.userLink, "KEY_USR_LINK"),
        ]
    }
}

/// The operation of seccomp(2).
///
/// Source: linux/seccomp.h.
public enum SeccompOperation: Int, KernelNumber {
    case setFilter = 1
    case isActionKnown = 2

    public var name: String {
        switch self {
        case .setFilter: "SECCOMP_SET_MODE_FILTER"
        case .isActionKnown: "SECCOMP_GET_ACTION_AVAIL"
        }
    }
}

/// The options for loading a filter.
///
/// Kernel: seccomp(2). Source: linux/seccomp.h.
@frozen public struct SeccompFilterFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var threadSync: Self { Self(rawValue: 1 << 0) }
    /// Linux 4.14.
    @inlinable public static var log: Self { Self(rawValue: 1 << 1) }
    @inlinable public static var speculationAllow: Self { Self(rawValue: 1 << 2) }
    /// Linux 5.0; makes seccomp(2) return the listener's descriptor.
    @inlinable public static var newListener: Self { Self(rawValue: 1 << 3) }
    /// Linux 5.19; valid only with a listener.
    @inlinable public static var waitKillableReceive: Self { Self(rawValue: 1 << 5) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.threadSync, "SECCOMP_FILTER_FLAG_TSYNC"), (.log, "SECCOMP_FILTER_FLAG_LOG"),
            (.speculationAllow, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
            (.newListener, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
            (.waitKillableReceive, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
        ]
    }
}

/// The operation of futex(2).
///
/// Source: linux/futex.h.
public enum FutexOperation: Int, KernelNumber {
    case wait = 0
    case wake = 1

    public var name: String {
        switch self {
        case .wait: "FUTEX_WAIT"
        case .wake: "FUTEX_WAKE"
        }
    }
}

/// The clock of clock_gettime(2).
///
/// Source: linux/time.h.
public enum ClockKind: Int, KernelNumber {
    case wall = 0
    case monotonic = 1

    public var name: String {
        switch self {
        case .wall: "CLOCK_REALTIME"
        case .monotonic: "CLOCK_MONOTONIC"
        }
    }
}

/// What the ID given to waitid(2) identifies.
///
/// Source: linux/wait.h.
public enum WaitTarget: Int, KernelNumber {
    case process = 1
    case descriptor = 3

    public var name: String {
        switch self {
        case .process: "P_PID"
        case .descriptor: "P_PIDFD"
        }
    }
}

/// The events that waitid(2) waits for.
///
/// Source: linux/wait.h.
@frozen public struct WaitOptions: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var noHang: Self { Self(rawValue: 0x1) }
    @inlinable public static var exited: Self { Self(rawValue: 0x4) }
    /// Also waits for a child whose clone asked for no exit signal.
    @inlinable public static var allChildren: Self { Self(rawValue: 0x4000_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.noHang, "WNOHANG"), (.exited, "WEXITED"), (.allChildren, "__WALL"),
        ]
    }
}

/// How a child ended, as waitid(2) reports it.
///
/// Source: asm-generic/siginfo.h.
public enum ChildCode: Int, KernelNumber {
    /// CLD_EXITED; the other codes come with a signal.
    case exited = 1

    public var name: String {
        switch self {
        case .exited: "CLD_EXITED"
        }
    }
}

/// How rt_sigprocmask(2) changes the blocked signals.
///
/// Source: asm-generic/signal-defs.h.
public enum SignalMaskChange: Int, KernelNumber {
    case block = 0
    case set = 2

    public var name: String {
        switch self {
        case .block: "SIG_BLOCK"
        case .set: "SIG_SETMASK"
        }
    }
}

/// The signals that the runtime itself uses.
///
/// Kernel: signal(7). Source: asm-generic/signal.h.
public enum SignalNumber: Int, KernelNumber {
    case hangUp = 1
    case interrupt = 2
    case quit = 3
    case abort = 6
    case kill = 9
    case terminate = 15
    case child = 17
    case stop = 19
    case fileSize = 25

    public var name: String {
        switch self {
        case .hangUp: "SIGHUP"
        case .interrupt: "SIGINT"
        case .quit: "SIGQUIT"
        case .abort: "SIGABRT"
        case .kill: "SIGKILL"
        case .terminate: "SIGTERM"
        case .child: "SIGCHLD"
        case .stop: "SIGSTOP"
        case .fileSize: "SIGXFSZ"
        }
    }
}

extension SignalNumber {
    /// SIGRTMAX, the highest signal.
    @inlinable public static var last: Int { 64 }
    /// The size of the kernel's signal masks, in bytes.
    @inlinable public static var maskBytes: Int { 8 }
    /// The signal's bit in a mask.
    @inlinable public var bit: UInt64 { 1 << UInt64(rawValue - 1) }
}

/// The parts of a wait status.
///
/// Kernel: wait(2).
public enum WaitStatus {
    /// The signal that ended the process, or 0.
    public static func signal(_ status: Int32) -> Int32 { status & 0x7f }
    /// The exit status, if no signal ended the process.
    public static func exitStatus(_ status: Int32) -> Int32 { status >> 8 & 0xff }
}

/// Inodes of namespaces that have the same one on every machine.
///
/// Kernel: include/linux/proc_ns.h.
public enum NamespaceInode {
    /// The time namespace in which the machine has booted: PROC_TIME_INIT_INO.
    public static let firstTime: UInt64 = 0xEFFF_FFFA
}
#endif
