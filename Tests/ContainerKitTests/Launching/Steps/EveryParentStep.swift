// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import RuntimeSpec

@testable import ContainerKit

/// One sample of each step of the runtime.
let everyParentStep: [ParentStep] =
    recordSamples.map { .record($0) } + cgroupSamples.map { .cgroup($0) }
    + resctrlSamples.map { .resctrl($0) } + namespaceSamples.map { .namespace($0) }
    + mountSamples.map { .mount($0) } + socketSamples.map { .socket($0) }
    + listenerSamples.map { .listener($0) } + childSamples.map { .child($0) }
    + userNamespaceSamples.map { .userNamespace($0) }
    + [.streams(.give([1, 2], to: .childUser(7)))] + hookSamples.map { .hooks($0) }

private let recordSamples: [RecordStep] = [
    .begin, .rootMount(path: "/bundle/rootfs"), .process, .stage, .created,
    .pidFile(path: "/run/pid"),
]

private let cgroupSamples: [CgroupStep] = [
    .startScope(sampleLayout, [UnitProperty("Delegate", .boolean(true))]), .make(sampleLayout),
    .setDevices(DeviceAccess(allowsByDefault: true), byProgram: true, mayBeRefused: false),
    .limit([
        .write(ControlWrite(directory: 0, file: "pids.max", text: "5", field: "linux.resources"))
    ]),
    .makeDelegated(path: "/init", owner: 5), .open(sampleLayout, delegated: "", follows: true),
    .giveTo(userID: 100_000), .enableControllers(below: "/init"),
    .attachToScope(unit: "runc-a.scope", below: ""), .leaveScope([], []),
]

private let sampleLayout = CgroupLayout(
    mode: .unified,
    directories: [CgroupDirectory(controllers: [], mountPoint: "/sys/fs/cgroup", cgroup: "/a")],
    unifiedControllers: ["pids"])

private let resctrlSamples: [ResctrlStep] = [
    .make(
        ResctrlPlan(
            root: "/sys/fs/resctrl", directory: "/sys/fs/resctrl/gold", mustExist: false,
            schemata: ["L3:0=f"], schemataField: "linux.intelRdt", monitoringDirectory: nil,
            removesDirectory: true)),
    .enter(["/sys/fs/resctrl/gold"]),
]

private let namespaceSamples: [ParentNamespaceStep] = [
    .open(.network, path: "/run/netns/a", mustDiffer: true), .openProcess, .openRootOfInit,
    .moveNetDevices([NetDeviceMove(name: "eth1", newName: "eth0", field: "linux.netDevices.eth1")]),
]

private let mountSamples: [ParentMountStep] = [
    .cloneRootfs(path: "/bundle/rootfs", changes: []), .openRootfs(path: "/bundle/rootfs"),
    .bind(BindMount(index: 1, source: "/src", recursive: true, changes: [], destination: "/dst")),
    .mappedFilesystem(
        4, FilesystemMount(type: "tmpfs", source: "tmpfs", destination: "/mapped"),
        MountIDMap(sampleMaps, recursive: true)),
    .copyIntoTmpfs(
        2, FilesystemMount(type: "tmpfs", source: "tmpfs", destination: "/etc"), owner: nil,
        CgroupEntry(isBornInside: true)),
    .hostDevice(
        5, path: "/dev/null",
        Device(name: "null", mode: FileMode(.characterDevice, 0o666), major: 1, minor: 3)),
    .makeDevice(
        7,
        Device(
            name: "fuse", mode: FileMode(.characterDevice, 0o600), major: 10, minor: 229,
            userID: 100_000),
        label: nil),
    .cgroupDirectory(3, name: "memory", path: "/sys/fs/cgroup/memory/a", readOnly: true),
    .mapClonedTree(6, MountIDMap(sampleMaps, recursive: false), destination: "/late"),
    .send(.mountTree(1)), .makeMountPoints(for: NamespaceUser(userID: 0, groupID: 0)),
]

private let sampleMaps = IDMaps(
    users: [IDRange(inside: 0, outside: 100_000, count: 10)],
    groups: [IDRange(inside: 0, outside: 200_000, count: 10)])

private let socketSamples: [SocketStep] = [
    .connectConsole(path: "/run/console.sock"), .receiveTerminal,
    .prepareReadiness(manager: "/run/notify", listens: true), .listenForStart,
    .sendPidfd(path: "/run/pidfd.sock", name: "standard"),
]

private var listenerSamples: [ListenerStep] {
    let profile = Seccomp(
        defaultAction: .allow, listenerPath: "/a.sock",
        syscalls: [SeccompRule(names: ["mkdir"], action: .notify)])
    let listener = SeccompListener(
        profile, state: State(ociVersion: "1.0.0", id: "a", pid: 0, status: .creating, bundle: "/b")
    )
    guard let listener else { preconditionFailure("a profile that notifies has a listener") }
    return [.find(listener), .connect(listener), .send(listener)]
}

private let childSamples: [BirthStep] = [
    .start([.pid, .mount], intoCgroup: true), .take, .adoptSecond, .release(.start),
    .expect(.ready),
    .awaitExecution,
]

private let userNamespaceSamples: [UserNamespaceStep] = [
    .writeIDMaps(sampleMaps, by: .tools), .checkIDMaps(sampleMaps), .setOOMScore(-5),
    .setLimits([PlannedLimit(name: "RLIMIT_CORE", resource: 4, soft: 0, hard: 0)]),
]

private let hookSamples: [ParentHookStep] = [
    .run([PlannedHook(.prestart, 0, path: "/bin/a", arguments: ["a"])]),
    .supervise([PlannedHook(.createContainer, 0, path: "/bin/b", arguments: ["b"])]),
]
