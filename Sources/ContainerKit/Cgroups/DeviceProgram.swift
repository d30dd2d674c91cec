// SPDX-License-Identifier: Apache-2.0

/// One instruction of eBPF, `struct bpf_insn`.
///
/// Source: bpf(2), the kernel's bpf/standardization/instruction-set.rst.
struct DeviceInstruction: Equatable, Sendable {
    /// Class, source and operation; see `DeviceInstruction.Code`.
    var code: UInt8
    /// The destination register in the low four bits, the source register in the high four.
    var registers: UInt8
    /// A distance in instructions for jumps, in bytes for loads.
    var offset: Int16
    /// The constant operand.
    var immediate: Int32

    /// The operations that device programs are made of.
    enum Code {
        static let loadWord: UInt8 = 0x61  // BPF_LDX | BPF_MEM | BPF_W
        static let moveConstant: UInt8 = 0xb7  // BPF_ALU64 | BPF_MOV | BPF_K
        static let moveRegister: UInt8 = 0xbf  // BPF_ALU64 | BPF_MOV | BPF_X
        static let andConstant: UInt8 = 0x57  // BPF_ALU64 | BPF_AND | BPF_K
        static let shiftRightConstant: UInt8 = 0x77  // BPF_ALU64 | BPF_RSH | BPF_K
        static let jumpIfNotConstant: UInt8 = 0x55  // BPF_JMP | BPF_JNE | BPF_K
        static let jumpIfConstant: UInt8 = 0x15  // BPF_JMP | BPF_JEQ | BPF_K
        static let jumpIfNotRegister: UInt8 = 0x5d  // BPF_JMP | BPF_JNE | BPF_X
        static let jumpIfNotWord: UInt8 = 0x56  // BPF_JMP32 | BPF_JNE | BPF_K
        static let exit: UInt8 = 0x95  // BPF_JMP | BPF_EXIT
    }

    init(_ code: UInt8, to: UInt8 = 0, from: UInt8 = 0, offset: Int16 = 0, _ immediate: Int32 = 0) {
        self.code = code
        registers = to | from << 4
        self.offset = offset
        self.immediate = immediate
    }

    /// The eight bytes as the kernel reads them (both supported machines are little-endian).
    var word: UInt64 {
        UInt64(code) | UInt64(registers) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }
}

extension DeviceAccess {
    /// The BPF_PROG_TYPE_CGROUP_DEVICE program that answers 1 (allowed) or 0 for each use of a device.
    ///
    /// Register 1 holds the context on entry: access and type, major, minor. Each exception is a
    /// block of tests that jumps to the next block when it does not match.
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
                // One forbidden operation is enough.
                block.append(DeviceInstruction(Code.jumpIfConstant, to: Register.scratch, 0))
            } else {
                // All operations have to be permitted.
                block.append(
                    DeviceInstruction(
                        Code.jumpIfNotRegister, to: Register.scratch, from: Register.access))
            }
        }
        // 32-bit comparisons: a constant of 64 would be sign-extended.
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
