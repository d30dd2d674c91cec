// SPDX-License-Identifier: Apache-2.0

import Glibc
import KernelVocabulary
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// Whether this host has only cgroup v2.
private let hostIsUnified = (try? CgroupHierarchies.discover())?.mode == .unified

/// Real cgroups with unique names below the tests' own cgroup, removed at the end.
@Suite("Cgroups on disk", .serialized, .enabled(if: geteuid() == 0, "needs root"))
struct CgroupOnDiskTests {
    let host: CgroupHierarchies
    let id = "swrunc-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

    init() throws {
        host = try CgroupHierarchies.discover()
    }

    private func plan(_ resources: Resources? = nil, path: String? = nil) throws -> CgroupPlan {
        try CgroupPlan(cgroupsPath: path, id: id, resources: resources, host: host)
    }

    private func text(_ cgroup: Cgroup, _ controller: String, _ file: String) throws -> String {
        let index = try #require(cgroup.layout.index(of: controller))
        let path = "\(cgroup.layout.directories[index].path)/\(file)"
        var bytes = try readFile(path)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func directoriesExist(_ layout: CgroupLayout) -> [Bool] {
        layout.directories.map { access($0.path, F_OK) == 0 }
    }

    /// A child that sleeps until it is killed.
    private func sleeper() throws -> Child { try Child("exec sleep 60") }

    @Test("create makes a directory in every hierarchy, and remove removes each")
    func lifecycle() throws {
        let cgroup = try Cgroup.create(try plan())
        #expect(directoriesExist(cgroup.layout).allSatisfy { $0 })
        #expect(try cgroup.isEmpty)
        #expect(try !cgroup.isFrozen)
        #expect(cgroup.oomKillCount == 0)
        try cgroup.remove()
        #expect(directoriesExist(cgroup.layout).allSatisfy { !$0 })
        try cgroup.remove()
    }

    @Test(
        "limits are in the v2 kernel's files, byte for byte",
        .enabled(if: hostIsUnified, "the files of cgroup v2"))
    func unifiedLimits() throws {
        let resources = Resources(
            memory: .init(limit: 64 << 20, reservation: 32 << 20, swap: 96 << 20),
            cpu: .init(
                shares: 512, quota: 20_000, burst: 10_000, period: 50_000, cpus: "0", mems: "0"),
            pids: .init(limit: 20), unified: ["memory.high": "50331648"])
        let cgroup = try Cgroup.create(try plan(resources, path: "/\(id)/limits"))
        defer { cgroup.removeMadeDirectories() }
        let files = [
            ("memory", "memory.max", "\(64 << 20)"), ("memory", "memory.low", "\(32 << 20)"),
            ("memory", "memory.swap.max", "\(32 << 20)"), ("memory", "memory.high", "50331648"),
            ("cpu", "cpu.weight", "59"), ("cpu", "cpu.max", "20000 50000"),
            ("cpu", "cpu.max.burst", "10000"), ("cpuset", "cpuset.cpus", "0"),
            ("cpuset", "cpuset.mems", "0"), ("pids", "pids.max", "20"),
        ]
        for (controller, file, expected) in files {
            #expect(try text(cgroup, controller, file) == expected, "\(file)")
        }
        guard let directory = try cgroup.openUnifiedDirectory() else { return }
        #expect(try DevicePrograms.attached(to: directory.number).count == 1)
    }

    @Test(
        "limits are in the v1 kernel's files, byte for byte",
        .enabled(if: !hostIsUnified, "the files of cgroup v1"))
    func limits() throws {
        let resources = Resources(
            memory: .init(limit: 64 << 20, reservation: 32 << 20),
            cpu: .init(shares: 512, quota: 20_000, period: 50_000, cpus: "0", mems: "0"),
            pids: nil)
        let cgroup = try Cgroup.create(try plan(resources))
        defer { try? cgroup.remove() }
        #expect(try text(cgroup, "memory", "memory.limit_in_bytes") == "\(64 << 20)")
        #expect(try text(cgroup, "memory", "memory.soft_limit_in_bytes") == "\(32 << 20)")
        #expect(try text(cgroup, "cpu", "cpu.shares") == "512")
        #expect(try text(cgroup, "cpu", "cpu.cfs_quota_us") == "20000")
        #expect(try text(cgroup, "cpu", "cpu.cfs_period_us") == "50000")
        #expect(try text(cgroup, "cpuset", "cpuset.cpus") == "0")
        let lines = try text(cgroup, "devices", "devices.list").split(separator: "\n")
        #expect(lines.contains("c 1:3 rwm") && !lines.contains("a *:* rwm"))
    }

    @Test("a pids limit is in the kernel's file")
    func pidsLimit() throws {
        let cgroup = try Cgroup.create(try plan(Resources(pids: .init(limit: 0))))
        defer { try? cgroup.remove() }
        #expect(try text(cgroup, "pids", "pids.max") == "1")
    }

    @Test(
        "the limits of memory and of memory plus swap can be raised and lowered in one update",
        .enabled(if: !hostIsUnified, "memory and swap together are of cgroup v1"))
    func memoryAndSwapInAnyOrder() throws {
        let cgroup = try Cgroup.create(
            try plan(Resources(memory: .init(limit: 32 << 20, swap: 48 << 20))))
        defer { try? cgroup.remove() }
        for (limit, swap) in [(96, 128), (16, 16), (64, 64), (8, 200)] as [(Int64, Int64)] {
            let resources = Resources(memory: .init(limit: limit << 20, swap: swap << 20))
            try cgroup.apply(ResourcePlan(resources, on: cgroup.layout).steps)
            #expect(try text(cgroup, "memory", "memory.limit_in_bytes") == "\(limit << 20)")
            #expect(try text(cgroup, "memory", "memory.memsw.limit_in_bytes") == "\(swap << 20)")
        }
    }

    @Test("a limit that the kernel refuses is reported with field, call and errno; nothing is left")
    func refusedLimit() throws {
        let plan = try plan(Resources(cpu: .init(period: 1)), path: "/\(id)/deep/er")
        let error = #expect(throws: CgroupError.self) { try Cgroup.create(plan) }
        #expect(error?.field == "linux.resources.cpu.period")
        #expect(error?.failure?.errno == .invalidArgument)
        #expect(
            error?.description.hasPrefix("linux.resources.cpu.period: write(\"cpu.") == true)
        for directory in plan.layout.directories {
            #expect(access("\(directory.mountPoint)/\(id)", F_OK) != 0)
        }
    }

    @Test(
        "cpuset values are copied down a path of new directories",
        .enabled(if: !hostIsUnified, "on cgroup v2 the kernel sees to it"))
    func cpusetInherits() throws {
        let cgroup = try Cgroup.create(try plan(path: "/\(id)/a/b"))
        defer { cgroup.removeMadeDirectories() }
        #expect(try !text(cgroup, "cpuset", "cpuset.cpus").isEmpty)
        #expect(try !text(cgroup, "cpuset", "cpuset.mems").isEmpty)
    }

    @Test("attach puts a process into every hierarchy, kill empties them")
    func attachAndKill() throws {
        let cgroup = try Cgroup.create(try plan())
        defer { try? cgroup.remove() }
        let child = try sleeper()
        defer { child.end() }
        try cgroup.attach(Int(child.pid))
        #expect(try cgroup.processes() == [Int(child.pid)])
        let membership = String(
            decoding: try readFile("/proc/\(child.pid)/cgroup"), as: UTF8.self)
        // /proc/PID/cgroup also lists hierarchies that are not mounted here.
        let inside = membership.split(separator: "\n").filter { $0.hasSuffix(id) }
        #expect(inside.count == cgroup.layout.directories.count, "\(membership)")
        try cgroup.killAll()
        _ = child.status
        #expect(try cgroup.isEmpty)
    }

    @Test("a cgroup that has processes or is frozen is not taken over")
    func occupied() throws {
        let plan = try plan()
        let cgroup = try Cgroup.create(plan)
        defer { try? cgroup.remove() }
        _ = try Cgroup.create(plan)
        #expect(directoriesExist(plan.layout).allSatisfy { $0 })

        try cgroup.freeze()
        let frozen = #expect(throws: CgroupError.self) { try Cgroup.create(plan) }
        #expect(frozen?.message == "container's cgroup unexpectedly frozen")
        try cgroup.thaw()

        let child = try sleeper()
        defer { child.end() }
        try cgroup.attach(Int(child.pid))
        let occupied = #expect(throws: CgroupError.self) { try Cgroup.create(plan) }
        #expect(occupied?.message == "container's cgroup is not empty: 1 process(es) found")
    }

    @Test(
        "a creation that finds its cgroup held by another creation is refused and removes nothing")
    func locked() throws {
        let plan = try plan()
        var lock: FileLock?
        let cgroup = try Cgroup.create(plan.layout, keeper: nil, holding: &lock)
        defer { try? cgroup.remove() }
        let refused = #expect(throws: CgroupError.self) { try Cgroup.create(plan) }
        #expect(refused?.message == "container's cgroup is being used by another create")
        #expect(directoriesExist(plan.layout).allSatisfy { $0 })
        lock = nil
        _ = try Cgroup.create(plan)
    }

    @Test("a file lock ends with its owner, although a program being started has a copy of it")
    func copiedLock() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        func isFree() throws -> Bool {
            try FileLock(ifFree: openFile(path, .readOnly | .directory)) != nil
        }
        let file = try openFile(path, .readOnly | .directory)
        let copy = dup(file.number)
        defer { close(copy) }
        var lock = try FileLock(ifFree: file)
        let isOurs = lock != nil
        #expect(try isOurs && !isFree())
        lock = nil
        #expect(try isFree())
    }

    @Test(
        "after a failure an empty cgroup that existed before is removed, but not its parents")
    func takenOver() throws {
        let outer = try plan(path: "/\(id)"), inner = try plan(path: "/\(id)/inner")
        for directory in outer.layout.directories + inner.layout.directories {
            try makeDirectory(directory.path, mode: 0o755)
        }
        try Cgroup.create(inner).removeMadeDirectories()
        #expect(directoriesExist(inner.layout).allSatisfy { !$0 })
        #expect(directoriesExist(outer.layout).allSatisfy { $0 })
        try Cgroup(outer.layout).remove()
    }

    @Test("a frozen process is killed, and its cgroup removed with its children")
    func frozenIsKilled() throws {
        let cgroup = try Cgroup.create(try plan())
        let child = try sleeper()
        try cgroup.attach(Int(child.pid))
        try cgroup.freeze()
        #expect(try cgroup.isFrozen)
        for directory in cgroup.layout.directories {
            try makeDirectory("\(directory.path)/child", mode: 0o755)
        }
        try cgroup.killAll()
        _ = child.status
        #expect(try !cgroup.isFrozen)
        try cgroup.remove()
        #expect(directoriesExist(cgroup.layout).allSatisfy { !$0 })
    }

    @Test("nested cgroups of any depth hide no process and do not prevent removal")
    func deepNesting() throws {
        let cgroup = try Cgroup.create(try plan())
        let child = try sleeper()
        defer { child.end() }
        // 80 names of 60 bytes are longer than PATH_MAX.
        let name = String(repeating: "n", count: 60)
        for directory in cgroup.layout.directories {
            var below = try openFile(directory.path, .readOnly | .directory)
            for _ in 0..<80 {
                try makeDirectory(name, at: below.number, mode: 0o755)
                try makeDirectory("beside", at: below.number, mode: 0o755)
                if directory.controllers.contains("cpuset") {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        let value = try readFile(file, at: below.number)
                        let path = "\(name)/\(file)"
                        let copy = try openFile(path, .writeOnly, at: below.number)
                        try writeAll(value, to: copy.number, named: path)
                    }
                }
                below = try openFile(name, .readOnly | .directory, at: below.number)
            }
            try writeControlFile("cgroup.procs", at: below.number, "\(child.pid)")
        }
        #expect(try cgroup.processes() == [Int(child.pid)])
        try cgroup.killAll()
        _ = child.status
        try cgroup.remove()
        #expect(directoriesExist(cgroup.layout).allSatisfy { !$0 })
    }

    @Test(
        "a cgroup below one with own threads becomes threaded and accepts processes",
        .enabled(if: hostIsUnified, "cgroup v1 has no such cgroups"))
    func threadedDomain() throws {
        let parent = try Cgroup.create(try plan(path: "/\(id)"))
        defer { try? parent.remove() }
        let path = parent.layout.directories[0].path
        try makeDirectory("\(path)/threads", mode: 0o755)
        try writeControlFile("\(path)/threads/cgroup.type", "threaded")
        let cgroup = try Cgroup.create(try plan(path: "/\(id)/container"))
        #expect(
            try readFile("\(cgroup.layout.directories[0].path)/cgroup.type")
                == Array("threaded\n".utf8))
        let child = try sleeper()
        defer { child.end() }
        try cgroup.attach(Int(child.pid))
        #expect(try cgroup.processes() == [Int(child.pid)])
        try cgroup.killAll()
        _ = child.status
        try cgroup.remove()
    }

    @Test("a failed launch removes the cgroups it made, except those in use by others")
    func sharedParentStays() throws {
        let first = try Cgroup.create(try plan(path: "/\(id)/first"))
        let second = try Cgroup.create(try plan(path: "/\(id)/second"))
        first.removeMadeDirectories()
        #expect(!first.exists)
        #expect(second.exists)
        second.removeMadeDirectories()
        for directory in second.layout.directories {
            #expect(rmdir("\(directory.mountPoint)/\(id)") == 0)
        }
    }

    @Test("containers that share a new parent can come and go at the same time")
    func concurrentParents() async throws {
        let id = id
        let host = host
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    for _ in 0..<25 {
                        let plan = try CgroupPlan(
                            cgroupsPath: "/\(id)/a/\(number)", id: id, resources: nil, host: host)
                        try Cgroup.create(plan).removeMadeDirectories()
                    }
                }
            }
            try await group.waitForAll()
        }
        // The process that made the parents may end before the others: then the parents stay, and
        // are empty.
        for hierarchy in host.hierarchies {
            let parent = "\(hierarchy.mountPoint)/\(id)"
            rmdir("\(parent)/a")
            rmdir(parent)
            #expect(access(parent, F_OK) != 0)
        }
    }

    @Test("a signal reaches every process of the cgroup")
    func signal() throws {
        let cgroup = try Cgroup.create(try plan())
        defer { try? cgroup.remove() }
        let children = try [sleeper(), sleeper()]
        for child in children { try cgroup.attach(Int(child.pid)) }
        try cgroup.signalAll(SIGTERM)
        #expect(children.map(\.status) == [-1, -1])
        #expect(try cgroup.isEmpty)
    }

    @Test("a process that the kernel kills for lack of memory is counted")
    func oomKills() throws {
        let cgroup = try Cgroup.create(
            try plan(Resources(memory: .init(limit: 4 << 20, swap: 4 << 20))))
        defer { try? cgroup.remove() }
        let index = try #require(cgroup.layout.index(of: "memory"))
        let procs = "\(cgroup.layout.directories[index].path)/cgroup.procs"
        let child = try Child(
            "echo $$ > '\(procs)' && exec head -c 64m /dev/zero | tail -c 64m > /dev/null")
        _ = child.status
        #expect(cgroup.oomKillCount > 0)
    }

    @Test("a process enters the v1 hierarchies through the cgroup's open tasks files")
    func entrance() throws {
        let cgroup = try Cgroup.create(try plan())
        defer { try? cgroup.remove() }
        let entrance = try cgroup.openEntrance()
        let count = cgroup.layout.directories.filter { !$0.isUnified }.count
        #expect(entrance.descriptors.count == count)
        let output = "/tmp/\(id)"
        defer { unlink(output) }
        let writes = cgroup.layout.directories.filter { !$0.isUnified }
            .map { "echo 0 > '\($0.path)/tasks'" }
        // The shell itself does the redirections and moves itself; `read` and `echo` start no
        // process.
        let commands = writes + ["while read l; do echo \"$l\"; done </proc/self/cgroup >\(output)"]
        let child = try Child(commands.joined(separator: " && "))
        #expect(child.status == 0)
        let lines = String(decoding: try readFile(output), as: UTF8.self).split(separator: "\n")
        #expect(lines.filter { $0.hasSuffix(id) }.count == count)
    }

    @Test("a v2 device program is attached, and later replaced in one step")
    func deviceProgram() throws {
        let cgroup = try Cgroup.create(try plan())
        defer { try? cgroup.remove() }
        guard let directory = try cgroup.openUnifiedDirectory() else {
            Issue.record("this host has no cgroup2 mount")
            return
        }
        let first = try DevicePrograms.load(try DeviceAccess(rules: []).program)
        try DevicePrograms.attach(first.number, to: directory.number, isNew: false)
        let before = try DevicePrograms.attached(to: directory.number)
        #expect(before.count == 1)

        let open = try DeviceAccess(rules: [DeviceCgroupRule(allow: true, access: "rwm")])
        let second = try DevicePrograms.load(open.program)
        try DevicePrograms.attach(second.number, to: directory.number, isNew: false)
        let after = try DevicePrograms.attached(to: directory.number)
        #expect(after.count == 1 && after != before)
    }

    @Test("the attached v2 device program decides as the device rules say")
    func deviceProgramDecides() throws {
        let cgroup = try Cgroup.create(try plan())
        defer { try? cgroup.remove() }
        let index = try #require(cgroup.layout.unifiedIndex)
        guard let directory = try cgroup.openUnifiedDirectory() else {
            Issue.record("this host has no cgroup2 mount")
            return
        }
        let access = try DeviceAccess(rules: [])
        let program = try DevicePrograms.load(access.program)
        try DevicePrograms.attach(program.number, to: directory.number, isNew: true)
        // /dev/kmsg (1:11) is not a default device, /dev/zero (1:5) is.
        let child = try Child(
            "echo $$ > '\(cgroup.layout.directories[index].path)/cgroup.procs' || exit 9; "
                + "head -c1 /dev/zero > /dev/null || exit 8; "
                + "if head -c0 /dev/kmsg 2>/dev/null; then exit 7; fi")
        #expect(child.status == 0)
    }
}

/// A child of the tests that runs shell commands.
private final class Child {
    let pid: pid_t
    private var exitStatus: Int32?

    init(_ commands: String) throws {
        var pid: pid_t = 0
        let words: [String] = ["/bin/sh", "-c", commands]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        // The threads of a task pool block signals, and children inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let result = posix_spawn(&pid, "/bin/sh", nil, &attributes, arguments + [nil], environ)
        guard result == 0 else { throw Errno(rawValue: result) }
        self.pid = pid
    }

    /// The exit code, once it has ended; -1 for a signal.
    var status: Int32 {
        if let exitStatus { return exitStatus }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : -1
        exitStatus = code
        return code
    }

    /// Kills it if it has not ended.
    func end() {
        guard exitStatus == nil else { return }
        kill(pid, SIGKILL)
        _ = status
    }
}
