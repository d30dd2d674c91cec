// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitMachine
internal import InitProgram
internal import KernelVocabulary

/// The page to which a child writes its progress, and which outlives the child.
///
/// For a container it is a file of the state directory, so that another process, such as `start`,
/// can read init's progress; for exec it is a memory file. A second page has the parent's own
/// notes, and the mark by which a reader knows such a file. No child maps that page, because any
/// process that may trace a child can write to the child's memory.
final class ProgressPage {
    /// The mapped page.
    let pointer: UnsafeMutablePointer<machine_progress>

    /// One page for the child, and one for the notes.
    private static let pageBytes = Int(getauxval(UInt(AT_PAGESZ)))
    /// The size of the file.
    static let sizeBytes = 2 * pageBytes

    /// The page's file, which a child that is born empty maps; -1 if there is none, or it is
    /// closed.
    private(set) var file: CInt

    /// Maps an anonymous page.
    convenience init() throws(SystemCallError) {
        try self.init(file: -1)
    }

    /// Maps an empty file.
    convenience init(_ file: consuming OwnedDescriptor) throws(SystemCallError) {
        let number = file.number
        // The file is written, not just extended: touching a page for which there is no room would
        // kill parent or child by SIGBUS.
        var bytes = [UInt8](repeating: 0, count: Self.sizeBytes)
        bytes.replaceSubrange(
            Self.markOffset..<(Self.markOffset + Self.mark.count), with: Self.mark)
        try writeAll(bytes, to: number, named: "progress page")
        try self.init(file: number)
        _ = file.release()
    }

    /// Maps a memory file, or if such files are refused an anonymous page.
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
        // A child that is a copy must not have the notes either.
        let notes = address + Self.pageBytes
        try systemCall(
            "madvise", __NR_madvise, notes, Self.pageBytes, MemoryAdvice.notInChildren.rawValue,
            describing: "\(MemoryAdvice.notInChildren)")
    }

    deinit {
        closeFile()
        unmap(Int(bitPattern: pointer), sizeBytes: Self.sizeBytes)
    }

    /// Closes the file; the page stays mapped.
    func closeFile() {
        if file >= 0 { _ = OwnedDescriptor(taking: file) }
        file = -1
    }

    /// Clears the page for another start, but for the words: a process of the former start may still
    /// have to read that it must end.
    func reset() {
        pointer.pointee.index = 0
        pointer.pointee.error = 0
    }

    /// The report of a process that copies a tree.
    var copyReport: UnsafeMutablePointer<tree_copy_report> {
        (UnsafeMutableRawPointer(pointer) + TREE_COPY_REPORT_OFFSET)
            .assumingMemoryBound(to: tree_copy_report.self)
    }

    /// The index of the child's instruction; negative before its own program.
    var index: Int { Int(Int32(bitPattern: pointer.pointee.index)) }

    /// Whether the child could not map its image.
    var hasNoImage: Bool { index == Int(machine_no_image) }

    /// The errno that stopped the child, or 0.
    var error: CInt { pointer.pointee.error }

    /// The time of a mark, in nanoseconds since 1970; nil if the child has not noted it.
    func time(ofMark mark: Int) -> Int? {
        Self.time(
            ofMark: mark,
            UnsafeRawBufferPointer(start: UnsafeRawPointer(pointer), count: Self.sizeBytes))
    }

    /// The time of a mark, from the file in a state directory.
    static func time(ofMark mark: Int, _ bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBytes { time(ofMark: mark, $0) }
    }

    private static func time(ofMark mark: Int, _ bytes: UnsafeRawBufferPointer) -> Int? {
        // The record that names the mark may be damaged.
        guard (0..<TimeMark.limit).contains(mark) else { return nil }
        let offset = TimeMark.offset(mark)
        guard offset + TimeMark.sizeBytes <= bytes.count else { return nil }
        let seconds = bytes.loadUnaligned(fromByteOffset: offset, as: Int.self)
        let rest = bytes.loadUnaligned(fromByteOffset: offset + 8, as: Int.self)
        // A process that may trace the child can write anything there.
        let (whole, isLate) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard seconds > 0, !isLate, (0..<1_000_000_000).contains(rest) else { return nil }
        return whole &+ rest
    }

    /// Tells a waiting sibling to go on or to end.
    func tell(_ sibling: Sibling, goOn: Bool) {
        let word = UnsafeMutableRawPointer(pointer) + sibling.wordOffset
        word.storeBytes(of: goOn ? 1 : 2, as: UInt32.self)
        wake(Int(bitPattern: word))
    }

    /// The offset of the parent's note on the child's pid and start time.
    private static let processOffset = pageBytes

    /// Notes the child's pid and start time, for a command that must end it while this launch goes
    /// on or after this process has died.
    func note(pid: Int32, startTime: UInt64) {
        let note = UnsafeMutableRawPointer(pointer) + Self.processOffset
        note.storeBytes(of: startTime, as: UInt64.self)
        (note + 8).storeBytes(of: pid, as: Int32.self)
    }

    /// The offset at which the kernel writes the pid of a stepping stone before it runs; the
    /// creator's pid follows.
    private static let stoneOffset = processOffset + 16

    /// Notes the pid of this process as the creator, and returns the address for the stepping
    /// stone's pid.
    func noteCreator() -> UInt64 {
        let note = UnsafeMutableRawPointer(pointer) + Self.stoneOffset
        (note + 4).storeBytes(of: ownProcessID, as: Int32.self)
        return UInt64(UInt(bitPattern: note))
    }

    /// The moments whose time the parent notes, to tell since when init is at a step.
    enum Moment: Int {
        /// Init has reported that everything is prepared.
        case reported
        /// Init was told to run its program.
        case ordered
    }

    private static let momentsOffset = stoneOffset + 8

    /// The offset of a moment's time in the page's file: nanoseconds since 1970.
    static func offset(of moment: Moment) -> Int { momentsOffset + 8 * moment.rawValue }

    /// What every file of this layout has behind the notes; the digit counts the layouts.
    private static let mark = Array("swruncP1".utf8)
    private static let markOffset = momentsOffset + 16

    /// Whether a file from a state directory is a progress page: its size and its mark are right.
    ///
    /// Pages of version 0.1 have no notes, and no mark; nor have those of the time before the mark.
    static func isWhole(_ bytes: [UInt8]) -> Bool {
        if bytes.count == pageBytes { return bytes[16...].allSatisfy { $0 == 0 } }
        guard bytes.count == sizeBytes else { return false }
        let found = bytes[markOffset..<(markOffset + mark.count)]
        return found.elementsEqual(mark)
            || found.allSatisfy { $0 == 0 } && process(bytes) != nil
    }

    /// Notes the present time for a moment.
    func note(_ moment: Moment) {
        (UnsafeMutableRawPointer(pointer) + Self.offset(of: moment))
            .storeBytes(of: Int64(ClockTime.wall.totalNanoseconds), as: Int64.self)
    }

    /// The time of a moment, from the file in a state directory; nil if it was not noted.
    static func time(of moment: Moment, _ bytes: [UInt8]) -> Timestamp? {
        guard bytes.count >= offset(of: moment) + 8 else { return nil }
        let total = bytes.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: offset(of: moment), as: Int64.self)
        }
        guard total > 0 else { return nil }
        return Timestamp(seconds: total / 1_000_000_000, nanoseconds: total % 1_000_000_000)
    }

    /// The stepping stone and its creator, from the file in a state directory, for an init that is
    /// not recorded yet.
    static func creation(_ bytes: [UInt8]) -> (stone: Int32, creator: Int32)? {
        guard bytes.count >= stoneOffset + 8 else { return nil }
        let (stone, creator) = bytes.withUnsafeBytes { buffer in
            (
                buffer.loadUnaligned(fromByteOffset: stoneOffset, as: Int32.self),
                buffer.loadUnaligned(fromByteOffset: stoneOffset + 4, as: Int32.self)
            )
        }
        return stone > 0 && creator > 0 ? (stone, creator) : nil
    }

    /// The process that the page in a state directory names; nil if there is none yet.
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

    /// The index and error in the page of a state directory, without mapping it.
    ///
    /// A negative index precedes the plan's own program. Nil if the file is no such page.
    static func read(_ bytes: [UInt8]) -> (index: Int, error: CInt)? {
        guard isWhole(bytes) else { return nil }
        return bytes.withUnsafeBytes { buffer in
            (
                Int(buffer.loadUnaligned(fromByteOffset: 0, as: Int32.self)),
                buffer.loadUnaligned(fromByteOffset: 4, as: Int32.self)
            )
        }
    }
}
#endif
