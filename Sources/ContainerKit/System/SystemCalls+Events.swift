// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Makes a counter that the kernel increments and a read resets; reading never blocks.
///
/// Kernel: eventfd2(2) with EFD_CLOEXEC and EFD_NONBLOCK.
func makeEventCounter() throws(SystemCallError) -> OwnedDescriptor {
    let flags: EventCounterFlags = .nonBlocking | .closeOnExec
    let number = try systemCall(
        "eventfd2", __NR_eventfd2, 0, flags.rawValue, describing: "0, \(flags)")
    return OwnedDescriptor(taking: CInt(number))
}

/// Makes a queue for changes of files; reading never blocks.
///
/// Kernel: inotify_init1(2) with IN_CLOEXEC and IN_NONBLOCK.
func makeChangeQueue() throws(SystemCallError) -> OwnedDescriptor {
    let flags: ChangeQueueFlags = .nonBlocking | .closeOnExec
    let number = try systemCall(
        "inotify_init1", __NR_inotify_init1, flags.rawValue, describing: "\(flags)")
    return OwnedDescriptor(taking: CInt(number))
}

/// Adds modifications of a file to a queue.
///
/// Kernel: inotify_add_watch(2) with IN_MODIFY.
func watchModifications(of path: String, in queue: CInt) throws(SystemCallError) {
    try withPath(path) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "inotify_add_watch", __NR_inotify_add_watch, Int(queue), address,
            ChangeEvents.modified.rawValue, describing: "\"\(path)\", \(ChangeEvents.modified)")
    }
}

/// Reads everything from a non-blocking descriptor; returns whether there was anything.
///
/// Kernel: read(2).
func drain(_ descriptor: CInt) -> Bool {
    var wasReady = false
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = buffer.withUnsafeMutableBytes { bytes in
            raw_system_call(
                Int(__NR_read), Int(descriptor), Int(bitPattern: bytes.baseAddress), bytes.count,
                0, 0, 0)
        }
        guard count > 0 else { return wasReady }
        wasReady = true
    }
}
#endif
