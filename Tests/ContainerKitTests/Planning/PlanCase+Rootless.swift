// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec

@testable import ContainerKit

extension RuntimeRights {
    /// User 1000 of the host, without capabilities.
    static let ordinaryUser = RuntimeRights(
        preparesMounts: false, mapsIDs: false, userID: 1000, groupID: 1000,
        mayGoWithoutCgroups: true)
}

extension PlanCase {
    static let rootless: [PlanCase] = [
        PlanCase(
            name: "rootless", host: .planNone, facts: { $0.host.rights = .ordinaryUser },
            change: { $0 = rootlessSpec }),
        PlanCase(
            name: "rootless-delegated",
            facts: { $0.host.rights = .ordinaryUser },
            change: {
                $0 = rootlessSpec
                let maps = [
                    IDMapping(containerID: 0, hostID: 1000, size: 1),
                    IDMapping(containerID: 1, hostID: 100_000, size: 65536),
                ]
                $0.linux?.uidMappings = maps
                $0.linux?.gidMappings = maps
                $0.linux?.namespaces?.removeAll { $0.kind == .cgroup }
                $0.linux?.resources = Resources(pids: .init(limit: 32))
                $0.mounts?.append(Mount(destination: "/data", source: "/srv", options: ["bind"]))
            }),
        PlanCase(
            name: "rootless-systemd",
            facts: {
                $0.host.rights = .ordinaryUser
                $0.host.systemd = SystemdHost(
                    instance: .user, version: 252,
                    controlGroup: "/user.slice/user-1000.slice/user@1000.service")
                $0.host.staysOutsideCgroup = true
            },
            change: { $0 = rootlessSpec }),
        PlanCase(
            name: "root-of-a-user-namespace",
            facts: {
                $0.host.rights.isInUserNamespace = true
                $0.host.rights.mayGoWithoutCgroups = true
            }),
    ]

    private static var rootlessSpec: Spec {
        var spec = Spec.rootlessTemplate(userID: 1000, groupID: 1000)
        spec.process?.terminal = false
        spec.process?.oomScoreAdj = 5
        return spec
    }
}
