// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// How files are opened and found: fcntl.h, linux/openat2.h.

#if os(Linux)
/// How a file is opened.
///
/// Kernel: open(2). Source: asm-generic/fcntl.h, asm/fcntl.h.
@frozen public struct OpenFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var pathOnly: Self { Self(rawValue: 0o10_000_000) }
    @inlinable public static var writeOnly: Self { Self(rawValue: 0o1) }
    @inlinable public static var readWrite: Self { Self(rawValue: 0o2) }
    @inlinable public static var create: Self { Self(rawValue: 0o100) }
    @inlinable public static var exclusive: Self { Self(rawValue: 0o200) }
    @inlinable public static var noTerminal: Self { Self(rawValue: 0o400) }
    @inlinable public static var truncate: Self { Self(rawValue: 0o1000) }
    @inlinable public static var append: Self { Self(rawValue: 0o2000) }
    @inlinable public static var nonBlocking: Self { Self(rawValue: 0o4000) }
    #if arch(arm64)
    @inlinable public static var directory: Self { Self(rawValue: 0o40_000) }
    #else
    @inlinable public static var directory: Self { Self(rawValue: 0o200_000) }
    #endif
    #if arch(arm64)
    @inlinable public static var noFollow: Self { Self(rawValue: 0o100_000) }
    #else
    @inlinable public static var noFollow: Self { Self(rawValue: 0o400_000) }
    #endif
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0o2_000_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.pathOnly, "O_PATH"), (.writeOnly, "O_WRONLY"), (.readWrite, "O_RDWR"),
            (.create, "O_CREAT"), (.exclusive, "O_EXCL"), (.noTerminal, "O_NOCTTY"),
            (.truncate, "O_TRUNC"), (.append, "O_APPEND"), (.nonBlocking, "O_NONBLOCK"),
            (.directory, "O_DIRECTORY"), (.noFollow, "O_NOFOLLOW"), (.closeOnExec, "O_CLOEXEC"),
        ]
    }

    public static var emptySpelling: String { "O_RDONLY" }
}

extension OpenFlags {
    /// O_RDONLY, whose value is zero.
    @inlinable public static var readOnly: Self { .empty }
}

/// How openat2 resolves a path.
///
/// Kernel: openat2(2), `open_how.resolve`. Source: linux/openat2.h.
@frozen public struct Resolution: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var noCrossing: Self { Self(rawValue: 0x01) }
    @inlinable public static var noMagicLinks: Self { Self(rawValue: 0x02) }
    @inlinable public static var noSymbolicLinks: Self { Self(rawValue: 0x04) }
    @inlinable public static var staysBeneath: Self { Self(rawValue: 0x08) }
    @inlinable public static var staysInRoot: Self { Self(rawValue: 0x10) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.noCrossing, "RESOLVE_NO_XDEV"), (.noMagicLinks, "RESOLVE_NO_MAGICLINKS"),
            (.noSymbolicLinks, "RESOLVE_NO_SYMLINKS"), (.staysBeneath, "RESOLVE_BENEATH"),
            (.staysInRoot, "RESOLVE_IN_ROOT"),
        ]
    }
}

extension Resolution {
    /// Like a chroot: no link leads out, and magic links of procfs are not followed.
    @inlinable public static var inRoot: Self { .staysInRoot | .noMagicLinks }
    /// Like `inRoot`, but follows no symbolic link.
    @inlinable public static var noLinks: Self { .inRoot | .noSymbolicLinks }
    /// Below a directory, on its own file system, following no link.
    @inlinable public static var beneath: Self { .name | .noCrossing }
    /// Like `beneath`, but follows symbolic links: `self` of a procfs is one.
    @inlinable public static var beneathThroughLinks: Self {
        .staysBeneath | .noMagicLinks | .noCrossing
    }
    /// A name in a directory; it may be a mount point.
    @inlinable public static var name: Self { .staysBeneath | .noMagicLinks | .noSymbolicLinks }
}

/// How a call interprets a path relative to a directory's descriptor.
///
/// Some of the flags belong to a single call. Kernel: AT_* of openat(2), open_tree(2), statx(2),
/// execveat(2). Source: linux/fcntl.h, linux/mount.h.
@frozen public struct PathFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    /// OPEN_TREE_CLONE; for open_tree(2) alone.
    @inlinable public static var cloneTree: Self { Self(rawValue: 0x1) }
    /// OPEN_TREE_CLOEXEC; for open_tree(2) alone.
    @inlinable public static var treeCloseOnExec: Self { Self(rawValue: 0o2_000_000) }
    @inlinable public static var noFollow: Self { Self(rawValue: 0x100) }
    @inlinable public static var emptyPath: Self { Self(rawValue: 0x1000) }
    /// AT_STATX_FORCE_SYNC; for statx(2) alone.
    @inlinable public static var forcesSync: Self { Self(rawValue: 0x2000) }
    @inlinable public static var recursive: Self { Self(rawValue: 0x8000) }
    /// AT_EXECVE_CHECK; for execveat(2) alone, Linux 6.14.
    @inlinable public static var checkExecution: Self { Self(rawValue: 0x1_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.cloneTree, "OPEN_TREE_CLONE"), (.treeCloseOnExec, "OPEN_TREE_CLOEXEC"),
            (.noFollow, "AT_SYMLINK_NOFOLLOW"), (.emptyPath, "AT_EMPTY_PATH"),
            (.forcesSync, "AT_STATX_FORCE_SYNC"),
            (.recursive, "AT_RECURSIVE"), (.checkExecution, "AT_EXECVE_CHECK"),
        ]
    }
}

/// A special value in place of a directory's descriptor.
///
/// Source: linux/fcntl.h.
public enum DirectoryDescriptor: Int, KernelNumber {
    /// The current directory.
    case current = -100

    public var name: String {
        switch self {
        case .current: "AT_FDCWD"
        }
    }
}

/// What unlinkat removes.
///
/// Source: linux/fcntl.h.
public enum RemovalFlag: Int, KernelNumber {
    /// AT_REMOVEDIR: an empty directory, not a file.
    case directory = 0x200

    public var name: String {
        switch self {
        case .directory: "AT_REMOVEDIR"
        }
    }
}

/// Whose rights faccessat2(2) checks.
///
/// Source: linux/fcntl.h.
public enum AccessFlag: Int, KernelNumber {
    /// The rights of the effective IDs, not of the real ones.
    case effective = 0x200

    public var name: String {
        switch self {
        case .effective: "AT_EACCESS"
        }
    }
}

/// The access that is checked.
///
/// Kernel: access(2). Source: unistd.h.
public enum AccessMode: Int, KernelNumber {
    case exists = 0
    case execute = 1
    case write = 2
    case read = 4

    public var name: String {
        switch self {
        case .exists: "F_OK"
        case .execute: "X_OK"
        case .write: "W_OK"
        case .read: "R_OK"
        }
    }
}

/// How renameat2(2) treats an existing target.
///
/// Kernel: renameat2(2). Source: linux/fs.h.
@frozen public struct RenameFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var exchange: Self { Self(rawValue: 1 << 1) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.exchange, "RENAME_EXCHANGE")
        ]
    }
}

/// The command of fcntl(2).
///
/// Source: asm-generic/fcntl.h, linux/fcntl.h.
public enum FileCommand: Int, KernelNumber {
    case setDescriptorFlags = 2
    case getStatusFlags = 3
    case setStatusFlags = 4
    /// F_DUPFD_CLOEXEC: duplicates to the lowest free number at or above a given one.
    case duplicate = 1030
    case addSeals = 1033
    case getSeals = 1034

    public var name: String {
        switch self {
        case .setDescriptorFlags: "F_SETFD"
        case .getStatusFlags: "F_GETFL"
        case .setStatusFlags: "F_SETFL"
        case .duplicate: "F_DUPFD_CLOEXEC"
        case .addSeals: "F_ADD_SEALS"
        case .getSeals: "F_GET_SEALS"
        }
    }
}

/// The flags of one descriptor.
///
/// Kernel: F_SETFD of fcntl(2).
@frozen public struct DescriptorFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var closeOnExec: Self { Self(rawValue: 1) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.closeOnExec, "FD_CLOEXEC")
        ]
    }
}

/// The options of close_range(2).
///
/// Source: linux/close_range.h.
@frozen public struct CloseRangeFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    /// Only marks the descriptors close-on-exec.
    @inlinable public static var closeOnExec: Self { Self(rawValue: 1 << 2) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.closeOnExec, "CLOSE_RANGE_CLOEXEC")
        ]
    }
}

/// The operation of flock(2).
///
/// Source: asm-generic/fcntl.h.
public enum LockOperation: Int, KernelNumber {
    case exclusive = 2
    case unlock = 8
    /// LOCK_EX with LOCK_NB: fails instead of waiting.
    case exclusiveNow = 6

    public var name: String {
        switch self {
        case .exclusive: "LOCK_EX"
        case .unlock: "LOCK_UN"
        case .exclusiveNow: "LOCK_EX|LOCK_NB"
        }
    }
}
#endif
