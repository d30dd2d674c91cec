// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Resources as properties of a unit")
struct UnitPropertiesTests {
    private func lines(_ resources: Resources, version: Int = 257, isUnified: Bool = true) throws
        -> [String]
    {
        try UnitProperties.planned(for: resources, version: version, isUnified: isUnified)
            .map(\.description)
    }

    private static let common = Resources(
        memory: .init(limit: 64 << 20, reservation: 32 << 20, swap: 96 << 20),
        cpu: .init(
            shares: 1024, quota: 25_500, period: 100_000, cpus: "0-3,8", mems: "0"),
        pids: .init(limit: 20), blockIO: .init(weight: 500))

    @Test("cgroup v2 limits become the unit properties for cgroup v2")
    func unified() throws {
        #expect(
            try lines(Self.common) == [
                "MemoryMax = 67108864", "MemoryLow = 33554432", "MemorySwapMax = 33554432",
                "CPUWeight = 100", "CPUQuotaPeriodUSec = 100000", "CPUQuotaPerSecUSec = 260000",
                "AllowedCPUs = [15, 1]", "AllowedMemoryNodes = [1]", "TasksMax = 20",
            ])
    }

    @Test("cgroup v1 limits become the unit properties for cgroup v1")
    func legacy() throws {
        #expect(
            try lines(Self.common, isUnified: false) == [
                "MemoryLimit = 67108864", "CPUShares = 1024", "CPUQuotaPeriodUSec = 100000",
                "CPUQuotaPerSecUSec = 260000", "AllowedCPUs = [15, 1]", "AllowedMemoryNodes = [1]",
                "TasksMax = 20", "BlockIOWeight = 500",
            ])
    }

    @Test("properties that an older systemd does not know are left out")
    func versions() throws {
        let resources = Resources(
            cpu: .init(shares: 1024, quota: 50_000, period: 100_000, cpus: "0", idle: 1))
        #expect(
            try lines(resources, version: 252) == [
                "CPUWeight = 0", "CPUQuotaPeriodUSec = 100000", "CPUQuotaPerSecUSec = 500000",
                "AllowedCPUs = [1]",
            ])
        #expect(
            try lines(resources, version: 243) == [
                "CPUWeight = 100", "CPUQuotaPeriodUSec = 100000", "CPUQuotaPerSecUSec = 500000",
            ])
        #expect(
            try lines(resources, version: 0) == ["CPUWeight = 100", "CPUQuotaPerSecUSec = 500000"])
    }

    @Test("an unlimited resource becomes infinity, and an unset one is left out")
    func unlimited() throws {
        let resources = Resources(
            memory: .init(limit: -1, swap: -1), cpu: .init(quota: -1), pids: .init(limit: -1))
        #expect(
            try lines(resources) == [
                "MemoryMax = infinity", "MemorySwapMax = infinity", "CPUQuotaPerSecUSec = infinity",
                "TasksMax = infinity",
            ])
        #expect(try lines(Resources()) == [])
        #expect(try lines(Resources(memory: .init(limit: 0), cpu: .init(shares: 0))) == [])
    }

    @Test(
        "a CPU quota is rounded up to whole percents, whatever its period",
        arguments: [
            (25_500, 100_000, 260_000), (25_000, 100_000, 250_000), (1, 1_000_000, 10_000),
            (50_000, 0, 500_000), (150_000, 50_000, 3_000_000), (-1, 100_000, .max),
            (0, 50_000, .max), (.max, 1, .max),
        ] as [(Int64, UInt64, UInt64)])
    func quotas(quota: Int64, period: UInt64, expected: UInt64) {
        #expect(UnitProperties.quotaPerSecond(quota, period) == expected)
    }

    @Test(
        "the cgroup file gets the CPU quota as systemd rounds it",
        arguments: [
            (500_000, 1_000_000, 500_000), (500_000, 900_000, 504_000),
            (600_000, 900_000, 603_000), (25_500, nil, 26_000), (25_500, 0, 26_000),
            (-1, 100_000, -1), (0, 5000, 0), (nil, 5000, nil), (.max, 1, .max),
        ] as [(Int64?, UInt64?, Int64?)])
    func writtenQuotas(quota: Int64?, period: UInt64?, expected: Int64?) {
        var cpu: CPUResources? = CPUResources(quota: quota, period: period)
        UnitProperties.roundQuota(&cpu)
        #expect(cpu == CPUResources(quota: expected, period: period))
    }

    @Test("rounding never lowers a CPU quota, and raises it by less than one percent")
    func quotaBounds() throws {
        var random = SplitMix(state: 4)
        for _ in 0..<10_000 {
            let quota = Int64.random(in: 1...10_000_000, using: &random)
            let period = UInt64.random(in: 1000...1_000_000, using: &random)
            let exact = UInt64(quota) * 1_000_000 / period
            let told = UnitProperties.quotaPerSecond(quota, period)
            #expect(told % 10_000 == 0 && told >= exact && told < exact + 10_000)
            // The written quota is the same share, to the microsecond, and never less.
            var cpu: CPUResources? = CPUResources(quota: quota, period: period)
            UnitProperties.roundQuota(&cpu)
            let written = try #require(cpu?.quota)
            #expect(written >= quota && UnitProperties.quotaPerSecond(written, period) == told)
            #expect(UInt64(written) <= max(UInt64(quota), told * period / 1_000_000))
        }
    }

    @Test(
        "a CPU or node list becomes a bit mask, lowest bits first",
        arguments: [
            ("0", [1]), ("0-7", [255]), ("8", [0, 1]), ("0,2-3, 9", [13, 2]), ("3-1", nil),
            ("", nil), ("a", nil), ("1-", nil), ("-1", nil), ("1-2-3", nil), ("99999", nil),
        ] as [(String, [UInt8]?)])
    func sets(list: String, bits: [UInt8]?) {
        #expect(UnitProperties.bits(of: list) == bits)
    }

    @Test("files of the unified section that have a unit property become that property")
    func unifiedFiles() throws {
        let resources = Resources(unified: [
            "cpu.max": "max 50000", "cpu.weight": "42", "memory.high": "1048576",
            "memory.max": "max", "pids.max": "7", "cpuset.cpus": "1\n", "io.weight": "default 50",
            "memory.oom.group": "1",
        ])
        #expect(
            try lines(resources) == [
                "CPUQuotaPeriodUSec = 50000", "CPUQuotaPerSecUSec = infinity", "CPUWeight = 42",
                "AllowedCPUs = [2]", "MemoryHigh = 1048576", "MemoryMax = infinity", "TasksMax = 7",
            ])
        #expect(
            UnitProperties.outOfMemoryPolicy(resources, version: 253).map(\.description)
                == ["OOMPolicy = kill"])
        #expect(UnitProperties.outOfMemoryPolicy(resources, version: 252) == [])
        #expect(
            try lines(Resources(unified: ["cpu.idle": "1", "cpu.weight": "5"])) == ["CPUWeight = 0"]
        )
    }

    @Test(
        "wrong values in files of the unified section are refused",
        arguments: [
            ("cpu.max", "1 2 3", "\"1 2 3\" is not a quota and a period"),
            ("cpu.max", "many", "\"many\" is not a quota and a period"),
            ("pids.max", "few", "\"few\" is neither a number nor \"max\""),
            (
                "cpuset.cpus", "x",
                "\"x\" is not a list of numbers and ranges, such as \"0-3,8\""
            ),
        ])
    func wrongUnified(file: String, text: String, message: String) {
        let error = #expect(throws: SpecError.self) { try lines(Resources(unified: [file: text])) }
        #expect(error?.message == message)
    }

    @Test("device rules become unit properties on cgroup v1")
    func devices() throws {
        var access = try DeviceAccess(rules: [
            DeviceCgroupRule(allow: true, kind: .block, major: 8, minor: 0, access: "r"),
            DeviceCgroupRule(allow: true, kind: .character, minor: 9, access: "rw"),
        ])
        access.exceptions.removeAll { $0.access == .makeNode }
        #expect(
            access.unitProperties(version: 257).map(\.description) == [
                "DevicePolicy = strict",
                "DeviceAllow = [/dev/block/8:0 r, /dev/char/1:3 rwm, /dev/char/1:8 rwm, "
                    + "/dev/char/1:7 rwm, /dev/char/5:0 rwm, /dev/char/1:5 rwm, /dev/char/1:9 rwm, "
                    + "char-136 rwm, /dev/char/5:2 rwm]",
            ])
        #expect(
            DeviceAccess(allowsByDefault: true).unitProperties(version: 257).map(\.description)
                == ["DevicePolicy = auto", "DeviceAllow = []"])
    }
}

@Suite("Properties from annotations")
struct PropertyAnnotationTests {
    @Test(
        "an annotation's value is read in the text format of GVariant",
        arguments: [
            ("'text'", .string("text")), ("\"a \\\"b\\\" \\u00e4\"", .string("a \"b\" ä")),
            ("true", .boolean(true)), (" false ", .boolean(false)), ("7", .int32(7)),
            ("-0x10", .int32(-16)), ("010", .int32(8)), ("1.5", .double(1.5)),
            ("1e3", .double(1000)),
            ("uint64 18446744073709551615", .uint64(.max)), ("@t 5", .uint64(5)),
            ("byte 0xff", .byte(255)), ("int16 -1", .int16(-1)), ("uint16 1", .uint16(1)),
            ("uint32 2", .uint32(2)), ("int64 -9", .int64(-9)), ("double 2", .double(2)),
            ("objectpath '/a'", .objectPath("/a")), ("signature 'as'", .signature("as")),
            ("['a', 'b']", .strings(["a", "b"])), ("@as []", .strings([])),
            ("[uint32 1, 2]", .array(of: "u", [.uint32(1), .uint32(2)])),
            ("@ay [1, 2]", .bytes([1, 2])), ("b'ab'", .bytes([97, 98, 0])),
            (
                "[('/dev/null', 'rw')]",
                .array(of: "(ss)", [.structure([.string("/dev/null"), .string("rw")])])
            ),
            ("<5>", .variant(.int32(5))),
            ("@(st) ('a', 5)", .structure([.string("a"), .uint64(5)])),
        ] as [(String, DBusValue)])
    func values(text: String, expected: DBusValue) throws {
        #expect(try VariantText.value(of: text) == expected)
    }

    @Test(
        "an annotation's value that is not valid GVariant text is refused",
        arguments: [
            ("", "it ends too early"), ("text", "\"text\" is no value; a text stands in quotes"),
            ("'open", "a text has no closing quote"), ("1 2", "more text follows the value"),
            ("[]", "an empty array needs its type, as in \"@as []\""),
            ("[1, 'a']", "a value of type s stands where one of type i must"),
            ("[1", "\",\" is missing"), ("99999999999", "\"99999999999\" is no number"),
            ("uint16 70000", "\"70000\" is no number of type q"), ("uint64", "it ends too early"),
            ("byte -1", "\"-1\" is no number of type y"), ("--1", "\"--1\" is no number"),
            ("inf", "\"inf\" is no value; a text stands in quotes"), ("()", "a tuple is empty"),
            ("'\\u12'", "an escape sequence stands for no character"),
            ("@z 1", "a signature has a letter that is no type (122)"),
        ])
    func refusedValues(text: String, message: String) {
        let error = #expect(throws: VariantTextError.self) { try VariantText.value(of: text) }
        #expect(error?.description == message)
    }

    @Test("no annotation text makes the GVariant parser trap")
    func noise() {
        var random = SplitMix(state: 5)
        let letters = Array("[]()<>'\"\\@abstuy0123456789x,.- eE+")
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...20, using: &random)
            let text = String((0..<count).map { _ in letters.randomElement(using: &random) ?? "a" })
            _ = try? VariantText.value(of: text)
        }
        #expect(throws: VariantTextError.self) {
            try VariantText.value(of: String(repeating: "[", count: 10_000))
        }
        #expect(throws: VariantTextError.self) {
            try VariantText.value(of: String(repeating: "uint64 ", count: 10_000))
        }
    }

    @Test("an annotation in seconds sets the property in microseconds")
    func seconds() throws {
        let properties = try PropertyAnnotation.properties([
            "org.systemd.property.TimeoutStopSec": "uint64 123", "other": "ignored",
            "org.systemd.property.RuntimeMaxSec": "1.5",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.TimeoutStopUSec": "uint64 5",
        ])
        #expect(
            properties.map(\.description) == [
                "CollectMode = inactive-or-failed", "RuntimeMaxUSec = 1500000",
                "TimeoutStopUSec = 123000000", "TimeoutStopUSec = 5",
            ])
    }

    @Test(
        "an invalid annotation is named in the error",
        arguments: [
            ("a", "true", "\"a\" is not the name of a unit's property"),
            ("Bad.Name", "true", "\"Bad.Name\" is not the name of a unit's property"),
            (
                "Slice", "plain",
                "\"plain\" is not a value: \"plain\" is no value; a text stands in quotes"
            ),
            ("StopSec", "'1'", "the value of \"StopSec\" must be a number of seconds"),
            ("StopSec", "-1", "the value of \"StopSec\" must be a number of seconds"),
        ])
    func wrongAnnotations(name: String, text: String, message: String) {
        let error = #expect(throws: SpecError.self) {
            try PropertyAnnotation.properties(["org.systemd.property.\(name)": text])
        }
        #expect(error?.message == message)
        let key = "org.systemd.property.\(name)"
        #expect(error?.path == JSONPath("annotations").appending(key: key))
    }
}
