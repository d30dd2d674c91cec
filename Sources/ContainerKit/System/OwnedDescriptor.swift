// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux

/// A file descriptor that is closed by its owner's deinit.
///
/// It is noncopyable, so the compiler ensures that it is closed once, on every path.
struct OwnedDescriptor: ~Copyable {
    /// The number of the descriptor.
    let number: CInt

    /// Takes over an open descriptor.
    init(taking number: CInt) {
        self.number = number
    }

    /// Gives up the descriptor without closing it.
    consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }

    deinit {
        _ = raw_system_call(Int(__NR_close), Int(number), 0, 0, 0, 0, 0)
    }
}
#endif
