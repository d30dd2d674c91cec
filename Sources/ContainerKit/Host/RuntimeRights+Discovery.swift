// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

extension RuntimeRights {
    /// Determines the rights of this process.
    ///
    /// - Parameter mayGoWithoutCgroups: whether the caller accepts a container without cgroups; nil
    ///   if it has not said.
    /// - Returns: the actual rights.
    static func discovered(mayGoWithoutCgroups: Bool?) -> RuntimeRights {
        let held = heldCapabilities()
        func holds(_ capability: Int) -> Bool { held & 1 << UInt64(capability) != 0 }
        var rights = RuntimeRights()
        rights.isInUserNamespace = isInsideUserNamespace
        // CAP_SETGID, CAP_SETUID and CAP_SYS_ADMIN.
        rights.mapsIDs = holds(6) && holds(7)
        rights.preparesMounts = holds(21) && (!rights.isInUserNamespace || ownsMountNamespace)
        // The capability counts only in the initial user namespace.
        rights.makesDevices = holdsRightOverDevices && !rights.isInUserNamespace
        rights.userID = effectiveUserID
        rights.groupID = effectiveGroupID
        rights.mayGoWithoutCgroups =
            mayGoWithoutCgroups ?? (rights.userID != 0 || rights.isInUserNamespace)
        return rights
    }

    /// Whether this process was started as root; needs no system call.
    ///
    /// Also true for root of a user namespace, and for a host program that has changed its user
    /// since. Both are examined more closely if something is refused.
    static var startedAsRoot: Bool { startingUserID == 0 }

    /// Whether there is a sign that this process is not root of the host; needs no system call.
    ///
    /// The sign is that it is an ordinary user, or has an ordinary user's runtime directory.
    static var mayBeFewer: Bool {
        guard startedAsRoot else { return true }
        guard let directory = environmentVariable("XDG_RUNTIME_DIR") else { return false }
        return directory != "/run/user/0"
    }

    /// Whether this process has CAP_MKNOD.
    static var holdsRightOverDevices: Bool { heldCapabilities() & 1 << 27 != 0 }

    /// Whether the mount namespace of this process belongs to its user namespace; mounts of one
    /// that belongs to an outer user namespace cannot be changed.
    private static var ownsMountNamespace: Bool {
        guard let mounts = try? openFile("/proc/self/ns/mnt", .readOnly),
            let own = try? status(at: "/proc/self/ns/user"),
            let owner = owner(ofNamespace: mounts.number)
        else { return false }
        return (try? status(of: owner.number))?.stx_ino == own.stx_ino
    }
}
#endif
