// SPDX-License-Identifier: Apache-2.0

// What the kernel's headers call their numbers: one vocabulary for the programs that a child runs, for the
// calls of the parent, and for errors.
//
//   KernelWord        a number that prints itself as the headers spell it
//   OpeningFiles      how files are opened and found
//   FileStatus        what a file is
//   Mounting          file systems and mounts
//   Processes         clones, rights, filters, signals, waiting
//   Attributes        scheduling, memory, limits
//   SocketsAndEvents  sockets, polling, ioctl
//   Terminals         modes of terminals
//   ErrnoName         errnos by name
//
// A test compares every number with the headers of Linux.

/// A number that the kernel's headers name.
///
/// The text is made when somebody reads it, and never before.
package protocol KernelWord: Hashable, Sendable, CustomStringConvertible {
    /// The number, as a call takes it.
    var number: Int { get }

    /// A number of this kind as the headers spell it.
    static func spelling(of number: Int) -> String
}

extension KernelWord {
    package var description: String { Self.spelling(of: number) }
}

/// Bits that can be combined; unknown ones print in hexadecimal.
package protocol KernelFlags: KernelWord, OptionSet where RawValue == Int, Element == Self {
    /// The names, in the order in which they print; one that covers others comes before them.
    static var names: [(flag: Self, name: String)] { get }
    /// How no bit at all prints.
    static var emptySpelling: String { get }
}

extension KernelFlags {
    @inlinable package var number: Int { rawValue }

    package static var emptySpelling: String { "0" }

    package static func spelling(of number: Int) -> String {
        var rest = number
        var parts: [String] = []
        for (flag, name) in names where rest & flag.rawValue == flag.rawValue {
            parts.append(name)
            rest &= ~flag.rawValue
        }
        if rest != 0 { parts.append("0x" + String(UInt(bitPattern: rest), radix: 16)) }
        return parts.isEmpty ? emptySpelling : parts.joined(separator: "|")
    }
}

/// One number of a list, such as a command.
package protocol KernelNumber: KernelWord, RawRepresentable, CaseIterable where RawValue == Int {
    /// Its name.
    var name: String { get }
}

extension KernelNumber {
    @inlinable package var number: Int { rawValue }

    package static func spelling(of number: Int) -> String {
        Self(rawValue: number)?.name ?? String(number)
    }
}

/// A number that remembers its kind, and so its name.
package struct NamedNumber: Equatable, Sendable, CustomStringConvertible {
    /// The number.
    package let number: Int
    private let kind: any KernelWord.Type

    /// The number of a word.
    package init<Word: KernelWord>(_ word: Word) {
        number = word.number
        kind = Word.self
    }

    /// A number that is of a kind, known or not.
    package init<Word: KernelWord>(_ number: Int, of kind: Word.Type) {
        self.number = number
        self.kind = kind
    }

    package var description: String { kind.spelling(of: number) }

    package static func == (one: NamedNumber, other: NamedNumber) -> Bool {
        one.number == other.number && one.kind == other.kind
    }
}
