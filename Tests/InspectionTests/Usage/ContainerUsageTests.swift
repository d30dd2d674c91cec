// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit
@testable import ContainerKitInspection
@testable import RuntimeSpec

@Suite("The usage of containers between two readings")
struct ContainerUsageTests {
    private func reading(
        at seconds: Double, created: String = "a", _ change: (inout CgroupUsage) -> Void = { _ in }
    ) -> ContainerMeter.Reading {
        var usage = CgroupUsage()
        change(&usage)
        return .init(
            id: "box", status: .running, created: created, nanoseconds: Int(seconds * 1e9),
            usage: usage)
    }

    @Test("rates are differences by the time between the readings, and of one CPU")
    func rates() {
        let earlier = reading(at: 10) {
            $0.cpuNanoseconds = 1_000_000_000
            $0.readBytes = 1000
            $0.writtenBytes = 0
        }
        let later = reading(at: 12) {
            $0.cpuNanoseconds = 4_000_000_000
            $0.readBytes = 3000
            $0.writtenBytes = 10
        }
        let usage = ContainerUsage(later, since: earlier)
        #expect(usage.cpuPercent == 150)
        #expect(usage.readBytesPerSecond == 1000 && usage.writtenBytesPerSecond == 5)
        #expect(usage.ioBytesPerSecond == 1005)
    }

    @Test("the first reading has values, and no rates")
    func first() {
        let usage = ContainerUsage(reading(at: 1) { $0.cpuNanoseconds = 5 }, since: nil)
        #expect(usage.cpuPercent == nil && usage.ioBytesPerSecond == nil)
        #expect(usage.usage.cpuNanoseconds == 5)
    }

    @Test("there is no rate without one of the values, or without time, or of a counter gone back")
    func unknownRates() {
        let some = { (usage: inout CgroupUsage) in usage.cpuNanoseconds = 5 }
        let less = { (usage: inout CgroupUsage) in usage.cpuNanoseconds = 4 }
        for (earlier, later) in [
            (reading(at: 1), reading(at: 2, some)), (reading(at: 1, some), reading(at: 2)),
            (reading(at: 2, some), reading(at: 2, some)),
            (reading(at: 2, some), reading(at: 1, some)),
            (reading(at: 1, some), reading(at: 2, less)),
        ] {
            #expect(ContainerUsage(later, since: earlier).cpuPercent == nil)
        }
        #expect(ContainerUsage(reading(at: 2, some), since: reading(at: 1, some)).cpuPercent == 0)
    }

    @Test("another container of the same ID is not compared with the former")
    func another() {
        let earlier = reading(at: 1) { $0.cpuNanoseconds = 1 }
        let later = reading(at: 2, created: "b") { $0.cpuNanoseconds = 9 }
        #expect(ContainerUsage(later, since: earlier).cpuPercent == nil)
    }

    @Test("the highest pressure is that of the known ones")
    func pressure() {
        #expect(ContainerUsage(reading(at: 1), since: nil).highestPressure == nil)
        let known = reading(at: 1) {
            $0.memoryPressure = 2
            $0.ioPressure = 1
        }
        #expect(ContainerUsage(known, since: nil).highestPressure == 2)
    }

    @Test("JSON has null for what is unknown, and two digits of shares")
    func json() {
        func text(_ usage: ContainerUsage) -> String {
            String(decoding: usage.encoded.encoded(), as: UTF8.self)
        }
        #expect(
            text(ContainerUsage(reading(at: 1), since: nil))
                == #"{"id":"box","status":"running","cpuPercent":null,"cpuNanoseconds":null,"#
                + #""memoryBytes":null,"memoryLimitBytes":null,"memoryPercent":null,"#
                + #""readBytes":null,"writtenBytes":null,"readBytesPerSecond":null,"#
                + #""writtenBytesPerSecond":null,"pids":null,"#
                + #""pressure":{"cpu":null,"memory":null,"io":null}}"#)
        let earlier = reading(at: 1) {
            $0.cpuNanoseconds = 0
            $0.readBytes = 0
            $0.writtenBytes = 7
        }
        let later = reading(at: 4) {
            $0.cpuNanoseconds = 1_000_000_000
            $0.memoryBytes = 1000
            $0.memoryLimitBytes = 3000
            $0.readBytes = 100
            $0.writtenBytes = 7
            $0.pids = 2
            $0.cpuPressure = 12.34
            $0.memoryPressure = 0
            $0.ioPressure = 0.5
        }
        #expect(
            text(ContainerUsage(later, since: earlier))
                == #"{"id":"box","status":"running","cpuPercent":33.33,"cpuNanoseconds":1000000000,"#
                + #""memoryBytes":1000,"memoryLimitBytes":3000,"memoryPercent":33.33,"#
                + #""readBytes":100,"writtenBytes":7,"readBytesPerSecond":33,"#
                + #""writtenBytesPerSecond":0,"pids":2,"#
                + #""pressure":{"cpu":12.34,"memory":0.0,"io":0.5}}"#)
    }
}
