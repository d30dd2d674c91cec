// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

extension FilePath {
    /// The same as `string`, but by functions that every command loads anyway.
    var text: String {
        let size = length
        return withPlatformString { start in
            start.withMemoryRebound(to: UInt8.self, capacity: size) { bytes in
                String(decoding: UnsafeBufferPointer(start: bytes, count: size), as: UTF8.self)
            }
        }
    }
}
#endif
