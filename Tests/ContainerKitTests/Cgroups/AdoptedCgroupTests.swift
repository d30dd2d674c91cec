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
        #expect(read.adopted?.directories[0].identity == .ofCaller(0))
        guard case .object(var object) = layout.record else { return }
        for damaged in [JSONValue.bool(true), .object(["device": .string("31")])] {
            // The last one counts.
            object.append("adopted", damaged)
            #expect(CgroupLayout(record: .object(object)) == nil)
        }
    }

    @Test("a record names the inode of each directory of an adopted v1 cgroup, in their order")
    func legacyRecord() throws {
        let layout = CgroupLayout.ofCallerV1
        let read = try #require(CgroupLayout(record: layout.record))
        #expect(read == layout && read.mode == .legacy)
        #expect(
            read.adopted?.paths == [
                "/sys/fs/cgroup/memory/judge/job-1", "/sys/fs/cgroup/devices/judge/job-1",
            ])
        #expect(read.adopted?.directories.map(\.identity) == [.ofCaller(0), .ofCaller(1)])
        guard case .object(var object) = layout.record,
            case .array(let identities)? = object["adopted"]
        else {
            Issue.record("no list")
            return
        }
        // Each directory needs its own, or a later cgroup of its name could be taken for it.
        let damages: [JSONValue] = [
            .array([]), .array([identities[0]]), .array(identities + [.null]), identities[0],
        ]
        for damaged in damages {
            object.append("adopted", damaged)
            #expect(CgroupLayout(record: .object(object)) == nil)
        }
    }

    @Test("a directory with the name of the adopted cgroup but another inode is not opened")
    func identity() throws {
        let path = "/usr"
        let own = try status(at: path).identity
        #expect(try AdoptedCgroup.Directory(path: path, identity: own).opened() != nil)
        let other = FileIdentity(device: own.device, inode: own.inode &+ 1)
        #expect(try AdoptedCgroup.Directory(path: path, identity: other).opened() == nil)
        #expect(try AdoptedCgroup.Directory(path: "/usr/none", identity: own).opened() == nil)
        // What cannot be examined is not taken for gone.
        let name = String(repeating: "a", count: 300)
        #expect(throws: SystemCallError.self) {
            try AdoptedCgroup.Directory(path: "/\(name)", identity: own).opened()
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

    @Test("a cgroup can be adopted from the host's hierarchies, if the config names no other")
    func adopting() throws {
        func refusal(
            _ layout: CgroupLayout, _ host: CgroupHierarchies, _ path: String? = nil
        ) throws -> ContainerError {
            let adopted = try #require(layout.adopted)
            return try #require(
                #expect(throws: ContainerError.self) {
                    try CgroupLayout(adopting: adopted, cgroupsPath: path, id: "box", in: host)
                })
        }
        var host = CgroupHierarchies.planV2
        for (layout, host) in [(CgroupLayout.ofCaller, host), (.ofCallerV1, .planV1)] {
            let other = try refusal(layout, host, "/judge/job-2")
            #expect(other.code == .invalidArgument && other.field == "linux.cgroupsPath")
            // The name is right, but there is no such cgroup.
            let gone = try refusal(layout, host, "/judge/job-1")
            #expect(gone.code == .cgroup && gone.message.contains("/judge/job-1 has been removed"))
        }
        host.hierarchies[0].mountPoint = "/elsewhere"
        #expect(try refusal(.ofCaller, host).message.contains("is not below /elsewhere"))
        #expect(try refusal(.ofCallerV1, .planV2).message.contains("in the same hierarchy"))
    }

    @Test("a limit without a controller in the adopted cgroup says what to do about it")
    func lack() {
        func refusal(_ layout: CgroupLayout, _ resources: Resources) -> String {
            let error = #expect(throws: SpecError.self) {
                try CgroupPlan(adopting: layout, resources: resources)
            }
            return "\(error as Any)"
        }
        let memory = refusal(.ofCaller, Resources(memory: .init(limit: 64 << 20)))
        #expect(memory.contains("linux.resources.memory.limit"))
        #expect(
            memory.contains("/sys/fs/cgroup/judge/job-1 does not have the controller \"memory\""))
        #expect(memory.contains("cgroup.subtree_control"))
        let pids = refusal(.ofCallerV1, Resources(pids: .init(limit: 20)))
        #expect(pids.contains("linux.resources.pids.limit"))
        #expect(pids.contains("does not have the controller \"pids\": also adopt a directory"))
    }

    @Test("without the v1 controller of devices a cgroup is adopted only by who may do without it")
    func devices() throws {
        var layout = CgroupLayout.ofCallerV1
        layout.directories.removeLast()
        let error = #expect(throws: SpecError.self) {
            try CgroupPlan(adopting: layout, resources: nil)
        }
        #expect("\(error as Any)".contains("linux.resources.devices"))
        _ = try CgroupPlan(adopting: layout, resources: nil, needsDeviceRules: false)
    }

    @Test("without the v1 freezer an adopted cgroup cannot be paused, and the error says why")
    func freezer() {
        let error = #expect(throws: CgroupError.self) { try Cgroup(.ofCallerV1).freeze() }
        #expect(error?.hint?.contains("\"freezer\"") == true)
    }
}

extension CgroupLayout {
    /// A cgroup that the caller had made.
    static var ofCaller: CgroupLayout {
        let directory = CgroupDirectory(
            controllers: [], mountPoint: "/sys/fs/cgroup", cgroup: "/judge/job-1")
        let layout = CgroupLayout(
            mode: .unified, directories: [directory], unifiedControllers: ["cpu", "pids"])
        return layout.adopted()
    }

    /// One on cgroup v1, in two of its hierarchies.
    static var ofCallerV1: CgroupLayout {
        let directories = ["memory", "devices"].map { controller in
            CgroupDirectory(
                controllers: [controller], mountPoint: "/sys/fs/cgroup/\(controller)",
                cgroup: "/judge/job-1")
        }
        let layout = CgroupLayout(mode: .legacy, directories: directories, unifiedControllers: [])
        return layout.adopted()
    }

    private func adopted() -> CgroupLayout {
        var layout = self
        layout.adopted = AdoptedCgroup(
            recorded: directories.enumerated().map { index, directory in
                AdoptedCgroup.Directory(path: directory.name, identity: .ofCaller(index))
            })
        return layout
    }
}

extension FileIdentity {
    fileprivate static func ofCaller(_ index: Int) -> FileIdentity {
        FileIdentity(device: 31 + UInt64(index), inode: UInt64.max - 1 - UInt64(index))
    }
}
