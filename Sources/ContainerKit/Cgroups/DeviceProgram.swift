// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
extension DeviceAccess {
    /// The BPF_PROG_TYPE_CGROUP_DEVICE program: returns 1 (allowed) or 0 for each access to a
    /// device.
    ///
    /// On entry register 1 points to the context: access and type, major, minor. Each exception is
    /// a block of tests, which jumps to the next block if it does not match.
    var program: [DeviceInstruction] {
        typealias Code = DeviceInstruction.Code
        var program = [
            DeviceInstruction(Code.loadWord, to: Register.kind, from: 1, offset: 0),
            DeviceInstruction(Code.moveRegister, to: Register.access, from: Register.kind),
            DeviceInstruction(Code.andConstant, to: Register.kind, 0xffff),
            DeviceInstruction(Code.shiftRightConstant, to: Register.access, 16),
            DeviceInstruction(Code.loadWord, to: Register.major, from: 1, offset: 4),
            DeviceInstruction(Code.loadWord, to: Register.minor, from: 1, offset: 8),
        ]
        for exception in exceptions {
            program += block(exception)
        }
        program.append(DeviceInstruction(Code.moveConstant, to: 0, allowsByDefault ? 1 : 0))
        program.append(DeviceInstruction(Code.exit))
        return program
    }

    private enum Register {
        static let kind: UInt8 = 2
        static let access: UInt8 = 3
        static let major: UInt8 = 4
        static let minor: UInt8 = 5
        static let scratch: UInt8 = 6
    }

    private func block(_ exception: DeviceException) -> [DeviceInstruction] {
        typealias Code = DeviceInstruction.Code
        var block = [
            DeviceInstruction(
                Code.jumpIfNotConstant, to: Register.kind,
                Int32(bitPattern: exception.devices.kind.rawValue))
        ]
        if exception.access != .all {
            let operations = Int32(bitPattern: exception.access.rawValue)
            block.append(
                DeviceInstruction(Code.moveRegister, to: Register.scratch, from: Register.access))
            block.append(DeviceInstruction(Code.andConstant, to: Register.scratch, operations))
            if allowsByDefault {
                // One denied operation among those requested is enough.
                block.append(DeviceInstruction(Code.jumpIfConstant, to: Register.scratch, 0))
            } else {
                // All requested operations must be allowed.
                block.append(
                    DeviceInstruction(
                        Code.jumpIfNotRegister, to: Register.scratch, from: Register.access))
            }
        }
        // 32-bit comparisons, since a 64-bit constant would be sign-extended.
        if let major = exception.devices.major {
            block.append(
                DeviceInstruction(
                    Code.jumpIfNotWord, to: Register.major, Int32(bitPattern: major)))
        }
        if let minor = exception.devices.minor {
            block.append(
                DeviceInstruction(
                    Code.jumpIfNotWord, to: Register.minor, Int32(bitPattern: minor)))
        }
        block.append(DeviceInstruction(Code.moveConstant, to: 0, allowsByDefault ? 0 : 1))
        block.append(DeviceInstruction(Code.exit))
        for index in block.indices where isJump(block[index].code) {
            block[index].offset = Int16(block.count - index - 1)
        }
        return block
    }

    private func isJump(_ code: UInt8) -> Bool {
        typealias Code = DeviceInstruction.Code
        return code == Code.jumpIfNotConstant || code == Code.jumpIfConstant
            || code == Code.jumpIfNotRegister || code == Code.jumpIfNotWord
    }
}
#endif
