// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

/// What a process that was born empty does before the plan's program.
///
/// It takes back what its exec has changed; and where namespaces or a cgroup are to be had by birth, it is
/// a stepping stone only: it clones the process that goes on, from its own few pages, and ends. The host's
/// memory is never part of a container's cgroup that way. See Decisions/0025.
package struct Birth: Sendable {
    /// The clone that the stepping stone makes.
    package struct Clone: Sendable {
        /// Its new namespaces.
        package var kinds: NamespaceSet
        /// Whether it is born in the v2 cgroup that `.cgroupDirectory` is.
        package var intoCgroup: Bool

        /// A clone.
        package init(_ kinds: NamespaceSet, intoCgroup: Bool) {
            self.kinds = kinds
            self.intoCgroup = intoCgroup
        }
    }

    /// How many descriptors from 3 on are the container's.
    package var preservedDescriptorCount = 0
    /// Descriptors of ours among the numbers before.
    package var lowDescriptors: [Int32] = []
    /// The capabilities to have again.
    package var capabilities: CapabilitySets?
    /// The ambient ones of them, where they were changed.
    package var ambient: UInt64?
    /// Whether nobody may trace the process from here on.
    package var forbidsPtrace = false
    /// Nil for a process that goes on by itself.
    package var clone: Clone?

    /// Nothing is done.
    package init() {}

    /// The instructions for that; behind the last one the plan's program begins.
    package var image: ProgramImage {
        var code = Assembler()
        // The exec has closed all that was close-on-exec, so that no descriptor here is; but the next exec
        // shall close them.
        code.call(
            .closeRange,
            [
                .literal(3 + preservedDescriptorCount), .lastDescriptor,
                .named(CloseRangeFlags.closeOnExec),
            ])
        for number in lowDescriptors {
            // EBADF: one that is not open is nobody's.
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

/// Which of two siblings is meant.
///
/// Each waits for a word in the progress page, which the parent writes.
///
/// Source: `struct machine_progress` of CLinux.h.
package enum Sibling {
    /// Init, which a stepping stone clones; the second process of a plan.
    case first, second

    /// Where the word stands.
    package var wordOffset: Int { self == .first ? 8 : 12 }
}

extension Assembler {
    /// Clones a process that goes on in this one's place, as a child of the same parent, and ends.
    ///
    /// The parent gets its pidfd over the rendezvous, and the sibling waits for the parent's word.
    ///
    /// Kernel: clone3(2) with CLONE_PARENT, futex(2).
    mutating func continueInSibling(
        _ kinds: CloneFlags, intoCgroup: Bool, named name: String, _ which: Sibling
    ) {
        // With CLONE_PARENT the exit signal is the creator's.
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
        // EPIPE, ECONNRESET: the parent is gone, and nobody gives the sibling a word.
        sendDescriptor(
            pidfd, named: "p", over: input(.rendezvous),
            ignoring: [.brokenPipe, .connectionReset])
        call(.exitGroup, [.literal(0)])
        place(inSibling)
        // EAGAIN: it is there. ETIMEDOUT: nobody knows of this process.
        call(
            .futex,
            [
                .progress(which.wordOffset), .named(FutexOperation.wait), .literal(0),
                .address(words([10, 0])),
            ], ignoring: [.resourceTemporarilyUnavailable, .timedOut, .interrupted])
        let goesOn = skip(when: .progress(which.wordOffset, mask: Int(UInt32.max), value: 1))
        call(.exitGroup, [.literal(125)])
        place(goesOn)
    }
}
