// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary

private let cpus = NumberSet(text: "0-1,65", words: [3, 2])

/// One sample of each case of `InitStep`, for the rules that hold for all of them.
///
/// A new case does not compile until `StepName` knows it, and then needs a sample here.
let everyInitStep: [InitStep] = [
    .closeDescriptors(phase: 0, keeping: [.rendezvous, .startSocket], preserved: 2),
    .setStandardStreams([0, 1, 2]), .forbidPtrace, .permitPtrace, .startSession,
    .enterCgroups(count: 2),
    .enterDelegatedCgroup,
    .setOOMScore(-500), .setCPUAffinity(cpus, .final), .resetCPUAffinity,
    .setScheduler(
        SchedulingAttributes(policy: .fifo, flags: .resetOnFork, priority: 5)),
    .setIOPriority(IOPriorityValue(schedulingClass: .bestEffort, level: 7)),
    .setMemoryPolicy(MemoryPolicyChange(mode: MemoryPolicyWord(.bind), nodes: cpus)),
    .setPersonality(.linux32),
    .openHostProc,
    .setSecurityLabels([SecurityLabel(file: "attr/exec", text: "l", purpose: "can't set it")]),
    .waitForParent(.prepared), .reportToParent(.ready), .waitForStart, .waitForStartOrSignal,
    .runHook(
        PlannedHook(
            .startContainer, 1, path: "/bin/hook", arguments: ["hook", "a"],
            environment: ["A=b"], timeoutSeconds: 3), preparing: [.setUmask(0o022)]),
    .enterHostDirectory("/bundle"),
    .joinNamespace(.network), .joinUserNamespace(with: [.network, .pid]),
    .becomeNamespaceUser(NamespaceUser(userID: 0, groupID: 5)),
    .joinProcess([.mount, .pid]), .unshareNamespaces([.cgroup]),
    .enterNewTimeNamespace([TimeNamespaceOffset(clock: "boottime", seconds: -3, nanoseconds: 7)]),
    .continueInChild(intoCgroup: true), .bringUpLoopback, .sendNetworkSocket, .setHostname("host"),
    .setDomainname("domain"),
    .cloneHostTree(
        HostTree(
            path: "/dev/fuse", followsLink: false,
            kind: .device(
                Device(name: "fuse", mode: FileMode(.characterDevice, 0o666), major: 10, minor: 229)
            ),
            changes: [MountChange(propagation: .private)]), for: .mountTree(9)),
    .isolateMounts(private: true), .attachRootfs(hostPath: "/bundle/rootfs"),
    .searchRootfs(hostUser: 100_000), .openRoot,
    .mountFilesystem(
        FilesystemMount(
            type: "tmpfs", source: "tmpfs", destination: "/a/b", options: ["mode=755", "ro"],
            attributes: .noSetUserID, changes: [MountChange(set: .readOnly, recursive: true)])),
    .mountFilesystemOrAttach(
        FilesystemMount(
            type: "sysfs", source: "sysfs", destination: "/sys", attributes: .noSetUserID), 5),
    .changeMount(at: "/a/b", [MountChange(set: .readOnly, recursive: true)]),
    .attachMount(3, at: "/a/b/c", kind: .likeSource),
    .cloneContainerTree(
        ContainerTree(
            path: "/a/b", recursive: true, clonesLink: true, changes: [MountChange(set: .readOnly)]),
        for: 7), .sendMountTree(7), .receiveMountTree(.mountTree(8)),
    .mountCgroupHierarchies(
        6, FilesystemMount(type: "tmpfs", source: "tmpfs", destination: "/sys/fs/cgroup"),
        [
            CgroupHierarchyMount(name: "memory", links: []),
            CgroupHierarchyMount(name: "cpu,cpuacct", links: ["cpu", "cpuacct"]),
        ]),
    .makeLinks(directory: "/dev", [SymbolicLink(name: "fd", target: "/proc/self/fd")]),
    .copyLink(directory: "/etc", SymbolicLink(name: "localtime", target: "../usr/share/zone")),
    .makeDirectory("/srv/new"),
    .makeDevices(
        directory: "/dev",
        [
            Device(
                name: "one", mode: FileMode(.blockDevice, 0o640), major: 259, minor: 300, userID: 5),
            Device(name: "two", mode: FileMode(.fifo, 0o644), major: 0, minor: 0),
        ]),
    .attachDevices(
        directory: "/dev",
        [
            AttachedDevice(name: "null", tree: 9),
            AttachedDevice(name: "fuse", tree: 10, isMade: true),
        ]),
    .setSysctl([KernelParameter(key: "net.a", path: "net/a", value: "1")]),
    .maskPaths(["/proc/kcore", "/sys/firmware"], label: "l"), .protectPaths(["/proc/sys"]),
    .makeReadOnly("/dev"), .enterRoot,
    .dropKernelTrees(["/sys", "/proc"]), .moveRoot, .changeRoot, .enterRootOfInit,
    .setRootPropagation(MountPropagation(flag: .shared, recursive: true, name: "rshared")),
    .openTerminal(
        TerminalRequest(rows: 24, columns: 80, toConsoleSocket: true, mountsConsole: true)),
    .setLimits([PlannedLimit(name: "RLIMIT_NOFILE", resource: 7, soft: 1, hard: 2)]),
    .ownStandardStreams([0, 2], userID: 1000),
    .reopenStreams([DeviceStreams([0, 1], name: "null", minor: 3, flags: [.append, .readWrite])]),
    .tryDirectory("/srv"), .enterDirectory("/srv"),
    .keepCapabilities,
    .limitBoundingSet(keeping: 1 << 5, last: 40), .setGroups([1, 2]), .dropGroups, .setGroupID(3),
    .setUserID(4),
    .setCapabilities(CapabilitySets(effective: 1, permitted: 3, inheritable: 1 << 40)),
    .setAmbientCapabilities(1 << 39), .raisePermitted(1 << 21), .setUmask(0o027),
    .forbidNewPrivileges,
    .findExecutable(name: "sh", candidates: ["/usr/bin/sh", "/bin/sh"]),
    .loadSeccomp(
        filter: [UInt8](repeating: 6, count: 16), flags: .newListener, listener: .rendezvous),
    .joinSessionKeyring("_ses.box"), .resetSignals,
    .unblockSignals,
    .execute(candidates: ["/bin/sh"], arguments: ["sh", "-c", "id"], environment: ["A=b"]),
]

/// The cases of `InitStep` by name.
enum StepName: CaseIterable {
    case closeDescriptors, setStandardStreams, forbidPtrace, permitPtrace, startSession
    case enterCgroups
    case enterDelegatedCgroup
    case setOOMScore, setCPUAffinity, resetCPUAffinity, setScheduler, setIOPriority,
        setMemoryPolicy, setPersonality
    case openHostProc, setSecurityLabels
    case waitForParent, reportToParent, waitForStart, waitForStartOrSignal, runHook
    case enterHostDirectory
    case joinNamespace, joinUserNamespace, becomeNamespaceUser, joinProcess
    case unshareNamespaces, enterNewTimeNamespace, continueInChild, bringUpLoopback
    case sendNetworkSocket, setHostname
    case setDomainname, cloneHostTree, isolateMounts, attachRootfs, searchRootfs
    case openRoot, mountFilesystem
    case mountFilesystemOrAttach, changeMount, attachMount, cloneContainerTree, sendMountTree
    case receiveMountTree
    case mountCgroupHierarchies, makeLinks, copyLink, makeDirectory, makeDevices, attachDevices
    case setSysctl
    case maskPaths, protectPaths, makeReadOnly, enterRoot
    case dropKernelTrees, moveRoot, changeRoot, enterRootOfInit
    case setRootPropagation, openTerminal
    case setLimits, ownStandardStreams, reopenStreams, tryDirectory, enterDirectory,
        keepCapabilities,
        limitBoundingSet,
        setGroups, dropGroups
    case setGroupID, setUserID, setCapabilities, setAmbientCapabilities, raisePermitted, setUmask
    case forbidNewPrivileges, findExecutable, loadSeccomp, joinSessionKeyring, resetSignals,
        unblockSignals, execute

    init(_ step: InitStep) {
        self = Self.name(of: step)
    }

    private static func name(of step: InitStep) -> StepName {
        switch step {
        case .closeDescriptors: .closeDescriptors
        case .setStandardStreams: .setStandardStreams
        case .forbidPtrace: .forbidPtrace
        case .permitPtrace: .permitPtrace
        case .startSession: .startSession
        case .enterCgroups: .enterCgroups
        case .enterDelegatedCgroup: .enterDelegatedCgroup
        case .setOOMScore: .setOOMScore
        case .setCPUAffinity, .resetCPUAffinity, .setScheduler, .setIOPriority, .setMemoryPolicy,
            .setPersonality:
            attributeName(of: step)
        case .openHostProc: .openHostProc
        case .setSecurityLabels: .setSecurityLabels
        case .waitForParent: .waitForParent
        case .reportToParent: .reportToParent
        case .waitForStart: .waitForStart
        case .waitForStartOrSignal: .waitForStartOrSignal
        case .runHook: .runHook
        case .enterHostDirectory: .enterHostDirectory
        case .joinNamespace: .joinNamespace
        case .joinUserNamespace: .joinUserNamespace
        case .becomeNamespaceUser: .becomeNamespaceUser
        case .joinProcess: .joinProcess
        case .unshareNamespaces: .unshareNamespaces
        case .enterNewTimeNamespace: .enterNewTimeNamespace
        case .continueInChild: .continueInChild
        case .bringUpLoopback: .bringUpLoopback
        case .sendNetworkSocket: .sendNetworkSocket
        case .setHostname: .setHostname
        case .setDomainname: .setDomainname
        case .cloneHostTree: .cloneHostTree
        case .isolateMounts, .attachRootfs, .searchRootfs, .openRoot, .mountFilesystem,
            .mountFilesystemOrAttach,
            .changeMount, .attachMount, .cloneContainerTree, .sendMountTree,
            .receiveMountTree, .mountCgroupHierarchies:
            mountName(of: step)
        case .makeLinks: .makeLinks
        case .copyLink: .copyLink
        case .makeDirectory: .makeDirectory
        case .makeDevices: .makeDevices
        case .attachDevices: .attachDevices
        case .setSysctl: .setSysctl
        case .maskPaths: .maskPaths
        case .protectPaths: .protectPaths
        case .makeReadOnly: .makeReadOnly
        case .enterRoot: .enterRoot
        case .dropKernelTrees: .dropKernelTrees
        case .moveRoot: .moveRoot
        case .changeRoot: .changeRoot
        case .enterRootOfInit: .enterRootOfInit
        case .setRootPropagation: .setRootPropagation
        case .openTerminal: .openTerminal
        case .setLimits: .setLimits
        case .ownStandardStreams: .ownStandardStreams
        case .reopenStreams: .reopenStreams
        case .tryDirectory: .tryDirectory
        case .enterDirectory: .enterDirectory
        case .keepCapabilities: .keepCapabilities
        case .limitBoundingSet: .limitBoundingSet
        case .setGroups: .setGroups
        case .dropGroups: .dropGroups
        case .setGroupID: .setGroupID
        case .setUserID: .setUserID
        case .setCapabilities: .setCapabilities
        case .setAmbientCapabilities: .setAmbientCapabilities
        case .raisePermitted: .raisePermitted
        case .setUmask: .setUmask
        case .forbidNewPrivileges: .forbidNewPrivileges
        case .findExecutable: .findExecutable
        case .loadSeccomp: .loadSeccomp
        case .joinSessionKeyring: .joinSessionKeyring
        case .resetSignals: .resetSignals
        case .unblockSignals: .unblockSignals
        case .execute: .execute
        }
    }

    private static func mountName(of step: InitStep) -> StepName {
        switch step {
        case .isolateMounts: .isolateMounts
        case .attachRootfs: .attachRootfs
        case .searchRootfs: .searchRootfs
        case .openRoot: .openRoot
        case .mountFilesystem: .mountFilesystem
        case .mountFilesystemOrAttach: .mountFilesystemOrAttach
        case .changeMount: .changeMount
        case .attachMount: .attachMount
        case .cloneContainerTree: .cloneContainerTree
        case .sendMountTree: .sendMountTree
        case .receiveMountTree: .receiveMountTree
        case .mountCgroupHierarchies: .mountCgroupHierarchies
        default: preconditionFailure("\(step) mounts nothing")
        }
    }

    private static func attributeName(of step: InitStep) -> StepName {
        switch step {
        case .setCPUAffinity: .setCPUAffinity
        case .resetCPUAffinity: .resetCPUAffinity
        case .setScheduler: .setScheduler
        case .setIOPriority: .setIOPriority
        case .setMemoryPolicy: .setMemoryPolicy
        case .setPersonality: .setPersonality
        default: preconditionFailure("\(step) is no attribute")
        }
    }
}
