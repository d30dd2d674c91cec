// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import KernelVocabulary

// Values of the steps that set the process's scheduling, memory policy and execution domain.

/// A set of small numbers (CPUs, memory nodes), as text and as a bit mask for the kernel.
package struct NumberSet: Equatable, Sendable {
    /// The list format of cpuset(7), such as `0-3,7`.
    package let text: String
    /// One bit for each number, the lowest number in bit 0 of the first word.
    package let words: [UInt64]

    /// A set from both of its forms.
    package init(text: String, words: [UInt64]) {
        self.text = text
        self.words = words
    }

    /// Parses a list; nil if `text` is none.
    package init?(list text: String) {
        var words: [UInt64] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = item.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            let numbers = ends.compactMap { UInt16($0) }
            guard numbers.count == ends.count, let first = numbers.first, let last = numbers.last,
                first <= last
            else { return nil }
            for number in first...last {
                let index = Int(number / 64)
                if index >= words.count {
                    words += repeatElement(0, count: index + 1 - words.count)
                }
                words[index] |= 1 << UInt64(number % 64)
            }
        }
        self.init(text: text, words: words)
    }
}

/// The scheduling policy of a process and its parameters.
///
/// Kernel: sched_setattr(2).
package struct SchedulingAttributes: Equatable, Sendable {
    /// The policy, such as `SCHED_BATCH`.
    package var policy: SchedulingPolicy
    /// SCHED_FLAG_* bits.
    package var flags: SchedulingFlags
    /// The nice value.
    package var nice: Int32
    /// The static priority of real-time policies.
    package var priority: UInt32
    /// The CPU time in each period in nanoseconds, for SCHED_DEADLINE.
    package var runtime: UInt64
    /// The relative deadline in nanoseconds.
    package var deadline: UInt64
    /// The period in nanoseconds.
    package var period: UInt64

    /// Attributes to set.
    package init(
        policy: SchedulingPolicy, flags: SchedulingFlags = .empty, nice: Int32 = 0,
        priority: UInt32 = 0, runtime: UInt64 = 0, deadline: UInt64 = 0, period: UInt64 = 0
    ) {
        self.policy = policy
        self.flags = flags
        self.nice = nice
        self.priority = priority
        self.runtime = runtime
        self.deadline = deadline
        self.period = period
    }
}

/// The I/O priority of a process.
///
/// Kernel: ioprio_set(2).
package struct IOPriorityValue: Equatable, Sendable {
    /// The class, such as `IOPRIO_CLASS_BE`.
    package let schedulingClass: IOPriorityClass
    /// The priority within the class, 0 to 7.
    package let level: Int

    /// A priority to set.
    package init(schedulingClass: IOPriorityClass, level: Int) {
        self.schedulingClass = schedulingClass
        self.level = level
    }
}

/// The memory policy of a process.
///
/// Kernel: set_mempolicy(2).
package struct MemoryPolicyChange: Equatable, Sendable {
    /// Mode and flags, such as `MPOL_BIND|MPOL_F_STATIC_NODES`.
    package let mode: MemoryPolicyWord
    /// The nodes, for a mode that needs them.
    package let nodes: NumberSet?

    /// A policy to set.
    package init(mode: MemoryPolicyWord, nodes: NumberSet?) {
        self.mode = mode
        self.nodes = nodes
    }
}

/// A text written to a file of /proc/self so that a security module confines the program.
///
/// Kernel: proc_pid_attr(5).
package struct SecurityLabel: Equatable, Sendable {
    /// The file below /proc/self.
    package let file: String
    /// The text to write.
    package let text: String
    /// The beginning of an error, such as `can't set process label "x"`.
    package let purpose: String

    /// A label to write.
    package init(file: String, text: String, purpose: String) {
        self.file = file
        self.text = text
        self.purpose = purpose
    }
}

/// The moment at which a process is bound to CPUs.
package enum AffinityMoment: String, Equatable, Sendable {
    /// Before it enters the container's cgroup.
    case initial
    /// Once it is in the container's cgroup.
    case final
}

/// The three sets of capset(2), as bit masks.
package struct CapabilitySets: Equatable, Sendable {
    /// Effective.
    package var effective: UInt64
    /// Permitted.
    package var permitted: UInt64
    /// Inheritable.
    package var inheritable: UInt64

    /// Three masks.
    package init(effective: UInt64, permitted: UInt64, inheritable: UInt64) {
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
    }
}

/// One resource limit.
///
/// Kernel: prlimit(2).
package struct PlannedLimit: Equatable, Sendable {
    /// The name, such as `RLIMIT_NOFILE`.
    package let name: String
    /// The number of linux/resource.h.
    package let resource: Int
    /// Soft limit.
    package let soft: UInt64
    /// Hard limit.
    package let hard: UInt64

    /// A limit.
    package init(name: String, resource: Int, soft: UInt64, hard: UInt64) {
        self.name = name
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }
}
#endif
