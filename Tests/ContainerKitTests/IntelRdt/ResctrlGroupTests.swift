// SPDX-License-Identifier: Apache-2.0

import Foundation
import InitProgram
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

/// A directory that looks like resctrl; its files are plain files.
final class ResctrlLookalike {
    private let directory: TemporaryDirectory
    var root: String { directory.path }

    init(_ offers: [String] = ["L3", "MB"]) throws {
        directory = try TemporaryDirectory()
        for name in ["info"] + offers.map({ "info/\($0)" }) { try makeDirectory(name) }
        try write("", "schemata", "tasks")
    }

    func makeDirectory(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: "\(root)/\(name)", withIntermediateDirectories: true)
    }

    func write(_ text: String, _ names: String...) throws {
        for name in names {
            try text.write(toFile: "\(root)/\(name)", atomically: false, encoding: .utf8)
        }
    }

    func text(_ name: String) throws -> String {
        try String(contentsOfFile: "\(root)/\(name)", encoding: .utf8)
    }

    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(name)") }

    func plan(_ config: IntelRdt) throws(SpecError) -> ResctrlPlan {
        guard let plan = try ResctrlPlan(config, id: "box", tree: ResctrlTree(at: root)) else {
            preconditionFailure("a config has a plan")
        }
        return plan
    }
}

@Suite("Groups of resctrl")
struct ResctrlGroupTests {
    private func refusal(_ offers: [String]?, _ config: IntelRdt) throws -> String {
        let tree = try offers.map { try ResctrlLookalike($0) }
        do throws(SpecError) {
            _ = try ResctrlPlan(config, id: "box", tree: tree.map { ResctrlTree(at: $0.root) })
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    @Test("a resctrl feature that the host lacks is refused in runc's words")
    func missing() throws {
        #expect(
            try refusal(nil, IntelRdt())
                == "linux.intelRdt: Intel RDT resctrl mount point not found")
        #expect(
            try refusal(["MB"], IntelRdt(l3CacheSchema: "L3:0=f")).hasSuffix(
                "l3CacheSchema: is specified in config, but Intel RDT/CAT is not enabled"))
        #expect(
            try refusal(["L3"], IntelRdt(memBwSchema: "MB:0=20")).hasSuffix(
                "memBwSchema: is specified in config, but Intel RDT/MBA is not enabled"))
        #expect(
            try refusal(["L3CODE", "L3DATA"], IntelRdt(l3CacheSchema: "L3CODE:0=f")) == "taken")
        #expect(try refusal([], IntelRdt(schemata: ["L2:0=f"])) == "taken")
        #expect(try refusal(nil, IntelRdt(closID: "")) != "taken")
    }

    @Test(
        "the schemata are one text: cache lines first, then bandwidth lines, then the others",
        arguments: [
            (IntelRdt(l3CacheSchema: "L3:0=f;1=1f"), ["L3:0=f;1=1f"]),
            (IntelRdt(memBwSchema: "MB:0=20"), ["MB:0=20"]),
            (
                IntelRdt(l3CacheSchema: "MB:0=10\nL3:0=f\n", memBwSchema: "MB:0=20"),
                ["L3:0=f", "MB:0=20"]
            ),
            (IntelRdt(l3CacheSchema: "L3:0=f\nMB:0=10"), ["L3:0=f", "MB:0=10"]),
            (
                IntelRdt(schemata: ["L2:0=3", "MB:1=50"], l3CacheSchema: "L3:0=f"),
                ["L3:0=f", "L2:0=3", "MB:1=50"]
            ),
            (IntelRdt(), []),
        ])
    func schemata(_ config: IntelRdt, _ lines: [String]) throws {
        let tree = try ResctrlLookalike()
        #expect(try tree.plan(config).schemata == lines)
    }

    @Test("a container without a closID gets a resctrl group of its own, removed with it")
    func ownGroup() throws {
        let tree = try ResctrlLookalike()
        let plan = try tree.plan(IntelRdt(enableMonitoring: true))
        try tree.makeDirectory("box/mon_groups")
        try tree.write("", "box/tasks")
        var group = ResctrlGroup(plan)
        try group.make()
        #expect(group.made == ["\(tree.root)/box/mon_groups/box"], "the other was there")
        try tree.write("", "box/mon_groups/box/tasks")
        try ResctrlGroup.enter(plan.entered, 4711)
        #expect(try tree.text("box/tasks") == "4711")
        #expect(try tree.text("box/mon_groups/box/tasks") == "4711")
        #expect(plan.removed == ["\(tree.root)/box"])
    }

    @Test("the resctrl group of a container is created, written in one write, and removed")
    func made() throws {
        let tree = try ResctrlLookalike()
        try tree.makeDirectory("gold")
        try tree.write("", "gold/schemata")
        let named = try tree.plan(
            IntelRdt(closID: "gold", l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=20"))
        var group = ResctrlGroup(named)
        try group.make()
        #expect(try tree.text("gold/schemata") == "L3:0=f\nMB:0=20\n")
        #expect(group.made == [] && named.removed == [], "a class with a name is kept")

        var own = ResctrlGroup(try tree.plan(IntelRdt()))
        try own.make()
        #expect(tree.has("box") && own.made == ["\(tree.root)/box"])
        try ResctrlGroup.remove(own.made)
        #expect(!tree.has("box"))
        try ResctrlGroup.remove(own.made)
    }

    @Test("a closID without schemata must exist already")
    func mustExist() throws {
        let tree = try ResctrlLookalike()
        var group = ResctrlGroup(try tree.plan(IntelRdt(closID: "gold")))
        do throws(ContainerError) {
            try group.make()
            Issue.record("made")
        } catch {
            #expect(error.field == "linux.intelRdt.closID")
            #expect(error.failure?.errno == .noSuchFileOrDirectory)
        }
        #expect(!tree.has("gold"))
    }

    @Test("the closID / names the root resctrl group")
    func rootClass() throws {
        let tree = try ResctrlLookalike()
        let plan = try tree.plan(IntelRdt(closID: "/", enableMonitoring: true))
        #expect(plan.directory == tree.root && plan.mustExist)
        #expect(plan.removed == ["\(tree.root)/mon_groups/box"])
    }

    @Test("a schemata that the kernel refuses is reported in the kernel's own words")
    func lastCommandStatus() throws {
        let tree = try ResctrlLookalike()
        try tree.write("mask f0f is not contiguous\n", "info/last_cmd_status")
        var group = ResctrlGroup(try tree.plan(IntelRdt(l3CacheSchema: "L3:0=f0f")))
        do throws(ContainerError) {
            // There is no schemata file in a plain directory.
            try group.make()
            Issue.record("made")
        } catch {
            #expect(error.message == "the schemata are refused (mask f0f is not contiguous)")
        }
    }

    // MARK: Updates

    private func change(
        _ tree: ResctrlLookalike, _ update: IntelRdt, of current: IntelRdt?
    ) throws -> ResctrlChange {
        let tree = ResctrlTree(at: tree.root)
        return try #require(try ResctrlChange(update, of: current, id: "box", tree: tree))
    }

    @Test("an update writes its schemata lines into the container's resctrl group, and can undo it")
    func update() throws {
        let tree = try ResctrlLookalike()
        try tree.makeDirectory("gold")
        // As long as the new text: a shorter write would leave the end of the old text in a plain
        // file.
        try tree.write("L3:0=ff\n", "gold/schemata")
        let current = IntelRdt(closID: "gold", schemata: ["L2:0=3"], l3CacheSchema: "L3:0=f")
        var change = try change(tree, IntelRdt(memBwSchema: "MB:0=20"), of: current)
        try change.apply(to: [1])
        #expect(try tree.text("gold/schemata") == "MB:0=20\n")
        #expect(
            change.result
                == IntelRdt(
                    closID: "gold", schemata: ["L2:0=3"], l3CacheSchema: "L3:0=f",
                    memBwSchema: "MB:0=20"))
        change.undo()
        #expect(try tree.text("gold/schemata") == "L3:0=ff\n")
        #expect(tree.has("gold"))
    }

    @Test("a container without resctrl groups gets one by an update, with all of its processes")
    func firstGroup() throws {
        let tree = try ResctrlLookalike()
        try tree.makeDirectory("box")
        try tree.write("", "box/schemata", "box/tasks")
        var change = try change(tree, IntelRdt(l3CacheSchema: "L3:0=f"), of: nil)
        try change.apply(to: [4711])
        #expect(try tree.text("box/schemata") == "L3:0=f\n")
        #expect(try tree.text("box/tasks") == "4711")
        var record = ContainerRecord(
            id: "box", ociVersion: "1.0.0", bundle: "/b", rootfs: "/b/r", created: "",
            annotations: [:],
            cgroups: try CgroupLayout(cgroupsPath: nil, id: "box", in: .none))
        change.remember(in: &record)
        #expect(record.resctrlGroups == ["\(tree.root)/box"])
        #expect(record.ownResctrlGroups == ["\(tree.root)/box"])
    }

    @Test("an update of a resctrl feature that the host lacks is refused in runc's words")
    func refusedUpdate() throws {
        func refusal(_ offers: [String]?, _ update: IntelRdt) throws -> String? {
            let tree = try offers.map { try ResctrlLookalike($0) }
            do throws(ContainerError) {
                let tree = tree.map { ResctrlTree(at: $0.root) }
                return try ResctrlChange(update, of: nil, id: "box", tree: tree) == nil
                    ? nil : "taken"
            } catch {
                return error.message
            }
        }
        let cache = IntelRdt(l3CacheSchema: "L3:0=f")
        let bandwidth = IntelRdt(memBwSchema: "MB:0=20")
        #expect(try refusal(nil, cache) == "Intel RDT/CAT: l3 cache schema is not enabled")
        #expect(try refusal(["MB"], cache) == "Intel RDT/CAT: l3 cache schema is not enabled")
        #expect(
            try refusal(["L3"], bandwidth)
                == "Intel RDT/MBA: memory bandwidth schema is not enabled")
        #expect(try refusal(["L3"], cache) == "taken")
        #expect(try refusal(nil, IntelRdt(closID: "x")) == nil, "nothing is asked for")
    }
}
