// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary

private let cpus = NumberSet(text: "0-1,65", words: [3, 2])

/// One sample of each case of `InitStep`, for the rules that all steps must keep.
///
/// A test reads the cases from the sources: a new case needs a sample here.
let everyInitStep: [InitStep] = [
    .process(.closeDescriptors(phase: 0, keeping: [.rendezvous, .startSocket], preserved: 2)),
    .stream(.setStandardStreams([0, 1, 2])), .process(.forbidPtrace), .process(.permitPtrace),
    .process(.startSession),
    .process(.enterCgroups(count: 2)),
    .process(.enterDelegatedCgroup),
    .attribute(.setOOMScore(-500)), .attribute(.setCPUAffinity(cpus, .final)),
    .attribute(.resetCPUAffinity),
    .attribute(
        .setScheduler(
            SchedulingAttributes(policy: .fifo, flags: .resetOnFork, priority: 5))),
    .attribute(.setIOPriority(IOPriorityValue(schedulingClass: .bestEffort, level: 7))),
    .attribute(.setMemoryPolicy(MemoryPolicyChange(mode: MemoryPolicyWord(.bind), nodes: cpus))),
    .attribute(.setPersonality(.linux32)),
    .label(.openHostProc),
    .label(
        .setSecurityLabels([SecurityLabel(file: "attr/exec", text: "l", purpose: "can't set it")])),
    .exchange(.waitForParent(.prepared)), .exchange(.reportToParent(.ready)),
    .exchange(.waitForStart), .exchange(.waitForStartOrSignal),
    .hook(
        .runHook(
            PlannedHook(
                .startContainer, 1, path: "/bin/hook", arguments: ["hook", "a"],
                environment: ["A=b"], timeoutSeconds: 3), preparing: [.identity(.setUmask(0o022))])),
    .hook(.enterHostDirectory("/bundle")),
    .namespace(.joinNamespace(.network)), .namespace(.joinUserNamespace(with: [.network, .pid])),
    .namespace(.becomeNamespaceUser(NamespaceUser(userID: 0, groupID: 5))),
    .namespace(.joinProcess([.mount, .pid])), .namespace(.unshareNamespaces([.cgroup])),
    .namespace(
        .enterNewTimeNamespace([TimeNamespaceOffset(clock: "boottime", seconds: -3, nanoseconds: 7)]
        )),
    .namespace(.continueInChild(intoCgroup: true)), .namespace(.bringUpLoopback),
    .namespace(.sendNetworkSocket), .namespace(.setHostname("host")),
    .namespace(.setDomainname("domain")),
    .mount(
        .cloneHostTree(
            HostTree(
                path: "/dev/fuse", followsLink: false,
                kind: .device(
                    Device(
                        name: "fuse", mode: FileMode(.characterDevice, 0o666), major: 10, minor: 229
                    )),
                changes: [MountChange(propagation: .private)]), for: .mountTree(9))),
    .root(.isolateMounts(private: true)), .root(.attachRootfs(hostPath: "/bundle/rootfs")),
    .root(.searchRootfs(hostUser: 100_000)), .root(.openRoot),
    .mount(
        .mountFilesystem(
            FilesystemMount(
                type: "tmpfs", source: "tmpfs", destination: "/a/b", options: ["mode=755", "ro"],
                attributes: .noSetUserID, changes: [MountChange(set: .readOnly, recursive: true)]))),
    .mount(
        .mountFilesystemOrAttach(
            FilesystemMount(
                type: "sysfs", source: "sysfs", destination: "/sys", attributes: .noSetUserID), 5)),
    .mount(.changeMount(at: "/a/b", [MountChange(set: .readOnly, recursive: true)])),
    .mount(.attachMount(3, at: "/a/b/c", kind: .likeSource)),
    .mount(
        .cloneContainerTree(
            ContainerTree(
                path: "/a/b", recursive: true, clonesLink: true,
                changes: [MountChange(set: .readOnly)]),
            for: 7)), .mount(.sendMountTree(7)), .mount(.receiveMountTree(.mountTree(8))),
    .mount(
        .mountCgroupHierarchies(
            6, FilesystemMount(type: "tmpfs", source: "tmpfs", destination: "/sys/fs/cgroup"),
            [
                CgroupHierarchyMount(name: "memory", links: []),
                CgroupHierarchyMount(name: "cpu,cpuacct", links: ["cpu", "cpuacct"]),
            ])),
    .file(.makeLinks(directory: "/dev", [SymbolicLink(name: "fd", target: "/proc/self/fd")])),
    .file(
        .copyLink(directory: "/etc", SymbolicLink(name: "localtime", target: "../usr/share/zone"))),
    .file(.makeDirectory("/srv/new")),
    .device(
        .makeDevices(
            directory: "/dev",
            [
                Device(
                    name: "one", mode: FileMode(.blockDevice, 0o640), major: 259, minor: 300,
                    userID: 5),
                Device(name: "two", mode: FileMode(.fifo, 0o644), major: 0, minor: 0),
            ])),
    .device(
        .attachDevices(
            directory: "/dev",
            [
                AttachedDevice(name: "null", tree: 9),
                AttachedDevice(name: "fuse", tree: 10, isMade: true),
            ])),
    .file(.setSysctl([KernelParameter(key: "net.a", path: "net/a", value: "1")])),
    .hiddenPath(.maskPaths(["/proc/kcore", "/sys/firmware"], label: "l")),
    .hiddenPath(.protectPaths(["/proc/sys"])),
    .mount(.makeReadOnly("/dev")), .root(.enterRoot),
    .root(.dropKernelTrees(["/sys", "/proc"])), .root(.moveRoot), .root(.changeRoot),
    .root(.enterRootOfInit),
    .root(.setRootPropagation(MountPropagation(flag: .shared, recursive: true, name: "rshared"))),
    .terminal(
        .openTerminal(
            TerminalRequest(rows: 24, columns: 80, toConsoleSocket: true, mountsConsole: true))),
    .attribute(.setLimits([PlannedLimit(name: "RLIMIT_NOFILE", resource: 7, soft: 1, hard: 2)])),
    .stream(.ownStandardStreams([0, 2], userID: 1000)),
    .stream(
        .reopenStreams([
            DeviceStreams([0, 1], name: "null", minor: 3, flags: .append | .readWrite)
        ])),
    .execution(.tryDirectory("/srv")), .execution(.enterDirectory("/srv")),
    .identity(.keepCapabilities),
    .identity(.limitBoundingSet(keeping: 1 << 5, last: 40)), .identity(.setGroups([1, 2])),
    .identity(.dropGroups), .identity(.setGroupID(3)),
    .identity(.setUserID(4)),
    .identity(.setCapabilities(CapabilitySets(effective: 1, permitted: 3, inheritable: 1 << 40))),
    .identity(.setAmbientCapabilities(1 << 39)), .identity(.raisePermitted(1 << 21)),
    .identity(.setUmask(0o027)),
    .identity(.forbidNewPrivileges),
    .execution(.findExecutable(name: "sh", candidates: ["/usr/bin/sh", "/bin/sh"])),
    .filter(
        .loadSeccomp(
            filter: [UInt8](repeating: 6, count: 16), flags: .newListener, listener: .rendezvous)),
    .process(.joinSessionKeyring("_ses.box")), .process(.resetSignals),
    .process(.unblockSignals),
    .execution(
        .execute(candidates: ["/bin/sh"], arguments: ["sh", "-c", "id"], environment: ["A=b"])),
]
