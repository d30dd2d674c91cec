// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// File systems and mounts: linux/mount.h.

#if os(Linux)
/// How move_mount(2) interprets its source and target.
///
/// Source: linux/mount.h.
@frozen public struct MoveMountFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var fromDescriptor: Self { Self(rawValue: 0x4) }
    @inlinable public static var toDescriptor: Self { Self(rawValue: 0x40) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.fromDescriptor, "MOVE_MOUNT_F_EMPTY_PATH"),
            (.toDescriptor, "MOVE_MOUNT_T_EMPTY_PATH"),
        ]
    }
}

/// The attributes of one mount, as mount_setattr(2) and fsmount(2) take them.
///
/// The three access time modes are one value, not bits, and relatime is zero. So setting a mode
/// needs `accessTimeMode` among the attributes to clear. Source: linux/mount.h.
@frozen public struct MountAttributes: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var readOnly: Self { Self(rawValue: 0x1) }
    @inlinable public static var noSetUserID: Self { Self(rawValue: 0x2) }
    @inlinable public static var noDevices: Self { Self(rawValue: 0x4) }
    @inlinable public static var noExecution: Self { Self(rawValue: 0x8) }
    /// The mask of the three access time modes; it must be cleared in order to set one.
    @inlinable public static var accessTimeMode: Self { Self(rawValue: 0x70) }
    @inlinable public static var noAccessTime: Self { Self(rawValue: 0x10) }
    @inlinable public static var strictAccessTime: Self { Self(rawValue: 0x20) }
    @inlinable public static var noDirectoryAccessTime: Self { Self(rawValue: 0x80) }
    @inlinable public static var mappedIDs: Self { Self(rawValue: 0x10_0000) }
    /// Linux 5.14.
    @inlinable public static var noSymlinkFollowing: Self { Self(rawValue: 0x20_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.readOnly, "MOUNT_ATTR_RDONLY"), (.noSetUserID, "MOUNT_ATTR_NOSUID"),
            (.noDevices, "MOUNT_ATTR_NODEV"), (.noExecution, "MOUNT_ATTR_NOEXEC"),
            (.accessTimeMode, "MOUNT_ATTR__ATIME"), (.noAccessTime, "MOUNT_ATTR_NOATIME"),
            (.strictAccessTime, "MOUNT_ATTR_STRICTATIME"),
            (.noDirectoryAccessTime, "MOUNT_ATTR_NODIRATIME"), (.mappedIDs, "MOUNT_ATTR_IDMAP"),
            (.noSymlinkFollowing, "MOUNT_ATTR_NOSYMFOLLOW"),
        ]
    }
}

extension MountAttributes {
    /// MOUNT_ATTR_RELATIME, the default, whose value is zero.
    @inlinable public static var relativeAccessTime: Self { .empty }
}

/// The flags of mount(2): attributes of a mount and of a file system, and operations.
///
/// The propagation values of mount_setattr(2) are the same. Source: linux/mount.h.
@frozen public struct MountFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var readOnly: Self { Self(rawValue: 0x1) }
    @inlinable public static var noSetUserID: Self { Self(rawValue: 0x2) }
    @inlinable public static var noDevices: Self { Self(rawValue: 0x4) }
    @inlinable public static var noExecution: Self { Self(rawValue: 0x8) }
    @inlinable public static var synchronous: Self { Self(rawValue: 0x10) }
    @inlinable public static var remount: Self { Self(rawValue: 0x20) }
    /// Linux 5.15 and later print a warning and ignore it.
    @inlinable public static var mandatoryLocks: Self { Self(rawValue: 0x40) }
    @inlinable public static var synchronousDirectories: Self { Self(rawValue: 0x80) }
    @inlinable public static var noSymlinkFollowing: Self { Self(rawValue: 0x100) }
    @inlinable public static var noAccessTime: Self { Self(rawValue: 0x400) }
    @inlinable public static var noDirectoryAccessTime: Self { Self(rawValue: 0x800) }
    @inlinable public static var recursive: Self { Self(rawValue: 0x4000) }
    @inlinable public static var silent: Self { Self(rawValue: 0x8000) }
    @inlinable public static var unbindable: Self { Self(rawValue: 1 << 17) }
    @inlinable public static var `private`: Self { Self(rawValue: 1 << 18) }
    @inlinable public static var slave: Self { Self(rawValue: 1 << 19) }
    @inlinable public static var shared: Self { Self(rawValue: 1 << 20) }
    @inlinable public static var inodeVersion: Self { Self(rawValue: 1 << 23) }
    @inlinable public static var strictAccessTime: Self { Self(rawValue: 1 << 24) }
    @inlinable public static var lazyTime: Self { Self(rawValue: 1 << 25) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.readOnly, "MS_RDONLY"), (.noSetUserID, "MS_NOSUID"), (.noDevices, "MS_NODEV"),
            (.noExecution, "MS_NOEXEC"), (.synchronous, "MS_SYNCHRONOUS"), (.remount, "MS_REMOUNT"),
            (.mandatoryLocks, "MS_MANDLOCK"), (.synchronousDirectories, "MS_DIRSYNC"),
            (.noSymlinkFollowing, "MS_NOSYMFOLLOW"), (.noAccessTime, "MS_NOATIME"),
            (.noDirectoryAccessTime, "MS_NODIRATIME"), (.recursive, "MS_REC"),
            (.silent, "MS_SILENT"), (.unbindable, "MS_UNBINDABLE"), (.private, "MS_PRIVATE"),
            (.slave, "MS_SLAVE"), (.shared, "MS_SHARED"), (.inodeVersion, "MS_I_VERSION"),
            (.strictAccessTime, "MS_STRICTATIME"), (.lazyTime, "MS_LAZYTIME"),
        ]
    }
}

/// The attributes of a mount, as statfs(2) reports them.
///
/// Kernel: statfs(2), `f_flags`. Source: include/linux/statfs.h.
@frozen public struct MountStatus: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var readOnly: Self { Self(rawValue: 0x1) }
    @inlinable public static var noSetUserID: Self { Self(rawValue: 0x2) }
    @inlinable public static var noDevices: Self { Self(rawValue: 0x4) }
    @inlinable public static var noExecution: Self { Self(rawValue: 0x8) }
    @inlinable public static var noAccessTime: Self { Self(rawValue: 0x400) }
    @inlinable public static var noDirectoryAccessTime: Self { Self(rawValue: 0x800) }
    @inlinable public static var relativeAccessTime: Self { Self(rawValue: 0x1000) }
    @inlinable public static var noSymlinkFollowing: Self { Self(rawValue: 0x2000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.readOnly, "ST_RDONLY"), (.noSetUserID, "ST_NOSUID"), (.noDevices, "ST_NODEV"),
            (.noExecution, "ST_NOEXEC"), (.noAccessTime, "ST_NOATIME"),
            (.noDirectoryAccessTime, "ST_NODIRATIME"), (.relativeAccessTime, "ST_RELATIME"),
            (.noSymlinkFollowing, "ST_NOSYMFOLLOW"),
        ]
    }
}

/// How umount2(2) removes a mount.
///
/// Source: include/linux/fs.h.
@frozen public struct UnmountFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var detach: Self { Self(rawValue: 0x2) }
    @inlinable public static var noFollow: Self { Self(rawValue: 0x8) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.detach, "MNT_DETACH"), (.noFollow, "UMOUNT_NOFOLLOW"),
        ]
    }
}

/// The options of a new context of fsopen(2).
///
/// Source: linux/mount.h.
@frozen public struct FilesystemOpenFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var closeOnExec: Self { Self(rawValue: 0x1) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.closeOnExec, "FSOPEN_CLOEXEC")
        ]
    }
}

/// The options of a new mount of fsmount(2).
///
/// Source: linux/mount.h.
@frozen public struct FilesystemMountFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var closeOnExec: Self { Self(rawValue: 0x1) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.closeOnExec, "FSMOUNT_CLOEXEC")
        ]
    }
}

/// What fsconfig(2) does to the context of a file system.
///
/// Source: linux/mount.h.
public enum FilesystemCommand: Int, KernelNumber {
    case setFlag = 0
    case setString = 1
    case create = 6
    case reconfigure = 7

    public var name: String {
        switch self {
        case .setFlag: "FSCONFIG_SET_FLAG"
        case .setString: "FSCONFIG_SET_STRING"
        case .create: "FSCONFIG_CMD_CREATE"
        case .reconfigure: "FSCONFIG_CMD_RECONFIGURE"
        }
    }
}
#endif
