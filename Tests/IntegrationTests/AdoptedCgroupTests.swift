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

    @Test("what is no cgroup below the root cannot be adopted, and the error says why")
    func refused() throws {
        func refusal(_ paths: [FilePath]) -> ContainerError? {
            #expect(throws: ContainerError.self) { try AdoptedCgroup(at: paths) }
        }
        let ordinary = refusal(["/tmp"])
        #expect(ordinary?.code == .invalidArgument)
        #expect("\(ordinary as Any)".contains("\"/tmp\" is not the directory of a cgroup"))
        #expect(refusal(["/no/such"])?.code == .systemCall)
        #expect(refusal([])?.code == .invalidArgument)
        let root = try #require(Host.hierarchies.first?.mountPoint)
        let twice = refusal([FilePath(root), FilePath(root)])
        #expect("\(twice as Any)".contains("is given twice"))
        try TestBundle.use { bundle throws in
            var options = LaunchOptions()
            options.adoptedCgroup = try AdoptedCgroup(at: FilePath(root))
            let error = #expect(throws: ContainerError.self) {
                try Container.run(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            }
            #expect(error?.code == .invalidArgument)
            #expect("\(error as Any)".contains("the cgroup \(root) cannot be adopted"))
        }
    }
}

@Suite("Adopted cgroups", Host.root)
struct AdoptedCgroupTests {
    /// Its directories: one on cgroup v2.
    private func paths(_ group: ControlGroup) -> [String] { group.paths.map(\.string) }

    /// The directory of a controller, which on cgroup v2 is that of all.
    private func path(_ group: ControlGroup, _ controller: String) throws -> String {
        let all = paths(group)
        guard all.count > 1 else { return all[0] }
        let hierarchy = try #require(
            Host.hierarchies.first { $0.controllers.contains(controller) })
        return try #require(all.first { $0.hasPrefix("\(hierarchy.mountPoint)/") })
    }

    /// Whether the cgroup is in place, and its directories contain these processes and no others.
    private func holds(_ processes: [Int], _ group: ControlGroup) throws -> Bool {
        try paths(group).allSatisfy { path in
            let found = try readText("\(path)/cgroup.procs").lines.compactMap { Int($0) }
            return found.sorted() == processes.sorted()
        }
    }

    @Test("commands of other processes act on a container in an adopted cgroup, and leave it")
    func wholeLife() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            bundle.process.args = ["/bin/sleep", "100"]
            let process = try bundle.launch(options)
            #expect(try holds([Int(process.pid)], group))
            #expect(try group.processes() == [Int(process.pid)])
            #expect(try bundle.state().status == .running)
            let file = "\(bundle.directory)/pid"
            let exec = try bundle.swrunc(
                "exec", "--detach", "--pid-file", file, bundle.id, "/bin/sleep", "100")
            #expect(exec.status == 0, "\(exec)")
            let second = try #require(Int(readText(file)))
            #expect(try holds([Int(process.pid), second], group))
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
                plan.output.contains(
                    "use the caller's cgroup \(paths(group).joined(separator: ", ")), which stays"),
                "\(plan)")
            #expect(try bundle.swrunc("kill", "--all", bundle.id, "KILL").status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(try holds([], group))
        }
    }

    @Test("delete kills what is left in an adopted cgroup, removes what is below, and leaves it")
    func delete() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            bundle.removeNamespace(.pid)
            bundle.addMount("cgroup", "cgroup", at: "/sys/fs/cgroup")
            let inner = "\(try path(group, "pids"))/inner"
            bundle.script(
                """
                cd /sys/fs/cgroup/\(Host.isUnified ? "" : "pids") && mkdir -p inner/deeper
                echo 0 >inner/deeper/cgroup.procs; sleep 100 & exec sleep 100
                """)
            let process = try bundle.launch(options)
            #expect(waits { exists("\(inner)/deeper") })
            #expect(waits { (try? group.processes().count) == 2 })
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(try holds([], group) && !exists(inner))
            // It can be used again.
            bundle.script("exit 3")
            #expect(try bundle.launch(options).wait() == .exited(3))
        }
    }

    @Test("an adopted cgroup has one container at a time, whose device rules replace the former's")
    func again() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
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
                let process = try bundle.launch(options)
                // A container that may not read has ended by now.
                if isAllowed {
                    let second = #expect(throws: ContainerError.self) {
                        try bundle.launch(options, "\(bundle.id)-2")
                    }
                    #expect("\(second as Any)".contains("container's cgroup is not empty"))
                    #expect(second?.hint?.contains("one container at a time") == true)
                    try process.signal(.kill)
                }
                #expect(try process.wait() == (isAllowed ? .signaled(SIGKILL) : .exited(5)))
                try bundle.containerStore.container(bundle.id).delete()
                #expect(try holds([], group))
            }
        }
    }

    @Test("a cgroup that replaces the adopted one under its name is never touched")
    func replaced() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            // Without a pid namespace, delete also kills what is in the cgroup.
            bundle.removeNamespace(.pid)
            bundle.process.args = ["/bin/sleep", "100"]
            let process = try bundle.launch(options)
            try process.signal(.kill)
            _ = try process.wait()
            for path in paths(group) { #expect(waits { rmdir(path) == 0 }) }
            #expect(throws: ContainerError.self) { try group.adopted }
            let again = try ControlGroup.create("/\(bundle.token)-own")
            let stranger = try RunningCommand(
                [Host.busybox, "sleep", "100"], token: bundle.token)
            try again.add(stranger.pid)
            defer {
                kill(stranger.pid, SIGKILL)
                _ = try? stranger.wait()
                #expect(throws: Never.self) { try again.remove() }
            }
            // On v1 a handle uses the path.
            if Host.isUnified {
                #expect(throws: ContainerError.self) { try group.processes() }
                #expect(throws: ContainerError.self) { try group.kill() }
                #expect(throws: ContainerError.self) { try group.adopted }
                try group.remove()
            }
            #expect(try bundle.state().status == .stopped)
            let listed = try bundle.swrunc("ps", "--format", "json", bundle.id)
            #expect(!listed.output.contains("\(stranger.pid)"), "\(listed)")
            let container = try bundle.containerStore.container(bundle.id)
            let refusal = #expect(throws: ContainerError.self) { try container.statistics() }
            #expect(refusal?.code == .unavailable)
            _ = try bundle.swrunc("kill", "--all", bundle.id, "KILL")
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(try !hasEnded(stranger.pid) && holds([Int(stranger.pid)], again))
            let error = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect("\(error as Any)".contains("has been removed"))
        }
    }

    @Test("a failed launch leaves the adopted cgroup empty and in place")
    func failed() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            bundle.process.args = ["no-such-program"]
            let error = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect(error?.code == .executableNotFound)
            #expect(try holds([], group))
            #expect(try bundle.containerStore.states().isEmpty)
            guard Host.isUnified else { return }
            // A limit that the cgroup has no controller for.
            let path = paths(group)[0]
            let missing = ["memory", "pids", "cpu"].first {
                !((try? readText("\(path)/cgroup.controllers")) ?? "").contains($0)
            }
            bundle.process.args = ["/bin/true"]
            guard let missing else { return }
            bundle.linux.resources = Resources(
                memory: missing == "memory" ? MemoryResources(limit: 64 << 20) : nil,
                cpu: missing == "cpu" ? CPUResources(quota: 50_000, period: 100_000) : nil,
                pids: missing == "pids" ? PidsResources(limit: 20) : nil)
            let limit = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect(
                "\(limit as Any)".contains(
                    "the adopted cgroup \(path) does not have the controller \"\(missing)\""
                ))
        }
    }

    @Test("a config or a driver that contradicts the adopted cgroup is refused")
    func contradiction() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            bundle.process.args = ["/bin/true"]
            bundle.linux.cgroupsPath = "/elsewhere"
            let other = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect(other?.code == .invalidArgument && other?.field == "linux.cgroupsPath")
            bundle.linux.cgroupsPath = "/\(bundle.token)-own/"
            #expect(try bundle.launch(options).wait() == .exited(0))
            var options = options
            options.cgroupDriver = .systemd
            #expect(throws: ContainerError.self) { try bundle.launch(options, "\(bundle.id)-2") }
        }
    }

    @Test("a cgroup can be adopted by descriptors in any order, which its owner may close")
    func descriptors() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            let numbers = try paths(group).reversed().map { path in
                try check(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            }
            var options = LaunchOptions()
            let descriptors = numbers.map { FileDescriptor(rawValue: $0) }
            options.adoptedCgroup =
                numbers.count == 1
                ? try AdoptedCgroup(descriptors[0]) : try AdoptedCgroup(descriptors)
            for number in numbers { close(number) }
            #expect(options.adoptedCgroup?.paths == group.paths.reversed())
            #expect(try options.adoptedCgroup == group.adopted)
            bundle.script("exit 7")
            bundle.linux.resources =
                Host.isUnified
                ? Resources(unified: ["cgroup.max.depth": "3"])
                : Resources(pids: PidsResources(limit: 3))
            #expect(try bundle.launch(options).wait() == .exited(7))
            let file = Host.isUnified ? "cgroup.max.depth" : "pids.max"
            #expect(try readText("\(path(group, "pids"))/\(file)").trimmed == "3")
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
