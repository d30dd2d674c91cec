// SPDX-License-Identifier: Apache-2.0

@testable import ContainerKit

/// A system call as seen by a filter.
///
/// Kernel: struct seccomp_data.
struct SystemCallRecord {
    var number: UInt32
    var architecture: UInt32
    var arguments: [UInt64] = []

    /// The word at `offset`, in little-endian order.
    func word(at offset: Int) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 8, 12: return 0
        case 16..<64 where offset % 4 == 0:
            let index = (offset - 16) / 8
            let argument = index < arguments.count ? arguments[index] : 0
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }
}

/// Interprets a filter like the kernel, with the instructions that seccomp allows.
///
/// Any other instruction, a jump out of the program or an end without a result is an error of the
/// filter.
struct BPFInterpreter {
    struct Fault: Error {
        var instruction: Int
        var reason: String
    }

    let program: [FilterInstruction]

    init(_ bytes: [UInt8]) {
        program = stride(from: 0, to: bytes.count, by: 8).map { start in
            bytes[start..<start + 8].withUnsafeBytes { raw in
                FilterInstruction(
                    code: raw.loadUnaligned(fromByteOffset: 0, as: UInt16.self),
                    skipIfTrue: raw[2], skipIfFalse: raw[3],
                    constant: raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            }
        }
    }

    init(program: [FilterInstruction]) {
        self.program = program
    }

    func action(for call: SystemCallRecord) throws -> UInt32 {
        try run(call).action
    }

    /// How many instructions the filter runs for a call.
    func stepCount(for call: SystemCallRecord) throws -> Int {
        try run(call).steps
    }

    private func run(_ call: SystemCallRecord) throws -> (action: UInt32, steps: Int) {
        var accumulator: UInt32 = 0
        var index = 0
        var steps = 0
        while index < program.count {
            steps += 1
            let instruction = program[index]
            let constant = instruction.constant
            let isTrue: Bool
            switch instruction.code {
            case 0x20:
                guard let word = call.word(at: Int(constant)) else {
                    throw Fault(instruction: index, reason: "load at \(constant)")
                }
                accumulator = word
                index += 1
                continue
            case 0x54:
                accumulator &= constant
                index += 1
                continue
            case 0x06: return (constant, steps)
            case 0x05:
                index += 1 + Int(constant)
                continue
            case 0x15: isTrue = accumulator == constant
            case 0x25: isTrue = accumulator > constant
            case 0x35: isTrue = accumulator >= constant
            case 0x45: isTrue = accumulator & constant != 0
            default: throw Fault(instruction: index, reason: "code \(instruction.code)")
            }
            index += 1 + Int(isTrue ? instruction.skipIfTrue : instruction.skipIfFalse)
        }
        throw Fault(instruction: index, reason: "past the end")
    }
}
