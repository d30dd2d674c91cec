// SPDX-License-Identifier: Apache-2.0

/// A line of the kernel's table of mounts.
///
/// Source: proc_pid_mountinfo(5).
struct MountTableEntry: Equatable, Sendable {
    /// Where it is mounted, seen from the root directory of the process.
    let mountPoint: String
    /// The type, as in /proc/filesystems.
    let type: String

    /// Nil if the line is none of the table.
    init?(_ line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "))
        // Optional fields stand before the "-"; type, source and super options follow it.
        guard let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
            dash + 1 < fields.count
        else { return nil }
        mountPoint = unescapedMountPath(fields[4])
        type = String(decoding: fields[dash + 1], as: UTF8.self)
    }
}

/// The mounts of this process's mount namespace that it can see, in the order in which the kernel
/// lists them: what is mounted on another comes after it.
func mountTable() throws(SystemCallError) -> [MountTableEntry] {
    try readFile("/proc/self/mountinfo").split(separator: UInt8(ascii: "\n"))
        .compactMap { MountTableEntry($0) }
}

/// Whether a mount of this process's mount namespace is unbindable.
///
/// Kernel: mount_namespaces(7).
func hasUnbindableMounts() throws(SystemCallError) -> Bool {
    try readFile("/proc/self/mountinfo").split(separator: UInt8(ascii: "\n")).contains { line in
        // Optional fields stand before the "-".
        line.split(separator: UInt8(ascii: " ")).dropFirst(6)
            .prefix { !$0.elementsEqual("-".utf8) }
            .contains { $0.elementsEqual("unbindable".utf8) }
    }
}

/// The path of a mountinfo field, where space, tab, newline and backslash are `\ooo`.
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
