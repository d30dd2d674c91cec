// SPDX-License-Identifier: Apache-2.0

/// The scheduling attributes of a process.
///
/// Spec: config.md, Linux Process. Kernel: sched_setattr(2).
public struct Scheduler: Hashable, Sendable {
    /// The scheduling policy.
    public var policy: Policy
    /// The nice value, -20 to 19; for the policies other and batch.
    public var nice: Int32
    /// The static priority; for the policies fifo and rr.
    public var priority: Int32
    /// The scheduling flags.
    public var flags: [Flag]?
    /// The CPU time in each period, in nanoseconds; for the policy deadline.
    public var runtime: UInt64
    /// The time by which the CPU time must be given, in nanoseconds; for the policy deadline.
    public var deadline: UInt64
    /// The length of a period, in nanoseconds; for the policy deadline.
    public var period: UInt64

    /// A value of the given fields.
    public init(
        policy: Policy, nice: Int32 = 0, priority: Int32 = 0, flags: [Flag]? = nil,
        runtime: UInt64 = 0, deadline: UInt64 = 0, period: UInt64 = 0
    ) {
        self.policy = policy
        self.nice = nice
        self.priority = priority
        self.flags = flags
        self.runtime = runtime
        self.deadline = deadline
        self.period = period
    }
}

extension Scheduler: SpecObject {
    static var blank: Scheduler { Scheduler(policy: .other) }
    static var section: String { "config.md, Linux Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("policy", &policy)
        visitor.defaulted("nice", &nice, absent: 0)
        visitor.defaulted("priority", &priority, absent: 0)
        visitor.optional("flags", &flags)
        visitor.defaulted("runtime", &runtime, absent: 0)
        visitor.defaulted("deadline", &deadline, absent: 0)
        visitor.defaulted("period", &period, absent: 0)
    }
}

extension Scheduler {
    /// A scheduling policy.
    ///
    /// Kernel: sched(7).
    public enum Policy: String, CaseIterable, Equatable, Sendable {
        /// The default time sharing.
        case other = "SCHED_OTHER"
        /// Real time, first in, first out.
        case fifo = "SCHED_FIFO"
        /// Real time, round-robin.
        case roundRobin = "SCHED_RR"
        /// Time sharing for batch work.
        case batch = "SCHED_BATCH"
        /// Reserved by Linux and not implemented there.
        case iso = "SCHED_ISO"
        /// Very low priority.
        case idle = "SCHED_IDLE"
        /// Earliest deadline first.
        case deadline = "SCHED_DEADLINE"
    }
}

extension Scheduler.Policy: Vocabulary {
    static var noun: String { "a scheduling policy" }
}

extension Scheduler {
    /// A scheduling flag.
    ///
    /// Kernel: sched_setattr(2).
    public enum Flag: String, CaseIterable, Equatable, Sendable {
        /// Children start with the default policy.
        case resetOnFork = "SCHED_FLAG_RESET_ON_FORK"
        /// A deadline process may use bandwidth that others leave unused.
        case reclaim = "SCHED_FLAG_RECLAIM"
        /// The process gets a signal when it overruns its runtime.
        case deadlineOverrun = "SCHED_FLAG_DL_OVERRUN"
        /// The policy stays as it is.
        case keepPolicy = "SCHED_FLAG_KEEP_POLICY"
        /// The parameters stay as they are.
        case keepParameters = "SCHED_FLAG_KEEP_PARAMS"
        /// The minimum utilization is set.
        case utilizationClampMinimum = "SCHED_FLAG_UTIL_CLAMP_MIN"
        /// The maximum utilization is set.
        case utilizationClampMaximum = "SCHED_FLAG_UTIL_CLAMP_MAX"
    }
}

extension Scheduler.Flag: Vocabulary {
    static var noun: String { "a scheduling flag" }
}

/// The I/O priority of a process.
///
/// Spec: config.md, Linux Process. Kernel: ioprio_set(2).
public struct IOPriority: Hashable, Sendable {
    /// The I/O scheduling class.
    public var schedulingClass: Class
    /// The priority within the class, from 0, the highest, to 7.
    public var priority: Int

    /// A value of the given fields.
    public init(schedulingClass: Class, priority: Int = 0) {
        self.schedulingClass = schedulingClass
        self.priority = priority
    }
}

extension IOPriority: SpecObject {
    static var blank: IOPriority { IOPriority(schedulingClass: .bestEffort) }
    static var section: String { "config.md, Linux Process" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("class", &schedulingClass)
        visitor.defaulted("priority", &priority, absent: 0)
    }
}

extension IOPriority {
    /// An I/O scheduling class.
    ///
    /// Kernel: ioprio_set(2).
    public enum Class: String, CaseIterable, Equatable, Sendable {
        /// Served before all others.
        case realTime = "IOPRIO_CLASS_RT"
        /// The default.
        case bestEffort = "IOPRIO_CLASS_BE"
        /// Served when no one else asks.
        case idle = "IOPRIO_CLASS_IDLE"
    }
}

extension IOPriority.Class: Vocabulary {
    static var noun: String { "an I/O priority class" }
}
