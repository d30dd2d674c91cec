// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The page that a child writes its progress to and that outlives it.
///
/// For a container it is a file of the state directory, so that `start`, another process, can tell
/// where init stands; for exec it is anonymous memory.
final class ProgressPage {
    /// The page.
    let pointer: UnsafeMutablePointer<machine_progress>

    private static let sizeBytes = 4096

    /// Maps a new anonymous page, or the empty file behind `descriptor`.
    init(file descriptor: CInt? = nil) throws(SystemCallError) {
        let isShared = 1
        let isAnonymous = 0x20
        if let descriptor {
            // Written, not only made longer: a page that finds no room when it is first touched kills
            // parent or child with SIGBUS.
            try writeAll(
                [UInt8](repeating: 0, count: Self.sizeBytes), to: descriptor,
                named: "progress page")
        }
        let address = try systemCall(
            "mmap", __NR_mmap, 0, Self.sizeBytes, 3,
            descriptor == nil ? isShared | isAnonymous : isShared,
            Int(descriptor ?? -1), 0, describing: "progress page")
        guard let pointer = UnsafeMutablePointer<machine_progress>(bitPattern: address) else {
            preconditionFailure("mmap gave no address")
        }
        self.pointer = pointer
    }

    deinit {
        _ = raw_system_call(
            Int(__NR_munmap), Int(bitPattern: pointer), Self.sizeBytes, 0, 0, 0, 0)
    }

    /// The instruction that the child came to.
    var index: Int { Int(pointer.pointee.index) }

    /// The errno at which the child stopped, or 0.
    var error: CInt { pointer.pointee.error }

    /// The pid of the second process.
    var secondProcess: Int32 { pointer.pointee.second_pid }

    /// Where the parent notes which process the child is: far behind what the child writes.
    private static let processOffset = 2048

    /// Notes which process the child is, for who has to end it while this launch goes on, or has died.
    func note(pid: Int32, startTime: UInt64) {
        let note = UnsafeMutableRawPointer(pointer) + Self.processOffset
        note.storeBytes(of: startTime, as: UInt64.self)
        (note + 8).storeBytes(of: pid, as: Int32.self)
    }

    /// The process that the page in a state directory names; nil if there was none yet.
    static func process(_ bytes: [UInt8]) -> (pid: Int32, startTime: UInt64)? {
        guard bytes.count >= processOffset + 12 else { return nil }
        let (pid, time) = bytes.withUnsafeBytes { buffer in
            (
                buffer.loadUnaligned(fromByteOffset: processOffset + 8, as: Int32.self),
                buffer.loadUnaligned(fromByteOffset: processOffset, as: UInt64.self)
            )
        }
        return pid > 0 ? (pid, time) : nil
    }

    /// Reads index and error of the page in a state directory, without mapping it.
    static func read(_ bytes: [UInt8]) -> (index: Int, error: CInt)? {
        guard bytes.count >= 8 else { return nil }
        return bytes.withUnsafeBytes { buffer in
            (
                Int(buffer.loadUnaligned(fromByteOffset: 0, as: UInt32.self)),
                buffer.loadUnaligned(fromByteOffset: 4, as: Int32.self)
            )
        }
    }
}
