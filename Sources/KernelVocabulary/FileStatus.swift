// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Types and attributes of files and file systems: linux/stat.h, linux/magic.h.

#if os(Linux)
/// The type of a file, as the upper bits of its mode.
///
/// Kernel: inode(7). Source: linux/stat.h.
public enum FileKind: Int, KernelNumber {
    case fifo = 0o010_000
    case characterDevice = 0o020_000
    case directory = 0o040_000
    case blockDevice = 0o060_000
    case regular = 0o100_000
    case link = 0o120_000
    case socket = 0o140_000

    public var name: String {
        switch self {
        case .fifo: "S_IFIFO"
        case .characterDevice: "S_IFCHR"
        case .directory: "S_IFDIR"
        case .blockDevice: "S_IFBLK"
        case .regular: "S_IFREG"
        case .link: "S_IFLNK"
        case .socket: "S_IFSOCK"
        }
    }
}

extension FileKind {
    /// S_IFMT: the bits of a mode that hold the type.
    @inlinable public static var mask: Int { 0o170_000 }

    /// The type in a mode; nil if its bits are no known type.
    @inlinable public init?(mode: some BinaryInteger) {
        self.init(rawValue: Int(truncatingIfNeeded: mode) & Self.mask)
    }
}

/// The type and permissions of a file to make; mkdirat(2) takes permissions alone.
public struct FileMode: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// Permission bits.
    @inlinable public init(_ permissions: Int) {
        number = permissions
    }

    /// A type with permission bits.
    @inlinable public init(_ type: FileKind, _ permissions: Int) {
        number = type.rawValue | permissions
    }

    public static func spelling(of number: Int) -> String {
        let permissions = "0" + String(number & permissionMask, radix: 8)
        return FileKind(mode: number).map { "\($0.name)|\(permissions)" } ?? permissions
    }

    /// Permissions with set-user-ID, set-group-ID and the sticky bit.
    @inlinable public static var permissionMask: Int { 0o7777 }
    /// The bits that say who may read, write and execute.
    @inlinable public static var accessMask: Int { 0o777 }
    /// Those by which group and others may write.
    @inlinable public static var writableByOthers: Int { 0o022 }
}

/// The fields of statx(2): those asked for, and those filled in.
///
/// Kernel: statx(2), STATX_*. Source: linux/stat.h.
@frozen public struct StatusMask: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var basic: Self { Self(rawValue: 0x7ff) }
    @inlinable public static var birthTime: Self { Self(rawValue: 0x800) }
    @inlinable public static var mountID: Self { Self(rawValue: 0x1000) }
    /// STATX_MNT_ID_UNIQUE: a mount ID that is never reused; Linux 6.8.
    @inlinable public static var uniqueMountID: Self { Self(rawValue: 0x4000) }
    /// STATX__RESERVED, which every kernel refuses.
    @inlinable public static var reserved: Self { Self(rawValue: 0x8000_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.basic, "STATX_BASIC_STATS"), (.birthTime, "STATX_BTIME"), (.mountID, "STATX_MNT_ID"),
            (.uniqueMountID, "STATX_MNT_ID_UNIQUE"),
            (.reserved, "STATX__RESERVED"),
        ]
    }
}

/// The `stx_attributes` of statx(2).
///
/// Source: linux/stat.h.
@frozen public struct StatusAttributes: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var mountRoot: Self { Self(rawValue: 0x2000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.mountRoot, "STATX_ATTR_MOUNT_ROOT")
        ]
    }
}

/// The type of a file system, as statfs(2) reports it.
///
/// Source: linux/magic.h.
public enum FilesystemMagic: Int, KernelNumber {
    case proc = 0x9fa0
    case sysfs = 0x6265_6572
    case devpts = 0x1cd1
    case cgroup = 0x27_e0eb
    case cgroup2 = 0x6367_7270
    case tracefs = 0x7472_6163
    case debugfs = 0x6462_6720
    case configfs = 0x6265_6570
    case securityfs = 0x7363_6673

    public var name: String {
        switch self {
        case .proc: "PROC_SUPER_MAGIC"
        case .sysfs: "SYSFS_MAGIC"
        case .devpts: "DEVPTS_SUPER_MAGIC"
        case .cgroup: "CGROUP_SUPER_MAGIC"
        case .cgroup2: "CGROUP2_SUPER_MAGIC"
        case .tracefs: "TRACEFS_MAGIC"
        case .debugfs: "DEBUGFS_MAGIC"
        case .configfs: "CONFIGFS_MAGIC"
        case .securityfs: "SECURITYFS_MAGIC"
        }
    }
}

/// The options of a new memory file.
///
/// Kernel: memfd_create(2). Source: linux/memfd.h.
@frozen public struct MemoryFileFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var closeOnExec: Self { Self(rawValue: 0x1) }
    @inlinable public static var allowSealing: Self { Self(rawValue: 0x2) }
    @inlinable public static var noExecution: Self { Self(rawValue: 0x8) }
    @inlinable public static var execution: Self { Self(rawValue: 0x10) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.closeOnExec, "MFD_CLOEXEC"), (.allowSealing, "MFD_ALLOW_SEALING"),
            (.noExecution, "MFD_NOEXEC_SEAL"), (.execution, "MFD_EXEC"),
        ]
    }
}

/// The changes to a memory file that its seals forbid.
///
/// Kernel: F_ADD_SEALS of fcntl(2). Source: linux/fcntl.h.
@frozen public struct FileSeals: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var sealing: Self { Self(rawValue: 0x1) }
    @inlinable public static var shrinking: Self { Self(rawValue: 0x2) }
    @inlinable public static var growing: Self { Self(rawValue: 0x4) }
    @inlinable public static var writing: Self { Self(rawValue: 0x8) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.sealing, "F_SEAL_SEAL"), (.shrinking, "F_SEAL_SHRINK"), (.growing, "F_SEAL_GROW"),
            (.writing, "F_SEAL_WRITE"),
        ]
    }
}

/// Major and minor number of a device encoded as one, as mknod(2) takes them.
///
/// Source: makedev(3).
public struct DeviceNumber: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    /// The number of the device `major:minor`.
    public init(major: UInt32, minor: UInt32) {
        let low = UInt64(major & 0xfff) << 8 | UInt64(minor & 0xff)
        let high = UInt64(minor & ~0xff) << 12 | UInt64(major & ~0xfff) << 32
        number = Int(bitPattern: UInt(low | high))
    }

    public static func spelling(of number: Int) -> String {
        let word = UInt64(UInt(bitPattern: number))
        let major = word >> 8 & 0xfff | word >> 32 & ~0xfff
        let minor = word & 0xff | word >> 12 & 0xffff_ff00
        return "makedev(\(major), \(minor))"
    }
}

/// The inode numbers of the initial namespaces.
///
/// Source: linux/proc_ns.h; in the headers since Linux 6.18.
public enum FirstNamespace {
    /// PROC_USER_INIT_INO.
    public static var user: UInt64 { 0xefff_fffd }
}
#endif
