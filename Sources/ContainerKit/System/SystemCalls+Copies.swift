// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import SystemPackage

/// Copies from one descriptor to another, up to the end of the first.
///
/// Kernel: read(2), write(2).
/// - Throws: EFBIG when there is more than the limit, which is copied then.
func copyBytes(
    from source: CInt, named name: String, to target: CInt, limitBytes: Int
) throws(SystemCallError) -> Int {
    var copied = 0
    while true {
        let more = try bytes(atMost: 1 << 16) { (address, room) throws(SystemCallError) in
            try systemCall(
                "read", __NR_read, Int(source), address, room, describing: "\"\(name)\"")
        }
        guard !more.isEmpty else { return copied }
        let taken = min(more.count, limitBytes - copied)
        try writeAll(Array(more.prefix(taken)), to: target, named: "a copy of \"\(name)\"")
        copied += taken
        guard taken == more.count else {
            throw SystemCallError(
                "read", "\"\(name)\", more than \(limitBytes) bytes", errno: .fileTooLarge)
        }
    }
}
#endif
