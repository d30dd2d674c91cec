// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// Modes of terminals: asm-generic/termbits.h, termios(3).

#if os(Linux)
/// How a terminal processes its input.
@frozen public struct TerminalInputFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var ignoreBreak: Self { Self(rawValue: 0o1) }
    @inlinable public static var signalBreak: Self { Self(rawValue: 0o2) }
    @inlinable public static var markParity: Self { Self(rawValue: 0o10) }
    @inlinable public static var stripBits: Self { Self(rawValue: 0o40) }
    @inlinable public static var newlineToReturn: Self { Self(rawValue: 0o100) }
    @inlinable public static var ignoreReturn: Self { Self(rawValue: 0o200) }
    @inlinable public static var returnToNewline: Self { Self(rawValue: 0o400) }
    @inlinable public static var stopOutput: Self { Self(rawValue: 0o2000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.ignoreBreak, "IGNBRK"), (.signalBreak, "BRKINT"), (.markParity, "PARMRK"),
            (.stripBits, "ISTRIP"), (.newlineToReturn, "INLCR"), (.ignoreReturn, "IGNCR"),
            (.returnToNewline, "ICRNL"), (.stopOutput, "IXON"),
        ]
    }
}

/// How a terminal processes its output.
@frozen public struct TerminalOutputFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    /// ONLCR: "\n" becomes "\r\n".
    @inlinable public static var newlineToReturn: Self { Self(rawValue: 0o4) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.newlineToReturn, "ONLCR")
        ]
    }
}

/// How a terminal transfers bytes.
@frozen public struct TerminalControlFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    /// All bits of the mask CSIZE.
    @inlinable public static var eightBits: Self { Self(rawValue: 0o60) }
    @inlinable public static var parity: Self { Self(rawValue: 0o400) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.eightBits, "CS8"), (.parity, "PARENB"),
        ]
    }
}

/// How a terminal treats typed characters.
@frozen public struct TerminalLocalFlags: KernelFlags {
    public let rawValue: Int

    @inlinable public init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable public static var signals: Self { Self(rawValue: 0o1) }
    @inlinable public static var lines: Self { Self(rawValue: 0o2) }
    @inlinable public static var echo: Self { Self(rawValue: 0o10) }
    @inlinable public static var echoNewline: Self { Self(rawValue: 0o100) }
    @inlinable public static var extensions: Self { Self(rawValue: 0o100_000) }

    public static var names: [(flag: Self, name: String)] {
        [
            (.signals, "ISIG"), (.lines, "ICANON"), (.echo, "ECHO"), (.echoNewline, "ECHONL"),
            (.extensions, "IEXTEN"),
        ]
    }
}

/// The indices of special characters in `c_cc`.
public enum TerminalCharacter: Int, KernelNumber {
    case time = 5
    case minimum = 6

    public var name: String {
        switch self {
        case .time: "VTIME"
        case .minimum: "VMIN"
        }
    }
}
#endif
