// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
public import RuntimeSpec

/// The features document: what this runtime understands, whatever the host has.
///
/// It is made from what the runtime itself works with: its vocabularies, and its own answer to
/// whether it takes a config with the field in question. So it cannot promise more.
///
/// Spec: features.md, features-linux.md.
public enum RuntimeFeatures {
    /// What this build supports.
    public static func current() -> Features {
        var annotations = [
            "org.opencontainers.runc.version": RuntimeVersion.string,
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "io.github.seccomp.libseccomp.version": RuntimeVersion.libseccompVersion,
        ]
        if !RuntimeVersion.commit.isEmpty {
            annotations["org.opencontainers.runc.commit"] = RuntimeVersion.commit
        }
        return Features(
            ociVersionMin: "1.0.0", ociVersionMax: RuntimeVersion.specVersion, hooks: hooks,
            mountOptions: MountOptionWords.known, linux: linux, annotations: annotations)
    }

    private static var linux: Features.Linux {
        let rdt = takes { $0.intelRdt = IntelRdt() }
        let policies = takes { $0.memoryPolicy = MemoryPolicy(mode: .systemDefault) }
        return Features.Linux(
            namespaces: namespaces,
            capabilities: Capability.all.map(\.description),
            cgroup: Features.Cgroup(
                v1: true, v2: true, systemd: true, systemdUser: true, rdma: true),
            seccomp: seccomp,
            apparmor: Features.Support(enabled: true),
            selinux: Features.Support(enabled: true),
            intelRdt: Features.IntelRdt(enabled: rdt, schemata: rdt, monitoring: rdt),
            memoryPolicy: Features.MemoryPolicy(
                modes: policies ? MemoryPolicy.Mode.allCases.map(\.rawValue) : [],
                flags: policies ? MemoryPolicy.Flag.allCases.map(\.rawValue) : []),
            mountExtensions: Features.MountExtensions(
                idmap: Features.Support(enabled: takesMount(options: ["idmap"]))),
            netDevices: Features.Support(enabled: takes { $0.netDevices = ["eth0": NetDevice()] }))
    }

    private static var namespaces: [String] {
        Namespace.Kind.allCases.filter { kind in
            takes { linux in
                if kind != .mount { linux.namespaces?.append(Namespace(kind: kind)) }
            }
        }.map(\.rawValue).sorted()
    }

    private static var hooks: [String] { HookPoint.allCases.map(\.rawValue) }

    private static var seccomp: Features.Seccomp {
        Features.Seccomp(
            enabled: true,
            actions: Seccomp.Action.allCases.filter { SeccompFilter.takes($0) }
                .map(\.rawValue).sorted(),
            operators: SeccompArgument.Operator.allCases.map(\.rawValue).sorted(),
            archs: SeccompSupport.architectures.map(\.rawValue).sorted(),
            knownFlags: Seccomp.Flag.allCases.map(\.rawValue).sorted(),
            supportedFlags: Seccomp.Flag.allCases.filter { SeccompSupport.supports($0) }
                .map(\.rawValue).sorted())
    }

    // MARK: Asking

    /// The smallest config in which nothing is refused.
    private static var taken: Spec {
        Spec(
            ociVersion: RuntimeVersion.specVersion,
            linux: Linux(namespaces: [Namespace(kind: .mount)]))
    }

    /// Whether a config is taken after this change.
    private static func takes(_ change: (inout Linux) -> Void) -> Bool {
        var spec = taken
        var linux = spec.linux ?? Linux()
        change(&linux)
        spec.linux = linux
        return Unsupported.fields(of: spec).isEmpty
    }

    private static func takesMount(options: [String]) -> Bool {
        var spec = taken
        spec.mounts = [Mount(destination: "/mnt", options: options)]
        return Unsupported.fields(of: spec).isEmpty
    }
}

extension SeccompFilter {
    /// Whether a filter can be made with this action.
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
