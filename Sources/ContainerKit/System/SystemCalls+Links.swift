// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary

/// The text of a symbolic link, by a descriptor opened with `pathOnly` and `noFollow`.
///
/// Kernel: readlinkat(2) with an empty path.
func readLink(_ descriptor: CInt) throws(SystemCallError) -> [UInt8] {
    // The kernel's PATH_MAX.
    try bytes(atMost: 4096) { (address, room) throws(SystemCallError) in
        try withPath("") { (empty) throws(SystemCallError) in
            try systemCall(
                "readlinkat", __NR_readlinkat, Int(descriptor), empty, address, room,
                describing: "descriptor \(descriptor)")
        }
    }
}

/// The present path of an open file, as text; of a removed one it ends in " (deleted)".
///
/// Kernel: proc_pid_fd(5).
func presentPath(of descriptor: CInt) throws(SystemCallError) -> String {
    let link = try openFile(descriptorPath(descriptor), .pathOnly | .noFollow)
    return String(decoding: try readLink(link.number), as: UTF8.self)
}

/// A path that leads to an open file, whatever its name is now.
///
/// Kernel: proc_pid_fd(5).
func descriptorPath(_ descriptor: CInt) -> String { "/proc/self/fd/\(descriptor)" }
#endif
