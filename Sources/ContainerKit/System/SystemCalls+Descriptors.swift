// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

// Operations on descriptors.

/// Whether a descriptor is open and not close-on-exec.
///
/// Kernel: fcntl(2), F_GETFD, where bit 0 is FD_CLOEXEC.
func isOpenForPrograms(_ descriptor: Int) -> Bool {
    raw_system_call(Int(__NR_fcntl), descriptor, 1, 0, 0, 0, 0) == 0
}

/// Duplicates a descriptor to the lowest free number from `lowest` on, close-on-exec.
///
/// Kernel: fcntl(2), F_DUPFD_CLOEXEC.
func duplicate(_ descriptor: CInt, from lowest: Int) throws(SystemCallError) -> OwnedDescriptor {
    let copy = try systemCall(
        "fcntl", __NR_fcntl, Int(descriptor), FileCommand.duplicate.rawValue, lowest,
        describing: "\(descriptor), \(FileCommand.duplicate)")
    return OwnedDescriptor(taking: CInt(copy))
}

/// The limit of open files of this process, and how many are open; nil if that cannot be known.
///
/// Kernel: proc_pid_fd(5); the size of the directory is the number of its entries from Linux 6.2
/// on.
package func openFileCount() -> (limit: Int, open: Int)? {
    let path = "/proc/self/fd"
    guard let limit = try? softLimit(of: .openFiles), let directory = try? status(at: path) else {
        return nil
    }
    var count = Int(directory.stx_size)
    if count == 0 {
        guard let names = try? directoryEntries(path) else { return nil }
        count = names.count
    }
    return (Int(clamping: limit), count)
}

/// Stops receiving from a socket, so that senders get an error.
///
/// Kernel: shutdown(2), SHUT_RD.
func stopReading(_ socket: CInt) {
    _ = raw_system_call(Int(__NR_shutdown), Int(socket), 0, 0, 0, 0, 0)
}

/// The clone3(2) flag of a namespace's kind; negative if the descriptor is not a namespace.
///
/// Kernel: ioctl_ns(2), NS_GET_NSTYPE.
func cloneFlag(ofNamespace namespace: CInt) -> Int {
    raw_system_call(
        Int(__NR_ioctl), Int(namespace), DeviceRequest.namespaceType.rawValue, 0, 0, 0, 0)
}

/// The user namespace that owns a namespace; nil if it may not be seen.
///
/// Kernel: ioctl_ns(2), NS_GET_USERNS.
func owner(ofNamespace namespace: CInt) -> OwnedDescriptor? {
    let number = raw_system_call(
        Int(__NR_ioctl), Int(namespace), DeviceRequest.userNamespaceOf.rawValue, 0, 0, 0, 0)
    return number >= 0 ? OwnedDescriptor(taking: CInt(number)) : nil
}

/// Unmaps memory.
///
/// Kernel: munmap(2).
func unmap(_ address: Int, sizeBytes: Int) {
    _ = raw_system_call(Int(__NR_munmap), address, sizeBytes, 0, 0, 0, 0)
}

/// Wakes one process that waits on a word of shared memory.
///
/// Kernel: futex(2), FUTEX_WAKE.
func wake(_ address: Int) {
    _ = raw_system_call(Int(__NR_futex), address, FutexOperation.wake.rawValue, 1, 0, 0, 0)
}

/// The last bytes of a file.
///
/// Kernel: pread(2).
func readTail(of file: CInt, limitBytes: Int) throws(SystemCallError) -> [UInt8] {
    let size = Int(clamping: try status(of: file).stx_size)
    return try bytes(atMost: limitBytes) { (address, room) throws(SystemCallError) in
        try systemCall(
            "pread64", __NR_pread64, Int(file), address, room, max(0, size - room),
            describing: "descriptor \(file)")
    }
}
#endif
