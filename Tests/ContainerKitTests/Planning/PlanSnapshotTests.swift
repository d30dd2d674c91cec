// SPDX-License-Identifier: Apache-2.0

import Foundation
import InitProgram
import KernelVocabulary
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// Plans as text, stored beside the tests.
///
/// `UPDATE_SNAPSHOTS=1 swift test --filter Plan` updates them: review the diff with the commit.
@Suite("Plans of launches")
struct PlanSnapshotTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appending(path: "Plans")
    private static let renews = ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1"

    private func compare(_ text: String, with name: String) throws {
        let file = Self.folder.appending(path: "\(name).txt")
        if Self.renews { try text.write(to: file, atomically: true, encoding: .utf8) }
        let expected = try String(contentsOf: file, encoding: .utf8)
        guard text != expected else { return }
        let found = text.split(separator: "\n", omittingEmptySubsequences: false)
        let wanted = expected.split(separator: "\n", omittingEmptySubsequences: false)
        for change in found.difference(from: wanted) {
            switch change {
            case .insert(let line, let text, _):
                Issue.record("\(name).txt does not have line \(line + 1) of the plan: \(text)")
            case .remove(let line, let text, _):
                Issue.record("the plan does not have line \(line + 1) of \(name).txt: \(text)")
            }
        }
    }

    @Test("the plan of a new container equals its stored text", arguments: PlanCase.all)
    func creations(_ example: PlanCase) throws {
        let plan = try example.plan()
        try plan.lowered().check()
        try compare(plan.explained(), with: example.name)
    }

    @Test("a plan prints its system calls when asked to")
    func calls() throws {
        let example = try #require(PlanCase.all.first { $0.name == "default-v2" })
        try compare(example.plan().explained(includingCalls: true), with: "default-v2-calls")
    }

    @Test(
        "the plan of a mount in a running container equals its stored text",
        arguments: MountCase.all)
    func mounts(_ example: MountCase) throws {
        let plan = try example.plan()
        try plan.check()
        try plan.lowered().check()
        try compare(plan.explained(), with: example.name)
    }

    @Test(
        "the plan of a process in a running container equals its stored text",
        arguments: ExecCase.all)
    func executions(_ example: ExecCase) throws {
        let plan = try example.plan()
        try plan.lowered().check()
        try compare(plan.explained(), with: example.name)
    }

    @Test(
        "a delegated cgroup is entered before the user namespace, any other by the process",
        arguments: [true, false])
    func ownedCgroup(_ hasOwner: Bool) throws {
        let kinds: NamespaceSet = [.user, .mount, .pid, .cgroup]
        let plan = try ExecCase(
            name: "owned", namespaces: kinds, change: { $1.cgroupHasOwner = hasOwner }
        ).plan()
        #expect(
            plan.childSteps.contains {
                $0.step == .namespace(.continueInChild(intoCgroup: !hasOwner))
            })
        #expect(plan.parentSteps.contains { $0.step == .child(.start([], intoCgroup: hasOwner)) })
    }

    @Test("every text file in Plans belongs to a test case")
    func noStaleSnapshots() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        let known =
            PlanCase.all.map(\.name) + ExecCase.all.map(\.name) + MountCase.all.map(\.name) + [
                "default-v2-calls"
            ]
        #expect(names.sorted() == known.map { "\($0).txt" }.sorted())
    }

    @Test("two plans of the same config are equal", arguments: PlanCase.all)
    func plansAreRepeatable(_ example: PlanCase) throws {
        #expect(try example.plan() == example.plan())
    }

    // MARK: What the text does not show

    private func binds(_ mounts: [Mount], _ propagation: Linux.Propagation? = nil) throws
        -> [BindMount]
    {
        let example = PlanCase(
            name: "binds",
            change: {
                $0.mounts = mounts
                $0.linux?.rootfsPropagation = propagation
            })
        return try example.plan().parentSteps.compactMap { planned in
            guard case .mount(.bind(let bind)) = planned.step else { return nil }
            return bind
        }
    }

    @Test("a bind mount is first detached from the host's propagation, then gets its options")
    func bindChanges() throws {
        let slave = MountChange(recursive: true, propagation: .slave)
        let found = try binds([
            Mount(destination: "/plain", source: "/a", options: ["bind"]),
            Mount(
                destination: "/b", source: "/b", options: ["rbind", "ro", "rnosuid", "rprivate"]),
        ])
        try #require(found.count == 2)
        #expect(
            found[0]
                == BindMount(
                    index: 0, source: "/a", recursive: false, changes: [slave],
                    destination: "/plain"))
        let plain: MountAttributes = .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
        #expect(
            found[1]
                == BindMount(
                    index: 1, source: "/b", recursive: true,
                    changes: [
                        slave, MountChange(set: .readOnly, clear: plain),
                        MountChange(set: .noSetUserID, recursive: true),
                        MountChange(recursive: true, propagation: .private),
                    ], destination: "/b"))
    }

    @Test("the host's /dev/ptmx is replaced by the container's own", arguments: [false, true])
    func hostPtmx(_ hasUserNamespace: Bool) throws {
        func plan(_ devices: [DeviceNode]) throws -> LaunchPlan {
            try PlanCase(
                name: "ptmx",
                change: {
                    $0.linux?.devices = devices
                    guard hasUserNamespace else { return }
                    $0.linux?.namespaces?.append(Namespace(kind: .user))
                    $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 9, size: 9)]
                    $0.linux?.gidMappings = [IDMapping(containerID: 0, hostID: 9, size: 9)]
                }
            ).plan()
        }
        let ptmx = DeviceNode(kind: .character, path: "/dev/ptmx", major: 5, minor: 2)
        let given = try plan([ptmx])
        let without = try plan([])
        #expect(given.childSteps == without.childSteps)
        #expect(given.parentSteps.count == without.parentSteps.count)
    }

    @Test(
        "rootfsPropagation determines the first propagation of mount trees",
        arguments: [
            (nil, MountChange(recursive: true, propagation: .slave)),
            (.recursivelySlave, MountChange(recursive: true, propagation: .slave)),
            (.recursivelyPrivate, MountChange(recursive: true, propagation: .private)),
            (.shared, MountChange()), (.recursivelyShared, MountChange()),
        ] as [(Linux.Propagation?, MountChange)])
    func baseChange(_ propagation: Linux.Propagation?, _ expected: MountChange) throws {
        let found = try binds(
            [Mount(destination: "/a", source: "/a", options: ["bind"])], propagation)
        #expect(found.first?.changes == [expected])
    }

    @Test("a seccomp filter is loaded after capabilities are dropped only if that is permitted")
    func filterOrder() throws {
        func order(noNewPrivileges: Bool) throws -> [String] {
            let example = PlanCase(
                name: "order", filter: PlanCase.smallFilter,
                change: { $0.process?.noNewPrivileges = noNewPrivileges })
            return try example.plan().childSteps.compactMap { planned in
                switch planned.step {
                case .identity(.setUserID): "user"
                case .identity(.setCapabilities): "capabilities"
                case .identity(.forbidNewPrivileges): "privileges"
                case .filter(.loadSeccomp): "filter"
                case .execution(.execute): "execute"
                default: nil
                }
            }
        }
        #expect(
            try order(noNewPrivileges: true)
                == ["user", "capabilities", "privileges", "filter", "execute"])
        #expect(
            try order(noNewPrivileges: false) == ["user", "filter", "capabilities", "execute"])
    }

    @Test("a mount that fsconfig(2) cannot express uses mount(2), where that is possible")
    func refusedMounts() throws {
        let long = "a=" + String(repeating: "b", count: 300)
        let both =
            "iversion, or an option of more than 255 bytes, excludes tmpcopyup and mapped ids"
        let refused = [
            (["iversion", "tmpcopyup"], both), ([long, "tmpcopyup"], both),
            (
                [String](repeating: long, count: 14),
                "together they have 4241 bytes, and mount(2) takes no more than 4095"
            ),
        ]
        for (options, message) in refused {
            let example = PlanCase(
                name: "refused",
                change: {
                    $0.mounts = [Mount(destination: "/a", type: "tmpfs", options: options)]
                })
            let error = #expect(throws: SpecError.self) { try example.plan() }
            #expect(error?.path.description == "mounts[0].options")
            #expect(error?.message == message)
        }
    }

    @Test(
        "a mount label is passed in the option that the annotation names",
        arguments: ["context", "fscontext", "defcontext", "rootcontext"])
    func labelOption(_ option: String) throws {
        let example = PlanCase(
            name: "label", facts: { $0.labelOption = option },
            change: {
                $0.mounts = [
                    Mount(destination: "/new", type: "tmpfs"),
                    Mount(destination: "/old", type: "tmpfs", options: ["iversion"]),
                ]
                $0.linux?.mountLabel = "u:r:t:s0:c1,c2"
            })
        let options = try example.plan().childSteps.compactMap { planned in
            if case .mount(.mountFilesystem(let mount)) = planned.step {
                mount.options
            } else {
                nil
            }
        }
        #expect(options == [["\(option)=u:r:t:s0:c1,c2"], ["\(option)=\"u:r:t:s0:c1,c2\""]])
    }

    @Test("the data for mount(2) are the options as written, with a label in quotes")
    func bytesOfMount() throws {
        let example = PlanCase(
            name: "old",
            change: {
                $0.mounts = [
                    Mount(
                        destination: "/a", type: "xfs", source: "/dev/x",
                        options: [
                            "iversion", "nosuid", "nodev", "noexec", "noatime", "sync", "one=1,2",
                            "two", "rnosuid",
                        ]),
                    Mount(
                        destination: "/a", options: ["remount", "ro", "nosymfollow", "size=2m"]),
                ]
                $0.linux?.mountLabel = "u:r:t:s0:c1,c2"
            })
        let plan = try example.plan()
        let mounts = plan.childSteps.compactMap { planned in
            if case .mount(.mountFilesystem(let mount)) = planned.step { mount } else { nil }
        }
        #expect(
            mounts[0].options == ["one=1,2", "two", "context=\"u:r:t:s0:c1,c2\""])
        let expected: MountFlags =
            .inodeVersion | .synchronous | .noAccessTime | .noExecution | .noDevices | .noSetUserID
        #expect(mounts[0].mountFlags == expected)
        #expect(mounts[1].options == ["size=2m"])
        #expect(mounts[1].mountFlags == .noSymlinkFollowing | .remount | .readOnly)
        let calls = plan.explained(includingCalls: true)
        let flags = ["NOSUID", "NODEV", "NOEXEC", "SYNCHRONOUS", "NOATIME", "I_VERSION"]
            .map { "MS_\($0)" }.joined(separator: "|")
        #expect(calls.contains(#"mount("/dev/x", ".", "xfs", \#(flags), "one=1,2,two,context="#))
        #expect(
            calls.contains(
                #"mount("", ".", "", MS_RDONLY|MS_REMOUNT|MS_NOSYMFOLLOW, "size=2m")"#))
    }
}
