// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary

/// Changes the owner of an open file, but not its group.
///
/// Kernel: fchown(2).
func changeOwner(of descriptor: CInt, to user: UInt32) throws(SystemCallError) {
    try systemCall(
        "fchown", __NR_fchown, Int(descriptor), Int(user), -1,
        describing: "\(descriptor), \(user)")
}

/// Gives an open file to a user and a group.
///
/// Kernel: fchown(2).
func changeOwner(of descriptor: CInt, to user: UInt32, group: UInt32) throws(SystemCallError) {
    try systemCall(
        "fchown", __NR_fchown, Int(descriptor), Int(user), Int(group),
        describing: "\(descriptor), \(user), \(group)")
}

/// Changes the owner of a file in an open directory, but not its group.
///
/// Kernel: fchownat(2) with AT_SYMLINK_NOFOLLOW.
func changeOwner(of name: String, at directory: CInt, to owner: UInt32)
    throws(SystemCallError)
{
    try withPath(name) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "fchownat", __NR_fchownat, Int(directory), address, Int(owner), -1,
            PathFlags.noFollow.rawValue, describing: "\"\(name)\", \(owner)")
    }
}
#endif
