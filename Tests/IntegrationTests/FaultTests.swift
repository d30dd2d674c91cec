// SPDX-License-Identifier: Apache-2.0

import Glibc
import InitProgram
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

/// A container whose program fails at one instruction after the other.
struct FaultCase: Sendable, CustomTestStringConvertible {
    enum Launching: String, Sendable {
        case run, create, exec
    }

    let testDescription: String
    let launching: Launching
    let prepare: @Sendable (TestBundle) -> Void

    static let all: [FaultCase] = [
        FaultCase(testDescription: "run, with much in the config", launching: .run) {
            prepareMuch($0)
        },
        FaultCase(testDescription: "run, with a second process", launching: .run) {
            $0.setNamespace(.time)
            $0.linux.timeOffsets = ["monotonic": TimeOffset(seconds: 5)]
        },
        FaultCase(testDescription: "run, with a terminal", launching: .run) {
            $0.process.terminal = true
        },
        FaultCase(testDescription: "create and start", launching: .create) { _ in },
        FaultCase(testDescription: "exec", launching: .exec) { _ in },
    ]

    private static func prepareMuch(_ bundle: TestBundle) {
        bundle.process.user = User(uid: 1000, gid: 1000, umask: 0o27, additionalGids: [5, 6])
        bundle.process.oomScoreAdj = 100
        bundle.process.cwd = "/made/for/the/process"
        bundle.addMount("tmpfs", "tmpfs", at: "/etc", "tmpcopyup", "ro")
        bundle.addMount(nil, bundle.rootfs, at: "/deep/bind", "rbind", "ro")
        bundle.addMount("cgroup", "cgroup", at: "/sys/fs/cgroup", "ro")
        bundle.linux.sysctl = ["net.ipv4.ip_forward": "1"]
        bundle.linux.devices = [DeviceNode(kind: .character, path: "/dev/zero", major: 1, minor: 5)]
        bundle.linux.rootfsPropagation = .private
        bundle.linux.seccomp = Seccomp(
            defaultAction: .allow, syscalls: [SeccompRule(names: ["mkdir"], action: .errno)])
    }
}

@Suite("Faults", Host.root)
struct FaultTests {
    /// FAULTS_ALL=1: every instruction, else every fifth; on a slow machine fewer, but at least
    /// thirty of each program.
    static func stride(of instructionCount: Int) -> Int {
        if Host.environmentVariable("FAULTS_ALL") == "1" { return 1 }
        return max(min(5 * Host.slowness, instructionCount / 30), 1)
    }

    @Test(
        "a program that fails at any instruction reports the failed step and leaves nothing",
        arguments: FaultCase.all.indices)
    func everyInstruction(_ number: Int) async {
        // In a separate process, so that its children and descriptors can be counted.
        await #expect(processExitsWith: .success) { [number] in
            let fault = FaultCase.all[number]
            try TestBundle.use { bundle throws in
                bundle.process.args = ["/bin/true"]
                fault.prepare(bundle)
                let watchdog = Watchdog()
                defer { watchdog.stop() }
                var launches = FaultyLaunches(bundle: bundle, launching: fault.launching)
                try watchdog.limit("a launch without a fault") { try launches.prepare() }
                defer { launches.finish() }
                let stride = Self.stride(of: launches.instructionCount)
                let indices = Swift.stride(from: 0, to: launches.instructionCount, by: stride)
                for index in indices {
                    try watchdog.limit("instruction \(index)") {
                        try launches.stop(at: index)
                    }
                    #expect(watchdog.hung == [])
                }
                // Some instructions are skipped; if most were, the test would prove nothing.
                #expect(
                    launches.stopped * 4 > Array(indices).count,
                    "\(launches.stopped) of \(Array(indices).count)")
            }
        }
    }
}

/// Launches of one container, with another failing instruction each time.
private struct FaultyLaunches {
    let bundle: TestBundle
    let launching: FaultCase.Launching
    var stopped = 0
    private(set) var instructionCount = 0
    private var descriptorCount = 0
    private var expectedChildren = 0
    /// The container's init that an exec joins, and its pidfd.
    private var initPid: pid_t?
    private var target: CInt?

    init(bundle: TestBundle, launching: FaultCase.Launching) {
        self.bundle = bundle
        self.launching = launching
    }

    /// A launch without a failure: what it opens permanently is no leak.
    mutating func prepare() throws {
        if launching == .exec {
            let process = bundle.process
            bundle.process.args = ["/bin/sleep", "100"]
            let sleeping = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            initPid = sleeping.pid
            target = try openProcess(sleeping.pid).release()
            bundle.process = process
            expectedChildren = 1
        }
        let launcher = try plannedLauncher()
        instructionCount = launcher.image.packed.count
        try launcher.run()
        if launching == .create { try bundle.containerStore.container(bundle.id).start() }
        try end(launcher)
        descriptorCount = HostProgram.descriptorCount
    }

    func finish() {
        guard let initPid else { return }
        kill(initPid, SIGKILL)
        waitpid(initPid, nil, 0)
    }

    private var pidFile: String { "\(bundle.directory)/pid" }

    private var options: LaunchOptions {
        var options = LaunchOptions()
        options.pidFile = FilePath(pidFile)
        if bundle.process.terminal { options.terminal = .master }
        return options
    }

    /// The launcher that ContainerKit would use.
    private func plannedLauncher() throws -> Launcher {
        guard launching == .exec else {
            let creation = try Creation(
                bundle.id, bundle.loaded(), bundle.containerStore, options,
                startsAtOnce: launching == .run)
            return creation.launcher()
        }
        let found = try bundle.containerStore.container(bundle.id).find(locking: false)
        guard let record = found.record, let target else { throw CallError("find the container") }
        let execution = try Execution(
            bundle.process, in: record, of: Container.recordedSpec(found.state),
            bundle.containerStore, options)
        return execution.launcher(joining: target)
    }

    // MARK: One fault

    mutating func stop(at index: Int) throws {
        let planned = try plannedLauncher()
        var image = planned.image
        if Self.isBetweenSiblings(index, in: image) { return }
        // The execve is what gives the container a program; without it, start has nothing to do.
        if launching == .create, image.packed[index].isCall(of: .execve) {
            return
        }
        let step = try #require(image.step(of: index))
        let origin = planned.plan.childSteps[step].origin
        let mayBePassedOver = Self.mayBePassedOver(index, in: image)
        // The checker treats this call as one that always fails; the second operand, which close(2)
        // does not have, distinguishes it from a failure of the program itself.
        let isLast = index == image.packed.count - 1
        let first = image.operands.count
        image.operands += isLast ? [.literal(-1)] : [.literal(-1), .literal(0)]
        image.packed[index] = PackedInstruction(
            .call, .close, operands: first..<image.operands.count)
        let launcher = Launcher(
            planned.plan, options: planned.options, storePath: planned.storePath,
            record: planned.record, config: planned.config, joinedInit: planned.joinedInit,
            joinedPid: planned.joinedPid, image: image)
        do {
            try launcher.run()
        } catch {
            stopped += 1
            check(error, at: index, origin)
            try checkNothingIsLeft(index)
            return
        }
        if launching == .create {
            let container = try bundle.containerStore.container(bundle.id)
            do {
                try container.start()
            } catch {
                stopped += 1
                // Between init's report to create and its wait for start, no process listens to
                // init.
                if error.code != .wrongState || index > planned.image.startWaitIndex ?? 0 {
                    check(error, at: index, origin)
                }
                #expect(try container.state().status == .stopped, "instruction \(index)")
                try end(launcher)
                try checkNothingIsLeft(index)
                return
            }
        }
        #expect(mayBePassedOver, "instruction \(index) of \(origin) did not fail")
        try end(launcher)
        try checkNothingIsLeft(index)
    }

    /// Whether the first of two processes has cloned the second and must still report it, or exit.
    ///
    /// A process that fails there leaves a zombie of this process, and both write their place to
    /// one page.
    private static func isBetweenSiblings(_ index: Int, in image: ProgramImage) -> Bool {
        let before = image.packed[..<index].lastIndex { $0.isCall(of: .clone3) }
        guard let before else { return false }
        let end = image.packed[before...].firstIndex { $0.isCall(of: .exitGroup) }
        return end.map { index <= $0 } ?? false
    }

    /// Whether a skip may jump over the instruction, or an execve(2) may end the program before it.
    private static func mayBePassedOver(_ index: Int, in image: ProgramImage) -> Bool {
        image.packed[..<index].enumerated().contains { at, other in
            other.isCall(of: .execve)
                || (other.kind == .skip && at + Int(other.distance) >= index)
        }
    }

    private func check(_ error: ContainerError, at index: Int, _ origin: Origin) {
        #expect(
            error.field == origin.path, "instruction \(index): \(error)")
        #expect(
            error.code == .initFailed || error.code == .executableNotFound,
            "instruction \(index): \(error)")
        if let failure = error.failure {
            #expect(
                failure.call == "close" && failure.errno == .badFileDescriptor,
                "instruction \(index): \(error)")
        } else {
            // The program's own error, or one about the executable.
            #expect(
                origin.path?.hasPrefix("process.args") == true, "instruction \(index): \(error)")
        }
    }

    /// Kills a container that started in spite of the fault.
    private func end(_ launcher: Launcher) throws {
        _ = try? waitProcess(launcher.pidfd)
        unlink(pidFile)
        if launching != .exec {
            try bundle.containerStore.container(bundle.id).delete(force: true)
        }
    }

    private func checkNothingIsLeft(_ index: Int) throws {
        let children = HostProgram.children
        #expect(children.count == expectedChildren, "instruction \(index): \(children)")
        #expect(!exists(pidFile), "instruction \(index)")
        let leftovers = bundle.leftovers
        #expect(leftovers.mounts() == [], "instruction \(index)")
        guard launching != .exec else { return }
        #expect(waits(2) { leftovers.cgroups() == [] }, "instruction \(index)")
        #expect(leftovers.states() == [], "instruction \(index)")
    }
}

extension PackedInstruction {
    fileprivate func isCall(of wanted: SystemCall) -> Bool { kind == .call && call == wanted }
}
