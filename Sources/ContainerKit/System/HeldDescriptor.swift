// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// A descriptor that is closed when its last owner goes, so that nobody uses a closed one.
package final class HeldDescriptor: Sendable {
    package let number: CInt

    /// Takes over an open descriptor.
    package init(taking number: CInt) {
        self.number = number
    }

    deinit {
        _ = OwnedDescriptor(taking: number)
    }
}
#endif
