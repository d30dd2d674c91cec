// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The exit status of a child whose program stopped at an error; the progress page says which.
public let machineFailureStatus: Int32 = 125

/// Runs `program` in the calling process until a system call replaces or ends it.
///
/// Instructions only go forward, so the loop ends: the last one is execve or exit_group.
@_noLocks
func runMachine(
    _ program: UnsafePointer<machine_instruction>,
    _ cells: UnsafeMutablePointer<Int64>,
    _ progress: UnsafeMutablePointer<machine_progress>
) -> Never {
    var index = 0
    while true {
        let instruction = program + index
        switch instruction.pointee.kind {
        case 0:
            // Only a call can fail, and exit_group cannot: the first of two processes, which ends so,
            // must not write over how far the second is by then.
            if Int(instruction.pointee.number) != Int(__NR_exit_group) {
                progress.pointee.index = UInt32(truncatingIfNeeded: index)
            }
            performCall(instruction, cells, progress)
            index &+= 1
        case 1:
            performCopy(instruction, cells)
            index &+= 1
        default:
            index &+= 1 &+ performSkip(instruction)
        }
    }
}

/// Makes the call; returns only when it succeeded or failed in a way that the program ignores.
@_noLocks
private func performCall(
    _ instruction: UnsafePointer<machine_instruction>,
    _ cells: UnsafeMutablePointer<Int64>,
    _ progress: UnsafeMutablePointer<machine_progress>
) {
    let operands = instruction.pointee.operand
    let inCells = instruction.pointee.cell_operands
    var attempts = instruction.pointee.retries
    var result = 0
    while true {
        result = raw_system_call(
            Int(truncatingIfNeeded: instruction.pointee.number),
            inCells & 1 == 0 ? Int(operands.0) : Int(cells[Int(operands.0)]),
            inCells & 2 == 0 ? Int(operands.1) : Int(cells[Int(operands.1)]),
            inCells & 4 == 0 ? Int(operands.2) : Int(cells[Int(operands.2)]),
            inCells & 8 == 0 ? Int(operands.3) : Int(cells[Int(operands.3)]),
            inCells & 16 == 0 ? Int(operands.4) : Int(cells[Int(operands.4)]),
            inCells & 32 == 0 ? Int(operands.5) : Int(cells[Int(operands.5)]))
        // EINTR and EAGAIN: the two that a second try can mend (openat2 says EAGAIN when a rename
        // raced with its walk).
        guard result == -4 || result == -11, attempts > 0 else { break }
        attempts &-= 1
    }
    if instruction.pointee.result != 0xffff {
        cells[Int(instruction.pointee.result)] = Int64(result)
    }
    guard result < 0, result >= -4095 else { return }
    let ignored = instruction.pointee.ignored
    let failure = Int16(truncatingIfNeeded: 0 &- result)
    if failure == ignored.0 || failure == ignored.1 || failure == ignored.2 || failure == ignored.3
    {
        return
    }
    progress.pointee.error = Int32(failure)
    while true {
        _ = raw_system_call(Int(__NR_exit_group), Int(machineFailureStatus), 0, 0, 0, 0, 0)
        // Only a filter of the container refuses that.
        raw_trap()
    }
}

/// Stores a cell into prepared memory: a descriptor into a control message, a pid into a buffer.
@_noLocks
private func performCopy(
    _ instruction: UnsafePointer<machine_instruction>, _ cells: UnsafeMutablePointer<Int64>
) {
    let value = cells[Int(instruction.pointee.result)]
    let address = UnsafeMutableRawPointer(bitPattern: Int(instruction.pointee.operand.0))
    guard let address else { return }
    switch instruction.pointee.operand.1 {
    case 1: address.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    case 2: address.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case 4: address.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    default: address.storeBytes(of: value, as: Int64.self)
    }
}

/// How many instructions to pass over: the distance when memory matches, else none.
@_noLocks
private func performSkip(_ instruction: UnsafePointer<machine_instruction>) -> Int {
    let address = UnsafeRawPointer(bitPattern: Int(instruction.pointee.operand.0))
    guard let address else { return 0 }
    let value = address.loadUnaligned(as: Int64.self)
    let matches = value & instruction.pointee.operand.1 == instruction.pointee.operand.2
    return matches ? Int(instruction.pointee.distance) : 0
}
