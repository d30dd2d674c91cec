// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Kernel structures as programs fill and read them. Tests compare their layout with the headers.

/// The offsets of members of `struct statx`.
///
/// Source: linux/stat.h.
enum StatusLayout {
    static let attributes = 8
    static let mode = 28
    /// The major number of a device; the minor number follows.
    static let device = 128
    /// statx and statfs fill at most this much.
    static let sizeBytes = 256
}

/// The offsets of the members of `struct clone_args` that a program fills.
///
/// Source: linux/sched.h.
enum CloneLayout {
    static let pidfd = 8
    static let cgroup = 80
    static let sizeBytes = 88
}

/// The sizes of `struct open_how` and `struct mount_attr`.
///
/// Source: linux/openat2.h, linux/mount.h.
enum StructureSize {
    static let openHow = 24
    static let mountAttributes = 32
}

/// The size of `struct landlock_ruleset_attr`, and where a rule for a path has its descriptor.
///
/// Source: linux/landlock.h.
enum LandlockLayout {
    static let rulesetBytes = 24
    static let descriptor = 8
}

extension Assembler.Condition {
    /// 32 bits of memory equal a value; a skip reads eight bytes.
    static func isWord(_ offset: Int, _ value: Int) -> Self {
        .memory(offset, mask: Int(UInt32.max), value: value)
    }

    /// The file of a statx result has this type.
    static func isFile(_ status: Int, _ type: FileKind) -> Self {
        .memory(status + StatusLayout.mode, mask: FileKind.mask, value: type.rawValue)
    }

    /// The file of a statx result has no execute permission for anybody.
    static func isForNobody(_ status: Int) -> Self {
        .memory(status + StatusLayout.mode, mask: 0o111, value: 0)
    }

    /// The file of a statx result is the device with these numbers.
    static func isDevice(_ status: Int, _ major: Int, _ minor: Int) -> Self {
        .memory(status + StatusLayout.device, mask: -1, value: major | minor << 32)
    }

    /// Both conditions of a device of memory, such as /dev/null: character device 1:`minor`.
    static func ofMemoryDevice(_ status: Int, _ minor: Int) -> InlineArray<2, Self> {
        [.isFile(status, .characterDevice), .isDevice(status, 1, minor)]
    }

    /// The file of a statx result is the root of a mount.
    static func isMountRoot(_ status: Int) -> Self {
        let bit = StatusAttributes.mountRoot.rawValue
        return .memory(status + StatusLayout.attributes, mask: bit, value: bit)
    }

    /// The file of a statfs result is on a file system of this type.
    static func isFilesystem(_ statistics: Int, _ type: FilesystemMagic) -> Self {
        .isWord(statistics, type.rawValue)
    }

    /// A call failed with this errno, which it ignores.
    static func isError(_ result: Cell, _ errno: Errno) -> Self {
        .equals(result, -Int(errno.rawValue))
    }

    /// The first of the polled descriptors is readable.
    static func isReadable(_ polled: Int) -> Self {
        .memory(polled, mask: Assembler.seenReadable, value: Assembler.seenReadable)
    }

    /// The first of the polled descriptors is not readable.
    static func isNotReadable(_ polled: Int) -> Self {
        .memory(polled, mask: Assembler.seenReadable, value: 0)
    }
}

extension Assembler {
    /// `struct clone_args` with only its flags set.
    mutating func cloneArguments(_ flags: CloneFlags) -> Int {
        words([UInt64(flags.rawValue), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Two `struct pollfd`: the descriptor, the events waited for, and the events seen.
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

    /// The events seen are the last two of the eight bytes.
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
    /// The highest possible number of a descriptor, as the end of a range.
    static var lastDescriptor: Operand { .literal(Int(UInt32.max)) }
}
#endif
