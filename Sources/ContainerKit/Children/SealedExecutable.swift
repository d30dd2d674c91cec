// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

#if canImport(Musl)
@preconcurrency private import Musl
#else
@preconcurrency private import Glibc
#endif

/// Keeps a container from overwriting the runtime's executable (CVE-2019-5736), if the container's
/// processes start as copies of the runtime.
///
/// By default they do not: init is born empty, and its executable is the machine in sealed memory.
/// But if a host refuses that (vm.memfd_noexec, a filter, a security module), init is a clone of
/// this program until its execve. A process in the container could then open init's /proc/PID/exe,
/// keep the descriptor, and reopen it for writing once no process runs the file. So the program
/// first starts itself again from
///
/// - a detached, read-only clone of the mount that its file is on: opening that for writing fails
///   with EROFS. Nobody can make the mount writable again, since it is in no namespace once execve
///   has closed its descriptor;
/// - or, if mounts may not be cloned, a sealed copy in memory.
///
/// The second start checks the file it runs from, not a variable that anyone could set:
/// `/proc/self/exe` is "/" only for the root of a detached mount (no file is at "/"), and statfs(2)
/// shows that it is read-only; a copy in memory has its seals. A file on a read-only file system
/// does not count as sealed: an update remounts that writable while a container may still hold the
/// descriptor. The same holds for a read-only bind mount, which is not detached.
public enum SealedExecutable {
    /// Starts this program again from a sealed file, with the same arguments and environment;
    /// returns at once if it is already sealed.
    ///
    /// Only SWIFT_BACKTRACE is changed: a sealed program writes no backtraces.
    ///
    /// Call it while the process has one thread. If sealed, it costs two system calls, and one more
    /// to restore the process's name, which execve(2) takes from the descriptor's number.
    ///
    /// Kernel: open_tree(2), mount_setattr(2), execve(2); memfd_create(2) where these are not
    /// permitted.
    ///
    /// - Throws: `.systemCall` if the program can be sealed in neither way.
    public static func reenterIfNeeded() throws(ContainerError) {
        try reenterIfNeeded(restoring: [])
    }

    /// Does the same; the second start gets these limits, which this process has changed for
    /// itself.
    static func reenterIfNeeded(restoring limits: [Rlimit]) throws(ContainerError) {
        do throws(SystemCallError) {
            if try isSealed() {
                restoreName()
                return
            }
            // Without this, the program would start itself for ever on a kernel where the check
            // cannot succeed.
            if isSecondStart() {
                throw SystemCallError("execve", "the sealed copy", errno: .notSupported)
            }
            try reenter(limits.compactMap(PlannedLimit.init))
        } catch {
            throw ContainerError(
                .systemCall, "unable to protect the runtime's executable from its containers",
                failure: error,
                hint: "/proc must be mounted, and memfd_create(2) or open_tree(2) permitted")
        }
    }

    // MARK: The check

    private static let own = "/proc/self/exe"
    private static let memoryPrefix = "/memfd:"

    /// Whether this process runs from a detached read-only mount or from sealed memory.
    static func isSealed() throws(SystemCallError) -> Bool {
        let target = try linkTarget(own)
        if target == "/" { return try isReadOnly(own) }
        guard target.begins(with: memoryPrefix) else { return false }
        return try hasAllSeals(try openFile(own, .readOnly))
    }

    private static func linkTarget(_ path: String) throws(SystemCallError) -> String {
        // A longer target is a path, and differs from "/" even if it is cut off.
        var target: (UInt64, UInt64) = (0, 0)
        let count = try withPath(path) { (path) throws(SystemCallError) in
            try withAddress(of: &target) { (address) throws(SystemCallError) in
                try systemCall(
                    "readlinkat", __NR_readlinkat, Int(currentDirectory), path, address, 16,
                    describing: "\"\(own)\"")
            }
        }
        return withUnsafeBytes(of: &target) { String(decoding: $0.prefix(count), as: UTF8.self) }
    }

    /// Whether the mount or the file system of a path is read-only.
    private static func isReadOnly(_ path: String) throws(SystemCallError) -> Bool {
        // struct statfs is 120 bytes; f_flags is the 11th word.
        var words: InlineArray<15, UInt64> = .init(repeating: 0)
        try withPath(path) { (path) throws(SystemCallError) in
            try withAddress(of: &words) { (address) throws(SystemCallError) in
                _ = try systemCall("statfs", __NR_statfs, path, address, describing: "\"\(own)\"")
            }
        }
        return MountStatus(rawValue: Int(words[10])).contains(.readOnly)
    }

    private static func hasAllSeals(_ file: borrowing OwnedDescriptor) throws(SystemCallError)
        -> Bool
    {
        let seals = try systemCall(
            "fcntl", __NR_fcntl, Int(file.number), FileCommand.getSeals.rawValue,
            describing: "\"\(own)\", \(FileCommand.getSeals)")
        return FileSeals(rawValue: seals).contains(.all)
    }

    // MARK: The second start

    /// The lowest number of the descriptor that the program is started from: it distinguishes this
    /// start from one by an engine that also uses a descriptor.
    private static let lowestDescriptor = 200

    private static func reenter(_ limits: [PlannedLimit]) throws(SystemCallError) {
        // If the first way is refused by a capability, a filter or a module, the second is still
        // possible.
        if let tree = try? detachedClone() { try? execute(tree, limits) }
        try execute(try memoryCopy(), limits)
    }

    private static func detachedClone() throws(SystemCallError) -> OwnedDescriptor {
        let tree = try cloneMountTree(at: own, recursive: false)
        try changeMount(tree.number, MountChange(set: .readOnly))
        return tree
    }

    private static func memoryCopy() throws(SystemCallError) -> OwnedDescriptor {
        let source = try openFile(own, .readOnly)
        let copy = try memoryFile("executable", for: .execution)
        try withoutFileSizeSignal { () throws(SystemCallError) in
            while true {
                let count = try systemCall(
                    "sendfile", __NR_sendfile, Int(copy.number), Int(source.number), 0, 1 << 30,
                    describing: "\"\(own)\"")
                if count == 0 { break }
            }
        }
        try seal(copy.number)
        return copy
    }

    private static func execute(_ file: borrowing OwnedDescriptor, _ limits: [PlannedLimit])
        throws(SystemCallError)
    {
        let changed = try limits.map { (limit) throws(SystemCallError) in
            try exchangeOwnLimit(limit)
        }
        // execve returns only if it was refused.
        defer { for limit in changed { _ = try? exchangeOwnLimit(limit) } }
        try execute(file)
    }

    private static func execute(_ file: borrowing OwnedDescriptor) throws(SystemCallError) {
        // duplicate fails if the limit of open files is lower than this number.
        guard let high = try? duplicate(file.number, from: lowestDescriptor) else {
            return try execute(file.number)
        }
        try execute(high.number)
    }

    private static func execute(_ number: CInt) throws(SystemCallError) {
        // Not execveat(2), because that may be the one call that is refused.
        try withPath("\(descriptorFolder)\(number)") { (path) throws(SystemCallError) in
            try withAddress(ofElements: environment()) {
                (environment, _) throws(SystemCallError) in
                _ = try systemCall(
                    "execve", __NR_execve, path, Int(bitPattern: CommandLine.unsafeArgv),
                    environment, describing: "\"\(own)\", sealed")
            }
        }
    }

    private static let descriptorFolder = "/proc/self/fd/"

    private static let backtraceName: StaticString = "SWIFT_BACKTRACE="

    /// The addresses of the environment's strings, with 0 at the end.
    ///
    /// One variable is changed. After a trap the Swift runtime starts the program swift-backtrace,
    /// which it looks for beside the executable. For "/" it would look in the working directory,
    /// and run what it finds there with our privileges.
    private static func environment() -> [Int] {
        var addresses: [Int] = []
        let first: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
        var index = 0
        while let text = first?[index] {
            if strncmp(text, backtraceName.utf8Start, backtraceName.utf8CodeUnitCount) != 0 {
                addresses.append(Int(bitPattern: text))
            }
            index += 1
        }
        return addresses + [Int(bitPattern: backtracesOff.utf8Start), 0]
    }

    /// Whether this program was started by `execute`, judged by the path it was executed by.
    private static func isSecondStart() -> Bool {
        let executedName = 31  // AT_EXECFN
        guard let vector = try? readFile("/proc/self/auxv", limitBytes: 4096) else { return false }
        let words = vector.withUnsafeBytes { Array($0.bindMemory(to: UInt.self)) }
        for index in stride(from: 0, to: words.count - 1, by: 2) where words[index] == executedName
        {
            guard let name = UnsafePointer<CChar>(bitPattern: words[index + 1]) else {
                return false
            }
            let text = String(cString: name)
            guard text.begins(with: descriptorFolder),
                let number = Int(text.dropFirst(descriptorFolder.utf8.count))
            else { return false }
            return number >= lowestDescriptor
        }
        return false
    }

    // MARK: The name

    private static func restoreName() {
        setThreadName(at: Int(bitPattern: calling_name()))
    }
}
#endif
