// SPDX-License-Identifier: Apache-2.0

// The child. Everything between clone3 and execve happens in this module and nowhere else.
//
//   startChild  blocks signals, calls clone3, and in the child jumps into the machine
//   runMachine  interprets the prepared instructions; never returns
//
// Every function is `@_noLocks`: the compiler rejects an allocation, a lock or a callee that it does
// not know to be free of both. That is what makes a clone without exec safe in a threaded host: the
// child may have been cloned while another thread held any lock of the process.

public import CLinux

/// Clones a child that runs `program`, and returns its pid, or -errno, to the caller.
///
/// All signals are blocked across the clone, so that no handler of the host runs in the child, and
/// the caller's mask is restored in the parent; the program restores its own.
///
/// - Parameters:
///   - arguments: what clone3(2) is given.
///   - program: instructions that end with execve or exit_group.
///   - cells: the program's cells.
///   - progress: a page shared between parent and child.
/// - Returns: The child's pid, or -errno.
@_noLocks
public func startChild(
    _ arguments: UnsafePointer<clinux_clone_args>,
    running program: UnsafePointer<machine_instruction>,
    cells: UnsafeMutablePointer<Int64>,
    progress: UnsafeMutablePointer<machine_progress>
) -> Int {
    var all = UInt64.max
    var before: UInt64 = 0
    let size = 8
    _ = withUnsafeMutablePointer(to: &all) { all in
        withUnsafeMutablePointer(to: &before) { before in
            raw_system_call(
                Int(__NR_rt_sigprocmask), 2, Int(bitPattern: all), Int(bitPattern: before), size, 0,
                0)
        }
    }
    let pid = raw_system_call(
        Int(__NR_clone3), Int(bitPattern: arguments), MemoryLayout<clinux_clone_args>.size, 0, 0, 0,
        0)
    if pid == 0 {
        runMachine(program, cells, progress)
    }
    _ = withUnsafeMutablePointer(to: &before) { before in
        raw_system_call(
            Int(__NR_rt_sigprocmask), 2, Int(bitPattern: before), 0, size, 0, 0)
    }
    return pid
}
