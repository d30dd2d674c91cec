// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import CLinux
@preconcurrency private import Glibc
internal import KernelVocabulary

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

/// The group whose files this process makes.
///
/// Kernel: getegid(2).
var effectiveGroupID: UInt32 {
    UInt32(truncatingIfNeeded: raw_system_call(Int(__NR_getegid), 0, 0, 0, 0, 0, 0))
}

/// The number of this process.
///
/// Kernel: getpid(2).
var ownProcessID: Int32 {
    Int32(truncatingIfNeeded: raw_system_call(Int(__NR_getpid), 0, 0, 0, 0, 0, 0))
}

/// Gives this thread a name, of which the kernel keeps 15 bytes.
///
/// Kernel: prctl(2), PR_SET_NAME.
func setThreadName(at address: Int) {
    _ = raw_system_call(Int(__NR_prctl), Int(PR_SET_NAME), address, 0, 0, 0, 0)
}

/// Whether this process is in another user namespace than the first one of the machine.
///
/// Source: user_namespaces(7): only the first maps all ids to themselves.
var isInsideUserNamespace: Bool {
    guard let map = try? readFile("/proc/self/uid_map") else { return false }
    return words(of: map) != ["0", "0", "4294967295"]
}

/// A variable of the environment; nil where it is missing or empty.
func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

/// What keeps the Swift runtime from starting a program of its own after a trap.
let backtracesOff: StaticString = "SWIFT_BACKTRACE=enable=no,swift-backtrace=/"

/// The environment of this process, without what is there for the Swift runtime alone.
func ownEnvironment() -> [ByteText] {
    var variables: [ByteText] = []
    let noBacktrace = ByteText("\(backtracesOff)")
    let first: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
    var index = 0
    while let text = first?[index] {
        index += 1
        let variable = ByteText(
            bytes: UnsafeRawBufferPointer(start: text, count: strlen(text)).map { $0 })
        if variable != noBacktrace { variables.append(variable) }
    }
    return variables
}

/// Whether this process may write to a file or directory.
///
/// Kernel: faccessat2(2) with AT_EACCESS, Linux 5.8.
func mayWrite(_ path: String) -> Bool {
    let result = try? withPath(path) { (path) throws(SystemCallError) in
        try systemCall(
            "faccessat2", __NR_faccessat2, Int(currentDirectory), path,
            AccessMode.write.rawValue, AccessFlag.effective.rawValue, describing: "")
    }
    return result == 0
}
