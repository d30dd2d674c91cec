// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import RuntimeSpec
internal import SystemPackage

extension HostReport {
    /// Judges what was found.
    init(_ found: HostFindings) {
        let sets = [
            ("inheritable", "CapInh"), ("permitted", "CapPrm"), ("effective", "CapEff"),
            ("bounding", "CapBnd"), ("ambient", "CapAmb"),
        ]
        self.init(
            checks: found.kernelChecks + found.namespaceChecks + found.userChecks
                + found.cgroupChecks + found.securityChecks + found.resourceChecks,
            capabilities: sets.compactMap { name, key in
                found.capabilities[key].map { Capabilities(name, $0) }
            }, capabilityText: found.capabilityText)
    }
}

// MARK: - The kernel's calls

extension KernelCall {
    /// The first version of Linux that has it.
    fileprivate var since: String {
        switch self {
        case .clone3, .pidfdOpen: "5.3"
        case .execveat: "3.19"
        case .memfdCreate, .seccomp: "3.17"
        case .closeRange: "5.9"
        case .openat2: "5.6"
        case .faccessat2: "5.8"
        case .openTree, .moveMount, .fsopen, .fsmount: "5.2"
        case .mountSetattr, .mappedMounts: "5.12"
        case .pidfdSendSignal: "5.1"
        case .intoCgroup: "5.7"
        }
    }

    /// What follows where it is missing; nil if no container can be created then.
    fileprivate var lack: String? {
        switch self {
        case .execveat, .memfdCreate: "init starts as a copy of the runtime (see init.start)"
        case .seccomp: "a config with linux.seccomp is refused"
        case .faccessat2: "an ordinary user's containers run without cgroups of their own"
        case .mappedMounts: "mounts with uidMappings and gidMappings are refused"
        default: nil
        }
    }
}

extension HostFindings {
    /// The version, each call, and the way in which init starts.
    var kernelChecks: [HostReport.Check] {
        [kernelCheck] + KernelCall.allCases.map(callCheck) + [mappedMountCheck, startCheck]
    }

    private var kernelCheck: HostReport.Check {
        guard !kernel.isEmpty else {
            return HostReport.Check(
                "kernel", .missing, "/proc/sys/kernel/osrelease cannot be read",
                consequence: "the runtime cannot see processes, limits and mounts",
                remedy: "mount procfs on /proc", isRequired: true)
        }
        let numbers = kernel.split { !("0"..."9").contains($0) }.prefix(2).compactMap { Int($0) }
        let isOld = numbers.count == 2 && (numbers[0], numbers[1]) < (5, 14)
        return HostReport.Check(
            "kernel", isOld ? .limited : .ok, "Linux \(kernel)",
            consequence: isOld ? "swrunc is made for Linux 5.14 and later" : nil,
            remedy: isOld ? "boot a later kernel" : nil)
    }

    private func callCheck(_ call: KernelCall) -> HostReport.Check {
        let answer = answers[call] ?? .noFunction
        let isRequired = call.lack == nil && (call != .intoCgroup || isUnified)
        let consequence =
            call.lack
            ?? (isRequired
                ? "no container can be created" : "none on cgroup v1, which does without")
        func missing(_ found: String, _ remedy: String) -> HostReport.Check {
            HostReport.Check(
                call.rawValue, .missing, found, consequence: consequence, remedy: remedy,
                isRequired: isRequired)
        }
        let isFiltered = seccompMode == 2
        switch answer {
        case .noFunction:
            guard isFiltered else {
                return missing("not in this kernel", "boot Linux \(call.since) or later")
            }
            return missing(
                "refused with ENOSYS: by the seccomp filter of this process, or it is not in this kernel",
                "permit it in the outer container's seccomp profile; Linux \(call.since) or later")
        case .notPermitted where call.asksForRightsFirst && !isPrivileged:
            guard call == .mappedMounts else {
                let known = answers[.openTree] != .noFunction
                return HostReport.Check(
                    call.rawValue, known ? .ok : .missing,
                    "not asked, for lack of CAP_SYS_ADMIN; as old as open_tree, which is "
                        + (known ? "there" : "missing"),
                    consequence: known ? nil : consequence,
                    remedy: known ? nil : "boot Linux \(call.since) or later",
                    isRequired: isRequired)
            }
            return HostReport.Check(
                call.rawValue, .limited, "not asked, for lack of CAP_SYS_ADMIN",
                consequence: "the kernel lets no ordinary user map the IDs of mounts",
                remedy: "run the runtime as root for such mounts")
        case .notPermitted, .permissionDenied:
            return missing(
                "refused with \(answer == .notPermitted ? "EPERM" : "EACCES")"
                    + (isFiltered ? ", by the seccomp filter of this process" : ""),
                isFiltered
                    ? "permit it in the outer container's seccomp profile"
                    : "run the runtime with CAP_SYS_ADMIN in the owner of its mount namespace")
        case .invalidArgument where call == .intoCgroup || call == .mappedMounts,
            .argListTooLong where call == .intoCgroup:
            return missing("not in this kernel", "boot Linux \(call.since) or later")
        default:
            return HostReport.Check(call.rawValue, .ok, "there", isRequired: isRequired)
        }
    }

    /// Whether v2 limits resources.
    var isUnified: Bool {
        if case .found(let cgroups) = cgroups { cgroups.mode == "v2" } else { false }
    }

    private var mappedMountCheck: HostReport.Check {
        let name = "mounts.idmapped"
        let consequence = "mounts with uidMappings and gidMappings are refused there"
        switch mappedMount {
        case .worked:
            guard case .found(let place) = root else {
                return HostReport.Check(name, .ok, "a mount was mapped")
            }
            return HostReport.Check(
                name, .ok, "a copy of the mount of \(place.path) (\(place.filesystem)) was mapped")
        case .skipped(let reason):
            return HostReport.Check(
                name, .limited, reason.isEmpty ? "not tried: see MOUNT_ATTR_IDMAP" : reason,
                consequence: "mounts with uidMappings and gidMappings are refused")
        case .refused(let reason, let hint):
            return HostReport.Check(
                name, .limited, reason, consequence: consequence,
                remedy: hint ?? "keep root file systems and volumes on ext4, xfs, btrfs or tmpfs")
        }
    }

    /// How a child starts, and why it is not born empty.
    private var startCheck: HostReport.Check {
        let setting = files["/proc/sys/vm/memfd_noexec"]
        let sysctl = setting.map { "vm.memfd_noexec is \($0)" } ?? "vm.memfd_noexec does not exist"
        switch childStart {
        case .bornEmpty:
            return HostReport.Check(
                "init.start", .ok,
                "init is born empty: a file in memory can be executed; \(sysctl)",
                isRequired: true)
        case .copied(let refusal):
            return HostReport.Check(
                "init.start", .limited,
                "init is a copy of the runtime, because of \(refusal); \(sysctl)",
                consequence:
                    "slower starts, the more the larger the host program; init holds its memory",
                remedy: (number("/proc/sys/vm/memfd_noexec") ?? 0) > 1
                    ? "set the sysctl vm.memfd_noexec to 1 or 0"
                    : "permit memfd_create and execveat to the runtime (seccomp, security module)",
                isRequired: true)
        case .failed(let refusal):
            return HostReport.Check(
                "init.start", .missing, "no child could be started: \(refusal)",
                consequence: "no container can be created",
                remedy: refusal.errno == .resourceTemporarilyUnavailable
                    ? "raise RLIMIT_NPROC (ulimit -u), or pids.max of this process's cgroup" : nil,
                isRequired: true)
        }
    }
}
#endif
