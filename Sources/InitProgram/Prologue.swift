// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// The program of a process that is born empty, up to the plan's own program.
///
/// It restores what the exec has changed. If namespaces or a cgroup must be set by a clone, the
/// process is only a stepping stone: it clones the process that goes on and ends. So the host's
/// memory is never charged to a container's cgroup. See Decisions/0025.
package struct Prologue: Sendable {
    /// The clone that the stepping stone makes.
    package struct Clone: Sendable {
        /// The new namespaces of the clone.
        package var kinds: NamespaceSet
        /// Whether the clone starts in the v2 cgroup of `.cgroupDirectory`.
        package var intoCgroup: Bool

        /// A clone.
        package init(_ kinds: NamespaceSet, intoCgroup: Bool) {
            self.kinds = kinds
            self.intoCgroup = intoCgroup
        }
    }

    /// How many descriptors from 3 on belong to the container.
    package var preservedDescriptorCount = 0
    /// Descriptors of the runtime among those numbers.
    package var lowDescriptors: [Int32] = []
    /// The capabilities to restore; nil changes none.
    package var capabilities: CapabilitySets?
    /// The ambient capabilities to restore; nil if they were not changed.
    package var ambient: UInt64?
    /// Whether ptrace is forbidden from here on.
    package var forbidsPtrace = false
    /// The clone to make; nil for a process that goes on itself.
    package var clone: Clone?

    /// A program that does nothing.
    package init() {}

    /// The instructions; those of the plan's program follow.
    package var image: ProgramImage {
        var code = Assembler()
        // The exec has closed all close-on-exec descriptors, so none of these is; mark them for the
        // next exec.
        code.call(
            .closeRange,
            [
                .literal(3 + preservedDescriptorCount), .lastDescriptor,
                .named(CloseRangeFlags.closeOnExec),
            ])
        for number in lowDescriptors {
            // EBADF: a number that is not open.
            code.call(
                .fcntl,
                [
                    .literal(Int(number)), .named(FileCommand.setDescriptorFlags),
                    .named(DescriptorFlags.closeOnExec),
                ], ignoring: [.badFileDescriptor])
        }
        if let capabilities { code.setCapabilities(capabilities) }
        if let ambient { code.setAmbientCapabilities(ambient) }
        if forbidsPtrace { code.prctl(.setDumpable, 0) }
        if let clone {
            code.continueInSibling(
                clone.kinds.cloneFlags, intoCgroup: clone.intoCgroup, named: "init", .first)
        }
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        return code.image
    }
}

/// One of the two processes that a CLONE_PARENT clone can make.
///
/// Each waits for the parent to write its word in the progress page.
///
/// Source: `struct machine_progress` of CLinux.h.
package enum Sibling {
    /// `first` is init, cloned by a stepping stone; `second` is the second process of a plan.
    case first, second

    /// The offset of the word in the progress page.
    package var wordOffset: Int { self == .first ? 8 : 12 }
}

extension Assembler {
    /// Clones a process that goes on in place of this one, as a child of the same parent, and ends.
    ///
    /// The parent gets the new process's pidfd over the rendezvous, and the new process waits for
    /// the parent's word.
    ///
    /// Kernel: clone3(2) with CLONE_PARENT, futex(2).
    mutating func continueInSibling(
        _ kinds: CloneFlags, intoCgroup: Bool, named name: String, _ which: Sibling
    ) {
        // With CLONE_PARENT the exit signal is the one of the calling process.
        var flags: CloneFlags = kinds | .tellsPidfd | .sibling
        if intoCgroup { flags |= .intoCgroup }
        let arguments = cloneArguments(flags)
        let pidfd = cell("\(name)-pidfd")
        relocateToCell(at: arguments + CloneLayout.pidfd, cell: pidfd)
        if intoCgroup {
            copy(input(.cgroupDirectory), to: arguments + CloneLayout.cgroup, width: 8)
        }
        let sibling = cell(name)
        call(.clone3, [.address(arguments), .literal(CloneLayout.sizeBytes)], into: sibling)
        let inSibling = skip(when: .equals(sibling, 0))
        // EPIPE, ECONNRESET: the parent is gone; the sibling notices it and ends.
        sendDescriptor(
            pidfd, named: "p", over: input(.rendezvous),
            ignoring: [.brokenPipe, .connectionReset])
        call(.exitGroup, [.literal(0)])
        place(inSibling)
        awaitWord(which, named: name)
    }

    /// How long the parent may take, in parts, after which it is looked at: it may have ended.
    private static let patienceSeconds: [UInt64] = [1, 9, 50]

    /// Waits until the parent writes its word.
    ///
    /// If the parent has ended, or is stopped for a minute, this process ends.
    private mutating func awaitWord(_ which: Sibling, named name: String) {
        // `struct pollfd` without events: poll(2) always reports that the other end is closed.
        let polled = words32([0, 0])
        copy(input(.rendezvous), to: polled, width: 4)
        let noTime = words([0, 0])
        let isAlone = cell("\(name)-alone")
        var whenWritten: [Label] = []
        for seconds in Self.patienceSeconds {
            // EAGAIN: the word is already written.
            call(
                .futex,
                [
                    .progress(which.wordOffset), .named(FutexOperation.wait), .literal(0),
                    .address(words([seconds, 0])),
                ], ignoring: [.resourceTemporarilyUnavailable, .timedOut, .interrupted])
            whenWritten.append(
                skip(when: .progress(which.wordOffset, mask: Int(UInt32.max), value: 1)))
            if seconds == Self.patienceSeconds.last { break }
            call(
                .ppoll,
                [
                    .address(polled), .literal(1), .address(noTime), .literal(0),
                    .literal(SignalNumber.maskBytes),
                ], into: isAlone, retries: 1000)
            let goesOn = skip(when: .equals(isAlone, 0))
            call(.exitGroup, [.literal(125)])
            place(goesOn)
        }
        call(.exitGroup, [.literal(125)])
        for label in whenWritten { place(label) }
    }
}
#endif
