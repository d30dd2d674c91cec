// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A file descriptor that is closed when its owner goes away.
///
/// Noncopyable: the compiler shows that each descriptor is closed once, on every path.
struct OwnedDescriptor: ~Copyable {
    /// The number of the descriptor.
    let number: CInt

    /// Takes over an open descriptor.
    init(taking number: CInt) {
        self.number = number
    }

    /// Gives the descriptor up without closing it.
    consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }

    deinit {
        _ = raw_system_call(Int(__NR_close), Int(number), 0, 0, 0, 0, 0)
    }
}
