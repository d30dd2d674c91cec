// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import Logging
package import RuntimeSpec
package import SystemPackage

/// Why a plan for a config would be refused, for reports on configs; nothing is made.
///
/// The config must keep the rules of the specification.
package enum PlanCheck {
    /// The first reason that any host would have: the plan is made for imagined hosts that have
    /// everything, with cgroup v2 and with v1, and both refuse it.
    package static func refusalAnywhere(
        of spec: Spec, cgroupDriver: CgroupDriver
    ) -> ContainerError? {
        do throws(ContainerError) {
            let spec = try spec.followingAnnotations()
            try checkFilter(of: spec)
            try checkPlan(of: spec, on: .completeUnified, cgroupDriver)
            return nil
        } catch {
            // Some limits exist in one version of cgroups only, which is a matter of the host.
            guard error.concernsLimits else { return error }
            do throws(ContainerError) {
                try checkPlan(of: spec, on: .completeLegacy, cgroupDriver)
                return nil
            } catch let other {
                guard other.concernsLimits else { return other }
                if other.field == error.field { return error }
            }
            // Each version refuses another limit; the rest is planned without limits.
            var rest = spec
            rest.linux?.resources = nil
            return refusalAnywhere(of: rest, cgroupDriver: cgroupDriver)
        }
    }

    /// The first reason that this host and the rights of this process are.
    package static func refusalHere(
        of spec: Spec, bundle: FilePath, cgroupDriver: CgroupDriver, rootless: Bool?
    ) -> ContainerError? {
        do throws(ContainerError) {
            try SecurityModules.check(spec.process, mountLabel: spec.linux?.mountLabel)
            var planned = spec
            // Then no user's home is looked up in the image, which may be elsewhere so far.
            if let process = spec.process, process.lacksHome {
                planned.process?.envBytes = (process.envBytes ?? []) + [ByteText("HOME=/")]
            }
            var options = LaunchOptions()
            options.cgroupDriver = cgroupDriver
            options.rootless = rootless
            if spec.process?.terminal == true { options.terminal = .master }
            _ = try Container.plan(
                "validate", from: Bundle(at: bundle, spec: planned), in: ContainerStore(),
                options: options)
            return nil
        } catch {
            return error
        }
    }

    /// Compiles the profile; what only this libseccomp or kernel lacks is a matter of the host.
    private static func checkFilter(of spec: Spec) throws(ContainerError) {
        var cache = SeccompCache(in: "")
        cache.keeps = false
        do throws(ContainerError) {
            _ = try compileFilter(
                spec.linux?.seccomp, annotations: spec.annotations, cache, ContainerStore().logger)
        } catch {
            if error.code != .unsupported { throw error }
        }
    }

    private static func checkPlan(
        of spec: Spec, on cgroups: CgroupHierarchies, _ driver: CgroupDriver
    ) throws(ContainerError) {
        var facts = CreateFacts(
            id: "validate", bundlePath: "/bundle", host: HostFacts(cgroups: cgroups))
        if driver == .systemd {
            facts.host.systemd = SystemdHost(instance: .system, version: 252, controlGroup: "")
        }
        facts.host.resctrl = ResctrlTree(
            root: "/sys/fs/resctrl", hasCacheAllocation: true, hasBandwidthAllocation: true)
        if spec.process?.terminal == true { facts.caller.terminal = .master }
        do throws(SpecError) {
            _ = try Launch(creating: spec, facts: facts, filter: nil)
        } catch {
            throw ContainerError(error)
        }
    }
}

extension ContainerError {
    fileprivate var concernsLimits: Bool {
        code == .invalidSpec && field?.begins(with: "linux.resources") == true
    }
}

extension CgroupHierarchies {
    /// A host with cgroup v2 and all controllers.
    fileprivate static let completeUnified = CgroupHierarchies(
        mode: .unified,
        hierarchies: [
            CgroupHierarchy(controllers: [], mountPoint: "/sys/fs/cgroup", ownPath: "")
        ],
        unifiedControllers: [
            "cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc",
        ])

    /// A host with cgroup v1 and all controllers.
    fileprivate static let completeLegacy = CgroupHierarchies(
        mode: .legacy,
        hierarchies: [
            "cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls",
            "perf_event", "net_prio", "hugetlb", "pids", "rdma", "misc",
        ].map {
            CgroupHierarchy(controllers: [$0], mountPoint: "/sys/fs/cgroup/\($0)", ownPath: "")
        }, unifiedControllers: [])
}
#endif
