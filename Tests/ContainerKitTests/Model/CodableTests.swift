// SPDX-License-Identifier: Apache-2.0

import ContainerKitCodable
import Foundation
import Testing

@testable import ContainerKit

@Suite("Documents for coders of the standard library")
struct CodableTests {
    private func copy<Value: Codable>(_ value: Value) throws -> Value {
        try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
    }

    /// The parts of a value that hold nothing: zero, nil, no element.
    private func blankParts(_ value: Any, _ path: String = "") -> [String] {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional || mirror.displayStyle == .collection {
            guard !mirror.children.isEmpty else { return [path] }
        }
        guard !mirror.children.isEmpty else {
            let text = "\(value)"
            return text.isEmpty || text == "0" || text == "0.0" ? [path] : []
        }
        return mirror.children.flatMap { child in
            blankParts(child.value, child.label.map { "\(path).\($0)" } ?? path)
        }
    }

    @Test("a config with every field set survives encoding and decoding")
    func config() throws {
        // A test of the model sees to it that this file leaves out no field but these two.
        let file = URL(filePath: #filePath).appending(
            path: "../../../../spec-fixtures/good/full.json")
        var spec = try Spec(json: Array(Data(contentsOf: file.standardized)))
        spec.process?.scheduler?.priority = 3
        spec.linux?.personality?.flags = ["a"]
        #expect(try copy(spec) == spec)
        #expect(try copy(spec).hashValue == spec.hashValue)
        var other = spec
        other.linux?.resources?.pids?.limit = 77
        #expect(Set([spec, other, try copy(other)]).count == 2)
    }

    @Test("a state and features with every field set survive encoding and decoding")
    func documents() throws {
        let state = State(
            ociVersion: "1.2.0", id: "a", pid: 12, status: .running, bundle: "/b", rootfs: "/r",
            created: "2026-01-01T00:00:00Z", annotations: ["a": "b"], owner: "root")
        #expect(blankParts(state) == [])
        #expect(try copy(state) == state && copy(state).hashValue == state.hashValue)
        let yes = Features.Support(enabled: true)
        let features = Features(
            ociVersionMin: "1.0.0", ociVersionMax: "1.3.0", hooks: ["poststop"],
            mountOptions: ["ro"],
            linux: Features.Linux(
                namespaces: ["pid"], capabilities: ["CAP_KILL"],
                cgroup: Features.Cgroup(
                    v1: true, v2: true, systemd: false, systemdUser: false, rdma: true),
                seccomp: Features.Seccomp(
                    enabled: true, actions: ["A"], operators: ["O"], archs: ["X"],
                    knownFlags: ["F"], supportedFlags: ["G"]),
                apparmor: yes, selinux: yes,
                intelRdt: Features.IntelRdt(enabled: true, schemata: true, monitoring: false),
                memoryPolicy: Features.MemoryPolicy(modes: ["M"], flags: ["N"]),
                mountExtensions: Features.MountExtensions(idmap: yes), netDevices: yes),
            annotations: ["v": "1"], potentiallyUnsafeConfigAnnotations: ["run."])
        #expect(blankParts(features) == [])
        #expect(try copy(features) == features && copy(features).hashValue == features.hashValue)
        #expect(try Features(encoded: features.encoded) == features)
        #expect(try State(encoded: state.encoded) == state)
    }

    private var pressure: Statistics.Pressure {
        var pressure = Statistics.Pressure()
        pressure.some = .init(average10: 1.5, average60: 2, average300: 0.25, totalMicroseconds: 4)
        pressure.full = .init(average10: 5, average60: 6, average300: 7, totalMicroseconds: .max)
        return pressure
    }

    private var memory: Statistics.Memory {
        func amount(_ first: UInt64) -> Statistics.Amount {
            .init(limit: first, usage: first + 1, max: first + 2, failures: first + 3)
        }
        var memory = Statistics.Memory()
        memory.cache = 1
        memory.usage = amount(10)
        memory.swap = amount(20)
        memory.kernel = amount(30)
        memory.kernelTCP = amount(.max - 3)
        memory.raw = [("file", 3), ("anon", 2)]
        memory.pressure = pressure
        memory.outOfMemoryKills = 4
        memory.events = .init(low: 1, high: 2, max: 3, outOfMemory: 4)
        return memory
    }

    private var intelRdt: Statistics.IntelRdt {
        var rdt = Statistics.IntelRdt()
        rdt.cache = .init(mask: "ff", leastBits: 1, classes: 2)
        rdt.rootCacheSchema = "L3:0=ff"
        rdt.cacheSchema = "L3:0=f"
        rdt.bandwidth = .init(granularity: 10, isLinear: 1, least: 2, classes: 3)
        rdt.rootBandwidthSchema = "MB:0=100"
        rdt.bandwidthSchema = "MB:0=50"
        rdt.schemata = ["L3:0=f", "MB:0=50"]
        rdt.transfers = [.init(total: 9, local: 8)]
        rdt.occupancies = [7]
        return rdt
    }

    @Test("statistics with every field set survive encoding and decoding")
    func everyStatistic() throws {
        func entries(_ first: UInt64) -> [Statistics.BlockIO.Entry] {
            [
                .init(major: first, minor: first + 1, operation: "Read", value: first + 2),
                .init(major: first, minor: first + 1, operation: "Total", value: first + 3),
            ]
        }
        var all = Statistics()
        all.cpu = .init(
            total: 1, kernel: 2, user: 3, perCPU: [4, 5], perCPUKernel: [6], perCPUUser: [7],
            periods: 8, throttledPeriods: 9, throttledTime: 10, pressure: pressure)
        all.cpuSet = .init(
            cpus: [1, 65535], mems: [2], cpuExclusive: 1, memHardwall: 2, memExclusive: 3,
            memoryMigrate: 4, memorySpreadPage: 5, memorySpreadSlab: 6, memoryPressure: 7,
            schedLoadBalance: 8, schedRelaxDomainLevel: -1)
        all.memory = memory
        all.pids = .init(current: 3, limit: 4)
        all.blockIO = .init(
            serviceBytes: entries(1), serviced: entries(2), queued: entries(3),
            serviceTime: entries(4), waitTime: entries(5), merged: entries(6), time: entries(7),
            sectors: entries(8), pressure: pressure)
        all.rdma = [.init(device: "mlx4_0", handles: 2, objects: 7)]
        all.hugePages = [
            .init(pageSize: "1GB", usage: 1, max: 2, failures: 3),
            .init(pageSize: "2MB", usage: 4, max: 5, failures: 6),
        ]
        all.intelRdt = intelRdt
        #expect(blankParts(all) == [])
        #expect(try copy(all) == all)
        #expect(try Statistics(encoded: all.encoded) == all)
        #expect(try copy(Statistics()) == Statistics())
    }

    @Test(
        "a statistic of the wrong type or out of range is an error with its path",
        arguments: [
            (#"{"cpu":{"usage":{"total":-1}}}"#, "cpu.usage.total"),
            (#"{"cpuset":{"cpus":[0,65536]}}"#, "cpuset.cpus[1]"),
            (#"{"memory":{"raw":{"a":1.5}}}"#, "memory.raw.a"),
            (#"{"memory":[]}"#, "memory"), (#"{"blkio":{"ioTimeRecursive":[1]}}"#, "blkio"),
            (#"{"intel_rdt":{"schemata":"L3"}}"#, "intel_rdt.schemata"),
        ])
    func wrongStatistic(_ text: String, _ path: String) throws {
        let value = try JSONValue(json: Array(text.utf8))
        let error = #expect(throws: SpecDecodingError.self) { try Statistics(encoded: value) }
        #expect(error?.description.hasPrefix(path) == true, "\(String(describing: error))")
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Statistics.self, from: Data(text.utf8))
        }
    }

    @Test("JSON of every kind survives encoding and decoding, and large integers stay exact")
    func values() throws {
        let value = JSONValue.array([
            .null, .bool(true), .integer(-1), .integer(.max), .unsigned(.max), .double(1.5),
            .string("a\"ö"), .object(["a": .array([]), "b": .object([:])]),
        ])
        #expect(try copy(value) == value)
    }

    @Test("a document that is not a config is a DecodingError with the field's path")
    func wrong() {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                Spec.self, from: Data(#"{"ociVersion": "1.0.0", "hostname": 1}"#.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains("hostname"))
    }

    @Test(
        "a termination survives encoding and decoding",
        arguments: [
            Termination(status: .unknown),
            Termination(
                status: .signaled(9), outOfMemoryKills: 2,
                usage: ResourceUsage(
                    userTime: .microseconds(5), systemTime: .seconds(70), peakMemoryBytes: 4096)),
            Termination(status: .exited(3), outOfMemoryKills: 0),
        ])
    func termination(_ termination: Termination) throws {
        #expect(try copy(termination) == termination)
    }

    @Test("statistics are written with runc's keys")
    func statistics() throws {
        var statistics = Statistics()
        statistics.pids.current = 7
        let text = String(decoding: try JSONEncoder().encode(statistics), as: UTF8.self)
        #expect(text.contains(#""pids":{"current":7}"#))
    }
}
