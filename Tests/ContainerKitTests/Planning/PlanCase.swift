// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// A config whose plan is stored as text in Plans.
struct PlanCase: Sendable, CustomTestStringConvertible {
    /// The name of the file.
    var name: String
    var host: CgroupHierarchies = .planV2
    var filter: SeccompFilter?
    var facts: @Sendable (inout CreateFacts) -> Void = { _ in }
    /// Changes the template of `spec`, which has no terminal.
    var change: @Sendable (inout Spec) -> Void = { _ in }

    var testDescription: String { name }

    var spec: Spec {
        var spec = Spec.template
        spec.process?.terminal = false
        change(&spec)
        return spec
    }

    /// The plan of a new container.
    func plan() throws -> LaunchPlan {
        var facts = CreateFacts(id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: host))
        self.facts(&facts)
        return try Launch(creating: spec, facts: facts, filter: filter).plan
    }

    /// A filter with a listener.
    static let notifyingFilter = SeccompFilter(
        program: [UInt8](repeating: 0, count: 16), flags: .newListener, unknownSystemCalls: [])

    static let notifyingProfile = Seccomp(
        defaultAction: .allow, listenerPath: "/run/agent.sock", listenerMetadata: "more",
        syscalls: [SeccompRule(names: ["mkdir"], action: .notify)])

    /// Two instructions; the plan does not depend on their meaning.
    static let smallFilter = SeccompFilter(
        program: [UInt8](repeating: 0, count: 16), flags: .empty, unknownSystemCalls: [])
}

extension CgroupHierarchies {
    /// A host with only cgroup v2.
    static let planV2 = CgroupHierarchies(
        mode: .unified,
        hierarchies: [
            CgroupHierarchy(
                controllers: [], mountPoint: "/sys/fs/cgroup", ownPath: "/user.slice/caller")
        ], unifiedControllers: ["cpuset", "cpu", "io", "memory", "pids"])

    /// A host on which the runtime may not make cgroups.
    static let planNone = CgroupHierarchies(
        mode: .none, hierarchies: [], unifiedControllers: [])

    /// A host with cgroup v1 and also a v2 hierarchy without controllers.
    static let planV1 = CgroupHierarchies(
        mode: .hybrid,
        hierarchies: [
            CgroupHierarchy(
                controllers: ["cpu", "cpuacct"], mountPoint: "/sys/fs/cgroup/cpu,cpuacct",
                ownPath: ""),
            CgroupHierarchy(
                controllers: ["memory"], mountPoint: "/sys/fs/cgroup/memory", ownPath: "/caller"),
            CgroupHierarchy(
                controllers: ["devices"], mountPoint: "/sys/fs/cgroup/devices", ownPath: ""),
            CgroupHierarchy(
                controllers: ["name=systemd"], mountPoint: "/sys/fs/cgroup/systemd", ownPath: ""),
            CgroupHierarchy(
                controllers: [], mountPoint: "/sys/fs/cgroup/unified", ownPath: ""),
        ], unifiedControllers: [])
}

extension PlanCase {
    static let all: [PlanCase] =
        launches + scopes + namespaces + userNamespaces + rootless + identities + filesystems
        + hooks + landlock + full

    private static let everyHook = Hooks(
        prestart: [Hook(path: "/h/prestart")],
        createRuntime: [Hook(path: "/h/runtime", timeout: 5), Hook(path: "/h/second")],
        createContainer: [Hook(path: "/h/container", args: ["name", "argument"])],
        startContainer: [Hook(path: "/bin/start", env: ["A=b"])],
        poststart: [Hook(path: "/h/poststart")], poststop: [Hook(path: "/h/poststop")])

    private static let hooks: [PlanCase] = [
        PlanCase(
            name: "hooks-under-a-listener-of-create", filter: notifyingFilter,
            change: {
                $0.hooks = everyHook
                $0.linux?.seccomp = notifyingProfile
                $0.process?.rlimits = [Rlimit(type: "RLIMIT_NOFILE", hard: 100, soft: 5)]
            }),
        PlanCase(
            name: "hooks-under-a-listener-of-run", filter: notifyingFilter,
            facts: { $0.startsAtOnce = true },
            change: {
                $0.hooks = everyHook
                $0.linux?.seccomp = notifyingProfile
                $0.process?.noNewPrivileges = false
            }),
        PlanCase(
            name: "hooks-of-create", filter: smallFilter, change: { $0.hooks = everyHook }),
        PlanCase(
            name: "hooks-of-run", facts: { $0.startsAtOnce = true },
            change: { $0.hooks = everyHook }),
    ]

    private static let launches: [PlanCase] = [
        PlanCase(name: "default-v2"),
        PlanCase(name: "default-v1", host: .planV1),
        PlanCase(name: "run", facts: { $0.startsAtOnce = true }),
        PlanCase(
            name: "run-with-readiness",
            facts: {
                $0.startsAtOnce = true
                $0.readinessDirectory = "/run/swrunc/box/notify"
                $0.notifySocket = "/run/notify"
            }),
        PlanCase(
            name: "run-with-terminal",
            facts: {
                $0.startsAtOnce = true
                $0.caller.terminal = .master
            },
            change: {
                $0.process?.terminal = true
                $0.process?.consoleSize = Box(height: 24, width: 80)
            }),
        PlanCase(
            name: "detached-with-console-socket",
            facts: {
                $0.caller.terminal = .consoleSocket("/run/console.sock")
                $0.caller.pidFile = "/run/box.pid"
                $0.caller.pidfdSocket = "/run/pidfd.sock"
            },
            change: { $0.process?.terminal = true }),
        PlanCase(
            name: "streams-and-preserved-descriptors",
            facts: {
                $0.caller.replacedStreams = [0, 1, 2]
                $0.caller.preservedDescriptorCount = 2
                $0.caller.streams = [
                    StandardStream(number: 0, kind: .device(.null, flags: .empty), owner: 0),
                    StandardStream(number: 1, kind: .pipe, owner: 1000),
                    StandardStream(number: 2, kind: .device(.null, flags: .writeOnly), owner: 0),
                ]
            }),
        PlanCase(
            name: "adopted-cgroup",
            facts: { $0.host.adoptedCgroup = .ofCaller },
            change: { $0.linux?.resources = Resources(pids: .init(limit: 32)) }),
        PlanCase(
            name: "adopted-cgroup-v1", host: .planV1,
            facts: { $0.host.adoptedCgroup = .ofCallerV1 },
            change: { $0.linux?.resources = Resources(memory: .init(limit: 64 << 20)) }),
        PlanCase(
            name: "limits-v2",
            change: {
                $0.linux?.cgroupsPath = "/pods/one"
                $0.linux?.resources = Resources(
                    memory: .init(limit: 64 << 20), cpu: .init(quota: 50_000, period: 100_000),
                    pids: .init(limit: 32))
            }),
    ]

    private static let systemd = SystemdHost(instance: .system, version: 257, controlGroup: "")

    private static let scopes: [PlanCase] = [
        PlanCase(
            name: "systemd-v2", facts: { $0.host.systemd = systemd },
            change: {
                $0.annotations = ["org.systemd.property.TimeoutStopSec": "uint64 5"]
                $0.linux?.cgroupsPath = "pods-one.slice:cri:abc"
                $0.linux?.resources = Resources(
                    memory: .init(limit: 64 << 20), cpu: .init(quota: 50_000, period: 100_000),
                    pids: .init(limit: 32))
            }),
        PlanCase(
            name: "subgroup-and-delegated-cgroup", facts: { $0.host.systemd = systemd },
            change: {
                $0.annotations = [
                    "run.oci.systemd.subgroup": "container", "run.oci.delegate-cgroup": "/init",
                ]
                $0.linux?.namespaces?.append(Namespace(kind: .cgroup))
            }),
        PlanCase(
            name: "scope-that-stays",
            facts: { ($0.host.systemd, $0.caller.keepsAccounting) = (systemd, true) },
            change: { $0.linux?.resources = Resources(pids: .init(limit: 32)) }),
        PlanCase(name: "systemd-v1", host: .planV1, facts: { $0.host.systemd = systemd }),
    ]

    private static let namespaces: [PlanCase] = [
        PlanCase(
            name: "joined-namespaces",
            change: {
                $0.linux?.namespaces = [
                    Namespace(kind: .mount), Namespace(kind: .pid, path: "/proc/7/ns/pid"),
                    Namespace(kind: .network, path: "/run/netns/blue"),
                    Namespace(kind: .ipc, path: "/proc/7/ns/ipc"), Namespace(kind: .uts),
                ]
            }),
        PlanCase(
            name: "host-namespaces",
            change: {
                $0.hostname = nil
                $0.linux?.namespaces = [Namespace(kind: .mount)]
            }),
        PlanCase(
            name: "resctrl",
            facts: {
                $0.host.resctrl = ResctrlTree(
                    root: "/sys/fs/resctrl", hasCacheAllocation: true,
                    hasBandwidthAllocation: true)
            },
            change: {
                $0.linux?.intelRdt = IntelRdt(
                    closID: "gold", schemata: ["L2:0=3"], l3CacheSchema: "L3:0=f",
                    memBwSchema: "MB:0=20", enableMonitoring: true)
            }),
        PlanCase(
            name: "network-devices",
            change: {
                $0.linux?.netDevices = ["veth7": NetDevice(name: "eth0"), "eth9": NetDevice()]
            }),
        PlanCase(
            name: "network-devices-joined",
            change: {
                $0.linux?.namespaces = [
                    Namespace(kind: .mount), Namespace(kind: .pid, path: "/proc/7/ns/pid"),
                    Namespace(kind: .network, path: "/run/netns/blue"), Namespace(kind: .uts),
                ]
                $0.linux?.netDevices = ["eth1": NetDevice(name: "")]
            }),
        PlanCase(
            name: "time-offsets",
            change: {
                $0.linux?.namespaces?.append(Namespace(kind: .time))
                $0.linux?.timeOffsets = [
                    "monotonic": TimeOffset(seconds: 5), "boottime": TimeOffset(seconds: -1),
                ]
            }),
        PlanCase(
            name: "time-without-offsets",
            change: { $0.linux?.namespaces?.append(Namespace(kind: .time)) }),
    ]

    private static let maps = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]

    private static let userNamespaces: [PlanCase] = [
        PlanCase(
            name: "locked-attributes",
            facts: {
                guard let first = Spec.template.mounts?.count else { return }
                $0.sourceAttributes = [
                    first: .readOnly | .noExecution | .noSymlinkFollowing | .noDirectoryAccessTime,
                    first + 1: .noSetUserID,
                ]
            },
            change: {
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
                $0.mounts?.append(
                    Mount(destination: "/a", source: "/srv/a", options: ["bind", "dev"]))
                $0.mounts?.append(
                    Mount(destination: "/b", source: "/srv/b", options: ["bind", "ro"]))
            }),
        PlanCase(
            name: "user-namespace",
            change: {
                $0.linux?.namespaces?.append(Namespace(kind: .user))
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
                $0.process?.oomScoreAdj = 5
                $0.linux?.devices = [
                    DeviceNode(kind: .character, path: "/dev/fuse", major: 10, minor: 229),
                    DeviceNode(kind: .fifo, path: "/run/queue"),
                ]
                $0.mounts?.append(
                    Mount(
                        destination: "/etc", type: "tmpfs", source: "tmpfs",
                        options: ["tmpcopyup", "uid=5"]))
                $0.mounts?.append(
                    Mount(destination: "/data", source: "/srv", options: ["rbind", "ridmap"]))
                if let index = $0.mounts?.firstIndex(where: { $0.type == "cgroup" }) {
                    $0.mounts?[index].options?.removeAll { $0 == "ro" }
                }
            }),
        PlanCase(
            name: "user-namespace-with-joined-network",
            change: {
                $0.linux?.namespaces = [
                    Namespace(kind: .user), Namespace(kind: .pid), Namespace(kind: .mount),
                    Namespace(kind: .network, path: "/run/netns/blue"), Namespace(kind: .cgroup),
                    Namespace(kind: .time),
                ]
                $0.hostname = nil
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
                $0.process?.oomScoreAdj = 5
            }),
        PlanCase(
            name: "joined-user-namespace",
            change: {
                $0.linux?.namespaces = [
                    Namespace(kind: .user, path: "/proc/7/ns/user"), Namespace(kind: .mount),
                    Namespace(kind: .pid, path: "/proc/7/ns/pid"),
                    Namespace(kind: .network, path: "/proc/7/ns/net"), Namespace(kind: .uts),
                ]
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
                $0.mounts?.append(
                    Mount(destination: "/data", source: "/srv", options: ["bind", "idmap"]))
            }),
        PlanCase(
            name: "own-user-namespace", facts: { $0.isInUserNamespace = true },
            change: {
                $0.linux?.namespaces?.append(Namespace(kind: .user, path: "/proc/self/ns/user"))
            }),
        PlanCase(
            name: "mapped-mounts",
            change: {
                let other = [IDMapping(containerID: 0, hostID: 5000, size: 10)]
                $0.mounts?.append(
                    Mount(
                        destination: "/mapped", source: "/srv", options: ["bind"],
                        uidMappings: maps, gidMappings: other))
                $0.mounts?.append(
                    Mount(
                        destination: "/fresh", type: "tmpfs", source: "tmpfs",
                        options: ["mode=700"], uidMappings: other, gidMappings: maps))
                $0.mounts?.append(
                    Mount(
                        destination: "/crun", source: "/srv",
                        options: ["bind", "idmap=uids=0-1-10#10-11-10;gids=0-100-10"]))
            }),
    ]

    private static let identities: [PlanCase] = [
        PlanCase(
            name: "user-1000-with-capabilities",
            change: {
                $0.domainname = "example"
                $0.process?.user = User(uid: 1000, gid: 100, umask: 0o027, additionalGids: [5, 6])
                $0.process?.capabilities?.ambient = ["CAP_KILL"]
                $0.process?.capabilities?.inheritable = ["CAP_KILL"]
                $0.process?.oomScoreAdj = 100
                $0.process?.cwd = "/srv"
            }),
        PlanCase(
            name: "attributes", filter: smallFilter,
            change: {
                $0.process?.scheduler = Scheduler(
                    policy: .deadline, flags: [.resetOnFork, .reclaim], runtime: 42_000,
                    deadline: 100_000, period: 1_000_000)
                $0.process?.ioPriority = IOPriority(schedulingClass: .realTime, priority: 3)
                $0.process?.execCPUAffinity = CPUAffinity(initial: "0", final: "0-1")
                $0.linux?.memoryPolicy = MemoryPolicy(
                    mode: .bind, nodes: "0,65", flags: [.staticNodes])
                $0.linux?.personality = Personality(domain: .linux32)
            }),
        PlanCase(
            name: "apparmor", change: { $0.process?.apparmorProfile = "docker-default" }),
        PlanCase(
            name: "selinux",
            change: {
                $0.process?.selinuxLabel = "system_u:system_r:container_t:s0:c4,c5"
                $0.linux?.mountLabel = "system_u:object_r:container_file_t:s0:c4,c5"
            }),
        PlanCase(
            name: "seccomp-notify", filter: notifyingFilter,
            change: { $0.linux?.seccomp = notifyingProfile }),
        PlanCase(
            name: "seccomp-notify-run", filter: notifyingFilter, facts: { $0.startsAtOnce = true },
            change: {
                $0.process?.noNewPrivileges = false
                $0.linux?.seccomp = notifyingProfile
            }),
        PlanCase(name: "seccomp-last", filter: smallFilter),
        PlanCase(
            name: "seccomp-before-capabilities", filter: smallFilter,
            change: {
                $0.process?.noNewPrivileges = false
                $0.process?.user = User(uid: 1000, gid: 1000)
            }),
    ]

    private static let filesystems: [PlanCase] = [
        PlanCase(
            name: "sources-in-earlier-mounts",
            change: {
                let map = [IDMapping(containerID: 0, hostID: 1000, size: 10)]
                $0.mounts = [
                    Mount(destination: "/mnt", source: "/srv/data", options: ["rbind"]),
                    Mount(destination: "/mnt/fresh", type: "tmpfs", source: "tmpfs"),
                    Mount(
                        destination: "/bundle/rootfs/copy", source: "/bundle/rootfs/mnt",
                        options: ["rbind", "ro"]),
                    Mount(
                        destination: "/mapped", source: "rootfs/mnt/fresh", options: ["bind"],
                        uidMappings: map, gidMappings: map),
                    Mount(destination: "/plain", source: "rootfs/usr", options: ["bind"]),
                ]
            }),
        PlanCase(
            name: "private-rootfs", change: { $0.linux?.rootfsPropagation = .recursivelyPrivate }),
        PlanCase(name: "shared-rootfs", change: { $0.linux?.rootfsPropagation = .shared }),
        PlanCase(
            name: "no-pivot",
            facts: { $0.kernelTrees = ["/sys", "/proc", "/proc/sys", "/bundle/rootfs/proc"] }),
        PlanCase(
            name: "no-mount-namespace",
            change: {
                $0.linux?.namespaces?.removeAll { $0.kind == .mount }
                $0.linux?.maskedPaths = nil
                $0.linux?.readonlyPaths = nil
                $0.mounts?.removeAll { $0.destination.hasPrefix("/sys") }
            }),
        PlanCase(
            name: "tmpcopyup",
            change: {
                $0.mounts?.append(
                    Mount(
                        destination: "/etc", type: "tmpfs", source: "tmpfs",
                        options: ["tmpcopyup", "mode=755"]))
            }),
        PlanCase(
            name: "bind-mounts",
            change: {
                $0.mounts = [
                    Mount(destination: "/plain", source: "/a", options: ["bind"]),
                    Mount(destination: "relative/dir", source: "/b", options: ["rbind", "rro"]),
                    Mount(
                        destination: "/etc/hosts", type: "bind", source: "/c",
                        options: ["ro", "nosuid", "rslave"]),
                ]
            }),
        PlanCase(
            name: "links",
            facts: { $0.sourceLinks = [0: "../usr/share/zoneinfo/UTC"] },
            change: {
                $0.mounts = [
                    Mount(
                        destination: "/etc/localtime", source: "/etc/localtime",
                        options: ["bind", "copy-symlink"]),
                    Mount(destination: "/one", source: "/a", options: ["bind", "copy-symlink"]),
                    Mount(
                        destination: "/two", source: "/b",
                        options: ["bind", "src-nofollow", "dest-nofollow"]),
                ]
            }),
        PlanCase(
            name: "read-only-dev",
            change: { spec in
                let index = spec.mounts?.firstIndex { $0.destination == "/dev" } ?? 0
                spec.mounts?[index].options?.append("ro")
            }),
        PlanCase(
            name: "bound-dev",
            change: {
                $0.mounts = [Mount(destination: "/dev", source: "/dev", options: ["rbind"])]
            }),
        PlanCase(
            name: "sysctl-and-devices",
            change: {
                $0.linux?.sysctl = ["net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"]
                $0.linux?.devices = [
                    DeviceNode(
                        kind: .character, path: "/dev/fuse", major: 10, minor: 229,
                        fileMode: 0o600, uid: 7, gid: 8),
                    DeviceNode(kind: .fifo, path: "/run/queue"),
                    DeviceNode(kind: .character, path: "/dev/null", major: 1, minor: 3),
                ]
            }),
        PlanCase(
            name: "writable-root-without-masks",
            change: {
                $0.root?.readonly = false
                $0.linux?.maskedPaths = []
                $0.linux?.readonlyPaths = nil
            }),
        PlanCase(
            name: "cgroup-mount-without-namespace-v2",
            change: { $0.linux?.namespaces?.removeAll { $0.kind == .cgroup } }),
    ]
}
