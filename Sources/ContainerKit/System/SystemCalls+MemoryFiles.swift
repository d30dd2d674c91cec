// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// The use of a memory file.
enum MemoryFileUse {
    case execution, data

    /// Since Linux 6.3 a sysctl decides about files with neither flag.
    fileprivate var flag: MemoryFileFlags { self == .execution ? .execution : .noExecution }
}

/// Makes an empty file that exists only in memory and can be sealed.
///
/// Kernel: memfd_create(2).
func memoryFile(_ name: String, for use: MemoryFileUse) throws(SystemCallError) -> OwnedDescriptor {
    let flags: MemoryFileFlags = .closeOnExec | .allowSealing
    let number = try withPath(name) { (text) throws(SystemCallError) in
        do throws(SystemCallError) {
            return try systemCall(
                "memfd_create", __NR_memfd_create, text, flags.union(use.flag).rawValue,
                describing: name)
        } catch  where error.errno == .invalidArgument {
            return try systemCall(
                "memfd_create", __NR_memfd_create, text, flags.rawValue, describing: name)
        }
    }
    return OwnedDescriptor(taking: CInt(number))
}

/// Forbids all changes of a memory file for ever, through any descriptor.
///
/// Kernel: fcntl(2), F_ADD_SEALS.
func seal(_ file: CInt) throws(SystemCallError) {
    try systemCall(
        "fcntl", __NR_fcntl, Int(file), FileCommand.addSeals.rawValue, FileSeals.all.rawValue,
        describing: "\(FileCommand.addSeals)")
}

/// Checks whether a file may be executed, without executing it.
///
/// Before Linux 6.14 the kernel lacks the flag. Then this shows whether a seccomp filter permits the
/// call and whether the file is executable, as far as access(2) tells: SELinux is asked about that,
/// AppArmor only by an execution.
///
/// Kernel: execveat(2) with AT_EXECVE_CHECK.
func checkExecution(of file: CInt) throws(SystemCallError) {
    let flags: PathFlags = .emptyPath | .checkExecution
    do throws(SystemCallError) {
        try withPath("") { (empty) throws(SystemCallError) in
            var arguments = (empty, 0)
            var environment = 0
            try withAddress(of: &arguments) { (arguments) throws(SystemCallError) in
                try withAddress(of: &environment) { (environment) throws(SystemCallError) in
                    _ = try systemCall(
                        "execveat", __NR_execveat, Int(file), empty, arguments, environment,
                        flags.rawValue, describing: "\(file), \(PathFlags.checkExecution)")
                }
            }
        }
    } catch  where error.errno == .invalidArgument {
        try checkExecutePermission(of: file)
    }
}

/// Checks the permission to execute a file; passes if a filter does not let that be asked.
///
/// Kernel: faccessat2(2) with AT_EMPTY_PATH.
func checkExecutePermission(of file: CInt) throws(SystemCallError) {
    do throws(SystemCallError) {
        try withPath("") { (empty) throws(SystemCallError) in
            _ = try systemCall(
                "faccessat2", __NR_faccessat2, Int(file), empty, AccessMode.execute.rawValue,
                AccessFlag.effective.rawValue | PathFlags.emptyPath.rawValue,
                describing: "\(file), \(AccessMode.execute)")
        }
    } catch  where error.errno != .permissionDenied {}
}

extension FileSeals {
    /// The seals of a file that never changes again.
    static var all: FileSeals { .sealing | .shrinking | .growing | .writing }
}
#endif
