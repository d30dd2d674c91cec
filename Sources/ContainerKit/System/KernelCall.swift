// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
package import SystemPackage

/// A call that the runtime needs, or a flag of one, that can be asked about without any effect.
///
/// Each is made with an operand that the kernel refuses: the errno tells whether the kernel knows
/// the call, and whether a seccomp filter lets it through.
package enum KernelCall: String, CaseIterable, Sendable {
    case clone3
    case execveat
    case closeRange = "close_range"
    case openat2
    case faccessat2
    case openTree = "open_tree"
    case moveMount = "move_mount"
    case mountSetattr = "mount_setattr"
    case fsopen
    case fsmount
    case pidfdOpen = "pidfd_open"
    case pidfdSendSignal = "pidfd_send_signal"
    case memfdCreate = "memfd_create"
    case seccomp
    /// clone3(2) with CLONE_INTO_CGROUP, Linux 5.7.
    case intoCgroup = "CLONE_INTO_CGROUP"
    /// mount_setattr(2) with MOUNT_ATTR_IDMAP, Linux 5.12.
    case mappedMounts = "MOUNT_ATTR_IDMAP"

    /// Whether the kernel asks for CAP_SYS_ADMIN before it looks at the operands.
    package var asksForRightsFirst: Bool {
        switch self {
        case .moveMount, .fsopen, .fsmount, .mappedMounts: true
        default: false
        }
    }

    /// The errno of the answer.
    package var answer: Errno {
        let result: Int =
            switch self {
            case .clone3: call(__NR_clone3, 0, 0)
            case .execveat: call(__NR_execveat, -1, 0, 0, 0, -1)
            // The last descriptor is before the first.
            case .closeRange: call(__NR_close_range, 1, 0)
            case .openat2: call(__NR_openat2, -1, 0, 0, 0)
            case .faccessat2: call(__NR_faccessat2, -1, 0, 0, -1)
            case .openTree: call(__NR_open_tree, -1, 0, -1)
            case .moveMount: call(__NR_move_mount, -1, 0, -1, 0, -1)
            case .mountSetattr: call(__NR_mount_setattr, -1, 0, -1, 0, 0)
            case .fsopen: call(__NR_fsopen, 0, -1)
            case .fsmount: call(__NR_fsmount, -1, -1, 0)
            case .pidfdOpen: call(__NR_pidfd_open, -1, 0)
            case .pidfdSendSignal: call(__NR_pidfd_send_signal, -1, 0, 0, -1)
            case .memfdCreate: call(__NR_memfd_create, 0, -1)
            case .seccomp: call(__NR_seccomp, -1, 0, 0)
            case .intoCgroup: Self.cloneIntoNothing()
            case .mappedMounts: Self.mapIDsByNothing()
            }
        return Errno(rawValue: CInt(max(0, -result)))
    }

    private func call(
        _ number: Int32, _ a: Int, _ b: Int, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0
    ) -> Int {
        raw_system_call(Int(number), a, b, c, d, e, 0)
    }

    /// A descriptor that no process has: above the limit that the kernel sets for their number.
    private static let noDescriptor = Int(CInt.max)

    /// A kernel that knows the flag looks for the cgroup, and finds no descriptor.
    private static func cloneIntoNothing() -> Int {
        var arguments = clinux_clone_args()
        arguments.flags = UInt64(CloneFlags.intoCgroup.rawValue)
        arguments.cgroup = UInt64(noDescriptor)
        let size = MemoryLayout<clinux_clone_args>.size
        let result = withUnsafeMutablePointer(to: &arguments) { pointer in
            raw_system_call(Int(__NR_clone3), Int(bitPattern: pointer), size, 0, 0, 0, 0)
        }
        // An emulated kernel that ignored the flag would have made a second copy of this process.
        if result == 0 { _ = raw_system_call(Int(__NR_exit_group), 0, 0, 0, 0, 0, 0) }
        return result
    }

    /// A kernel that knows the attribute looks for the user namespace, and finds no descriptor.
    private static func mapIDsByNothing() -> Int {
        var attributes = mount_attr(
            attr_set: UInt64(MountAttributes.mappedIDs.rawValue), attr_clr: 0, propagation: 0,
            userns_fd: UInt64(noDescriptor))
        let size = MemoryLayout<mount_attr>.size
        return withUnsafeMutablePointer(to: &attributes) { pointer in
            raw_system_call(
                Int(__NR_mount_setattr), noDescriptor, 0, 0, Int(bitPattern: pointer), size, 0)
        }
    }
}

/// What a program file is on its mount: whether an exec of it gives more rights.
package struct ProgramRights: Equatable, Sendable {
    package var path: String
    package var owner: UInt32
    package var isSetUserID: Bool
    package var hasFileCapabilities: Bool
    /// Whether the mount lets no program change its rights.
    package var isOnNosuidMount: Bool

    package init(
        path: String, owner: UInt32, isSetUserID: Bool, hasFileCapabilities: Bool,
        isOnNosuidMount: Bool
    ) {
        self.path = path
        self.owner = owner
        self.isSetUserID = isSetUserID
        self.hasFileCapabilities = hasFileCapabilities
        self.isOnNosuidMount = isOnNosuidMount
    }

    /// Looks at the file.
    package init(at path: String) throws(SystemCallError) {
        let found = try status(at: path)
        self.path = path
        owner = found.stx_uid
        isSetUserID = found.permissions & 0o4000 != 0
        isOnNosuidMount = try mountAttributes(at: path).contains(.noSetUserID)
        hasFileCapabilities = try withPath(path) { (path) throws(SystemCallError) in
            try withPath("security.capability") { (name) throws(SystemCallError) in
                raw_system_call(Int(__NR_getxattr), path, name, 0, 0, 0, 0) > 0
            }
        }
    }
}
#endif
