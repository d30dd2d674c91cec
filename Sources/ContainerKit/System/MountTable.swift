// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// A line of the kernel's table of mounts.
///
/// Source: proc_pid_mountinfo(5).
package struct MountTableEntry: Equatable, Sendable {
    /// The mount's ID, as in statx(2) and fdinfo.
    package let id: UInt64
    /// The file system, as `major:minor`.
    package let device: String
    /// The directory of the file system that is mounted.
    package let root: String
    /// The mount point, relative to the root directory of the process.
    package let mountPoint: String
    /// Whether the mount itself is read-only.
    package let isReadOnly: Bool
    /// The type, as in /proc/filesystems.
    package let type: String

    /// Nil if the line has another format.
    init?(_ line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "))
        // Optional fields come before the "-"; type, source and super options after it.
        guard let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
            dash + 1 < fields.count, let id = UInt64(String(decoding: fields[0], as: UTF8.self))
        else { return nil }
        self.id = id
        device = String(decoding: fields[2], as: UTF8.self)
        root = unescapedMountPath(fields[3])
        isReadOnly = fields[5].split(separator: UInt8(ascii: ",")).contains {
            $0.elementsEqual("ro".utf8)
        }
        mountPoint = unescapedMountPath(fields[4])
        type = String(decoding: fields[dash + 1], as: UTF8.self)
    }
}

/// The visible mounts of this process's mount namespace, in the kernel's order: a mount on top of
/// another comes after it.
package func mountTable() throws(SystemCallError) -> [MountTableEntry] {
    try mountTable(of: "self")
}

/// The mounts of another process.
func mountTable(of process: String) throws(SystemCallError) -> [MountTableEntry] {
    try readFile("/proc/\(process)/mountinfo").split(separator: UInt8(ascii: "\n"))
        .compactMap { MountTableEntry($0) }
}

/// Whether a mount of this process's mount namespace is unbindable.
///
/// Kernel: mount_namespaces(7).
func hasUnbindableMounts() throws(SystemCallError) -> Bool {
    try readFile("/proc/self/mountinfo").split(separator: UInt8(ascii: "\n")).contains { line in
        // Optional fields come before the "-".
        line.split(separator: UInt8(ascii: " ")).dropFirst(6)
            .prefix { !$0.elementsEqual("-".utf8) }
            .contains { $0.elementsEqual("unbindable".utf8) }
    }
}

/// Decodes a path in mountinfo, where space, tab, newline and backslash are written as `\ooo`.
func unescapedMountPath(_ field: ArraySlice<UInt8>) -> String {
    guard field.contains(UInt8(ascii: "\\")) else { return String(decoding: field, as: UTF8.self) }
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        guard byte == UInt8(ascii: "\\"), digits.count == 3,
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
        else {
            bytes.append(byte)
            continue
        }
        bytes.append(value)
        rest = rest.dropFirst(3)
    }
    return String(decoding: bytes, as: UTF8.self)
}
#endif
