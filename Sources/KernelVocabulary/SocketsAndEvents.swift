// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Sockets, polling and device requests.

#if os(Linux)
/// The kind of addresses that a socket uses.
///
/// Kernel: socket(2). Source: include/linux/socket.h.
public enum AddressFamily: Int, KernelNumber {
    case unix = 1
    case internet = 2
    case netlink = 16

    public var name: String {
        switch self {
        case .unix: "AF_UNIX"
        case .internet: "AF_INET"
        case .netlink: "AF_NETLINK"
        }
    }
}

/// The type of a socket with its flags.
///
/// Kernel: socket(2). Source: include/linux/net.h.
public struct SocketType: KernelWord, Hashable, CustomStringConvertible {
    public let number: Int

    private init(_ type: Int, _ flags: OpenFlags) {
        number = type | flags.union(.closeOnExec).rawValue
    }

    /// SOCK_STREAM, always close-on-exec.
    public static func stream(_ flags: OpenFlags = .empty) -> Self { Self(1, flags) }
    /// SOCK_DGRAM, always close-on-exec.
    public static func datagram(_ flags: OpenFlags = .empty) -> Self { Self(2, flags) }
    /// SOCK_RAW, always close-on-exec.
    public static func raw(_ flags: OpenFlags = .empty) -> Self { Self(3, flags) }
    /// SOCK_SEQPACKET, always close-on-exec.
    public static func packets(_ flags: OpenFlags = .empty) -> Self { Self(5, flags) }

    public static func spelling(of number: Int) -> String {
        let types = ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"]
        let type = number & 0xf
        let name = types.indices.contains(type - 1) ? types[type - 1] : "\(type)"
        let flags = OpenFlags(rawValue: number & ~0xf)
        return name + (flags.contains(.nonBlocking) ? "|SOCK_NONBLOCK" : "")
            + (flags.contains(.closeOnExec) ? "|SOCK_CLOEXEC" : "")
    }
}

/// The kernel subsystem that a netlink socket talks to.
///
/// Source: linux/netlink.h.
public enum NetlinkProtocol: Int, KernelNumber {
    case route = 0

    public var name: String {
        switch self {
        case .route: "NETLINK_ROUTE"
        }
    }
}

/// How a message is sent or received.
///
/// Kernel: send(2), recv(2). Source: include/linux/socket.h.
@frozen public struct MessageFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var peek: Self { Self(rawValue: 0x2) }
    @inlinable public static var truncatedControl: Self { Self(rawValue: 0x8) }
    @inlinable public static var truncated: Self { Self(rawValue: 0x20) }
    @inlinable public static var noWait: Self { Self(rawValue: 0x40) }
    @inlinable public static var noSignal: Self { Self(rawValue: 0x4000) }
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0x4000_0000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.peek, "MSG_PEEK"), (.truncatedControl, "MSG_CTRUNC"), (.truncated, "MSG_TRUNC"),
            (.noWait, "MSG_DONTWAIT"), (.noSignal, "MSG_NOSIGNAL"),
            (.closeOnExec, "MSG_CMSG_CLOEXEC"),
        ]
    }
}

/// The level and type of a control message that carries descriptors.
///
/// Kernel: unix(7).
public enum DescriptorMessageType {
    /// SOL_SOCKET.
    @inlinable public static var level: Int32 { 1 }
    /// SCM_RIGHTS.
    @inlinable public static var type: Int32 { 1 }
}

/// The events that poll(2) waits for and reports.
///
/// Source: asm-generic/poll.h.
@frozen public struct PollEvents: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var readable: Self { Self(rawValue: 0x1) }
    @inlinable public static var writable: Self { Self(rawValue: 0x4) }
    /// Reported even if not asked for.
    @inlinable public static var error: Self { Self(rawValue: 0x8) }
    /// Reported even if not asked for.
    @inlinable public static var hungUp: Self { Self(rawValue: 0x10) }
    /// Reported even if not asked for.
    @inlinable public static var invalid: Self { Self(rawValue: 0x20) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.readable, "POLLIN"), (.writable, "POLLOUT"), (.error, "POLLERR"),
            (.hungUp, "POLLHUP"), (.invalid, "POLLNVAL"),
        ]
    }
}

/// The operation of epoll_ctl(2).
///
/// Source: linux/eventpoll.h.
public enum QueueCommand: Int, KernelNumber {
    case add = 1
    case remove = 2
    case change = 3

    public var name: String {
        switch self {
        case .add: "EPOLL_CTL_ADD"
        case .remove: "EPOLL_CTL_DEL"
        case .change: "EPOLL_CTL_MOD"
        }
    }
}

/// The changes of a file that inotify reports.
///
/// Kernel: inotify(7). Source: linux/inotify.h.
@frozen public struct ChangeEvents: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var modified: Self { Self(rawValue: 0x2) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.modified, "IN_MODIFY")
        ]
    }
}

/// The options of eventfd2(2).
///
/// Source: include/linux/eventfd.h.
@frozen public struct EventCounterFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var nonBlocking: Self { Self(rawValue: 0o4000) }
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0o2_000_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.nonBlocking, "EFD_NONBLOCK"), (.closeOnExec, "EFD_CLOEXEC"),
        ]
    }
}

/// The options of signalfd4(2).
///
/// Source: linux/signalfd.h.
@frozen public struct SignalQueueFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var nonBlocking: Self { Self(rawValue: 0o4000) }
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0o2_000_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.nonBlocking, "SFD_NONBLOCK"), (.closeOnExec, "SFD_CLOEXEC"),
        ]
    }
}

/// The options of inotify_init1(2).
///
/// Source: linux/inotify.h.
@frozen public struct ChangeQueueFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var nonBlocking: Self { Self(rawValue: 0o4000) }
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0o2_000_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.nonBlocking, "IN_NONBLOCK"), (.closeOnExec, "IN_CLOEXEC"),
        ]
    }
}

/// The options of accept4(2).
///
/// Source: include/linux/net.h.
@frozen public struct AcceptFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var nonBlocking: Self { Self(rawValue: 0o4000) }
    @inlinable public static var closeOnExec: Self { Self(rawValue: 0o2_000_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.nonBlocking, "SOCK_NONBLOCK"), (.closeOnExec, "SOCK_CLOEXEC"),
        ]
    }
}

/// The request of an ioctl(2).
///
/// Kernel: ioctl_tty(2), netdevice(7), ioctl_ns(2), ioctl_pidfd(2). Source: asm-generic/ioctls.h,
/// linux/sockios.h, linux/nsfs.h, linux/pidfd.h.
public enum DeviceRequest: Int, KernelNumber {
    case becomeControllingTerminal = 0x540e
    case setWindowSize = 0x5414
    case openPeer = 0x5441
    case lockTerminal = 0x4004_5431
    case setInterfaceFlags = 0x8914
    case networkNamespaceOfSocket = 0x894c
    case userNamespaceOf = 0xb701
    case namespaceType = 0xb703
    /// PIDFD_GET_INFO with the first version of its structure, which has 64 bytes.
    case processInfo = 0xc040_ff0b

    public var name: String {
        switch self {
        case .becomeControllingTerminal: "TIOCSCTTY"
        case .setWindowSize: "TIOCSWINSZ"
        case .openPeer: "TIOCGPTPEER"
        case .lockTerminal: "TIOCSPTLCK"
        case .setInterfaceFlags: "SIOCSIFFLAGS"
        case .networkNamespaceOfSocket: "SIOCGSKNS"
        case .userNamespaceOf: "NS_GET_USERNS"
        case .namespaceType: "NS_GET_NSTYPE"
        case .processInfo: "PIDFD_GET_INFO"
        }
    }
}

/// The state of a network interface.
///
/// Source: linux/if.h.
@frozen public struct InterfaceFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var up: Self { Self(rawValue: 0x1) }
    @inlinable public static var running: Self { Self(rawValue: 0x40) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.up, "IFF_UP"), (.running, "IFF_RUNNING"),
        ]
    }
}

/// The state of an address of a network interface.
///
/// Source: linux/if_addr.h.
@frozen public struct AddressFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var permanent: Self { Self(rawValue: 0x80) }

    public static var names: [(flag: Self, name: String)] { [(.permanent, "IFA_F_PERMANENT")] }
}
#endif
