// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
public import RuntimeSpec

/// The features document: what this runtime supports, whatever the host offers.
///
/// It is derived from the runtime's own vocabularies, and from its plans for an imagined host that
/// has everything. A feature that no plan uses is not listed.
///
/// Spec: features.md, features-linux.md.
public enum RuntimeFeatures {
    /// What this build supports.
    public static func current() -> Features {
        var annotations = [
            "org.opencontainers.runc.version": RuntimeVersion.string,
            "org.opencontainers.runc.checkpoint.enabled": "true",
            "io.github.seccomp.libseccomp.version": RuntimeVersion.libseccompVersion,
            // Up to this version of the kernel's interface the rights of Landlock are known.
            "org.swrunc.landlock.abi": "\(LandlockPlan.knownABI)",
        ]
        if !RuntimeVersion.commit.isEmpty {
            annotations["org.opencontainers.runc.commit"] = RuntimeVersion.commit
        }
        return Features(
            ociVersionMin: "1.0.0", ociVersionMax: RuntimeVersion.specVersion, hooks: hooks,
            mountOptions: MountOptionWords.known, linux: linux, annotations: annotations,
            potentiallyUnsafeConfigAnnotations: ConfigAnnotation.all)
    }

    private static var linux: Features.Linux {
        Features.Linux(
            namespaces: namespaces,
            capabilities: Capability.all.map(\.description),
            cgroup: cgroup,
            seccomp: seccomp,
            apparmor: label { $0.apparmorProfile = "profile" },
            selinux: label { $0.selinuxLabel = "label" },
            intelRdt: intelRdt,
            memoryPolicy: Features.MemoryPolicy(
                modes: MemoryPolicy.Mode.allCases.filter {
                    sets(MemoryPolicy(mode: $0, nodes: "0"))
                }
                .map(\.rawValue),
                flags: MemoryPolicy.Flag.allCases.filter {
                    sets(MemoryPolicy(mode: .preferred, nodes: "0", flags: [$0]))
                }.map(\.rawValue)),
            mountExtensions: Features.MountExtensions(idmap: Features.Support(enabled: mapsIDs)),
            netDevices: Features.Support(
                enabled: prepares { step in
                    if case .namespace(.moveNetDevices) = step { true } else { false }
                } from: {
                    $0.linux?.namespaces?.append(Namespace(kind: .network))
                    $0.linux?.netDevices = ["eth0": NetDevice()]
                }))
    }

    // MARK: Each part

    private static var namespaces: [String] {
        Namespace.Kind.allCases.filter { kind in
            let plan = plan { spec in
                guard kind != .mount else { return }
                spec.linux?.namespaces?.append(Namespace(kind: kind))
                let mapping = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
                if kind == .user {
                    spec.linux?.uidMappings = mapping
                    spec.linux?.gidMappings = mapping
                }
            }
            guard let planned = NamespaceKind(rawValue: kind.rawValue) else { return false }
            let isCloned = (plan?.parentSteps ?? []).contains { entry in
                if case .child(.start(let kinds, _)) = entry.step {
                    kinds.kinds.contains(planned)
                } else {
                    false
                }
            }
            let isEntered = (plan?.childSteps ?? []).contains { entry in
                if case .namespace(.unshareNamespaces(let kinds)) = entry.step {
                    return kinds.contains(planned)
                }
                guard case .namespace(.enterNewTimeNamespace) = entry.step else { return false }
                return planned == .time
            }
            return isCloned || isEntered
        }.map(\.rawValue).sorted()
    }

    private static var hooks: [String] {
        HookPoint.allCases.filter { point in
            let hook = [Hook(path: "/hook")]
            var hooks = Hooks()
            switch point {
            case .prestart: hooks.prestart = hook
            case .createRuntime: hooks.createRuntime = hook
            case .createContainer: hooks.createContainer = hook
            case .startContainer: hooks.startContainer = hook
            case .poststart: hooks.poststart = hook
            case .poststop: hooks.poststop = hook
            }
            return prepares { step in
                switch step {
                case .hooks(.run(let hooks)), .hooks(.supervise(let hooks)):
                    hooks.contains { $0.point == point }
                default: false
                }
            } from: {
                $0.hooks = hooks
            }
        }.map(\.rawValue)
    }

    private static var cgroup: Features.Cgroup {
        func limits(_ file: String, _ host: CgroupHierarchies) -> Bool {
            prepares(on: host) { step in
                guard case .cgroup(.limit(let steps)) = step else { return false }
                return steps.contains { step in
                    if case .write(let write) = step { write.file == file } else { false }
                }
            } from: {
                $0.linux?.resources = Resources(
                    pids: PidsResources(limit: 1), rdma: ["device": RdmaLimit(hcaHandles: 1)])
            }
        }
        func isScope(_ instance: SystemdInstance) -> Bool {
            prepares(
                on: .everything,
                systemd: SystemdHost(instance: instance, version: 252, controlGroup: "")
            ) { step in
                if case .cgroup(.startScope) = step { true } else { false }
            } from: { _ in
            }
        }
        return Features.Cgroup(
            v1: limits("pids.max", .everythingOfV1), v2: limits("pids.max", .everything),
            systemd: isScope(.system), systemdUser: isScope(.user),
            rdma: limits("rdma.max", .everything) && limits("rdma.max", .everythingOfV1))
    }

    private static var intelRdt: Features.IntelRdt {
        func makesGroup(_ config: IntelRdt, _ has: (ResctrlPlan) -> Bool) -> Bool {
            prepares { step in
                if case .resctrl(.make(let group)) = step { has(group) } else { false }
            } from: {
                $0.linux?.intelRdt = config
            }
        }
        return Features.IntelRdt(
            enabled: makesGroup(IntelRdt()) { _ in true },
            schemata: makesGroup(IntelRdt(schemata: ["L3:0=f"])) { $0.schemata == ["L3:0=f"] },
            monitoring: makesGroup(IntelRdt(enableMonitoring: true)) {
                $0.monitoringDirectory != nil
            })
    }

    private static var mapsIDs: Bool {
        prepares { step in
            if case .mount(.bind(let bind)) = step { bind.idMap != nil } else { false }
        } from: {
            let mapping = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
            $0.mounts = [
                Mount(
                    destination: "/mnt", source: "/srv", options: ["bind", "idmap"],
                    uidMappings: mapping, gidMappings: mapping)
            ]
        }
    }

    private static var seccomp: Features.Seccomp {
        let actions = Seccomp.Action.allCases.filter { SeccompFilter.takes($0) }
        return Features.Seccomp(
            // Without the package trait no profile is compiled.
            enabled: !actions.isEmpty,
            actions: actions.map(\.rawValue).sorted(),
            operators: SeccompArgument.Operator.allCases.map(\.rawValue).sorted(),
            archs: SeccompSupport.architectures.map(\.rawValue).sorted(),
            knownFlags: Seccomp.Flag.allCases.map(\.rawValue).sorted(),
            supportedFlags: Seccomp.Flag.allCases.filter { SeccompSupport.supports($0) }
                .map(\.rawValue).sorted())
    }

    private static func label(_ change: (inout Process) -> Void) -> Features.Support {
        var process = Process(args: ["program"], cwd: "/")
        change(&process)
        let plan = plan { $0.process = process }
        return Features.Support(
            enabled: (plan?.childSteps ?? []).contains { entry in
                if case .label(.setSecurityLabels) = entry.step { true } else { false }
            })
    }

    private static func sets(_ policy: MemoryPolicy) -> Bool {
        let plan = plan { $0.linux?.memoryPolicy = policy }
        return (plan?.childSteps ?? []).contains { entry in
            if case .attribute(.setMemoryPolicy) = entry.step { true } else { false }
        }
    }

    // MARK: Asking

    /// Whether the plan for a config with this change contains such a step.
    private static func prepares(
        on host: CgroupHierarchies = .everything, systemd: SystemdHost? = nil,
        _ isWanted: (ParentStep) -> Bool, from change: (inout Spec) -> Void
    ) -> Bool {
        guard let plan = plan(on: host, systemd: systemd, change) else { return false }
        return (plan.parentSteps + plan.laterSteps).contains { isWanted($0.step) }
    }

    /// The plan for the smallest config with this change; nil if it is refused.
    private static func plan(
        on host: CgroupHierarchies = .everything, systemd: SystemdHost? = nil,
        _ change: (inout Spec) -> Void
    ) -> LaunchPlan? {
        var spec = Spec(
            ociVersion: RuntimeVersion.specVersion,
            process: Process(args: ["program"], cwd: "/"), root: Root(path: "rootfs"),
            linux: Linux(namespaces: [Namespace(kind: .mount)]))
        change(&spec)
        var facts = CreateFacts(
            id: "features", bundlePath: "/bundle", host: HostFacts(cgroups: host))
        facts.host.systemd = systemd
        facts.host.resctrl = ResctrlTree(
            root: "/sys/fs/resctrl", hasCacheAllocation: true, hasBandwidthAllocation: true)
        return try? Launch(creating: spec, facts: facts, filter: nil).plan
    }
}

extension CgroupHierarchies {
    /// A host with cgroup v2 and every controller that is asked about.
    fileprivate static let everything = CgroupHierarchies(
        mode: .unified,
        hierarchies: [
            CgroupHierarchy(controllers: [], mountPoint: "/sys/fs/cgroup", ownPath: "")
        ], unifiedControllers: ["pids", "rdma"])

    /// A host with cgroup v1 and every controller that is asked about.
    fileprivate static let everythingOfV1 = CgroupHierarchies(
        mode: .legacy,
        hierarchies: ["pids", "rdma", "devices"].map {
            CgroupHierarchy(controllers: [$0], mountPoint: "/sys/fs/cgroup/\($0)", ownPath: "")
        }, unifiedControllers: [])
}

extension SeccompFilter {
    /// Whether a filter can be compiled with this action.
    fileprivate static func takes(_ action: Seccomp.Action) -> Bool {
        let other: Seccomp.Action = action == .allow ? .errno : .allow
        let profile = Seccomp(
            defaultAction: other, syscalls: [SeccompRule(names: ["getpid"], action: action)])
        do throws(SeccompError) {
            _ = try SeccompFilter(compiling: profile)
            return true
        } catch {
            return false
        }
    }
}
#endif
