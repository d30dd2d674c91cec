// SPDX-License-Identifier: Apache-2.0

package import KernelVocabulary
internal import SystemPackage

/// Steps for the standard streams as the program finds them.
package enum StreamStep: ChildStep {
    /// Makes inherited descriptors the standard input, output and error.
    case setStandardStreams([Int])
    /// Gives standard streams to the user, so that it can reopen them through /proc/self/fd.
    case ownStandardStreams([Int], userID: UInt32)
    /// Opens standard streams anew by the container's own device nodes.
    case reopenStreams([DeviceStreams])
}

/// Streams of the caller on one of the kernel's devices without a state, such as /dev/null.
///
/// Their node is the host's: whoever owns it may change its mode.
package struct DeviceStreams: Equatable, Sendable {
    /// The numbers of the streams.
    package var streams: [Int]
    /// The name below /dev.
    package let name: String
    /// The minor number; the major one is 1.
    package let minor: Int
    /// The status flags of open(2): access mode, O_APPEND and O_NONBLOCK.
    package let flags: OpenFlags

    /// Streams that are opened the same way.
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

    /// Nobody else may reopen a stream of another user; one that cannot be given away (a read-only
    /// file system, an id without a mapping) keeps its owner.
    mutating func ownStandardStreams(_ streams: [Int], _ userID: UInt32) {
        for stream in streams {
            call(
                .fchown, [.literal(stream), .literal(Int(userID)), .literal(-1)],
                ignoring: [
                    .notPermitted, .invalidArgument, .badFileDescriptor, .readOnlyFileSystem,
                ])
        }
    }

    /// The container's node is used where it is the very device.
    ///
    /// An image may have anything there, and a process of the container may put it there at any moment.
    /// So it is looked at before it is opened, for the sake of devices that opening has an effect on,
    /// and again afterwards.
    ///
    /// Else the stream is opened by a node on a file system that nobody else sees. It stays as it is
    /// where not even that may be made, for want of CAP_MKNOD.
    mutating func reopen(_ device: DeviceStreams, below root: Cell) {
        let path = "dev/" + device.name
        let found = cell("device")
        resolve(
            path, below: root, into: found, flags: .pathOnly | .noFollow,
            ignoring: [
                .noSuchFileOrDirectory, .notDirectory, .permissionDenied,
                .tooManySymbolicLinkLevels,
            ])
        var unusable = [skip(when: .isNegative(found))]
        let status = scratch()
        statx(.cell(found), into: status)
        call(.close, [.cell(found)])
        unusable += skipUnless(status, is: device)

        let opened = cell("stream")
        // Not blocking and not its terminal: nothing else that may be there by now holds the process up.
        resolve(
            path, below: root, into: opened,
            flags: device.flags.union(.noFollow | .nonBlocking | .noTerminal),
            ignoring: [
                .notPermitted, .noSuchFileOrDirectory, .permissionDenied,
                .tooManySymbolicLinkLevels,
            ])
        unusable.append(skip(when: .isNegative(opened)))
        statx(.cell(opened), into: status)
        let others = skipUnless(status, is: device)
        let isOpen = skip(when: .always)
        for label in others { place(label) }
        call(.close, [.cell(opened)])
        for label in unusable { place(label) }
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

    /// Skips where what statx(2) told is not this character device.
    private mutating func skipUnless(_ status: Int, is device: DeviceStreams) -> [Label] {
        let conditions: [Condition] = [
            .isFile(status, .characterDevice), .isDevice(status, 1, device.minor),
        ]
        return conditions.map { condition in
            let isSo = skip(when: condition)
            let isNot = skip(when: .always)
            place(isSo)
            return isNot
        }
    }

    /// The caller's umask may still be set: the mode is given twice.
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
                .literal(1 << 8 | device.minor),
            ], ignoring: refused)
        call(.fchmodat, [.cell(directory), name, .named(FileMode(0o666))], ignoring: refused)
        resolve(
            device.name, below: directory, into: opened,
            flags: device.flags.union(.noFollow), resolution: .name, ignoring: refused)
        call(.close, [.cell(directory)])
    }
}
