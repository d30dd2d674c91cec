// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// A mount or a device that is added to a running container, or a mount that is removed, whose plan is kept as text in Plans.
struct MountCase: Sendable, CustomTestStringConvertible {
    /// The name of the file.
    var name: String
    var plan: @Sendable () throws -> LaunchPlan

    var testDescription: String { name }

    private static func adding(
        _ mount: Mount, inUserNamespace: Bool = false,
        _ change: (inout MountingFacts) -> Void = { _ in }
    ) throws -> LaunchPlan {
        var spec = Spec.template
        var facts = MountingFacts(
            creation: CreateFacts(
                id: "box", bundlePath: "/bundle", host: HostFacts(cgroups: .none)),
            initPid: 77, namespaces: [.mount, .pid])
        if inUserNamespace {
            facts.namespaces.insert(.user)
            spec.linux?.namespaces?.append(Namespace(kind: .user, path: "/run/user-namespace"))
        }
        change(&facts)
        return try Launch(mounting: mount, 1, into: spec, facts: facts).plan
    }

    static let all: [MountCase] = [
        MountCase(name: "added-bind-mount") {
            try adding(
                Mount(
                    destination: "/srv/../data", source: "files",
                    options: ["rbind", "ro", "rslave"]
                ))
        },
        MountCase(name: "added-tmpfs") {
            try adding(
                Mount(
                    destination: "/scratch", type: "tmpfs", source: "tmpfs",
                    options: ["ro", "size=64k"]))
        },
        MountCase(name: "added-mapped-mount") {
            try adding(
                Mount(destination: "/data", source: "/srv/data", options: ["bind", "idmap"]),
                inUserNamespace: true)
        },
        MountCase(name: "added-device") {
            let node = DeviceNode(kind: .character, path: "/dev/net/tun", major: 10, minor: 200)
            return Launch(making: node, 1).plan
        },
        MountCase(name: "removed-mount") {
            Launch(unmountingAt: "/data", identity: 4711).plan
        },
    ]

    @Suite("Mounts of a running container")
    struct Refusals {
        @Test("a mount that only a new container can get is refused with its field")
        func newContainersOnly() {
            let refused: [(Mount, String)] = [
                (Mount(destination: "/p", type: "sysfs"), "mounts[1].type"),
                (Mount(destination: "/p", options: ["bind", "remount"]), "mounts[1].options"),
                (
                    Mount(destination: "/p", type: "tmpfs", options: ["tmpcopyup"]),
                    "mounts[1].options"
                ),
                (Mount(destination: "/", type: "tmpfs"), "mounts[1].destination"),
            ]
            for (mount, field) in refused {
                let error = #expect(throws: SpecError.self) { try adding(mount) }
                #expect(error?.path.description == field, "\(mount)")
            }
        }

        @Test("neither a container with the host's mounts nor an ordinary user adds mounts")
        func rights() {
            let mount = Mount(destination: "/p", type: "tmpfs")
            #expect(throws: SpecError.self) {
                try adding(mount) { $0.namespaces = [.pid] }
            }
            #expect(throws: SpecError.self) {
                try adding(mount) { $0.creation.host.rights.preparesMounts = false }
            }
        }
    }
}
