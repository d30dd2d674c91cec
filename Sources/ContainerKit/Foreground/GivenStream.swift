// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux

/// A stream whose owner was changed, and its former owner.
struct GivenStream: Sendable {
    var descriptor: CInt
    let former: UInt32
    let user: UInt32

    /// Gives the stream back to its former owner, unless somebody else has changed its owner again.
    func giveBack() {
        guard let status = try? status(of: descriptor), status.stx_uid == user else { return }
        try? changeOwner(of: descriptor, to: former)
    }
}
#endif
