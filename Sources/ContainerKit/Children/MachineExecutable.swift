// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitMachine
internal import SystemPackage

/// The machine's executable, in a sealed memory file.
///
/// A child's `/proc/PID/exe` leads to this file, which cannot be written to and contains only code.
enum MachineExecutable {
    /// The file, made once for all launches of this process.
    private struct Made {
        let number: CInt
        let inode: UInt64
        let device: UInt32
    }

    private static let made: Result<Made, SystemCallError> = {
        do throws(SystemCallError) {
            let file = try make()
            let found = try status(of: file.number)
            return .success(
                Made(
                    number: file.release(), inode: found.stx_ino, device: found.stx_dev_minor))
        } catch {
            return .failure(error)
        }
    }()

    /// Calls `body` with a descriptor of the file.
    static func with<Result: ~Copyable>(
        _ body: (CInt) throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result {
        // Tried again after a refusal, which may be lifted by now. The inode is compared, because a
        // host program that closes unknown descriptors may have reused the number for another file.
        if case .success(let made) = made, let found = try? status(of: made.number),
            found.stx_ino == made.inode,
            found.stx_dev_major == 0, found.stx_dev_minor == made.device
        {
            return try body(made.number)
        }
        let file = try make()
        return try body(file.number)
    }

    private static func make() throws(SystemCallError) -> OwnedDescriptor {
        let file = try memoryFile("init", for: .execution)
        // The executable has a page or two.
        var bytes = [UInt8](repeating: 0, count: 16384)
        let size = machine_executable(&bytes, UInt(bytes.count))
        precondition(size > 0, "the machine has outgrown its room")
        bytes.removeLast(bytes.count - Int(size))
        try writeAll(bytes, to: file.number, named: "init's executable")
        try seal(file.number)
        return file
    }
}
#endif
