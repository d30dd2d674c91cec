// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One instruction of eBPF, `struct bpf_insn`.
///
/// Source: bpf(2), the kernel's bpf/standardization/instruction-set.rst.
struct DeviceInstruction: Equatable, Sendable {
    /// Class, source and operation; see `DeviceInstruction.Code`.
    var code: UInt8
    /// The destination register in the low four bits, the source register in the high four.
    var registers: UInt8
    /// The distance of a jump in instructions, or the offset of a load in bytes.
    var offset: Int16
    /// The constant operand.
    var immediate: Int32

    /// The operations used in device programs.
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
#endif
