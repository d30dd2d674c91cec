// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// A mounted FUSE that answers little or nothing, as a dead network file system does.
///
/// Protocol: linux/fuse.h.
final class SilentFilesystem: Sendable {
    /// What its server does.
    enum Kind: Sendable {
        /// It reads nothing; a process that waits for it can be killed.
        case unread
        /// It reads all requests and answers none after the first; nothing but an answer, or the
        /// forced unmount, ends a process that waits.
        case silent
        /// The same, but it tells the attributes of its root.
        case withRoot
    }

    let path: String
    private let device: CInt
    private let kind: Kind

    private static let (getAttributes, begin, getStatus) = (3, 26, 52)
    private static let headerBytes = 16

    /// Mounts it on a directory that exists.
    init(on path: String, _ kind: Kind) throws {
        self.path = path
        self.kind = kind
        device = try check(open("/dev/fuse", O_RDWR | O_CLOEXEC), "open /dev/fuse")
        try check(
            mount(
                "silent", path, "fuse", UInt(MS_NOSUID | MS_NODEV),
                "fd=\(device),rootmode=40000,user_id=0,group_id=0"), "mount fuse")
        guard kind != .unread else { return }
        // The first request is of the mount itself.
        try #require(answer(), "no first request")
        Thread.detachNewThread { [self] in
            while answer() {}
            close(device)
        }
    }

    /// Reads a request, and answers it if it is one of the few; returns false once it is unmounted.
    private func answer() -> Bool {
        var request = [UInt8](repeating: 0, count: 1 << 18)
        // Another error is that of a request whose caller has gone.
        guard read(device, &request, request.count) > 0 else { return errno != ENODEV }
        let (code, unique) = request.withUnsafeBytes {
            (
                Int($0.load(fromByteOffset: 4, as: UInt32.self)),
                $0.load(fromByteOffset: 8, as: UInt64.self)
            )
        }
        var words: [UInt32] = []
        var error: Int32 = 0
        switch code {
        case Self.begin:
            // Version 7.31, and the largest write.
            words = [UInt32](repeating: 0, count: 16)
            (words[0], words[1], words[5]) = (7, 31, 4096)
        case Self.getAttributes where kind == .withRoot:
            // The inode 1, a directory; valid for long.
            words = [UInt32](repeating: 0, count: 26)
            (words[0], words[4], words[19], words[20]) = (1 << 20, 1, 0o40755, 2)
        // Then the kernel asks for the attributes alone.
        case Self.getStatus where kind == .withRoot: error = -ENOSYS
        default: return true
        }
        // The header: size, error, and the number of the request.
        let bytes = UInt32(Self.headerBytes + words.count * 4)
        let reply =
            [
                bytes, UInt32(bitPattern: error), UInt32(truncatingIfNeeded: unique),
                UInt32(unique >> 32),
            ] + words
        // Refused if the caller has gone meanwhile.
        _ = write(device, reply, Int(bytes))
        return true
    }

    /// Unmounts it; whoever waits for it gets an error.
    func end() {
        let isMounted = umount2(path, CInt(MNT_FORCE | MNT_DETACH)) == 0
        if isMounted, kind == .unread { close(device) }
    }
}
