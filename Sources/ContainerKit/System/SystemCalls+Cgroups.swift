// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Device programs of cgroup v2: bpf(2) with BPF_PROG_TYPE_CGROUP_DEVICE.
enum DevicePrograms {
    private static let commandLoad = 5
    private static let commandAttach = 8
    private static let commandDetach = 9
    private static let commandDescriptorOfID = 13
    private static let commandInformation = 15
    private static let commandQuery = 16
    private static let typeCgroupDevice: UInt32 = 15
    private static let attachCgroupDevice: UInt32 = 6
    private static let flagAllowMulti: UInt32 = 1 << 1
    private static let flagReplace: UInt32 = 1 << 2

    /// The members of `union bpf_attr` that BPF_PROG_LOAD reads.
    private struct LoadAttributes {
        var type: UInt32
        var instructionCount: UInt32
        var instructions: UInt64
        var license: UInt64
        var logLevel: UInt32 = 0
        var logSize: UInt32 = 0
        var log: UInt64 = 0
        var kernelVersion: UInt32 = 0
        var flags: UInt32 = 0
    }

    /// The members that BPF_PROG_ATTACH and BPF_PROG_DETACH read.
    private struct AttachAttributes {
        var target: UInt32
        var program: UInt32
        var type: UInt32
        var flags: UInt32
        var replaced: UInt32
    }

    /// The members that BPF_PROG_QUERY reads and fills.
    private struct QueryAttributes {
        var target: UInt32
        var type: UInt32
        var queryFlags: UInt32 = 0
        var attachFlags: UInt32 = 0
        var identifiers: UInt64
        var count: UInt32
        var padding: UInt32 = 0
    }

    /// The members that BPF_PROG_GET_FD_BY_ID reads.
    private struct IdentifierAttributes {
        var identifier: UInt32
        var nextIdentifier: UInt32 = 0
        var flags: UInt32 = 0
    }

    /// The members that BPF_OBJ_GET_INFO_BY_FD reads.
    private struct InformationAttributes {
        var program: UInt32
        var size: UInt32
        var information: UInt64
    }

    /// The first members of `struct bpf_prog_info`; the kernel fills as many as fit.
    private struct Information {
        var type: UInt32 = 0
        var identifier: UInt32 = 0
        /// A digest of the instructions.
        var tag: UInt64 = 0
    }

    /// Verifies and loads a program.
    ///
    /// The verifier returns EAGAIN if a signal arrives, such as SIGCHLD.
    static func load(_ program: [DeviceInstruction]) throws(SystemCallError) -> OwnedDescriptor {
        let words = program.map(\.word)
        var attempts = 16
        while true {
            do throws(SystemCallError) {
                return try load(words)
            } catch  where error.errno == .resourceTemporarilyUnavailable && attempts > 0 {
                attempts -= 1
            }
        }
    }

    private static func load(_ words: [UInt64]) throws(SystemCallError) -> OwnedDescriptor {
        let number = try withAddress(ofElements: words) {
            (address, count) throws(SystemCallError) in
            try withPath("Apache-2.0") { (license) throws(SystemCallError) in
                var attributes = LoadAttributes(
                    type: typeCgroupDevice, instructionCount: UInt32(count),
                    instructions: UInt64(address), license: UInt64(license))
                return try bpf(commandLoad, &attributes, "BPF_PROG_LOAD, CGROUP_DEVICE")
            }
        }
        return OwnedDescriptor(taking: CInt(number))
    }

    /// Attaches `program` to the cgroup, in place of the programs attached there.
    ///
    /// A single program is replaced atomically, so that there is no moment without rules. If there
    /// are several, the new one is attached first, and then they are detached.
    static func attach(_ program: CInt, to cgroup: CInt, isNew: Bool) throws(SystemCallError) {
        let present = isNew ? [] : try attached(to: cgroup)
        var attributes = AttachAttributes(
            target: UInt32(cgroup), program: UInt32(program), type: attachCgroupDevice,
            flags: flagAllowMulti, replaced: 0)
        if present.count == 1 {
            let old = try descriptor(of: present[0])
            attributes.flags |= flagReplace
            attributes.replaced = UInt32(old.number)
            try bpf(commandAttach, &attributes, "BPF_PROG_ATTACH, CGROUP_DEVICE, BPF_F_REPLACE")
            return
        }
        try bpf(commandAttach, &attributes, "BPF_PROG_ATTACH, CGROUP_DEVICE")
        for identifier in present {
            let old = try descriptor(of: identifier)
            var attributes = AttachAttributes(
                target: UInt32(cgroup), program: UInt32(old.number), type: attachCgroupDevice,
                flags: 0, replaced: 0)
            try bpf(commandDetach, &attributes, "BPF_PROG_DETACH, CGROUP_DEVICE")
        }
    }

    /// The IDs of the programs attached to the cgroup itself.
    static func attached(to cgroup: CInt) throws(SystemCallError) -> [UInt32] {
        // 64 is the kernel's BPF_CGROUP_MAX_PROGS.
        var identifiers = [UInt32](repeating: 0, count: 64)
        let count = try withAddress(ofElements: &identifiers) {
            (address, count) throws(SystemCallError) in
            var attributes = QueryAttributes(
                target: UInt32(cgroup), type: attachCgroupDevice, identifiers: UInt64(address),
                count: UInt32(count))
            try bpf(commandQuery, &attributes, "BPF_PROG_QUERY, CGROUP_DEVICE")
            return Int(attributes.count)
        }
        return Array(identifiers.prefix(count))
    }

    /// The digest of a program's instructions, which is equal for equal programs.
    static func tag(of program: CInt) throws(SystemCallError) -> UInt64 {
        var information = Information()
        try withAddress(of: &information) { (address) throws(SystemCallError) in
            var attributes = InformationAttributes(
                program: UInt32(program), size: UInt32(MemoryLayout<Information>.size),
                information: UInt64(address))
            try bpf(commandInformation, &attributes, "BPF_OBJ_GET_INFO_BY_FD")
        }
        return information.tag
    }

    /// The digest of the program with that ID.
    static func tag(ofID identifier: UInt32) throws(SystemCallError) -> UInt64 {
        let program = try descriptor(of: identifier)
        return try tag(of: program.number)
    }

    private static func descriptor(of identifier: UInt32) throws(SystemCallError)
        -> OwnedDescriptor
    {
        var attributes = IdentifierAttributes(identifier: identifier)
        let number = try bpf(
            commandDescriptorOfID, &attributes, "BPF_PROG_GET_FD_BY_ID, \(identifier)")
        return OwnedDescriptor(taking: CInt(number))
    }

    @discardableResult
    private static func bpf<Attributes>(
        _ command: Int, _ attributes: inout Attributes, _ words: @autoclosure () -> String
    ) throws(SystemCallError) -> Int {
        try withAddress(of: &attributes) { (address) throws(SystemCallError) in
            try systemCall(
                "bpf", __NR_bpf, command, address, MemoryLayout<Attributes>.size,
                describing: words())
        }
    }
}

/// Writes `text` to an open control file by a single write, since each write is a command.
///
/// Kernel: write(2).
func writeOrder(_ text: String, to file: CInt, named name: @autoclosure () -> String)
    throws(SystemCallError)
{
    try withAddress(ofText: text) { (address, count) throws(SystemCallError) in
        _ = try systemCall(
            "write", __NR_write, Int(file), address, count,
            describing: "\"\(name())\", \"\(text)\"")
    }
}

/// An open file or directory, locked until the deinit.
///
/// It is unlocked before it is closed: another thread of the host program may be starting a
/// program, which has a copy of the descriptor until it executes, and a lock lasts until the last
/// copy is closed.
///
/// Kernel: flock(2).
struct FileLock: ~Copyable {
    let file: OwnedDescriptor

    /// Locks `file`; nil if it is locked already.
    init?(ifFree file: consuming OwnedDescriptor) throws(SystemCallError) {
        let number = file.number
        guard try lockIfFree(number, named: "descriptor \(number)") else { return nil }
        self.file = file
    }

    deinit {
        unlock(file.number)
    }
}

/// Locks an open file or directory through this descriptor; returns false if it is locked already.
///
/// Kernel: flock(2) with LOCK_EX and LOCK_NB.
func lockIfFree(_ file: CInt, named name: @autoclosure () -> String) throws(SystemCallError) -> Bool
{
    do throws(SystemCallError) {
        try systemCall(
            "flock", __NR_flock, Int(file), LockOperation.exclusiveNow.rawValue,
            describing: "\(name()), \(LockOperation.exclusiveNow)")
        return true
    } catch  where error.errno == .wouldBlock {
        return false
    }
}

/// Unlocks the file, even if others have a copy of the descriptor.
///
/// Kernel: flock(2) with LOCK_UN.
func unlock(_ file: CInt) {
    _ = raw_system_call(Int(__NR_flock), Int(file), LockOperation.unlock.rawValue, 0, 0, 0, 0)
}

/// Sends a signal to a process.
///
/// Kernel: kill(2).
func sendSignal(_ signal: CInt, to process: Int) throws(SystemCallError) {
    try systemCall(
        "kill", __NR_kill, process, Int(signal), describing: "\(process), \(signal)")
}

/// Sends a signal to each of several processes; those that are gone are ignored.
///
/// - Throws: the first refusal, after trying all of them.
func sendSignal(_ signal: CInt, toEach processes: [Int]) throws(SystemCallError) {
    var refusal: SystemCallError?
    for process in processes where process > 0 {
        do throws(SystemCallError) {
            try sendSignal(signal, to: process)
        } catch {
            if error.errno != .noSuchProcess { refusal = refusal ?? error }
        }
    }
    if let refusal { throw refusal }
}

/// Sleeps; an interrupted sleep is continued.
///
/// Kernel: nanosleep(2).
func wait(milliseconds: Int) {
    var time = (seconds: Int(milliseconds / 1000), nanoseconds: milliseconds % 1000 * 1_000_000)
    withUnsafeMutablePointer(to: &time) { pointer in
        let address = Int(bitPattern: pointer)
        // The second operand receives the remaining time.
        let interrupted = -Int(Errno.interrupted.rawValue)
        while raw_system_call(Int(__NR_nanosleep), address, address, 0, 0, 0, 0) == interrupted {}
    }
}
#endif
