// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
@preconcurrency private import Glibc

/// The effective user that this process was started as.
///
/// Source: getauxval(3), AT_EUID: the kernel left it with the program, so that nothing is called.
var startingUserID: UInt { getauxval(UInt(AT_EUID)) }

/// The size of a page of memory, by getauxval(3).
var memoryPageBytes: Int { Int(getauxval(UInt(AT_PAGESZ))) }

/// The user whose files this process makes.
///
/// Kernel: geteuid(2).
var effectiveUserID: UInt32 {
    UInt32(truncatingIfNeeded: raw_system_call(Int(__NR_geteuid), 0, 0, 0, 0, 0, 0))
}

/// A variable of the environment; nil where it is missing or empty.
func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

/// The environment of this process, without what is there for the Swift runtime alone.
func ownEnvironment() -> [ByteText] {
    var variables: [ByteText] = []
    let first: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
    var index = 0
    while let text = first?[index] {
        index += 1
        let variable = ByteText(
            bytes: UnsafeRawBufferPointer(start: text, count: strlen(text)).map { $0 })
        if variable != SealedExecutable.ownVariable { variables.append(variable) }
    }
    return variables
}

/// Whether this process may write to a file or directory.
///
/// Kernel: faccessat2(2) with AT_EACCESS, Linux 5.8.
func mayWrite(_ path: String) -> Bool {
    let result = try? withPath(path) { (path) throws(SystemCallError) in
        try systemCall(
            "faccessat2", __NR_faccessat2, Int(currentDirectory), path, 2, 0x200, describing: "")
    }
    return result == 0
}
