// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

@Suite("Adopted cgroups in layouts and records")
struct AdoptedCgroupTests {
    /// A descriptor of a directory that exists.
    private func held(_ path: String) throws -> HeldDescriptor {
        HeldDescriptor(taking: try openFile(path, .pathOnly | .directory).release())
    }

    @Test("a record names an adopted cgroup by path and inode, and a damaged one is no record")
    func record() throws {
        let layout = CgroupLayout.ofCaller
        let read = try #require(CgroupLayout(record: layout.record))
        #expect(read == layout && read.adopted?.path == "/sys/fs/cgroup/judge/job-1")
        #expect(read.adopted?.identity == FileIdentity(device: 31, inode: .max - 1))
        guard case .object(var object) = layout.record else { return }
        for damaged in [JSONValue.bool(true), .object(["device": .string("31")])] {
            // The last one counts.
            object.append("adopted", damaged)
            #expect(CgroupLayout(record: .object(object)) == nil)
        }
    }

    @Test("a directory with the name of the adopted cgroup but another inode is not opened")
    func identity() throws {
        let path = "/usr"
        let own = try status(at: path).identity
        #expect(try AdoptedCgroup(path: path, identity: own).opened() != nil)
        let other = FileIdentity(device: own.device, inode: own.inode &+ 1)
        #expect(try AdoptedCgroup(path: path, identity: other).opened() == nil)
        #expect(try AdoptedCgroup(path: "/usr/none", identity: own).opened() == nil)
        // What cannot be examined is not taken for gone.
        let name = String(repeating: "a", count: 300)
        #expect(throws: SystemCallError.self) {
            try AdoptedCgroup(path: "/\(name)", identity: own).opened()
        }
    }

    @Test("a layout below an adopted cgroup, or after init has left it, is not the adopted one")
    func derived() throws {
        let layout = CgroupLayout.ofCaller
        #expect(layout.following(Array("0::/judge/job-1\n".utf8)) == layout)
        let moved = layout.following(Array("0::/judge/job-1/inner\n".utf8))
        #expect(moved.adopted == nil && moved.directories[0].cgroup == "/judge/job-1/inner")
        let below = try layout.entering(["": "inner"])
        #expect(below.adopted == nil && below.directories[0].cgroup == "/judge/job-1/inner")
    }

    @Test("errors name the cgroup, not the descriptor by which it is reached")
    func named() throws {
        var layout = CgroupLayout.ofCaller
        layout.directories[0].access = .held(try held("/"))
        let path = layout.directories[0].path
        #expect(path.hasPrefix("/proc/self/fd/"))
        let error = SystemCallError(
            "openat", "\"\(path)/pids.max\", \"\(path)0\"", errno: .noSuchFileOrDirectory)
        #expect(
            layout.named(error).arguments
                == "\"/sys/fs/cgroup/judge/job-1/pids.max\", \"\(path)0\"")
        // A changed path is not reached by the old descriptor.
        layout.directories[0].cgroup += "/inner"
        #expect(layout.directories[0].path == "/sys/fs/cgroup/judge/job-1/inner")
    }

    @Test("an adopted cgroup that is gone has no processes, is not frozen and is left alone")
    func gone() throws {
        var layout = CgroupLayout.ofCaller
        layout.directories[0].access = .gone
        let cgroup = Cgroup(layout)
        #expect(!cgroup.exists)
        #expect(try cgroup.processes() == [] && !cgroup.isFrozen)
        try cgroup.killAll()
        try cgroup.remove()
    }

    @Test("a cgroup can be adopted where cgroup v2 limits, and if the config names no other one")
    func adopting() throws {
        let adopted = try #require(CgroupLayout.ofCaller.adopted)
        func refusal(_ host: CgroupHierarchies, _ path: String? = nil) -> ContainerError? {
            #expect(throws: ContainerError.self) {
                try CgroupLayout(adopting: adopted, cgroupsPath: path, id: "box", in: host)
            }
        }
        var host = CgroupHierarchies.planV2
        #expect(refusal(.planV1)?.code == .unsupported)
        let other = refusal(host, "/judge/job-2")
        #expect(other?.code == .invalidArgument && other?.field == "linux.cgroupsPath")
        host.hierarchies[0].mountPoint = "/elsewhere"
        #expect(refusal(host)?.message.contains("is not below /elsewhere") == true)
    }

    @Test("a limit without a controller in the adopted cgroup says where to enable it")
    func lack() {
        let error = #expect(throws: SpecError.self) {
            try CgroupPlan(
                adopting: .ofCaller, resources: Resources(memory: .init(limit: 64 << 20)))
        }
        #expect(
            "\(error as Any)".contains(
                "/sys/fs/cgroup/judge/job-1 does not have the controller \"memory\""))
    }
}

extension CgroupLayout {
    /// A cgroup that the caller had made.
    static var ofCaller: CgroupLayout {
        let directory = CgroupDirectory(
            controllers: [], mountPoint: "/sys/fs/cgroup", cgroup: "/judge/job-1")
        var layout = CgroupLayout(
            mode: .unified, directories: [directory], unifiedControllers: ["cpu", "pids"])
        layout.adopted = AdoptedCgroup(
            path: directory.name, identity: FileIdentity(device: 31, inode: UInt64.max - 1))
        return layout
    }
}
