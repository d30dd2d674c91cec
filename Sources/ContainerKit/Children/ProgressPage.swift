// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitMachine
internal import InitProgram
internal import KernelVocabulary

/// The page that a child writes its progress to and that outlives it.
///
/// For a container it is a file of the state directory, so that `start`, another process, can tell
/// where init stands; for exec it is a file in memory. Behind it is a page of the parent's own notes, which no
/// child maps: whoever may trace a child may write what that maps.
final class ProgressPage {
    /// The page.
    let pointer: UnsafeMutablePointer<machine_progress>

    /// A page of the child's, and one of notes.
    private static let pageBytes = Int(getauxval(UInt(AT_PAGESZ)))
    private static let sizeBytes = 2 * pageBytes

    /// Its file, which a child that is born empty maps; -1 where there is none (any more).
    private(set) var file: CInt

    /// Maps an anonymous page.
    convenience init() throws(SystemCallError) {
        try self.init(file: -1)
    }

    /// Maps an empty file.
    convenience init(_ file: consuming OwnedDescriptor) throws(SystemCallError) {
        let number = file.number
        // Written, not only made longer: a page that finds no room when it is first touched kills parent or
        // child with SIGBUS.
        try writeAll(
            [UInt8](repeating: 0, count: Self.sizeBytes), to: number, named: "progress page")
        try self.init(file: number)
        _ = file.release()
    }

    /// Maps a file in memory, or where such files are refused an anonymous page.
    static func inMemory() throws(SystemCallError) -> ProgressPage {
        guard let file = try? memoryFile("progress", for: .data) else { return try ProgressPage() }
        return try ProgressPage(file)
    }

    private init(file: CInt) throws(SystemCallError) {
        let flags: MappingFlags = file < 0 ? .shared | .anonymous : .shared
        let address = try systemCall(
            "mmap", __NR_mmap, 0, Self.sizeBytes, (ProtectionFlags.read | .write).rawValue,
            flags.rawValue, Int(file), 0, describing: "progress page")
        guard let pointer = UnsafeMutablePointer<machine_progress>(bitPattern: address) else {
            preconditionFailure("mmap gave no address")
        }
        self.pointer = pointer
        self.file = file
        // A child that is a copy does not get the notes either.
        let notes = address + Self.pageBytes
        try systemCall(
            "madvise", __NR_madvise, notes, Self.pageBytes, MemoryAdvice.notInChildren.rawValue,
            describing: "\(MemoryAdvice.notInChildren)")
    }

    deinit {
        closeFile()
        unmap(Int(bitPattern: pointer), sizeBytes: Self.sizeBytes)
    }

    /// Closes the file; the page stays.
    func closeFile() {
        if file >= 0 { _ = OwnedDescriptor(taking: file) }
        file = -1
    }

    /// Makes it tell nothing, for another start.
    func reset() {
        pointer.pointee = machine_progress()
    }

    /// What a process that copies a tree tells.
    var copyReport: UnsafeMutablePointer<tree_copy_report> {
        (UnsafeMutableRawPointer(pointer) + TREE_COPY_REPORT_OFFSET)
            .assumingMemoryBound(to: tree_copy_report.self)
    }

    /// The instruction that the child came to; a negative one is of what precedes its program.
    var index: Int { Int(Int32(bitPattern: pointer.pointee.index)) }

    /// Whether the child could not map its program.
    var hasNoImage: Bool { index == Int(machine_no_image) }

    /// The errno at which the child stopped, or 0.
    var error: CInt { pointer.pointee.error }

    /// Tells a sibling, which waits for it, to go on or to end.
    func tell(_ sibling: Sibling, goOn: Bool) {
        let word = UnsafeMutableRawPointer(pointer) + sibling.wordOffset
        word.storeBytes(of: goOn ? 1 : 2, as: UInt32.self)
        wake(Int(bitPattern: word))
    }

    /// Where the parent notes which process the child is.
    private static let processOffset = pageBytes

    /// Notes which process the child is, for who has to end it while this launch goes on, or has died.
    func note(pid: Int32, startTime: UInt64) {
        let note = UnsafeMutableRawPointer(pointer) + Self.processOffset
        note.storeBytes(of: startTime, as: UInt64.self)
        (note + 8).storeBytes(of: pid, as: Int32.self)
    }

    /// Where the kernel writes the number of a stepping stone, before that runs; behind it the creator's.
    private static let stoneOffset = processOffset + 16

    /// Notes who starts a stepping stone, and gives the address at which the kernel is to write its number.
    func beginBirth() -> UInt64 {
        let note = UnsafeMutableRawPointer(pointer) + Self.stoneOffset
        (note + 4).storeBytes(of: ownProcessID, as: Int32.self)
        return UInt64(UInt(bitPattern: note))
    }

    /// What the parent notes the time of, for who asks since when init is where it is.
    enum Moment: Int {
        /// Init reported that all is prepared.
        case reported
        /// Init was told to run its program.
        case ordered
    }

    private static let momentsOffset = stoneOffset + 8

    /// Where the time of a moment stands in the page's file: nanoseconds since 1970.
    static func offset(of moment: Moment) -> Int { momentsOffset + 8 * moment.rawValue }

    /// Notes that it is now.
    func note(_ moment: Moment) {
        (UnsafeMutableRawPointer(pointer) + Self.offset(of: moment))
            .storeBytes(of: Int64(ClockTime.wall.totalNanoseconds), as: Int64.self)
    }

    /// When it was, as the file in a state directory tells; nil where that was not noted.
    static func time(of moment: Moment, _ bytes: [UInt8]) -> Timestamp? {
        guard bytes.count >= offset(of: moment) + 8 else { return nil }
        let total = bytes.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: offset(of: moment), as: Int64.self)
        }
        guard total > 0 else { return nil }
        return Timestamp(seconds: total / 1_000_000_000, nanoseconds: total % 1_000_000_000)
    }

    /// What the file in a state directory tells of an init that its creator has not noted yet: the stepping
    /// stone, and the creator, whose child it is.
    static func birth(_ bytes: [UInt8]) -> (stone: Int32, creator: Int32)? {
        guard bytes.count >= stoneOffset + 8 else { return nil }
        let (stone, creator) = bytes.withUnsafeBytes { buffer in
            (
                buffer.loadUnaligned(fromByteOffset: stoneOffset, as: Int32.self),
                buffer.loadUnaligned(fromByteOffset: stoneOffset + 4, as: Int32.self)
            )
        }
        return stone > 0 && creator > 0 ? (stone, creator) : nil
    }

    /// The process that the page in a state directory names; nil if there was none yet.
    static func process(_ bytes: [UInt8]) -> (pid: Int32, startTime: UInt64)? {
        guard bytes.count >= processOffset + 12 else { return nil }
        let (pid, time) = bytes.withUnsafeBytes { buffer in
            (
                buffer.loadUnaligned(fromByteOffset: processOffset + 8, as: Int32.self),
                buffer.loadUnaligned(fromByteOffset: processOffset, as: UInt64.self)
            )
        }
        return pid > 0 ? (pid, time) : nil
    }

    /// Reads index and error of the page in a state directory, without mapping it; a negative index is of
    /// what precedes the plan's program.
    static func read(_ bytes: [UInt8]) -> (index: Int, error: CInt)? {
        guard bytes.count >= 8 else { return nil }
        return bytes.withUnsafeBytes { buffer in
            (
                Int(buffer.loadUnaligned(fromByteOffset: 0, as: Int32.self)),
                buffer.loadUnaligned(fromByteOffset: 4, as: Int32.self)
            )
        }
    }
}
