// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

extension RuntimeRights {
    /// Looks at what this process may do.
    ///
    /// - Parameter mayGoWithoutCgroups: what the caller says of cgroups that may not be made; nil if nothing.
    /// - Returns: The rights, known for certain.
    static func discovered(mayGoWithoutCgroups: Bool?) -> RuntimeRights {
        let held = heldCapabilities()
        func holds(_ capability: Int) -> Bool { held & 1 << UInt64(capability) != 0 }
        var rights = RuntimeRights()
        rights.isInUserNamespace = isInsideUserNamespace
        // CAP_SETGID, CAP_SETUID and CAP_SYS_ADMIN.
        rights.mapsIDs = holds(6) && holds(7)
        rights.preparesMounts = holds(21) && (!rights.isInUserNamespace || ownsMountNamespace)
        // It counts in the first user namespace only.
        rights.makesDevices = holdsRightOverDevices && !rights.isInUserNamespace
        rights.userID = effectiveUserID
        rights.groupID = effectiveGroupID
        rights.mayGoWithoutCgroups =
            mayGoWithoutCgroups ?? (rights.userID != 0 || rights.isInUserNamespace)
        return rights
    }

    /// Whether this process was started as root; told without a system call.
    ///
    /// Root of a user namespace is taken for root of the host, and so is a host program that has become
    /// another user since. Both are looked at closer when something is refused.
    static var startedAsRoot: Bool { startingUserID == 0 }

    /// Whether there is a sign that this process is not root of the host; told without a system call.
    ///
    /// An ordinary user, or one with a directory of an ordinary user.
    static var mayBeFewer: Bool {
        guard startedAsRoot else { return true }
        guard let directory = environmentVariable("XDG_RUNTIME_DIR") else { return false }
        return directory != "/run/user/0"
    }

    /// CAP_MKNOD.
    static var holdsRightOverDevices: Bool { heldCapabilities() & 1 << 27 != 0 }

    /// Whether the mount namespace of this process belongs to its user namespace; one that belongs to
    /// an outer one cannot be changed from here.
    private static var ownsMountNamespace: Bool {
        guard let mounts = try? openFile("/proc/self/ns/mnt", .readOnly),
            let own = try? status(at: "/proc/self/ns/user"),
            let owner = owner(ofNamespace: mounts.number)
        else { return false }
        return (try? status(of: owner.number))?.stx_ino == own.stx_ino
    }
}
