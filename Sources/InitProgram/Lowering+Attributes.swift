// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

extension InitStep {
    func lowerAttribute(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .setCPUAffinity(let set, _): code.setCPUAffinity(set)
        case .resetCPUAffinity: code.resetCPUAffinity()
        case .setScheduler(let attributes): code.setScheduler(attributes)
        case .setIOPriority(let priority):
            let value = priority.schedulingClass.rawValue << 13 | priority.level
            code.call(
                .ioprioSet, [.named(PriorityTarget.process), .literal(0), .literal(value)])
        case .setMemoryPolicy(let change): code.setMemoryPolicy(change)
        case .setPersonality(let domain):
            code.call(.personality, [.named(domain)])
        default: break
        }
    }
}

extension Assembler {
    /// The kernel takes a mask of any length, and leaves out the CPUs that there are not.
    fileprivate mutating func setCPUAffinity(_ set: NumberSet) {
        let mask = words(set.words)
        call(
            .schedSetaffinity, [.literal(0), .literal(set.words.count * 8), .address(mask)],
            note: "unable to use the CPUs \(set.text)")
    }

    /// Who may not do so keeps the caller's affinity.
    fileprivate mutating func resetCPUAffinity() {
        // 8,192 CPUs, as many as a kernel can have.
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

    /// The kernel takes one off the number of bits.
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
}
