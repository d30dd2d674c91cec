// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Scheduling, memory and resource limits of a process.

#if os(Linux)
/// The scheduling policy of a process.
///
/// Kernel: sched(7). Source: linux/sched.h.
public enum SchedulingPolicy: Int, KernelNumber {
    case other = 0
    case fifo = 1
    case roundRobin = 2
    case batch = 3
    /// Reserved, and refused by the kernel.
    case iso = 4
    case idle = 5
    case deadline = 6

    public var name: String {
        switch self {
        case .other: "SCHED_OTHER"
        case .fifo: "SCHED_FIFO"
        case .roundRobin: "SCHED_RR"
        case .batch: "SCHED_BATCH"
        case .iso: "SCHED_ISO"
        case .idle: "SCHED_IDLE"
        case .deadline: "SCHED_DEADLINE"
        }
    }
}

/// Flags of sched_setattr.
///
/// Source: linux/sched.h.
@frozen public struct SchedulingFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var resetOnFork: Self { Self(rawValue: 0x01) }
    @inlinable public static var reclaim: Self { Self(rawValue: 0x02) }
    @inlinable public static var deadlineOverrun: Self { Self(rawValue: 0x04) }
    @inlinable public static var keepPolicy: Self { Self(rawValue: 0x08) }
    @inlinable public static var keepParameters: Self { Self(rawValue: 0x10) }
    @inlinable public static var utilizationClampMinimum: Self { Self(rawValue: 0x20) }
    @inlinable public static var utilizationClampMaximum: Self { Self(rawValue: 0x40) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.resetOnFork, "SCHED_FLAG_RESET_ON_FORK"), (.reclaim, "SCHED_FLAG_RECLAIM"),
            (.deadlineOverrun, "SCHED_FLAG_DL_OVERRUN"), (.keepPolicy, "SCHED_FLAG_KEEP_POLICY"),
            (.keepParameters, "SCHED_FLAG_KEEP_PARAMS"),
            (.utilizationClampMinimum, "SCHED_FLAG_UTIL_CLAMP_MIN"),
            (.utilizationClampMaximum, "SCHED_FLAG_UTIL_CLAMP_MAX"),
        ]
    }
}

/// The I/O scheduling class of a process.
///
/// Kernel: ioprio_set(2). Source: linux/ioprio.h.
public enum IOPriorityClass: Int, KernelNumber {
    case realTime = 1
    case bestEffort = 2
    case idle = 3

    public var name: String {
        switch self {
        case .realTime: "IOPRIO_CLASS_RT"
        case .bestEffort: "IOPRIO_CLASS_BE"
        case .idle: "IOPRIO_CLASS_IDLE"
        }
    }
}

/// An I/O priority: class and level in one number.
///
/// Source: linux/ioprio.h, IOPRIO_PRIO_VALUE.
public struct IOPriorityWord: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// A level within a class.
    public init(_ priorityClass: IOPriorityClass, _ level: Int) {
        number = priorityClass.rawValue << 13 | level
    }

    public static func spelling(of number: Int) -> String {
        let name = IOPriorityClass.spelling(of: number >> 13)
        return "IOPRIO_PRIO_VALUE(\(name), \(number & 0x1fff))"
    }
}

/// How the kernel interprets the nodes of a memory policy.
///
/// Kernel: set_mempolicy(2). Source: linux/mempolicy.h.
@frozen public struct MemoryPolicyFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var staticNodes: Self { Self(rawValue: 1 << 15) }
    @inlinable public static var relativeNodes: Self { Self(rawValue: 1 << 14) }
    @inlinable public static var numaBalancing: Self { Self(rawValue: 1 << 13) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.staticNodes, "MPOL_F_STATIC_NODES"), (.relativeNodes, "MPOL_F_RELATIVE_NODES"),
            (.numaBalancing, "MPOL_F_NUMA_BALANCING"),
        ]
    }
}

/// The NUMA nodes that memory is allocated from.
///
/// Kernel: set_mempolicy(2). Source: linux/mempolicy.h.
public enum MemoryPolicyMode: Int, KernelNumber {
    case systemDefault = 0
    case preferred = 1
    case bind = 2
    case interleave = 3
    case local = 4
    case preferredMany = 5
    case weightedInterleave = 6

    public var name: String {
        switch self {
        case .systemDefault: "MPOL_DEFAULT"
        case .preferred: "MPOL_PREFERRED"
        case .bind: "MPOL_BIND"
        case .interleave: "MPOL_INTERLEAVE"
        case .local: "MPOL_LOCAL"
        case .preferredMany: "MPOL_PREFERRED_MANY"
        case .weightedInterleave: "MPOL_WEIGHTED_INTERLEAVE"
        }
    }
}

/// The mode of a memory policy with its flags.
public struct MemoryPolicyWord: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// A mode and its flags.
    public init(_ mode: MemoryPolicyMode, _ flags: MemoryPolicyFlags = .empty) {
        number = mode.rawValue | flags.rawValue
    }

    public static func spelling(of number: Int) -> String {
        let flags = MemoryPolicyFlags(rawValue: number & ~0xfff)
        let mode = MemoryPolicyMode.spelling(of: number & 0xfff)
        return flags.isEmpty ? mode : "\(mode)|\(flags)"
    }
}

/// An execution domain.
///
/// Kernel: personality(2). Source: linux/personality.h.
public enum ExecutionDomain: Int, KernelNumber {
    case linux = 0
    case linux32 = 8

    public var name: String {
        switch self {
        case .linux: "PER_LINUX"
        case .linux32: "PER_LINUX32"
        }
    }
}

/// What the ID given to ioprio_set(2) identifies.
///
/// Source: linux/ioprio.h.
public enum PriorityTarget: Int, KernelNumber {
    case process = 1

    public var name: String {
        switch self {
        case .process: "IOPRIO_WHO_PROCESS"
        }
    }
}

/// The resource that a limit is for.
///
/// Kernel: getrlimit(2). Source: asm-generic/resource.h.
public enum ResourceLimit: Int, KernelNumber {
    case cpu = 0
    case fileSize = 1
    case data = 2
    case stack = 3
    case core = 4
    case residentSet = 5
    case processes = 6
    case openFiles = 7
    case lockedMemory = 8
    case addressSpace = 9
    case locks = 10
    case pendingSignals = 11
    case messageQueues = 12
    case nice = 13
    case realTimePriority = 14
    case realTime = 15

    public var name: String {
        switch self {
        case .cpu: "RLIMIT_CPU"
        case .fileSize: "RLIMIT_FSIZE"
        case .data: "RLIMIT_DATA"
        case .stack: "RLIMIT_STACK"
        case .core: "RLIMIT_CORE"
        case .residentSet: "RLIMIT_RSS"
        case .processes: "RLIMIT_NPROC"
        case .openFiles: "RLIMIT_NOFILE"
        case .lockedMemory: "RLIMIT_MEMLOCK"
        case .addressSpace: "RLIMIT_AS"
        case .locks: "RLIMIT_LOCKS"
        case .pendingSignals: "RLIMIT_SIGPENDING"
        case .messageQueues: "RLIMIT_MSGQUEUE"
        case .nice: "RLIMIT_NICE"
        case .realTimePriority: "RLIMIT_RTPRIO"
        case .realTime: "RLIMIT_RTTIME"
        }
    }
}

/// The permitted accesses to mapped memory.
///
/// Kernel: mmap(2). Source: asm-generic/mman-common.h.
@frozen public struct ProtectionFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var read: Self { Self(rawValue: 0x1) }
    @inlinable public static var write: Self { Self(rawValue: 0x2) }
    @inlinable public static var execute: Self { Self(rawValue: 0x4) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.read, "PROT_READ"), (.write, "PROT_WRITE"), (.execute, "PROT_EXEC"),
        ]
    }
}

/// How memory is mapped.
///
/// Kernel: mmap(2). Source: linux/mman.h, asm-generic/mman-common.h.
@frozen public struct MappingFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var shared: Self { Self(rawValue: 0x1) }
    @inlinable public static var `private`: Self { Self(rawValue: 0x2) }
    @inlinable public static var anonymous: Self { Self(rawValue: 0x20) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.shared, "MAP_SHARED"), (.private, "MAP_PRIVATE"), (.anonymous, "MAP_ANONYMOUS"),
        ]
    }
}

/// The advice that madvise(2) gives about memory.
///
/// Source: asm-generic/mman-common.h.
public enum MemoryAdvice: Int, KernelNumber {
    case notInChildren = 10

    public var name: String {
        switch self {
        case .notInChildren: "MADV_DONTFORK"
        }
    }
}
#endif
