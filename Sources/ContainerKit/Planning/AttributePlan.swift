// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

// Converts attributes of a process to the kernel's numbers: scheduler, I/O priority, CPUs, memory,
// domain.

extension StepList {
    /// Sets the I/O priority early: its real-time class needs rights on the host, which are lost
    /// when the process enters a user namespace.
    mutating func addIOPriority(of process: Process) {
        guard let priority = process.ioPriority else { return }
        add(.attribute(.setIOPriority(IOPriorityValue(priority))), from: "process.ioPriority")
    }

    /// Binds a process of exec to CPUs, before or after it enters the container's cgroup.
    ///
    /// If the list is missing or empty, the kernel decides. Spec: config.md, Linux Process,
    /// execCPUAffinity.
    mutating func addCPUAffinity(of process: Process, _ moment: AffinityMoment) {
        let list =
            switch moment {
            case .initial: process.execCPUAffinity?.initial
            case .final: process.execCPUAffinity?.final
            }
        let affinity = process.execCPUAffinity
        if moment == .final, affinity?.initial == nil, affinity?.final == nil {
            // The affinity of the caller, perhaps set by systemd, must not apply to the container.
            add(.attribute(.resetCPUAffinity), from: .runtime)
        }
        guard let list, let set = NumberSet(list: list) else { return }
        add(
            .attribute(.setCPUAffinity(set, moment)),
            from: "process.execCPUAffinity.\(moment.rawValue)")
    }

    /// Sets the attributes that need no rights, or rights that are lost when the user changes.
    mutating func addAttributes(of process: Process, in linux: Linux) {
        if let scheduler = process.scheduler {
            add(
                .attribute(.setScheduler(SchedulingAttributes(scheduler))),
                from: "process.scheduler")
        }
        if let policy = linux.memoryPolicy {
            add(
                .attribute(.setMemoryPolicy(MemoryPolicyChange(policy))), from: "linux.memoryPolicy"
            )
        }
        if let personality = linux.personality {
            add(
                .attribute(.setPersonality(ExecutionDomain(personality.domain))),
                from: "linux.personality")
        }
    }
}

extension SchedulingAttributes {
    init(_ scheduler: Scheduler) {
        self.init(
            policy: scheduler.policy.kernelValue,
            flags: (scheduler.flags ?? []).reduce(.empty) { $0 | $1.kernelValue },
            nice: scheduler.nice, priority: UInt32(bitPattern: scheduler.priority),
            runtime: scheduler.runtime, deadline: scheduler.deadline, period: scheduler.period)
    }
}

extension Scheduler.Policy {
    fileprivate var kernelValue: SchedulingPolicy {
        switch self {
        case .other: .other
        case .fifo: .fifo
        case .roundRobin: .roundRobin
        case .batch: .batch
        case .iso: .iso
        case .idle: .idle
        case .deadline: .deadline
        }
    }
}

extension Scheduler.Flag {
    fileprivate var kernelValue: SchedulingFlags {
        switch self {
        case .resetOnFork: .resetOnFork
        case .reclaim: .reclaim
        case .deadlineOverrun: .deadlineOverrun
        case .keepPolicy: .keepPolicy
        case .keepParameters: .keepParameters
        case .utilizationClampMinimum: .utilizationClampMinimum
        case .utilizationClampMaximum: .utilizationClampMaximum
        }
    }
}

extension IOPriorityValue {
    init(_ priority: IOPriority) {
        let number: IOPriorityClass =
            switch priority.schedulingClass {
            case .realTime: .realTime
            case .bestEffort: .bestEffort
            case .idle: .idle
            }
        self.init(schedulingClass: number, level: priority.priority)
    }
}

extension MemoryPolicyChange {
    init(_ policy: MemoryPolicy) {
        let flags = (policy.flags ?? []).reduce(MemoryPolicyFlags.empty) { $0 | $1.kernelValue }
        self.init(
            mode: MemoryPolicyWord(policy.mode.kernelValue, flags),
            nodes: NumberSet(list: policy.nodes))
    }
}

extension MemoryPolicy.Mode {
    fileprivate var kernelValue: MemoryPolicyMode {
        switch self {
        case .systemDefault: .systemDefault
        case .preferred: .preferred
        case .bind: .bind
        case .interleave: .interleave
        case .local: .local
        case .preferredMany: .preferredMany
        case .weightedInterleave: .weightedInterleave
        }
    }
}

extension MemoryPolicy.Flag {
    fileprivate var kernelValue: MemoryPolicyFlags {
        switch self {
        case .staticNodes: .staticNodes
        case .relativeNodes: .relativeNodes
        case .numaBalancing: .numaBalancing
        }
    }
}

extension ExecutionDomain {
    fileprivate init(_ domain: Personality.Domain) {
        switch domain {
        case .linux: self = .linux
        case .linux32: self = .linux32
        }
    }
}
#endif
