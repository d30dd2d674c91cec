// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import RuntimeSpec

// Attributes of a process in the kernel's numbers: scheduler, I/O priority, CPUs, memory, domain.

extension StepList {
    /// The I/O priority is set early: the real-time class takes rights of the host, which a process
    /// has not any more once it is in a user namespace.
    mutating func addIOPriority(of process: Process) {
        guard let priority = process.ioPriority else { return }
        add(.setIOPriority(IOPriorityValue(priority)), from: "process.ioPriority")
    }

    /// Binds an exec's process to CPUs, before or after it enters the container's cgroup.
    ///
    /// A list that is missing or empty asks for nothing: the kernel decides then.
    /// Spec: config.md, Linux Process, execCPUAffinity.
    mutating func addCPUAffinity(of process: Process, _ moment: AffinityMoment) {
        let list =
            switch moment {
            case .initial: process.execCPUAffinity?.initial
            case .final: process.execCPUAffinity?.final
            }
        let affinity = process.execCPUAffinity
        if moment == .final, affinity?.initial == nil, affinity?.final == nil {
            // What the caller was bound to, by systemd perhaps, is not meant for the container.
            add(.resetCPUAffinity, from: .runtime)
        }
        guard let list, let set = NumberSet(list: list) else { return }
        add(.setCPUAffinity(set, moment), from: "process.execCPUAffinity.\(moment.rawValue)")
    }

    /// What takes no right, or one that the process still has: before the change of user.
    mutating func addAttributes(of process: Process, in linux: Linux) {
        if let scheduler = process.scheduler {
            add(.setScheduler(SchedulingAttributes(scheduler)), from: "process.scheduler")
        }
        if let policy = linux.memoryPolicy {
            add(.setMemoryPolicy(MemoryPolicyChange(policy)), from: "linux.memoryPolicy")
        }
        if let personality = linux.personality {
            add(.setPersonality(ExecutionDomain(personality.domain)), from: "linux.personality")
        }
    }
}

extension SchedulingAttributes {
    init(_ scheduler: Scheduler) {
        self.init(
            policyName: scheduler.policy.rawValue, policy: scheduler.policy.kernelValue,
            flags: (scheduler.flags ?? []).reduce(0) { $0 | $1.kernelValue },
            nice: scheduler.nice, priority: UInt32(bitPattern: scheduler.priority),
            runtime: scheduler.runtime, deadline: scheduler.deadline, period: scheduler.period)
    }
}

extension Scheduler.Policy {
    /// Source: linux/sched.h; SCHED_ISO is reserved there, and refused by the kernel.
    fileprivate var kernelValue: UInt32 {
        switch self {
        case .other: UInt32(SCHED_NORMAL)
        case .fifo: UInt32(SCHED_FIFO)
        case .roundRobin: UInt32(SCHED_RR)
        case .batch: UInt32(SCHED_BATCH)
        case .iso: 4
        case .idle: UInt32(SCHED_IDLE)
        case .deadline: UInt32(SCHED_DEADLINE)
        }
    }
}

extension Scheduler.Flag {
    fileprivate var kernelValue: UInt64 {
        switch self {
        case .resetOnFork: UInt64(SCHED_FLAG_RESET_ON_FORK)
        case .reclaim: UInt64(SCHED_FLAG_RECLAIM)
        case .deadlineOverrun: UInt64(SCHED_FLAG_DL_OVERRUN)
        case .keepPolicy: UInt64(SCHED_FLAG_KEEP_POLICY)
        case .keepParameters: UInt64(SCHED_FLAG_KEEP_PARAMS)
        case .utilizationClampMinimum: UInt64(SCHED_FLAG_UTIL_CLAMP_MIN)
        case .utilizationClampMaximum: UInt64(SCHED_FLAG_UTIL_CLAMP_MAX)
        }
    }
}

extension IOPriorityValue {
    init(_ priority: IOPriority) {
        // Source: linux/ioprio.h, IOPRIO_CLASS_*.
        let number =
            switch priority.schedulingClass {
            case .realTime: 1
            case .bestEffort: 2
            case .idle: 3
            }
        self.init(
            className: priority.schedulingClass.rawValue, schedulingClass: number,
            level: priority.priority)
    }
}

extension MemoryPolicyChange {
    init(_ policy: MemoryPolicy) {
        let flags = policy.flags ?? []
        self.init(
            modeName: ([policy.mode.rawValue] + flags.map(\.rawValue)).joined(separator: "|"),
            mode: flags.reduce(policy.mode.kernelValue) { $0 | $1.kernelValue },
            nodes: NumberSet(list: policy.nodes))
    }
}

extension MemoryPolicy.Mode {
    /// Source: linux/mempolicy.h.
    fileprivate var kernelValue: Int {
        switch self {
        case .systemDefault: 0
        case .preferred: 1
        case .bind: 2
        case .interleave: 3
        case .local: 4
        case .preferredMany: 5
        case .weightedInterleave: 6
        }
    }
}

extension MemoryPolicy.Flag {
    fileprivate var kernelValue: Int {
        switch self {
        case .staticNodes: Int(MPOL_F_STATIC_NODES)
        case .relativeNodes: Int(MPOL_F_RELATIVE_NODES)
        case .numaBalancing: Int(MPOL_F_NUMA_BALANCING)
        }
    }
}

extension ExecutionDomain {
    /// Source: linux/personality.h.
    init(_ domain: Personality.Domain) {
        switch domain {
        case .linux: self.init(name: "PER_LINUX", value: 0)
        case .linux32: self.init(name: "PER_LINUX32", value: 8)
        }
    }
}
