// SPDX-License-Identifier: Apache-2.0
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

// The kernel's numbers with the names from its headers: one vocabulary for the programs that a
// child runs, for the parent's system calls, and for errors.
//
//   KernelWord        a number that prints as the headers spell it
//   OpeningFiles      how files are opened and found
//   FileStatus        what a file is
//   Mounting          file systems and mounts
//   Processes         clones, rights, filters, signals, waiting
//   Capabilities      capabilities and sets of them
//   Landlock          access that a process gives up itself
//   Attributes        scheduling, memory, limits
//   SocketsAndEvents  sockets, polling, ioctl
//   Terminals         modes of terminals
//   ErrnoName         errnos by name
//
// A test compares every number with the Linux headers, whose names say what each is for.
//
// Public, although no product has this module: the compiler inlines nothing that is `package` into
// other modules, and would look up witness tables at run time for every `|` (Decisions/0028).

#if os(Linux)
/// A number that the kernel's headers name.
///
/// The text is made only when somebody reads it. No protocol of the standard library with
/// requirements stands above this one: a launch would have to build the witness tables of each kind
/// (Decisions/0028). So each kind itself conforms to CustomStringConvertible.
public protocol KernelWord: Sendable {
    /// The number, as a call takes it.
    var number: Int { get }

    /// The name of a number of this kind, as the headers spell it.
    static func spelling(of number: Int) -> String
}

extension KernelWord {
    public var description: String { Self.spelling(of: number) }
}

/// Bits that can be combined with `|`; unknown ones print in hexadecimal.
///
/// Not an `OptionSet`: its literals are arrays, and a launch would have to build the metadata of
/// each array type (half a millisecond in total, a twentieth of `run`: Decisions/0028).
public protocol KernelFlags: KernelWord, Hashable, CustomStringConvertible {
    /// The bits.
    var rawValue: Int { get }

    /// The flags with these bits.
    init(rawValue: Int)

    /// The flags and their names in print order; a flag that includes others comes before them.
    static var names: [(flag: Self, name: String)] { get }
    /// What is printed if no bit is set.
    static var emptySpelling: String { get }
}

extension KernelFlags {
    /// No bit at all.
    @inlinable @inline(__always) public static var empty: Self { Self(rawValue: 0) }

    @inlinable @inline(__always) public var number: Int { rawValue }

    /// Whether no bit is set.
    @inlinable @inline(__always) public var isEmpty: Bool { rawValue == 0 }

    /// The bits of both; the method form of `|`.
    @inlinable @inline(__always) public func union(_ other: Self) -> Self { self | other }

    /// The bits of both.
    @inlinable @inline(__always) public static func | (one: Self, other: Self) -> Self {
        Self(rawValue: one.rawValue | other.rawValue)
    }

    /// Adds the bits of the other.
    @inlinable @inline(__always) public static func |= (one: inout Self, other: Self) {
        one = one | other
    }

    /// Whether every bit of the other is set.
    @inlinable @inline(__always) public func contains(_ other: Self) -> Bool {
        rawValue & other.rawValue == other.rawValue
    }

    /// Whether no bit of the other is set.
    @inlinable @inline(__always) public func isDisjoint(with other: Self) -> Bool {
        rawValue & other.rawValue == 0
    }

    /// The bits that both have.
    @inlinable @inline(__always) public func intersection(_ other: Self) -> Self {
        Self(rawValue: rawValue & other.rawValue)
    }

    /// The bits that the other does not have.
    @inlinable @inline(__always) public func subtracting(_ other: Self) -> Self {
        Self(rawValue: rawValue & ~other.rawValue)
    }

    public static var emptySpelling: String { "0" }

    public static func spelling(of number: Int) -> String {
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

/// One number of a closed list, such as a command.
public protocol KernelNumber: KernelWord, CustomStringConvertible, RawRepresentable, CaseIterable
where RawValue == Int {
    /// Its name.
    var name: String { get }
}

extension KernelNumber {
    @inlinable public var number: Int { rawValue }

    public static func spelling(of number: Int) -> String {
        Self(rawValue: number)?.name ?? String(number)
    }
}

/// A number with its kind, which gives its name.
public struct NamedNumber: Equatable, Sendable, CustomStringConvertible {
    /// The number.
    public let number: Int
    private let kind: any KernelWord.Type

    /// The number of a word.
    public init<Word: KernelWord>(_ word: Word) {
        number = word.number
        kind = Word.self
    }

    /// A number of the given kind, whether the kind knows it or not.
    public init<Word: KernelWord>(_ number: Int, of kind: Word.Type) {
        self.number = number
        self.kind = kind
    }

    public var description: String { kind.spelling(of: number) }

    public static func == (one: NamedNumber, other: NamedNumber) -> Bool {
        one.number == other.number && one.kind == other.kind
    }
}
#endif
