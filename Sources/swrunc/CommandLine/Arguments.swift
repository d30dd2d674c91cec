// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

/// The flags and operands of one command, parsed from its words.
///
/// The rules are those of Go's flag package, which engines expect: one dash or two before any name;
/// `--flag=value` or `--flag value`, but a toggle takes a value only after `=`; `--` ends the
/// flags. If a flag is given twice, the last value counts, unless the flag is read as a list.
struct Arguments: Sendable {
    /// The operands in order: words that are neither flags nor values of flags.
    private(set) var words: [ByteText] = []
    private var given: [(flag: Flag, value: ByteText)] = []

    /// Parses `words` by a table of flags.
    ///
    /// With `stoppingAtOperand`, everything from the first operand on is an operand, even if it
    /// looks like a flag: the program run by `exec` has its own flags.
    init(
        parsing words: some Collection<ByteText>, flags: [Flag], stoppingAtOperand: Bool
    ) throws(UsageError) {
        var rest = words[...]
        while let word = rest.popFirst() {
            guard word.bytes.first == UInt8(ascii: "-"), word.bytes.count > 1 else {
                self.words.append(word)
                if stoppingAtOperand { break }
                continue
            }
            if word == "--" { break }
            try readFlag(word, of: flags, rest: &rest)
        }
        self.words += rest
    }

    /// The operands as strings.
    var operands: [String] { words.map(\.description) }

    private mutating func readFlag<Words: Collection<ByteText>>(
        _ word: ByteText, of flags: [Flag], rest: inout Words
    ) throws(UsageError) where Words.SubSequence == Words {
        let text = word.bytes.dropFirst(word.begins(with: "--") ? 2 : 1)
        let equals = text.firstIndex(of: UInt8(ascii: "="))
        guard let first = text.first, first != UInt8(ascii: "-"), equals != text.startIndex else {
            throw UsageError("bad flag syntax: \(word)")
        }
        let name = String(decoding: text[..<(equals ?? text.endIndex)], as: UTF8.self)
        guard let flag = flags.first(where: { $0.isNamed(name) }) else {
            throw UsageError("flag provided but not defined: -\(name)")
        }
        var value = equals.map { ByteText(bytes: Array(text[($0 + 1)...])) }
        if value == nil {
            if case .toggle = flag.value {
                value = "true"
            } else {
                value = rest.popFirst()
            }
        }
        guard let value else { throw UsageError("flag needs an argument: -\(name)") }
        given.append((flag, try Self.check(value, of: flag, writtenAs: name)))
    }

    private static func check(
        _ bytes: ByteText, of flag: Flag, writtenAs name: String
    ) throws(UsageError) -> ByteText {
        if case .bytes = flag.value { return bytes }
        guard let value = bytes.utf8Text else {
            throw UsageError(
                "invalid value \(bytes.description.debugDescription) for flag -\(name): not UTF-8")
        }
        switch flag.value {
        case .text, .bytes, .container:
            return bytes
        case .number:
            guard Int(value) != nil else {
                throw UsageError(
                    "invalid value \(value.debugDescription) for flag -\(name): parse error")
            }
            return bytes
        case .toggle:
            guard let isOn = readToggle(value) else {
                throw UsageError(
                    "invalid boolean value \(value.debugDescription) for -\(name): parse error")
            }
            return isOn ? "true" : "false"
        }
    }

    /// Accepts the spellings of Go's `strconv.ParseBool`.
    static func readToggle(_ value: String) -> Bool? {
        switch value {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// The first flag with an unsupported value, in its long form, such as `--no-pivot`.
    var unsupported: String? {
        guard let (flag, value) = given.first(where: { !$0.flag.supports($0.value.description) })
        else {
            return nil
        }
        if case .toggle = flag.value, value == "false" { return "--\(flag.name)=false" }
        return "--\(flag.name)"
    }

    /// Whether a toggle is given and true.
    func has(_ flag: Flag) -> Bool {
        text(flag) == "true"
    }

    /// The last value; nil if the flag is not given.
    func text(_ flag: Flag) -> String? {
        given.last { $0.flag.name == flag.name }?.value.description
    }

    /// All values, in order.
    func texts(_ flag: Flag) -> [String] { bytes(flag).map(\.description) }

    /// All values in order, as bytes.
    func bytes(_ flag: Flag) -> [ByteText] {
        given.lazy.filter { $0.flag.name == flag.name }.map(\.value)
    }

    /// The last value as a path of the host; nil if the flag is not given or its value is empty.
    func path(_ flag: Flag) -> FilePath? {
        guard let value = bytes(flag).last, !value.bytes.isEmpty else { return nil }
        return FilePath(platformString: value.bytes.map { CChar(bitPattern: $0) } + [0])
    }

    /// The last value as a number; nil if the flag is not given.
    func number(_ flag: Flag) -> Int? {
        text(flag).flatMap { Int($0) }
    }
}

/// A command line that does not fit the command's flags and operands.
struct UsageError: Error, Equatable {
    let message: String

    init(_ message: String) {
        self.message = message
    }
}
