// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// What a symbolic link says, by a descriptor that was opened with `pathOnly` and `noFollow`.
///
/// Kernel: readlinkat(2) with an empty path.
func readLink(_ descriptor: CInt) throws(SystemCallError) -> [UInt8] {
    var failure: SystemCallError?
    // The kernel's PATH_MAX.
    let target = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        let address = Int(bitPattern: buffer.baseAddress)
        let room = buffer.count
        do throws(SystemCallError) {
            count = try withPath("") { (empty) throws(SystemCallError) in
                try systemCall(
                    "readlinkat", __NR_readlinkat, Int(descriptor), empty, address, room,
                    describing: "descriptor \(descriptor)")
            }
        } catch {
            failure = error
        }
    }
    if let failure { throw failure }
    return target
}
