// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One instruction of classic BPF, `struct sock_filter`.
///
/// Kernel: linux/filter.h, linux/bpf_common.h; seccomp(2) for what a filter may use.
struct FilterInstruction: Equatable, Sendable {
    var code: UInt16
    /// How many instructions are skipped if a comparison is true, and if it is false.
    var skipIfTrue: UInt8 = 0
    var skipIfFalse: UInt8 = 0
    /// The constant: an offset, a value to compare with, a distance or a result.
    var constant: UInt32

    /// The size of the structure in bytes.
    static let sizeBytes = 8
    /// The kernel's limit for the length of a program: BPF_MAXINSNS.
    static let limitOfProgram = 4096

    /// Loads the 32-bit word at `offset` of `struct seccomp_data`.
    static func load(_ offset: UInt32) -> Self {
        Self(code: 0x20, constant: offset)
    }

    /// Skips `distance` instructions.
    static func jump(over distance: Int) -> Self {
        Self(code: 0x05, constant: UInt32(distance))
    }

    /// Skips the next `distance` instructions unless the loaded word equals `value`.
    static func unlessEqual(_ value: UInt32, skip distance: UInt8) -> Self {
        Self(code: 0x15, skipIfFalse: distance, constant: value)
    }

    /// Skips the next `distance` instructions unless the loaded word is above `value`.
    static func unlessAbove(_ value: UInt32, skip distance: UInt8) -> Self {
        Self(code: 0x25, skipIfFalse: distance, constant: value)
    }

    /// Skips the next `distance` instructions unless the loaded word is at least `value`.
    static func unlessAtLeast(_ value: UInt32, skip distance: UInt8) -> Self {
        Self(code: 0x35, skipIfFalse: distance, constant: value)
    }

    /// Ends the filter with an action of seccomp(2).
    static func end(_ action: UInt32) -> Self {
        Self(code: 0x06, constant: action)
    }

    /// The eight bytes of the instruction, in this machine's byte order.
    var bytes: [UInt8] {
        withUnsafeBytes(of: code) { Array($0) } + [skipIfTrue, skipIfFalse]
            + withUnsafeBytes(of: constant) { Array($0) }
    }
}
#endif
