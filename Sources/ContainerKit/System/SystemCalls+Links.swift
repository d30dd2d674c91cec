// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux

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
#endif
