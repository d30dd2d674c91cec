// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Steps that set the process's identity: IDs, groups, capabilities.
package enum IdentityStep: ChildStep {
    /// Keeps capabilities when the user changes.
    ///
    /// Kernel: PR_SET_KEEPCAPS.
    case keepCapabilities
    /// Drops capabilities from the bounding set (bit n is capability n).
    case limitBoundingSet(keeping: UInt64, last: Int)
    /// Sets the supplementary groups.
    case setGroups([UInt32])
    /// Drops the supplementary groups, if the runtime's user namespace allows that.
    ///
    /// Kernel: proc_pid_setgroups(5).
    case dropGroups
    /// Sets the real, effective and saved group ID.
    ///
    /// Kernel: setgid(2).
    case setGroupID(UInt32)
    /// Sets the real, effective and saved user ID.
    ///
    /// Kernel: setuid(2).
    case setUserID(UInt32)
    /// Sets the effective, permitted and inheritable sets.
    ///
    /// Kernel: capset(2).
    case setCapabilities(CapabilitySets)
    /// Clears the ambient set and raises these.
    ///
    /// Kernel: PR_CAP_AMBIENT.
    case setAmbientCapabilities(UInt64)
    /// Makes all permitted capabilities effective for the steps before the last capset.
    case raisePermitted(UInt64)
    /// Sets the file mode creation mask.
    case setUmask(UInt32)
    /// Keeps execve from granting privileges.
    ///
    /// Kernel: PR_SET_NO_NEW_PRIVS.
    case forbidNewPrivileges
}

extension IdentityStep {
    package var sentence: String {
        switch self {
        case .keepCapabilities: "keep capabilities over the change of user"
        case .limitBoundingSet(let mask, _): "limit the bounding set to \(CapabilityMask(mask))"
        case .setGroups(let groups):
            groups.isEmpty
                ? "drop the supplementary groups"
                : "set the groups \(groups.map(String.init).joined(separator: ", "))"
        case .dropGroups: "drop the supplementary groups, if the user namespace lets it"
        case .setGroupID(let id): "become group \(id)"
        case .setUserID(let id): "become user \(id)"
        case .setCapabilities(let sets):
            "set capabilities: effective \(CapabilityMask(sets.effective)), permitted "
                + "\(CapabilityMask(sets.permitted)), inheritable \(CapabilityMask(sets.inheritable))"
        case .setAmbientCapabilities(let mask): "set the ambient set to \(CapabilityMask(mask))"
        case .raisePermitted: "raise the capabilities that the next steps need"
        case .setUmask(let mask): "set the umask to 0\(String(mask, radix: 8))"
        case .forbidNewPrivileges: "forbid new privileges"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .keepCapabilities, .limitBoundingSet, .setGroups, .dropGroups, .setGroupID, .setUserID,
            .setCapabilities, .setAmbientCapabilities, .raisePermitted, .setUmask,
            .forbidNewPrivileges:
            []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .keepCapabilities: code.prctl(.keepCapabilities, 1)
        case .limitBoundingSet(let keeping, let last): code.limitBoundingSet(keeping, last)
        case .setGroups(let groups):
            let list = code.words32(groups)
            code.call(.setgroups, [.literal(groups.count), .address(list)])
        case .dropGroups: code.dropGroups()
        case .setGroupID(let id): code.call(.setgid, [.literal(Int(id))])
        case .setUserID(let id): code.call(.setuid, [.literal(Int(id))])
        case .setCapabilities(let sets): code.setCapabilities(sets)
        case .setAmbientCapabilities(let mask): code.setAmbientCapabilities(mask)
        case .raisePermitted(let mask):
            code.setCapabilities(
                CapabilitySets(effective: mask, permitted: mask, inheritable: 0))
        case .setUmask(let mask): code.call(.umask, [.named(FileMode(Int(mask)))])
        case .forbidNewPrivileges: code.prctl(.noNewPrivileges, 1)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("capset", .notPermitted):
            "an inheritable capability must be in process.capabilities.bounding, and the runtime must "
                + "itself have all that it grants"
        case ("prctl", .notPermitted) where refusal.arguments.begins(with: "PR_CAPBSET_DROP"):
            "dropping capabilities from the bounding set takes CAP_SETPCAP"
        case ("prctl", .notPermitted): "securebits that the runtime was started with may forbid it"
        default: refusal.idHint
        }
    }
}

extension Assembler {
    /// Drops the runtime's groups outside the new namespace, which may forbid setgroups(2).
    ///
    /// EPERM: a caller without the permission keeps its groups, as any of its child processes
    /// would.
    mutating func dropGroups() {
        call(.setgroups, [.literal(0), .literal(0)], ignoring: [.notPermitted])
    }

    fileprivate mutating func limitBoundingSet(_ keeping: UInt64, _ last: Int) {
        // CAP_CHECKPOINT_RESTORE: the last capability of Linux 5.9, known to every supported
        // kernel.
        let lastKnown = 40
        var unknown: [Label] = []
        for capability in 0...last where keeping & (1 << UInt64(capability)) == 0 {
            // EINVAL: the kernel knows neither this capability nor any later one, so none can be
            // held.
            let result = capability > lastKnown ? cell("drop-result") : nil
            call(
                .prctl,
                [
                    .named(ProcessControl.dropFromBoundingSet),
                    .named(CapabilityNumber(capability)), .literal(0), .literal(0), .literal(0),
                ], into: result, ignoring: [.invalidArgument])
            if let result { unknown.append(skip(when: .isNegative(result))) }
        }
        for label in unknown { place(label) }
    }

    /// Splits each set into its low and high 32 bits.
    ///
    /// Kernel: capset(2).
    mutating func setCapabilities(_ sets: CapabilitySets) {
        let header = words32([UInt32(CapabilityVersion.third.rawValue), 0])
        func low(_ mask: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: mask) }
        func high(_ mask: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: mask >> 32) }
        let masks = [sets.effective, sets.permitted, sets.inheritable]
        let body = words32(masks.map(low) + masks.map(high))
        call(.capset, [.address(header), .address(body)])
    }

    /// Skips capabilities that are not both inheritable and permitted: the kernel refuses them.
    ///
    /// As with runc this is no error; RuntimeSpec warns of it.
    mutating func setAmbientCapabilities(_ mask: UInt64) {
        prctl(.ambientSet, .named(AmbientCommand.clearAll))
        for capability in 0..<64 where mask & (1 << UInt64(capability)) != 0 {
            call(
                .prctl,
                [
                    .named(ProcessControl.ambientSet), .named(AmbientCommand.raise),
                    .named(CapabilityNumber(capability)), .literal(0), .literal(0),
                ], ignoring: [.notPermitted, .invalidArgument])
        }
    }
}

/// Prints a capability mask as a count and in the hexadecimal form of /proc/PID/status.
private struct CapabilityMask: CustomStringConvertible {
    let mask: UInt64

    init(_ mask: UInt64) {
        self.mask = mask
    }

    var description: String {
        guard mask != 0 else { return "none" }
        let digits = String(mask, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension SystemCall {
    static var capset: SystemCall { SystemCall("capset", __NR_capset) }
    static var setgroups: SystemCall { SystemCall("setgroups", __NR_setgroups) }
    static var umask: SystemCall { SystemCall("umask", __NR_umask) }
}
#endif
