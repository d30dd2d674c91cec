// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

// Structures of the kernel as programs fill and read them. Tests compare their shape with the headers.

/// Where the members of `struct statx` stand.
///
/// Source: linux/stat.h.
enum StatusLayout {
    static let attributes = 8
    static let mode = 28
    /// The major number of a device; the minor one is behind it.
    static let device = 128
    /// statx and statfs fill no more.
    static let sizeBytes = 256
}

/// Where the members of `struct clone_args` stand that a program fills.
///
/// Source: linux/sched.h.
enum CloneLayout {
    static let pidfd = 8
    static let cgroup = 80
    static let sizeBytes = 88
}

/// `struct open_how`, `struct mount_attr`.
///
/// Source: linux/openat2.h, linux/mount.h.
enum StructureSize {
    static let openHow = 24
    static let mountAttributes = 32
}

extension Assembler.Condition {
    /// 32 bits of memory have a value; a skip reads eight bytes.
    static func isWord(_ offset: Int, _ value: Int) -> Self {
        .memory(offset, mask: Int(UInt32.max), value: value)
    }

    /// What statx told is a file of a type.
    static func isFile(_ status: Int, _ type: FileKind) -> Self {
        .memory(status + StatusLayout.mode, mask: FileKind.mask, value: type.rawValue)
    }

    /// What statx told is a file that nobody may execute.
    static func isForNobody(_ status: Int) -> Self {
        .memory(status + StatusLayout.mode, mask: 0o111, value: 0)
    }

    /// What statx told is a device of these numbers.
    static func isDevice(_ status: Int, _ major: Int, _ minor: Int) -> Self {
        .memory(status + StatusLayout.device, mask: -1, value: major | minor << 32)
    }

    /// What statx told is the root of a mount.
    static func isMountRoot(_ status: Int) -> Self {
        let bit = StatusAttributes.mountRoot.rawValue
        return .memory(status + StatusLayout.attributes, mask: bit, value: bit)
    }

    /// What statfs told is a file system of a type.
    static func isFilesystem(_ statistics: Int, _ type: FilesystemMagic) -> Self {
        .isWord(statistics, type.rawValue)
    }

    /// A call was refused with this errno, which it ignores.
    static func isError(_ result: Cell, _ errno: Errno) -> Self {
        .equals(result, -Int(errno.rawValue))
    }

    /// The first of some polled descriptors has something to read.
    static func isReadable(_ polled: Int) -> Self {
        .memory(polled, mask: Assembler.seenReadable, value: Assembler.seenReadable)
    }

    /// The first of some polled descriptors has nothing to read.
    static func isNotReadable(_ polled: Int) -> Self {
        .memory(polled, mask: Assembler.seenReadable, value: 0)
    }
}

extension Assembler {
    /// `struct clone_args` with no member but its flags.
    mutating func cloneArguments(_ flags: CloneFlags) -> Int {
        words([UInt64(flags.rawValue), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// `struct pollfd` for two descriptors: the number, what is waited for, and what was seen.
    mutating func pollEntries(
        _ first: Cell, _ wanted: PollEvents, _ second: Cell, _ other: PollEvents
    ) -> Int {
        let polled = words32([0, UInt32(wanted.rawValue), 0, UInt32(other.rawValue)])
        copy(first, to: polled, width: 4)
        copy(second, to: polled + 8, width: 4)
        return polled
    }

    /// Waits for two descriptors.
    mutating func poll(_ polled: Int) {
        call(
            .ppoll,
            [
                .address(polled), .literal(2), .literal(0), .literal(0),
                .literal(SignalNumber.maskBytes),
            ], retries: 1000)
    }

    /// What was seen stands in the last two bytes of the eight.
    fileprivate static let seenReadable = PollEvents.readable.rawValue << 48

    /// `struct sigaction` of the kernel with the default action: no flags, an empty mask.
    mutating func defaultAction() -> Int { words([0, 0, 0, 0]) }

    mutating func setAction(_ signal: Operand, _ action: Int) {
        call(
            .rtSigaction,
            [signal, .address(action), .literal(0), .literal(SignalNumber.maskBytes)])
    }
}

extension Operand {
    /// The highest number that a descriptor may have, as the end of a range.
    static var lastDescriptor: Operand { .literal(Int(UInt32.max)) }
}
