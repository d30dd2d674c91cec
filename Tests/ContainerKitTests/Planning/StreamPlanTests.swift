// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Plans of the standard streams")
struct StreamPlanTests {
    private let pipes = [
        StandardStream(number: 0, kind: .pipe, owner: 0),
        StandardStream(number: 1, kind: .socket, owner: 500),
        StandardStream(number: 2, kind: .terminal, owner: 0),
    ]
    private let maps = [
        IDMapping(containerID: 0, hostID: 500, size: 1),
        IDMapping(containerID: 100, hostID: 7000, size: 10),
    ]

    private let root = RuntimeRights()

    private func process(_ userID: UInt32, terminal: Bool = false) -> RuntimeSpec.Process {
        var process = Process(cwd: "/")
        process.user.uid = userID
        process.terminal = terminal
        return process
    }

    private func userNamespace(path: String? = nil) -> UserNamespacePlan? {
        let kinds = [Namespace(kind: .user, path: path)]
        let linux = Linux(uidMappings: maps, gidMappings: maps)
        return UserNamespacePlan(
            NamespacePlan(kinds, alreadyIn: nil), linux, Process(cwd: "/"))
    }

    private func childSteps(_ plan: StreamPlan) -> [InitStep] {
        var steps = StepList()
        plan.addSteps(to: &steps)
        return steps.steps.map(\.step)
    }

    @Test("pipes, sockets and terminals that another user owns are given to the process's user")
    func given() {
        let plan = StreamPlan(process(0), pipes, root, nil)
        #expect(plan.parentSteps.map(\.step) == [.streams(.give([1], to: .user(0)))])
        let user = StreamPlan(process(500), pipes, root, nil)
        #expect(user.parentSteps.map(\.step) == [.streams(.give([0, 2], to: .user(500)))])
        #expect(childSteps(user).isEmpty)
    }

    @Test("standard streams in a new user namespace are given to the user's id on the host")
    func mapped() {
        let plan = StreamPlan(process(0), pipes, root, userNamespace())
        #expect(plan.parentSteps.map(\.step) == [.streams(.give([0, 2], to: .user(500)))])
        let user = StreamPlan(process(109), pipes, root, userNamespace())
        #expect(user.parentSteps.map(\.step) == [.streams(.give([0, 1, 2], to: .user(7009)))])
    }

    @Test(
        "a user id without a mapping is given no standard stream",
        arguments: [1, 99, 110, UInt32.max])
    func unmapped(_ id: UInt32) {
        #expect(StreamPlan(process(id), pipes, root, userNamespace()).parentSteps.isEmpty)
    }

    @Test("the owner of streams in a joined user namespace follows its mappings, not the config's")
    func joined() {
        let expected = [ParentStep.streams(.give([0, 1, 2], to: .childUser(109)))]
        let created = StreamPlan(process(109), pipes, root, userNamespace(path: "/proc/7/ns/user"))
        #expect(created.parentSteps.map(\.step) == expected)
        let entered = StreamPlan(process(109), pipes, root, entersUserNamespace: true)
        #expect(entered.parentSteps.map(\.step) == expected)
    }

    @Test("an ordinary user's child gives away pipes and sockets itself, and no terminal")
    func ordinaryUser() {
        var rights = RuntimeRights()
        rights.userID = 500
        rights.preparesMounts = false
        let user = StreamPlan(process(100), pipes, rights, userNamespace())
        #expect(user.parentSteps.isEmpty)
        #expect(childSteps(user) == [.stream(.ownStandardStreams([0, 1], userID: 100))])
        #expect(childSteps(StreamPlan(process(0), pipes, rights, userNamespace())).isEmpty)
    }

    @Test("a new terminal of the container belongs to the process's user")
    func ownTerminal() {
        let user = StreamPlan(process(5, terminal: true), [], root, nil)
        #expect(user.parentSteps.isEmpty)
        #expect(childSteps(user) == [.stream(.ownStandardStreams([0], userID: 5))])
        #expect(childSteps(StreamPlan(process(0, terminal: true), [], root, nil)).isEmpty)
    }

    @Test("stateless device streams are reopened from the container's nodes, equal ones once")
    func devices() {
        let streams = [
            StandardStream(number: 0, kind: .device(.null, flags: .empty), owner: 0),
            StandardStream(number: 1, kind: .device(.full, flags: .writeOnly), owner: 0),
            StandardStream(number: 2, kind: .device(.null, flags: .empty), owner: 0),
        ]
        let plan = StreamPlan(process(5), streams, root, nil)
        #expect(
            childSteps(plan) == [
                .stream(
                    .reopenStreams([
                        DeviceStreams([0, 2], name: "null", minor: 3, flags: .empty),
                        DeviceStreams([1], name: "full", minor: 7, flags: .writeOnly),
                    ]))
            ])
        #expect(plan.parentSteps.isEmpty)
    }

    @Test("device streams stay as they are in a user namespace, as its nodes are the host's")
    func mappedDevices() {
        let streams = [StandardStream(number: 0, kind: .device(.null, flags: .empty), owner: 0)]
        #expect(childSteps(StreamPlan(process(5), streams, root, userNamespace())).isEmpty)
        #expect(
            childSteps(StreamPlan(process(5), streams, root, entersUserNamespace: true)).isEmpty)
    }
}
