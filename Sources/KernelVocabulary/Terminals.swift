// SPDX-License-Identifier: Apache-2.0

// Modes of terminals: asm-generic/termbits.h, termios(3).

#if os(Linux)
/// How a terminal processes its input.
@frozen package struct TerminalInputFlags: KernelFlags {
    package let rawValue: Int

    @inlinable package init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable package static var ignoreBreak: Self { Self(rawValue: 0o1) }
    @inlinable package static var signalBreak: Self { Self(rawValue: 0o2) }
    @inlinable package static var markParity: Self { Self(rawValue: 0o10) }
    @inlinable package static var stripBits: Self { Self(rawValue: 0o40) }
    @inlinable package static var newlineToReturn: Self { Self(rawValue: 0o100) }
    @inlinable package static var ignoreReturn: Self { Self(rawValue: 0o200) }
    @inlinable package static var returnToNewline: Self { Self(rawValue: 0o400) }
    @inlinable package static var stopOutput: Self { Self(rawValue: 0o2000) }

    package static var names: [(flag: Self, name: String)] {
        [
            (.ignoreBreak, "IGNBRK"), (.signalBreak, "BRKINT"), (.markParity, "PARMRK"),
            (.stripBits, "ISTRIP"), (.newlineToReturn, "INLCR"), (.ignoreReturn, "IGNCR"),
            (.returnToNewline, "ICRNL"), (.stopOutput, "IXON"),
        ]
    }
}

/// How a terminal processes its output.
@frozen package struct TerminalOutputFlags: KernelFlags {
    package let rawValue: Int

    @inlinable package init(rawValue: Int) { self.rawValue = rawValue }

    /// ONLCR: "\n" becomes "\r\n".
    @inlinable package static var newlineToReturn: Self { Self(rawValue: 0o4) }

    package static var names: [(flag: Self, name: String)] {
        [
            (.newlineToReturn, "ONLCR")
        ]
    }
}

/// How a terminal transfers bytes.
@frozen package struct TerminalControlFlags: KernelFlags {
    package let rawValue: Int

    @inlinable package init(rawValue: Int) { self.rawValue = rawValue }

    /// All bits of the mask CSIZE.
    @inlinable package static var eightBits: Self { Self(rawValue: 0o60) }
    @inlinable package static var parity: Self { Self(rawValue: 0o400) }

    package static var names: [(flag: Self, name: String)] {
        [
            (.eightBits, "CS8"), (.parity, "PARENB"),
        ]
    }
}

/// How a terminal treats typed characters.
@frozen package struct TerminalLocalFlags: KernelFlags {
    package let rawValue: Int

    @inlinable package init(rawValue: Int) { self.rawValue = rawValue }

    @inlinable package static var signals: Self { Self(rawValue: 0o1) }
    @inlinable package static var lines: Self { Self(rawValue: 0o2) }
    @inlinable package static var echo: Self { Self(rawValue: 0o10) }
    @inlinable package static var echoNewline: Self { Self(rawValue: 0o100) }
    @inlinable package static var extensions: Self { Self(rawValue: 0o100_000) }

    package static var names: [(flag: Self, name: String)] {
        [
            (.signals, "ISIG"), (.lines, "ICANON"), (.echo, "ECHO"), (.echoNewline, "ECHONL"),
            (.extensions, "IEXTEN"),
        ]
    }
}

/// The indices of special characters in `c_cc`.
package enum TerminalCharacter: Int, KernelNumber {
    case time = 5
    case minimum = 6

    package var name: String {
        switch self {
        case .time: "VTIME"
        case .minimum: "VMIN"
        }
    }
}
#endif
