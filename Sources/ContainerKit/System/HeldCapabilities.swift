// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The capabilities that this process may use and pass on, as a mask; all if that cannot be told.
///
/// Kernel: capget(2), the permitted set.
func heldCapabilities() -> UInt64 {
    // _LINUX_CAPABILITY_VERSION_3 and the caller; then effective, permitted, inheritable, twice.
    var header: [UInt32] = [0x2008_0522, 0]
    var words = [UInt32](repeating: 0, count: 6)
    let result = header.withUnsafeMutableBytes { header in
        words.withUnsafeMutableBytes { words in
            raw_system_call(
                Int(__NR_capget), Int(bitPattern: header.baseAddress),
                Int(bitPattern: words.baseAddress), 0, 0, 0, 0)
        }
    }
    return result == 0 ? UInt64(words[4]) << 32 | UInt64(words[1]) : .max
}
