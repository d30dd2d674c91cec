// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// The rights of Landlock.

#if os(Linux)
/// Access to files that a ruleset handles or a rule allows.
///
/// Kernel: landlock(7). Source: linux/landlock.h.
@frozen public struct LandlockFileAccess: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var execute: Self { Self(rawValue: 0x1) }
    @inlinable public static var writeFile: Self { Self(rawValue: 0x2) }
    @inlinable public static var readFile: Self { Self(rawValue: 0x4) }
    @inlinable public static var readDirectory: Self { Self(rawValue: 0x8) }
    @inlinable public static var removeDirectory: Self { Self(rawValue: 0x10) }
    @inlinable public static var removeFile: Self { Self(rawValue: 0x20) }
    @inlinable public static var makeCharacterDevice: Self { Self(rawValue: 0x40) }
    @inlinable public static var makeDirectory: Self { Self(rawValue: 0x80) }
    @inlinable public static var makeRegularFile: Self { Self(rawValue: 0x100) }
    @inlinable public static var makeSocket: Self { Self(rawValue: 0x200) }
    @inlinable public static var makePipe: Self { Self(rawValue: 0x400) }
    @inlinable public static var makeBlockDevice: Self { Self(rawValue: 0x800) }
    @inlinable public static var makeSymbolicLink: Self { Self(rawValue: 0x1000) }
    @inlinable public static var refer: Self { Self(rawValue: 0x2000) }
    @inlinable public static var truncate: Self { Self(rawValue: 0x4000) }
    @inlinable public static var deviceCommand: Self { Self(rawValue: 0x8000) }

    /// The rights that a file can have; a rule for a file with any other is refused (EINVAL).
    ///
    /// Source: ACCESS_FILE of security/landlock/fs.c.
    @inlinable public static var ofFiles: Self {
        .execute | .writeFile | .readFile | .truncate | .deviceCommand
    }

    public static var names: [(flag: Self, name: String)] {
        [
            (.execute, "LANDLOCK_ACCESS_FS_EXECUTE"),
            (.writeFile, "LANDLOCK_ACCESS_FS_WRITE_FILE"),
            (.readFile, "LANDLOCK_ACCESS_FS_READ_FILE"),
            (.readDirectory, "LANDLOCK_ACCESS_FS_READ_DIR"),
            (.removeDirectory, "LANDLOCK_ACCESS_FS_REMOVE_DIR"),
            (.removeFile, "LANDLOCK_ACCESS_FS_REMOVE_FILE"),
            (.makeCharacterDevice, "LANDLOCK_ACCESS_FS_MAKE_CHAR"),
            (.makeDirectory, "LANDLOCK_ACCESS_FS_MAKE_DIR"),
            (.makeRegularFile, "LANDLOCK_ACCESS_FS_MAKE_REG"),
            (.makeSocket, "LANDLOCK_ACCESS_FS_MAKE_SOCK"),
            (.makePipe, "LANDLOCK_ACCESS_FS_MAKE_FIFO"),
            (.makeBlockDevice, "LANDLOCK_ACCESS_FS_MAKE_BLOCK"),
            (.makeSymbolicLink, "LANDLOCK_ACCESS_FS_MAKE_SYM"),
            (.refer, "LANDLOCK_ACCESS_FS_REFER"), (.truncate, "LANDLOCK_ACCESS_FS_TRUNCATE"),
            (.deviceCommand, "LANDLOCK_ACCESS_FS_IOCTL_DEV"),
        ]
    }
}

/// Use of TCP ports that a ruleset handles or a rule allows.
///
/// Kernel: landlock(7). Source: linux/landlock.h.
@frozen public struct LandlockNetworkAccess: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var bind: Self { Self(rawValue: 0x1) }
    @inlinable public static var connect: Self { Self(rawValue: 0x2) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.bind, "LANDLOCK_ACCESS_NET_BIND_TCP"),
            (.connect, "LANDLOCK_ACCESS_NET_CONNECT_TCP"),
        ]
    }
}

/// What ends at the processes under the same ruleset.
///
/// Kernel: landlock(7). Source: linux/landlock.h.
@frozen public struct LandlockScopes: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var abstractSocket: Self { Self(rawValue: 0x1) }
    @inlinable public static var signal: Self { Self(rawValue: 0x2) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.abstractSocket, "LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET"),
            (.signal, "LANDLOCK_SCOPE_SIGNAL"),
        ]
    }
}

/// What a call is asked to tell instead of making a ruleset.
///
/// Kernel: landlock_create_ruleset(2). Source: linux/landlock.h.
@frozen public struct LandlockQuestion: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var version: Self { Self(rawValue: 0x1) }

    public static var names: [(flag: Self, name: String)] {
        [(.version, "LANDLOCK_CREATE_RULESET_VERSION")]
    }
}

/// The kind of a rule.
///
/// Kernel: landlock_add_rule(2). Source: linux/landlock.h.
public enum LandlockRule: Int, KernelNumber {
    case beneathPath = 1
    case port = 2

    public var name: String {
        switch self {
        case .beneathPath: "LANDLOCK_RULE_PATH_BENEATH"
        case .port: "LANDLOCK_RULE_NET_PORT"
        }
    }
}
#endif
