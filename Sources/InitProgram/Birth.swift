// SPDX-License-Identifier: Apache-2.0

/// What a process that was born empty does before the plan's program.
///
/// It takes back what its exec has changed; and where namespaces or a cgroup are to be had by birth, it is
/// a stepping stone only: it clones the process that goes on, from its own few pages, and ends. The host's
/// memory is never part of a container's cgroup that way. See Decisions/0025.
public struct Birth: Sendable {
    /// The clone that the stepping stone makes.
    public struct Clone: Sendable {
        /// What clone3(2) is told besides where to leave number and descriptor.
        public var flags: UInt64
        /// The v2 cgroup that the clone is born in.
        public var cgroup: Int32?
        /// The socket that takes the descriptor of the clone.
        public var channel: Int32

        /// A clone.
        public init(flags: UInt64, cgroup: Int32?, channel: Int32) {
            self.flags = flags
            self.cgroup = cgroup
            self.channel = channel
        }
    }

    /// How many descriptors from 3 on are the container's.
    public var preservedDescriptorCount = 0
    /// Descriptors of ours among the numbers before.
    public var lowDescriptors: [Int32] = []
    /// The capabilities to have again.
    public var capabilities: CapabilitySets?
    /// The ambient ones of them, where they were changed.
    public var ambient: UInt64?
    /// Whether nobody may trace the process from here on.
    public var forbidsPtrace = false
    /// Nil for a process that goes on by itself.
    public var clone: Clone?

    /// Nothing is done.
    public init() {}

    /// The instructions for that; behind the last one the plan's program begins.
    public var image: ProgramImage {
        var code = Assembler()
        // An exec closes what is close-on-exec, so that none of the descriptors here was; the next shall.
        code.call(
            .closeRange,
            [
                .literal(3 + preservedDescriptorCount), .literal(0xffff_ffff),
                .named(4, "CLOSE_RANGE_CLOEXEC"),
            ])
        for number in lowDescriptors {
            // EBADF: one that is not open is nobody's.
            code.call(
                .fcntl, [.literal(Int(number)), .named(2, "F_SETFD"), .named(1, "FD_CLOEXEC")],
                ignoring: [9])
        }
        if let capabilities { code.setCapabilities(capabilities) }
        if let ambient { code.setAmbientCapabilities(ambient) }
        if forbidsPtrace { code.prctl("PR_SET_DUMPABLE", 4, 0) }
        if let clone { code.add(clone) }
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        return code.image
    }
}

extension Assembler {
    /// EPIPE, ECONNRESET: the parent is gone, which the clone will see, too.
    fileprivate mutating func add(_ clone: Birth.Clone) {
        // CLONE_PIDFD | CLONE_PARENT | CLONE_PARENT_SETTID; the exit signal is the creator's.
        let flags = clone.flags | 0x1000 | 0x8000 | 0x10_0000
        let arguments = words([flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt64(clone.cgroup ?? 0)])
        let pidfd = cell("pidfd")
        relocateToCell(at: arguments + 8, cell: pidfd)
        relocateToProgress(at: arguments + 3 * 8, offset: 12)
        let child = cell("init")
        call(.clone3, [.address(arguments), .literal(88)], into: child)
        let inChild = skip(when: .equals(child, 0))
        // One byte, and cmsghdr: length 20, SOL_SOCKET, SCM_RIGHTS, then the descriptor, padded to 24.
        let vector = words([0, 1])
        relocate(at: vector, to: bytes([0]))
        let control = words([20, 1 | 1 << 32, 0])
        let header = words([0, 0, 0, 1, 0, 24, 0])
        relocate(at: header + 16, to: vector)
        relocate(at: header + 32, to: control)
        copy(pidfd, to: control + 16, width: 4)
        call(
            .sendmsg, [.literal(Int(clone.channel)), .address(header), .literal(0)],
            ignoring: [32, 104], retries: 100)
        call(.exitGroup, [.literal(0)])
        place(inChild)
    }
}
