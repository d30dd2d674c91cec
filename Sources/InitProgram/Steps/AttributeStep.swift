// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
package import KernelVocabulary
internal import SystemPackage

/// Steps that set scheduling, memory policy, limits and execution domain.
package enum AttributeStep: ChildStep {
    /// Sets the OOM score adjustment.
    ///
    /// Kernel: proc_pid_oom_score_adj(5).
    case setOOMScore(Int)
    /// Binds the process to CPUs.
    ///
    /// Spec: config.md, Linux Process, execCPUAffinity. Kernel: sched_setaffinity(2).
    case setCPUAffinity(NumberSet, AffinityMoment)
    /// Undoes the CPU affinity of the caller: all CPUs that the cgroup allows.
    case resetCPUAffinity
    /// Sets policy, nice value and priority.
    ///
    /// Kernel: sched_setattr(2).
    case setScheduler(SchedulingAttributes)
    /// Sets the I/O priority.
    ///
    /// Kernel: ioprio_set(2).
    case setIOPriority(IOPriorityValue)
    /// Sets the memory policy.
    ///
    /// Kernel: set_mempolicy(2).
    case setMemoryPolicy(MemoryPolicyChange)
    /// Enters an execution domain.
    ///
    /// Kernel: personality(2).
    case setPersonality(ExecutionDomain)
    /// Sets resource limits, while the process may still raise them.
    ///
    /// Kernel: prlimit(2).
    case setLimits([PlannedLimit])
}

extension AttributeStep {
    package var sentence: String {
        switch self {
        case .setOOMScore(let score): "set the OOM score adjustment to \(score)"
        case .setCPUAffinity(let set, .initial):
            "bind to the CPUs \(set.text) until the container's cgroup is entered"
        case .setCPUAffinity(let set, .final): "bind to the CPUs \(set.text)"
        case .resetCPUAffinity: "take all CPUs that the cgroup allows"
        case .setScheduler(let attributes): attributes.summary
        case .setIOPriority(let priority):
            "set the I/O priority to \(priority.schedulingClass) \(priority.level)"
        case .setMemoryPolicy(let change):
            "set the memory policy to \(change.mode)"
                + (change.nodes.map { " on the nodes \($0.text)" } ?? "")
        case .setPersonality(let domain): "enter the execution domain \(domain.name)"
        case .setLimits(let limits):
            "set limits: "
                + limits.map { "\($0.name) \($0.soft):\($0.hard)" }.joined(separator: ", ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .setOOMScore, .setCPUAffinity, .resetCPUAffinity, .setScheduler, .setIOPriority,
            .setMemoryPolicy, .setPersonality, .setLimits:
            []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .setOOMScore(let score): code.setOOMScore(score)
        case .setCPUAffinity(let set, _): code.setCPUAffinity(set)
        case .resetCPUAffinity: code.resetCPUAffinity()
        case .setScheduler(let attributes): code.setScheduler(attributes)
        case .setIOPriority(let priority):
            let value = IOPriorityWord(priority.schedulingClass, priority.level)
            code.call(.ioprioSet, [.named(PriorityTarget.process), .literal(0), .named(value)])
        case .setMemoryPolicy(let change): code.setMemoryPolicy(change)
        case .setPersonality(let domain):
            code.call(.personality, [.named(domain)])
        case .setLimits(let limits): code.setLimits(limits)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("prlimit64", .notPermitted): limitHint(refusal.arguments)
        case ("write", .permissionDenied): oomScoreHint
        case ("sched_setattr", .notPermitted):
            refusal.note.ends(with: "SCHED_DEADLINE")
                ? "process scheduler can't be used together with AllowedCPUs "
                    + "(linux.resources.cpu.cpus), and needs CAP_SYS_NICE"
                : "it needs CAP_SYS_NICE, and a real-time policy also real-time shares of the "
                    + "cgroup (linux.resources.cpu.realtimeRuntime) where the kernel counts them"
        case ("sched_setattr", .invalidArgument):
            "SCHED_FIFO and SCHED_RR take a priority of 1 to 99; SCHED_DEADLINE takes a runtime of at "
                + "least 1024 ns, not above the deadline, and that not above the period"
        case ("sched_setattr", .resourceBusy):
            "the CPUs have not enough time left for this deadline (sysctl kernel.sched_rt_runtime_us)"
        case ("ioprio_set", .notPermitted): "IOPRIO_CLASS_RT takes CAP_SYS_NICE or CAP_SYS_ADMIN"
        case ("sched_setaffinity", .invalidArgument):
            "none of the CPUs is there, or the cpuset has none of them"
        case ("set_mempolicy", .invalidArgument):
            "nodes that this machine or the cpuset lacks, or flags that the mode does not take"
        case ("set_mempolicy", .noFunction): "this kernel has no memory policies (CONFIG_NUMA)"
        default: nil
        }
    }

    /// The reason why a score may not be set (EACCES).
    package static let oomScoreHint = "a score below the runtime's own takes CAP_SYS_RESOURCE"

    /// The reason why a limit may not be set (EPERM); `name` contains the limit's name.
    package static func limitHint(_ name: String) -> String {
        let base = "a hard limit above the runtime's own takes CAP_SYS_RESOURCE"
        guard name.parts(between: " ").contains(where: { $0.begins(with: "RLIMIT_NOFILE") }) else {
            return base
        }
        return base + ", and one of files may not be above the sysctl fs.nr_open"
    }
}

extension Assembler {
    /// Writes to the host's procfs: this step runs before the root file system is touched.
    mutating func setOOMScore(_ score: Int) {
        let file = openHostFile("/proc/self/oom_score_adj", "oom-score")
        let value = String(score)
        call(.write, [.cell(file), text(value), .literal(value.utf8.count)])
        call(.close, [.cell(file)])
    }

    /// The kernel accepts a mask of any length and ignores CPUs that do not exist.
    fileprivate mutating func setCPUAffinity(_ set: NumberSet) {
        let mask = words(set.words)
        call(
            .schedSetaffinity, [.literal(0), .literal(set.words.count * 8), .address(mask)],
            note: "unable to use the CPUs \(set.text)")
    }

    /// Keeps the affinity of a caller without the permission to change it.
    fileprivate mutating func resetCPUAffinity() {
        // 8,192 CPUs, the most that a kernel can have.
        let mask = words([UInt64](repeating: .max, count: 128))
        call(
            .schedSetaffinity, [.literal(0), .literal(1024), .address(mask)],
            ignoring: [.notPermitted, .invalidArgument])
    }

    /// `struct sched_attr` of 56 bytes, the version with utilization clamps (Linux 5.3).
    fileprivate mutating func setScheduler(_ attributes: SchedulingAttributes) {
        let nice = UInt64(UInt32(bitPattern: attributes.nice))
        let structure = words([
            56 | UInt64(attributes.policy.rawValue) << 32, UInt64(attributes.flags.rawValue),
            nice | UInt64(attributes.priority) << 32, attributes.runtime, attributes.deadline,
            attributes.period, 0,
        ])
        call(
            .schedSetattr, [.literal(0), .address(structure), .literal(0)],
            note: "unable to set the scheduler to \(attributes.policy)")
    }

    /// The number of bits is one more than needed: the kernel subtracts one.
    fileprivate mutating func setMemoryPolicy(_ change: MemoryPolicyChange) {
        let mode = Operand.named(change.mode)
        guard let nodes = change.nodes else {
            call(.setMempolicy, [mode, .literal(0), .literal(0)])
            return
        }
        let mask = words(nodes.words)
        call(
            .setMempolicy, [mode, .address(mask), .literal(nodes.words.count * 64 + 1)],
            note: "unable to use the memory nodes \(nodes.text)")
    }

    mutating func setLimits(_ limits: [PlannedLimit]) {
        for limit in limits {
            let values = words([limit.soft, limit.hard])
            call(
                .prlimit64,
                [
                    .literal(0), .named(NamedNumber(limit.resource, of: ResourceLimit.self)),
                    .address(values), .literal(0),
                ])
        }
    }
}

extension SchedulingAttributes {
    fileprivate var summary: String {
        var text = "set the scheduler to \(policy)"
        if nice != 0 { text += ", nice \(nice)" }
        if priority != 0 { text += ", priority \(priority)" }
        if !flags.isEmpty { text += ", \(flags)" }
        if runtime != 0 || deadline != 0 || period != 0 {
            text += ", \(runtime) ns in \(deadline) of every \(period) ns"
        }
        return text
    }
}

extension SystemCall {
    static var ioprioSet: SystemCall { SystemCall("ioprio_set", __NR_ioprio_set) }
    static var personality: SystemCall { SystemCall("personality", __NR_personality) }
    static var prlimit64: SystemCall { SystemCall("prlimit64", __NR_prlimit64) }
    static var schedSetaffinity: SystemCall {
        SystemCall("sched_setaffinity", __NR_sched_setaffinity)
    }
    static var schedSetattr: SystemCall { SystemCall("sched_setattr", __NR_sched_setattr) }
    static var setMempolicy: SystemCall { SystemCall("set_mempolicy", __NR_set_mempolicy) }
}
#endif
