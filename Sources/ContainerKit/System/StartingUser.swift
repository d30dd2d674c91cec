// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary

#if canImport(Musl)
@preconcurrency private import Musl
#else
@preconcurrency private import Glibc
#endif

/// The effective user ID when this process was started.
///
/// Source: getauxval(3), AT_EUID: the kernel stores it in the process, so no call is needed.
var startingUserID: UInt { getauxval(UInt(AT_EUID)) }

/// The size of a memory page in bytes, by getauxval(3).
var memoryPageBytes: Int { Int(getauxval(UInt(AT_PAGESZ))) }

/// The effective user ID, which owns new files.
///
/// Kernel: geteuid(2).
package var effectiveUserID: UInt32 {
    UInt32(truncatingIfNeeded: raw_system_call(Int(__NR_geteuid), 0, 0, 0, 0, 0, 0))
}

/// The effective group ID, which owns new files.
///
/// Kernel: getegid(2).
var effectiveGroupID: UInt32 {
    UInt32(truncatingIfNeeded: raw_system_call(Int(__NR_getegid), 0, 0, 0, 0, 0, 0))
}

/// The pid of this process.
///
/// Kernel: getpid(2).
var ownProcessID: Int32 {
    Int32(truncatingIfNeeded: raw_system_call(Int(__NR_getpid), 0, 0, 0, 0, 0, 0))
}

/// Sets the name of this thread; the kernel keeps 15 bytes.
///
/// Kernel: prctl(2), PR_SET_NAME.
func setThreadName(at address: Int) {
    _ = raw_system_call(Int(__NR_prctl), Int(PR_SET_NAME), address, 0, 0, 0, 0)
}

/// Whether this process is in a user namespace other than the initial one.
///
/// Source: user_namespaces(7): only the initial one maps all IDs to themselves.
package var isInsideUserNamespace: Bool {
    guard let map = try? readFile("/proc/self/uid_map") else { return false }
    return words(of: map) != ["0", "0", "4294967295"]
}

/// An environment variable; nil if it is missing or empty.
package func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

/// The setting that keeps the Swift runtime from starting its backtrace program after a trap.
let backtracesOff: StaticString = "SWIFT_BACKTRACE=enable=no,swift-backtrace=/"

/// The environment of this process, without this setting.
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
package func mayWrite(_ path: String) -> Bool {
    let result = try? withPath(path) { (path) throws(SystemCallError) in
        try systemCall(
            "faccessat2", __NR_faccessat2, Int(currentDirectory), path,
            AccessMode.write.rawValue, AccessFlag.effective.rawValue, describing: "")
    }
    return result == 0
}
#endif
