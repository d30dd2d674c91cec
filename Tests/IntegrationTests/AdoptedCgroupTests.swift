// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import ContainerKitAsync
import Glibc
import SystemPackage
import Testing

@Suite("Adopted cgroups on any host", Host.root)
struct AdoptedCgroupHostTests {
    /// The commands that see cgroup v2 alone: here, in a mount namespace of their own.
    private static let words =
        Host.isUnified
        ? []
        : [
            "/usr/bin/unshare", "-m", "/bin/sh", "-c",
            "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"",
            "sh",
        ]

    @Test("all abilities of adopted cgroups hold where cgroup v2 limits", InnerRun.outermost)
    func unified() throws {
        try InnerRun.expectSuccess(
            "adopted", Self.words, filter: "^IntegrationTests\\.AdoptedCgroupTests/", count: 8)
    }

    @Test("what is no cgroup of cgroup v2 cannot be adopted, and the error says why")
    func refused() throws {
        let ordinary = #expect(throws: ContainerError.self) {
            try AdoptedCgroup(at: "/tmp")
        }
        #expect(ordinary?.code == .invalidArgument)
        #expect("\(ordinary as Any)".contains("\"/tmp\" is not the directory of a cgroup"))
        let missing = #expect(throws: ContainerError.self) { try AdoptedCgroup(at: "/no/such") }
        #expect(missing?.code == .systemCall)
        guard let legacy = Host.hierarchies.first(where: { !$0.isUnified }) else { return }
        let error = #expect(throws: ContainerError.self) {
            try AdoptedCgroup(at: FilePath(legacy.mountPoint))
        }
        #expect(error?.code == .unsupported && error?.hint?.contains("linux.cgroupsPath") == true)
    }

    @Test(
        "on a hybrid host a cgroup of cgroup v2 cannot be adopted either",
        .enabled(if: !Host.isUnified && Host.hierarchies.contains { $0.isUnified }))
    func hybrid() throws {
        try TestBundle.use { bundle throws in
            let root = Host.hierarchies.first { $0.isUnified }?.mountPoint ?? ""
            let path = "\(root)/\(bundle.token)-own"
            try check(mkdir(path, 0o755), "mkdir")
            defer { rmdir(path) }
            var options = LaunchOptions()
            options.adoptedCgroup = try AdoptedCgroup(at: FilePath(path))
            let error = #expect(throws: ContainerError.self) {
                try Container.run(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            }
            #expect(error?.code == .unsupported)
            #expect("\(error as Any)".contains("limits resources by cgroup v1"))
        }
    }
}

@Suite("Adopted cgroups", Host.root, .enabled(if: Host.isUnified, "needs cgroup v2 alone"))
struct AdoptedCgroupTests {
    /// A cgroup that is adopted by a test's containers, and removed after it.
    private func use(_ body: (TestBundle, ControlGroup, LaunchOptions) throws -> Void) throws {
        try TestBundle.use { bundle throws in
            let group = try ControlGroup.create("/\(bundle.token)-own")
            defer {
                for id in entries(of: bundle.store) {
                    _ = try? bundle.swrunc("delete", "--force", id)
                }
                try? group.kill()
                try? group.remove()
            }
            var options = LaunchOptions()
            options.adoptedCgroup = try group.adopted
            bundle.linux.resources = nil
            try body(bundle, group, options)
        }
    }

    private func path(_ group: ControlGroup) -> String { group.paths[0].string }

    /// The cgroup of a process.
    private func cgroup(of pid: Int) throws -> String {
        try #require(try Host.cgroup(of: pid, controller: ""))
    }

    private func start(
        _ bundle: TestBundle, _ options: LaunchOptions, _ id: String? = nil
    ) throws -> ContainerProcess {
        try Container.run(
            id ?? bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
    }

    @Test("commands of other processes act on a container in an adopted cgroup, and leave it")
    func wholeLife() throws {
        try use { bundle, group, options throws in
            bundle.process.args = ["/bin/sleep", "100"]
            let process = try start(bundle, options)
            #expect(try cgroup(of: Int(process.pid)) == path(group))
            #expect(try group.processes() == [Int(process.pid)])
            #expect(try bundle.state().status == .running)
            let file = "\(bundle.directory)/pid"
            let exec = try bundle.swrunc(
                "exec", "--detach", "--pid-file", file, bundle.id, "/bin/sleep", "100")
            #expect(exec.status == 0, "\(exec)")
            let second = try #require(Int(readText(file)))
            #expect(try cgroup(of: second) == path(group))
            let listed = try bundle.swrunc("ps", "--format", "json", bundle.id).text
            #expect(
                listed
                    == "[\([Int(process.pid), second].sorted().map(String.init).joined(separator: ","))]"
            )
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try group.isFrozen)
            #expect(try bundle.state().status == .paused)
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try !group.isFrozen)
            #expect(try bundle.swrunc("events", "--stats", bundle.id).status == 0)
            let plan = try bundle.swrunc("explain", "--container", bundle.id)
            #expect(
                plan.output.contains("use the caller's cgroup \(path(group)), which stays"),
                "\(plan)")
            #expect(try bundle.swrunc("kill", "--all", bundle.id, "KILL").status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(try exists(path(group)) && group.processes() == [])
        }
    }

    @Test("delete kills what is left in an adopted cgroup, removes what is below, and leaves it")
    func delete() throws {
        try use { bundle, group, options throws in
            bundle.removeNamespace(.pid)
            bundle.addMount("cgroup", "cgroup", at: "/sys/fs/cgroup")
            bundle.script(
                """
                cd /sys/fs/cgroup && mkdir -p inner/deeper && echo 0 >inner/deeper/cgroup.procs
                sleep 100 & exec sleep 100
                """)
            let process = try start(bundle, options)
            #expect(waits { exists("\(path(group))/inner/deeper") })
            #expect(waits { (try? group.processes().count) == 2 })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(exists(path(group)) && !exists("\(path(group))/inner"))
            #expect(try group.processes() == [])
            // It can be used again.
            bundle.script("exit 3")
            #expect(try start(bundle, options).wait() == .exited(3))
        }
    }

    @Test("an adopted cgroup has one container at a time, whose device rules replace the former's")
    func again() throws {
        try use { bundle, group, options throws in
            let kmsg = { (isAllowed: Bool) in
                DeviceCgroupRule(
                    allow: isAllowed, kind: .character, major: 1, minor: 11, access: "r")
            }
            bundle.process.capabilities = Capabilities(
                bounding: ["CAP_SYSLOG"], effective: ["CAP_SYSLOG"], permitted: ["CAP_SYSLOG"])
            bundle.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/kmsg", major: 1, minor: 11)
            ]
            for isAllowed in [false, true, false] {
                bundle.linux.resources = Resources(devices: [
                    DeviceCgroupRule(allow: false, access: "rwm"), kmsg(isAllowed),
                ])
                bundle.script("(exec 3</dev/kmsg) || exit 5; exec sleep 100")
                let process = try start(bundle, options)
                // A container that may not read has ended by now.
                if isAllowed {
                    let second = #expect(throws: ContainerError.self) {
                        try start(bundle, options, "\(bundle.id)-2")
                    }
                    #expect("\(second as Any)".contains("container's cgroup is not empty"))
                    #expect(second?.hint?.contains("one container at a time") == true)
                    try process.signal(.kill)
                }
                #expect(try process.wait() == (isAllowed ? .signaled(SIGKILL) : .exited(5)))
                try bundle.containerStore.container(bundle.id).delete()
                #expect(exists(path(group)))
            }
        }
    }

    @Test("a cgroup that replaces the adopted one under its name is never touched")
    func replaced() throws {
        try use { bundle, group, options throws in
            // Without a pid namespace, delete also kills what is in the cgroup.
            bundle.removeNamespace(.pid)
            bundle.process.args = ["/bin/sleep", "100"]
            let process = try start(bundle, options)
            try process.signal(.kill)
            _ = try process.wait()
            #expect(waits { rmdir(path(group)) == 0 })
            try check(mkdir(path(group), 0o755), "mkdir")
            let stranger = try RunningCommand(
                [Host.busybox, "sleep", "100"], token: bundle.token)
            try writeText("\(stranger.pid)", to: "\(path(group))/cgroup.procs")
            defer {
                kill(stranger.pid, SIGKILL)
                _ = try? stranger.wait()
                #expect(waits { rmdir(path(group)) == 0 })
            }
            #expect(throws: ContainerError.self) { try group.processes() }
            #expect(throws: ContainerError.self) { try group.kill() }
            #expect(throws: ContainerError.self) { try group.adopted }
            try group.remove()
            #expect(try bundle.state().status == .stopped)
            let listed = try bundle.swrunc("ps", "--format", "json", bundle.id)
            #expect(!listed.output.contains("\(stranger.pid)"), "\(listed)")
            let container = try bundle.containerStore.container(bundle.id)
            let refusal = #expect(throws: ContainerError.self) { try container.statistics() }
            #expect(refusal?.code == .unavailable)
            _ = try bundle.swrunc("kill", "--all", bundle.id, "KILL")
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(!hasEnded(stranger.pid) && exists(path(group)))
            let launch = #expect(throws: ContainerError.self) { try start(bundle, options) }
            #expect("\(launch as Any)".contains("has been removed"))
        }
    }

    @Test("a failed launch leaves the adopted cgroup empty and in place")
    func failed() throws {
        try use { bundle, group, options throws in
            bundle.process.args = ["no-such-program"]
            let error = #expect(throws: ContainerError.self) { try start(bundle, options) }
            #expect(error?.code == .executableNotFound)
            #expect(try exists(path(group)) && group.processes() == [])
            #expect(try bundle.containerStore.states().isEmpty)
            // A limit that the cgroup has no controller for.
            let missing = ["memory", "pids", "cpu"].first {
                !((try? readText("\(path(group))/cgroup.controllers")) ?? "").contains($0)
            }
            bundle.process.args = ["/bin/true"]
            guard let missing else { return }
            bundle.linux.resources = Resources(
                memory: missing == "memory" ? MemoryResources(limit: 64 << 20) : nil,
                cpu: missing == "cpu" ? CPUResources(quota: 50_000, period: 100_000) : nil,
                pids: missing == "pids" ? PidsResources(limit: 20) : nil)
            let limit = #expect(throws: ContainerError.self) { try start(bundle, options) }
            #expect(
                "\(limit as Any)".contains(
                    "the adopted cgroup \(path(group)) does not have the controller \"\(missing)\""
                ))
        }
    }

    @Test("a config or a driver that contradicts the adopted cgroup is refused")
    func contradiction() throws {
        try use { bundle, group, options throws in
            bundle.process.args = ["/bin/true"]
            bundle.linux.cgroupsPath = "/elsewhere"
            let other = #expect(throws: ContainerError.self) { try start(bundle, options) }
            #expect(other?.code == .invalidArgument && other?.field == "linux.cgroupsPath")
            bundle.linux.cgroupsPath = "/\(bundle.token)-own/"
            #expect(try start(bundle, options).wait() == .exited(0))
            var options = options
            options.cgroupDriver = .systemd
            #expect(throws: ContainerError.self) { try start(bundle, options, "\(bundle.id)-2") }
        }
    }

    @Test("a cgroup can be adopted by a descriptor, which its owner may close")
    func descriptor() throws {
        try use { bundle, group, _ throws in
            let number = try check(open(path(group), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            var options = LaunchOptions()
            options.adoptedCgroup = try AdoptedCgroup(FileDescriptor(rawValue: number))
            close(number)
            #expect(options.adoptedCgroup?.path.string == path(group))
            bundle.script("exit 7")
            let limits = Resources(unified: ["cgroup.max.depth": "3"])
            bundle.linux.resources = limits
            #expect(try start(bundle, options).wait() == .exited(7))
            #expect(try readText("\(path(group))/cgroup.max.depth").trimmed == "3")
        }
    }

    @Test("tasks run containers in cgroups below one, and leave no descriptor open")
    func concurrent() async throws {
        await #expect(processExitsWith: .success) {
            try await TestBundle.useAsync { bundle in
                bundle.linux.resources = nil
                let config = try bundle.running("exit 4")
                let (store, id) = (bundle.containerStore, bundle.id)
                let parent = try ControlGroup.create("/\(bundle.token)-pool")
                func round() async throws {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<10 {
                            group.addTask {
                                let own = try parent.makeChild("job-\(number)")
                                var options = LaunchOptions()
                                options.adoptedCgroup = try own.adopted
                                let done = try await withContainer(
                                    config, id: "\(id)-\(number)", in: store, options: options)
                                #expect(done.termination.status == .exited(4))
                                #expect(done.statistics != nil)
                                try own.remove()
                            }
                        }
                        try await group.waitForAll()
                    }
                }
                try await round()
                let descriptors = entries(of: "/proc/self/fd").count
                for _ in 0..<(Host.slowness > 2 ? 1 : 3) { try await round() }
                try parent.remove()
                #expect(waits { entries(of: "/proc/self/fd").count <= descriptors })
            }
        }
    }
}
