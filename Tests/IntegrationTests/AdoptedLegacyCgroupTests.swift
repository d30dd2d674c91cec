// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite(
    "Adopted cgroups of cgroup v1", Host.root, .enabled(if: !Host.isUnified, "needs cgroup v1"))
struct AdoptedLegacyCgroupTests {
    /// Adopts only the directories in the hierarchies of these controllers; "" means the one of v2.
    private func adopt(_ controllers: [String], of group: ControlGroup) throws -> LaunchOptions {
        let wanted = Host.hierarchies.filter { hierarchy in
            controllers.contains { name in
                name.isEmpty ? hierarchy.isUnified : hierarchy.controllers.contains(name)
            }
        }
        var options = LaunchOptions()
        options.adoptedCgroup = try AdoptedCgroup(
            at: group.paths.filter { path in
                wanted.contains { path.string.hasPrefix("\($0.mountPoint)/") }
            })
        return options
    }

    private func file(_ bundle: TestBundle, _ controller: String, _ name: String) throws -> String {
        let hierarchy = try #require(
            Host.hierarchies.first { $0.controllers.contains(controller) })
        return "\(hierarchy.mountPoint)/\(bundle.token)-own/\(name)"
    }

    @Test("in hierarchies that are not adopted a process stays where its starter is")
    func some() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            let options = try adopt(["devices", "freezer", "pids"], of: group)
            bundle.process.args = ["/bin/sleep", "100"]
            bundle.linux.resources = Resources(pids: PidsResources(limit: 20))
            let process = try bundle.launch(options)
            func cgroups(_ pid: String) throws -> [String: String] {
                let lines = try readText("/proc/\(pid)/cgroup").lines
                return Dictionary(
                    uniqueKeysWithValues: lines.map { line in
                        let parts = line.split(
                            separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                        return (String(parts[1]), String(parts[2]))
                    })
            }
            let (own, theirs) = (try cgroups("self"), try cgroups("\(process.pid)"))
            for (controllers, path) in theirs {
                let names = controllers.split(separator: ",")
                let isAdopted = ["devices", "freezer", "pids"].contains { names.contains($0) }
                #expect(path == (isAdopted ? "/\(bundle.token)-own" : own[controllers]))
            }
            #expect(try bundle.swrunc("exec", bundle.id, "/bin/true").status == 0)
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.state().status == .paused)
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try bundle.swrunc("update", "--pids-limit", "30", bundle.id).status == 0)
            #expect(try readText(file(bundle, "pids", "pids.max")).trimmed == "30")
            let memory = try bundle.swrunc("update", "--memory", "64M", bundle.id)
            #expect(memory.status == 1)
            #expect(
                memory.error.contains("linux.resources.memory.limit: the adopted cgroup")
                    && memory.error.contains("also adopt a directory"), "\(memory)")
            #expect(try bundle.swrunc("events", "--stats", bundle.id).status == 0)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(try group.paths.allSatisfy { exists($0.string) } && group.processes() == [])
        }
    }

    @Test("a limit without its hierarchy, or no hierarchy for device rules, is refused")
    func lacking() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            bundle.process.args = ["/bin/true"]
            for controllers in [["pids", "freezer"], [""]] {
                let options = try adopt(controllers, of: group)
                guard options.adoptedCgroup?.paths.isEmpty == false else { continue }
                let error = #expect(throws: ContainerError.self) { try bundle.launch(options) }
                #expect(error?.field == "linux.resources.devices", "\(error as Any)")
            }
            bundle.linux.resources = Resources(memory: MemoryResources(limit: 64 << 20))
            let options = try adopt(["devices"], of: group)
            let error = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect(error?.field == "linux.resources.memory.limit", "\(error as Any)")
            #expect(
                "\(error as Any)".contains("also adopt a directory in the hierarchy"),
                "\(error as Any)")
            #expect(entries(of: bundle.store).isEmpty)
        }
    }

    @Test("two cgroups of one hierarchy cannot be adopted together")
    func sameHierarchy() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            let child = try group.makeChild("inner")
            var options = LaunchOptions()
            options.adoptedCgroup = try AdoptedCgroup(at: [group.paths[0], child.paths[0]])
            let error = #expect(throws: ContainerError.self) { try bundle.launch(options) }
            #expect(error?.code == .invalidArgument)
            #expect("\(error as Any)".contains("in the same hierarchy"), "\(error as Any)")
        }
    }

    @Test("without the freezer all is possible but a pause, whose error names what is missing")
    func withoutFreezer() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            let options = try adopt(["devices"], of: group)
            bundle.removeNamespace(.pid)
            bundle.script("sleep 100 & exec sleep 100")
            let process = try bundle.launch(options)
            #expect(waits { (try? group.processes().count) == 2 })
            let pause = try bundle.swrunc("pause", bundle.id)
            #expect(pause.status == 1, "\(pause)")
            #expect(
                pause.error.contains("the adopted cgroup has no directory of the controller"),
                "\(pause)")
            #expect(try bundle.state().status == .running)
            #expect(try bundle.swrunc("kill", "--all", bundle.id, "KILL").status == 0)
            #expect(try process.wait() == .signaled(SIGKILL))
            #expect(waits { (try? group.processes()) == [] })
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
        }
    }

    @Test("out-of-memory kills of an adopted cgroup are counted anew for each container")
    func outOfMemory() throws {
        try TestBundle.useOwnCgroup { bundle, group, options throws in
            bundle.linux.resources = Resources(memory: MemoryResources(limit: 16 << 20))
            for isHungry in [true, false, true] {
                bundle.process.args =
                    isHungry
                    ? ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"] : ["true"]
                let end = try bundle.launch(options).waitForTermination()
                #expect(end.status == (isHungry ? .signaled(SIGKILL) : .exited(0)))
                #expect(end.ranOutOfMemory == isHungry)
                // After the end, until the deletion.
                let container = try bundle.containerStore.container(bundle.id)
                let statistics = try container.statistics()
                #expect(statistics.memory.outOfMemoryKills == (isHungry ? 1 : 0))
                #expect(statistics.memory.usage.limitIfAny == 16 << 20)
                #expect(statistics.cpu.total > 0)
                try container.delete()
            }
            #expect(try group.statistics().memory.outOfMemoryKills == 2)
        }
    }

    @Test("an adopted cgroup that nobody has given CPUs gets those of the cgroup above")
    func withoutCPUs() throws {
        try TestBundle.useOwnCgroup { bundle, group, _ throws in
            let cpuset = try #require(
                Host.hierarchies.first { $0.controllers.contains("cpuset") }?.mountPoint)
            let path = "\(cpuset)/\(bundle.token)-bare"
            try makeBareCpuset(path)
            defer { #expect(rmdir(path) == 0) }
            #expect(try readText("\(path)/cpuset.cpus").trimmed.isEmpty)
            var options = try adopt(["devices"], of: group)
            let devices = try #require(options.adoptedCgroup?.path)
            options.adoptedCgroup = try AdoptedCgroup(at: [FilePath(path), devices])
            bundle.script("exit 6")
            #expect(try bundle.launch(options).wait() == .exited(6))
            #expect(
                try readText("\(path)/cpuset.cpus") == readText("\(cpuset)/cpuset.cpus"))
            try bundle.containerStore.container(bundle.id).delete()
            // One below a cgroup without CPUs cannot get any.
            let above = "\(cpuset)/\(bundle.token)-above"
            try makeBareCpuset(above)
            try makeDirectory("\(above)/below")
            defer { #expect(rmdir("\(above)/below") == 0 && rmdir(above) == 0) }
            options.adoptedCgroup = try AdoptedCgroup(at: [FilePath("\(above)/below"), devices])
            let error = #expect(throws: ContainerError.self) {
                // Exit tests of others would wait for ever beside a child that nobody waits for.
                _ = try bundle.launch(options).wait()
            }
            #expect(
                "\(error as Any)".contains("cpuset.cpus is empty, also in the cgroup above"),
                "\(error as Any)")
        }
    }

    /// Makes a cgroup without CPUs and memory nodes, also where new ones get those of the cgroup
    /// above.
    private func makeBareCpuset(_ path: String) throws {
        try makeDirectory(path)
        for (file, text) in [
            ("cgroup.clone_children", "0"), ("cpuset.cpus", "\n"), ("cpuset.mems", "\n"),
        ] {
            try writeText(text, to: "\(path)/\(file)")
        }
    }
}
