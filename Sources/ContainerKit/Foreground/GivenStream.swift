// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A stream that was given away, and whose it was.
struct GivenStream: Sendable {
    var descriptor: CInt
    let former: UInt32
    let user: UInt32

    /// Gives the stream back, unless it is another's by now.
    func giveBack() {
        guard let status = try? status(of: descriptor), status.stx_uid == user else { return }
        try? changeOwner(of: descriptor, to: former)
    }
}
