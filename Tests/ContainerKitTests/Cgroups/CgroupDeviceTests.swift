// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

/// An access to a device, and whether it is allowed.
private struct DeviceUse {
    var kind: DeviceRange.Kind
    var major: UInt32
    var minor: UInt32
    var access: DeviceOperations

    init(_ kind: DeviceRange.Kind, _ major: UInt32, _ minor: UInt32, _ access: DeviceOperations) {
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
    }
}

/// Interprets a device program like the kernel; nil if it does something that the kernel forbids.
private func run(_ program: [DeviceInstruction], on use: DeviceUse) -> UInt64? {
    typealias Code = DeviceInstruction.Code
    let context: [Int16: UInt32] = [
        0: use.access.rawValue << 16 | use.kind.rawValue, 4: use.major, 8: use.minor,
    ]
    var registers = [UInt64](repeating: 0, count: 11)
    var counter = 0
    for _ in 0..<10_000 {
        guard program.indices.contains(counter) else { return nil }
        let instruction = program[counter]
        let to = Int(instruction.registers & 15)
        let from = Int(instruction.registers >> 4)
        let constant = UInt64(bitPattern: Int64(instruction.immediate))
        var jumps = false
        switch instruction.code {
        case Code.loadWord:
            guard from == 1, let word = context[instruction.offset] else { return nil }
            registers[to] = UInt64(word)
        case Code.moveConstant: registers[to] = constant
        case Code.moveRegister: registers[to] = registers[from]
        case Code.andConstant: registers[to] &= constant
        case Code.shiftRightConstant: registers[to] >>= constant
        case Code.jumpIfNotConstant: jumps = registers[to] != constant
        case Code.jumpIfConstant: jumps = registers[to] == constant
        case Code.jumpIfNotRegister: jumps = registers[to] != registers[from]
        case Code.jumpIfNotWord:
            jumps = registers[to] & 0xffff_ffff != constant & 0xffff_ffff
        case Code.exit: return registers[0]
        default: return nil
        }
        counter += 1 + (jumps ? Int(instruction.offset) : 0)
    }
    return nil
}

private let denyAll = DeviceCgroupRule(allow: false, access: "rwm")
private let allowAll = DeviceCgroupRule(allow: true, access: "rwm")

private func rule(
    _ allow: Bool, _ kind: DeviceCgroupRule.Kind, _ major: Int64?, _ minor: Int64?, _ access: String
) -> DeviceCgroupRule {
    DeviceCgroupRule(allow: allow, kind: kind, major: major, minor: minor, access: access)
}

@Suite("Device access")
struct CgroupDeviceTests {
    @Test("by default a container may make any device node but use only the standard devices")
    func standard() throws {
        let access = try DeviceAccess(rules: [])
        #expect(!access.allowsByDefault)
        #expect(
            access.exceptions.map(\.line) == [
                "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 1:7 rwm", "c 5:0 rwm",
                "c 1:5 rwm", "c 1:9 rwm", "c 136:* rwm", "c 5:2 rwm",
            ])
    }

    @Test("a device rule for all devices discards the rules before it")
    func allResets() throws {
        let access = try DeviceAccess(rules: [rule(true, .block, 8, 0, "r"), denyAll])
        #expect(try access == DeviceAccess(rules: []))
        #expect(
            try DeviceAccess(rules: [denyAll, allowAll]) == DeviceAccess(allowsByDefault: true))
    }

    @Test("later device rules extend or restrict earlier rules for the same devices")
    func merged() throws {
        let access = try DeviceAccess(rules: [
            rule(true, .block, 8, 0, "r"), rule(true, .block, 8, 0, "w"),
            rule(false, .block, 8, 0, "r"), rule(true, .block, 8, 16, "rw"),
            rule(false, .block, 8, 16, "rw"),
        ])
        #expect(access.exceptions.first?.line == "b 8:0 w")
        #expect(!access.exceptions.contains { $0.line.hasPrefix("b 8:16") })
    }

    @Test("an exception inside a wider rule is refused, because the v1 kernel would ignore it")
    func hole() throws {
        let error = #expect(throws: SpecError.self) {
            try DeviceAccess(rules: [
                rule(true, .character, 10, nil, "rw"), rule(false, .character, 10, 200, "r"),
            ])
        }
        #expect(
            error?.description == "linux.resources.devices[1]: \"c 10:200 r\" cannot be taken out "
                + "of the rule \"c 10:* rw\" before it")
    }

    @Test("unknown access letters are left out, as in runc; a rule without access is refused")
    func wrongValues() throws {
        #expect(
            try DeviceAccess(rules: [rule(true, .block, 8, 0, "rxa")])
                == DeviceAccess(rules: [rule(true, .block, 8, 0, "r")]))
        let letters = #expect(throws: SpecError.self) {
            try DeviceAccess(rules: [rule(false, .block, 8, 0, "a")])
        }
        #expect(letters?.path == "linux.resources.devices[0].access")
        let number = #expect(throws: SpecError.self) {
            try DeviceAccess(rules: [denyAll, rule(true, .block, 8, -2, "r")])
        }
        #expect(number?.path == "linux.resources.devices[1].minor")
    }

    @Test("a device program that denies by default allows exactly what its exceptions name")
    func denyingProgram() throws {
        let access = try DeviceAccess(rules: [
            denyAll, rule(true, .block, 8, nil, "r"), rule(true, .character, 0xffff_fff0, 1, "rw"),
        ])
        let program = access.program
        let cases: [(DeviceUse, Bool)] = [
            (DeviceUse(.character, 1, 3, .all), true), (DeviceUse(.block, 1, 3, .read), false),
            (DeviceUse(.character, 1, 4, .read), false),
            (DeviceUse(.character, 9, 9, .makeNode), true),
            (DeviceUse(.character, 136, 77, [.read, .write]), true),
            (DeviceUse(.block, 8, 17, .read), true),
            (DeviceUse(.block, 8, 17, [.read, .write]), false),
            (DeviceUse(.block, 8, 17, [.read, .makeNode]), false),
            (DeviceUse(.character, 0xffff_fff0, 1, .write), true),
            (DeviceUse(.character, 0xffff_fff0, 2, .write), false),
        ]
        for (use, allowed) in cases {
            #expect(run(program, on: use) == (allowed ? 1 : 0), "\(use)")
        }
    }

    @Test("a device program that allows by default denies every access that an exception names")
    func allowingProgram() throws {
        let access = try DeviceAccess(rules: [allowAll, rule(false, .block, 8, 0, "w")])
        let program = access.program
        #expect(run(program, on: DeviceUse(.block, 8, 0, .read)) == 1)
        #expect(run(program, on: DeviceUse(.block, 8, 0, .write)) == 0)
        #expect(run(program, on: DeviceUse(.block, 8, 0, [.read, .write])) == 0)
        #expect(run(program, on: DeviceUse(.block, 8, 1, .write)) == 1)
        #expect(run(program, on: DeviceUse(.character, 8, 0, .all)) == 1)
    }

    @Test("device program instructions have the kernel's byte layout")
    func encoding() {
        let instruction = DeviceInstruction(0x61, to: 2, from: 1, offset: 4, -1)
        #expect(instruction.word == 0xffff_ffff_0004_1261)
    }

    @Test("a new v1 cgroup first denies all devices, then allows them line by line")
    func legacyStart() throws {
        let access = try DeviceAccess(rules: [rule(true, .block, 8, 0, "r")])
        let writes = DeviceController.legacyWrites(from: nil, to: access, directory: 0)
        #expect(writes.first.map { "\($0.file)=\($0.text)" } == "devices.deny=a")
        #expect(writes.dropFirst().allSatisfy { $0.file == "devices.allow" })
        #expect(writes.map(\.text).contains("b 8:0 r"))
    }

    @Test("a change of a v1 device list writes only the differences, denials first")
    func legacyChange() throws {
        let before = try DeviceAccess(rules: [
            rule(true, .block, 8, 0, "rw"), rule(true, .block, 8, 1, "r"),
        ])
        let after = try DeviceAccess(rules: [
            rule(true, .block, 8, 0, "rm"), rule(true, .block, 8, 2, "r"),
        ])
        let writes = DeviceController.legacyWrites(from: before, to: after, directory: 0)
        #expect(
            writes.map { "\($0.file)=\($0.text)" } == [
                "devices.deny=b 8:0 w", "devices.deny=b 8:1 r", "devices.allow=b 8:0 m",
                "devices.allow=b 8:2 r",
            ])
        #expect(DeviceController.legacyWrites(from: after, to: after, directory: 0).isEmpty)
    }
}
