// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// The names in a directory, except `.` and `..`.
func directoryEntries(_ path: String) throws(SystemCallError) -> [String] {
    let directory = try openFile(path, .readOnly | .directory)
    var names: [String] = []
    try readEntries(of: directory.number, named: path) { name, _ in names.append(name) }
    return names
}

/// The names of the directories in an open directory, except `.` and `..`.
func directoryNames(in directory: CInt, named name: String) throws(SystemCallError) -> [String] {
    var names: [String] = []
    try readEntries(of: directory, named: name) { name, isDirectory in
        if isDirectory { names.append(name) }
    }
    return names
}

/// Calls `body` with each entry of an open directory except `.` and `..`, and whether it is a
/// directory.
///
/// Kernel: getdents64(2).
private func readEntries(
    of directory: CInt, named name: String, _ body: (String, Bool) -> Void
) throws(SystemCallError) {
    while true {
        let entries = try bytes(atMost: 8192) { (address, room) throws(SystemCallError) in
            try systemCall(
                "getdents64", __NR_getdents64, Int(directory), address, room,
                describing: "\"\(name)\"")
        }
        if entries.isEmpty { return }
        var start = 0
        while start + 19 < entries.count {
            // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, then the name.
            let length = Int(entries[start + 16]) | Int(entries[start + 17]) << 8
            let isDirectory = entries[start + 18] == 4  // DT_DIR
            let bytes = entries[(start + 19)..<(start + length)].prefix { $0 != 0 }
            let entry = String(decoding: bytes, as: UTF8.self)
            if !entry.isSame("."), !entry.isSame("..") { body(entry, isDirectory) }
            start += length
        }
    }
}

/// The path of the current directory.
///
/// Kernel: getcwd(2).
func currentDirectoryPath() throws(SystemCallError) -> String {
    let path = try bytes(atMost: 4096) { (address, room) throws(SystemCallError) in
        try systemCall("getcwd", __NR_getcwd, address, room, describing: "")
    }
    return String(decoding: path.dropLast(), as: UTF8.self)
}
#endif
