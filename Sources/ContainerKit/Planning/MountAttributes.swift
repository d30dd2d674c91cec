// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The attributes of one mount, as mount_setattr(2) and fsmount(2) take them.
///
/// The three access time modes are a value, not bits: relatime is zero, so that a mode is only
/// chosen where `accessTimeMode` is among the attributes to clear. Kernel: MOUNT_ATTR_*.
struct MountAttributes: OptionSet, Hashable, Sendable {
    let rawValue: UInt64

    /// MOUNT_ATTR_RDONLY.
    static let readOnly = MountAttributes(rawValue: UInt64(MOUNT_ATTR_RDONLY))
    /// MOUNT_ATTR_NOSUID.
    static let noSetUserID = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NOSUID))
    /// MOUNT_ATTR_NODEV.
    static let noDevices = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NODEV))
    /// MOUNT_ATTR_NOEXEC.
    static let noExecution = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NOEXEC))
    /// MOUNT_ATTR__ATIME: the mask over the three modes; to clear it is to choose a mode.
    static let accessTimeMode = MountAttributes(rawValue: UInt64(MOUNT_ATTR__ATIME))
    /// MOUNT_ATTR_RELATIME, which is zero: the kernel's default mode.
    static let relativeAccessTime = MountAttributes(rawValue: UInt64(MOUNT_ATTR_RELATIME))
    /// MOUNT_ATTR_NOATIME.
    static let noAccessTime = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NOATIME))
    /// MOUNT_ATTR_STRICTATIME.
    static let strictAccessTime = MountAttributes(rawValue: UInt64(MOUNT_ATTR_STRICTATIME))
    /// MOUNT_ATTR_NODIRATIME.
    static let noDirectoryAccessTime = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NODIRATIME))
    /// MOUNT_ATTR_NOSYMFOLLOW, Linux 5.14.
    static let noSymlinkFollowing = MountAttributes(rawValue: UInt64(MOUNT_ATTR_NOSYMFOLLOW))

    /// The same as flags of mount(2).
    var mountFlags: UInt64 {
        let flags: [(attribute: MountAttributes, flag: UInt64)] = [
            (.readOnly, UInt64(MS_RDONLY)), (.noSetUserID, UInt64(MS_NOSUID)),
            (.noDevices, UInt64(MS_NODEV)), (.noExecution, UInt64(MS_NOEXEC)),
            (.noAccessTime, UInt64(MS_NOATIME)), (.strictAccessTime, UInt64(MS_STRICTATIME)),
            (.noDirectoryAccessTime, UInt64(MS_NODIRATIME)),
            (.noSymlinkFollowing, UInt64(MS_NOSYMFOLLOW)),
        ]
        return flags.reduce(0) { contains($1.attribute) ? $0 | $1.flag : $0 }
    }
}

/// A change of mount attributes: what mount_setattr(2) calls attr_set and attr_clr.
struct MountAttributeChange: Hashable, Sendable {
    var toSet: MountAttributes = []
    var toClear: MountAttributes = []

    var isEmpty: Bool { toSet.isEmpty && toClear.isEmpty }

    /// Records that `attributes` were named; what was said of them before no longer counts.
    mutating func set(_ attributes: MountAttributes) {
        toSet.formUnion(attributes)
        toClear.subtract(attributes)
    }

    /// Records that `attributes` were named as unwanted.
    mutating func clear(_ attributes: MountAttributes) {
        toClear.formUnion(attributes)
        toSet.subtract(attributes)
    }

    /// The access time mode that was chosen, if one was.
    var accessTimeMode: MountAttributes? {
        toClear.contains(.accessTimeMode) ? toSet.intersection(.accessTimeMode) : nil
    }

    /// Chooses an access time mode: the kernel wants the whole group cleared with it.
    mutating func choose(accessTimeMode mode: MountAttributes) {
        toSet.subtract(.accessTimeMode)
        toSet.formUnion(mode)
        toClear.formUnion(.accessTimeMode)
    }

    /// Takes a choice of an access time mode back; another mode that was chosen before stays.
    mutating func withdraw(accessTimeMode mode: MountAttributes) {
        guard accessTimeMode == mode else { return }
        toSet.subtract(.accessTimeMode)
        toClear.subtract(.accessTimeMode)
    }

    /// Ends an access time mode, which leaves the kernel's default in its place.
    ///
    /// Another mode that was chosen before stays. "Not relatime" on its own chooses nothing:
    /// relatime is what the kernel falls back to.
    mutating func end(accessTimeMode mode: MountAttributes) {
        if mode == .relativeAccessTime {
            withdraw(accessTimeMode: mode)
        } else if accessTimeMode == nil || accessTimeMode == mode {
            choose(accessTimeMode: .relativeAccessTime)
        }
    }
}

/// The flags of a whole file system, not of one mount of it.
///
/// The values are those of mount(2). Kernel: MS_*.
struct SuperblockFlags: OptionSet, Hashable, Sendable {
    let rawValue: UInt64

    /// MS_RDONLY.
    static let readOnly = SuperblockFlags(rawValue: UInt64(MS_RDONLY))
    /// MS_SYNCHRONOUS.
    static let synchronous = SuperblockFlags(rawValue: UInt64(MS_SYNCHRONOUS))
    /// MS_MANDLOCK, for which Linux 5.15 and later warn and do nothing.
    static let mandatoryLocks = SuperblockFlags(rawValue: UInt64(MS_MANDLOCK))
    /// MS_DIRSYNC.
    static let synchronousDirectories = SuperblockFlags(rawValue: UInt64(MS_DIRSYNC))
    /// MS_SILENT.
    static let silent = SuperblockFlags(rawValue: UInt64(MS_SILENT))
    /// MS_I_VERSION.
    static let inodeVersion = SuperblockFlags(rawValue: UInt64(MS_I_VERSION))
    /// MS_LAZYTIME.
    static let lazyTime = SuperblockFlags(rawValue: UInt64(MS_LAZYTIME))

    /// The flags that fsconfig(2) knows by name (FSCONFIG_SET_FLAG), whatever the file system.
    ///
    /// `silent` and `inodeVersion` have no such name: only mount(2) takes them.
    var fsconfigNames: [String] {
        Self.names.filter { contains($0.flag) }.map(\.name)
    }

    private static let names: [(flag: SuperblockFlags, name: String)] = [
        (.readOnly, "ro"), (.synchronous, "sync"), (.synchronousDirectories, "dirsync"),
        (.lazyTime, "lazytime"), (.mandatoryLocks, "mand"),
    ]
}
