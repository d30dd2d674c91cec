// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
package import KernelVocabulary
internal import SystemPackage

/// Steps for the program's standard streams.
package enum StreamStep: ChildStep {
    /// Makes inherited descriptors the standard input, output and error.
    case setStandardStreams([Int])
    /// Changes the owner of standard streams to the user, who can then reopen them through
    /// /proc/self/fd.
    case ownStandardStreams([Int], userID: UInt32)
    /// Reopens standard streams by the container's own device nodes.
    case reopenStreams([DeviceStreams])
}

/// Streams of the caller that are stateless kernel devices, such as /dev/null.
///
/// Their node is the host's, and its owner could change its mode.
package struct DeviceStreams: Equatable, Sendable {
    /// The numbers of the streams.
    package var streams: [Int]
    /// The name below /dev.
    package let name: String
    /// The minor number; the major one is 1.
    package let minor: Int
    /// The flags of open(2): access mode, O_APPEND and O_NONBLOCK.
    package let flags: OpenFlags

    /// Streams that are opened in the same way.
    package init(_ streams: [Int], name: String, minor: Int, flags: OpenFlags) {
        self.streams = streams
        self.name = name
        self.minor = minor
        self.flags = flags
    }
}

extension StreamStep {
    package var sentence: String {
        switch self {
        case .setStandardStreams(let numbers):
            "take over standard streams \(numbers.map(String.init).joined(separator: ", "))"
        case .ownStandardStreams(let streams, let id):
            "give the \(streams.streamWords) to user \(id)"
        case .reopenStreams(let devices):
            devices.map {
                "open the \($0.streams.streamWords) anew by the container's /dev/\($0.name)"
            }.joined(separator: ", ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .setStandardStreams(let numbers): numbers.map { .standardStream($0) }
        case .ownStandardStreams, .reopenStreams: []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool {
        switch self {
        case .reopenStreams: true
        case .setStandardStreams, .ownStandardStreams: false
        }
    }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .setStandardStreams(let numbers): code.setStandardStreams(numbers)
        case .ownStandardStreams(let streams, let userID):
            code.ownStandardStreams(streams, userID)
        case .reopenStreams(let devices):
            for device in devices { code.reopen(device, below: state.root) }
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    mutating func setStandardStreams(_ numbers: [Int]) {
        for number in numbers {
            let stream = input(.standardStream(number))
            call(.dup3, [.cell(stream), .literal(number), .literal(0)])
        }
    }

    /// Makes the user the owner of the streams, because only the owner may reopen one.
    ///
    /// A stream that cannot be given away (a read-only file system, an ID without a mapping) keeps
    /// its owner.
    mutating func ownStandardStreams(_ streams: [Int], _ userID: UInt32) {
        for stream in streams {
            call(
                .fchown, [.literal(stream), .literal(Int(userID)), .literal(-1)],
                ignoring: [
                    .notPermitted, .invalidArgument, .badFileDescriptor, .readOnlyFileSystem,
                ])
        }
    }

    /// Reopens streams by the container's node, if it is the expected device.
    ///
    /// An image may have anything at its path, and a process of the container can replace it at any
    /// time. So the node is checked before it is opened, since opening some devices has side
    /// effects, and again afterwards.
    ///
    /// Otherwise the streams are opened by a new node on a file system that nobody else sees.
    /// Without CAP_MKNOD even that cannot be made, and they stay as they are.
    mutating func reopen(_ device: DeviceStreams, below root: Cell) {
        let path = "dev/" + device.name
        let found = cell("device")
        resolve(
            path, below: root, into: found, flags: .pathOnly | .noFollow,
            ignoring: [
                .noSuchFileOrDirectory, .notDirectory, .permissionDenied,
                .tooManySymbolicLinkLevels,
            ])
        let isNotFound = skip(when: .isNegative(found))
        let status = scratch()
        statx(.cell(found), into: status)
        call(.close, [.cell(found)])
        let isOther = skipUnless(status, is: device)

        let opened = cell("stream")
        // Non-blocking, and never as controlling terminal: whatever is there by now cannot stall
        // the process.
        resolve(
            path, below: root, into: opened,
            flags: device.flags.union(.noFollow | .nonBlocking | .noTerminal),
            ignoring: [
                .notPermitted, .noSuchFileOrDirectory, .permissionDenied,
                .tooManySymbolicLinkLevels,
            ])
        let isRefused = skip(when: .isNegative(opened))
        statx(.cell(opened), into: status)
        let isOtherNow = skipUnless(status, is: device)
        let isOpen = skip(when: .always)
        for index in isOtherNow.indices { place(isOtherNow[index]) }
        call(.close, [.cell(opened)])
        place(isNotFound)
        for index in isOther.indices { place(isOther[index]) }
        place(isRefused)
        openOwnNode(device, into: opened)
        let isMissing = skip(when: .isNegative(opened))
        place(isOpen)
        call(
            .fcntl,
            [.cell(opened), .named(FileCommand.setStatusFlags), .named(device.flags)])
        for stream in device.streams {
            call(.dup3, [.cell(opened), .literal(stream), .literal(0)])
        }
        call(.close, [.cell(opened)])
        place(isMissing)
    }

    /// Skips if the file of a statx(2) result is not this character device.
    private mutating func skipUnless(_ status: Int, is device: DeviceStreams)
        -> InlineArray<2, Label>
    {
        let conditions = Condition.ofMemoryDevice(status, device.minor)
        return InlineArray { index in
            let isSo = skip(when: conditions[index])
            let isNot = skip(when: .always)
            place(isSo)
            return isNot
        }
    }

    /// The mode is set twice, because the caller's umask may still apply to mknodat.
    private mutating func openOwnNode(_ device: DeviceStreams, into opened: Cell) {
        let directory = newFilesystem(
            "tmpfs", source: "tmpfs", options: ["nr_blocks=1", "nr_inodes=3", "mode=755"],
            attributes: .empty)
        let name = text(device.name)
        let refused: [Errno] = [.notPermitted, .noSuchFileOrDirectory, .permissionDenied]
        call(
            .mknodat,
            [
                .cell(directory), name, .named(FileMode(.characterDevice, 0o666)),
                .named(DeviceNumber(major: 1, minor: UInt32(clamping: device.minor))),
            ], ignoring: refused)
        call(.fchmodat, [.cell(directory), name, .named(FileMode(0o666))], ignoring: refused)
        resolve(
            device.name, below: directory, into: opened,
            flags: device.flags.union(.noFollow), resolution: .name, ignoring: refused)
        call(.close, [.cell(directory)])
    }
}

extension SystemCall {
    static var fchmodat: SystemCall { SystemCall("fchmodat", __NR_fchmodat) }
    static var fchown: SystemCall { SystemCall("fchown", __NR_fchown) }
}
#endif
