// SPDX-License-Identifier: Apache-2.0

/// A key that top knows.
enum TopKey: Equatable {
    case character(Character)
    case up, down, pageUp, pageDown, home, end
}

/// Makes keys of what a terminal sends; a sequence may come in pieces.
///
/// Sequences of unknown keys are skipped as a whole: their letters are not keys.
///
/// Standard: ECMA-48, 5.4, control sequences; the keys are those of xterm.
struct TopKeyReader {
    private enum Place { case outside, afterEscape, inSequence, inKeypad }

    private var place = Place.outside
    private var parameter: [UInt8] = []

    /// The keys in the bytes that were read.
    mutating func keys(in bytes: some Sequence<UInt8>) -> [TopKey] {
        bytes.compactMap { read($0) }
    }

    private mutating func read(_ byte: UInt8) -> TopKey? {
        if byte == 0x1b {
            place = .afterEscape
            return nil
        }
        switch place {
        case .outside:
            return byte < 0x7f ? .character(Character(Unicode.Scalar(byte))) : nil
        case .afterEscape:
            parameter = []
            switch byte {
            case UInt8(ascii: "["): place = .inSequence
            case UInt8(ascii: "O"): place = .inKeypad
            // Alt and a key.
            default: place = .outside
            }
            return nil
        case .inKeypad:
            place = .outside
            return Self.key(endingWith: byte, parameter)
        case .inSequence:
            guard (0x40...0x7e).contains(byte) else {
                // Not more than the longest that is known.
                if parameter.count < 8 { parameter.append(byte) }
                return nil
            }
            place = .outside
            return Self.key(endingWith: byte, parameter)
        }
    }

    private static func key(endingWith byte: UInt8, _ parameter: [UInt8]) -> TopKey? {
        switch (byte, String(decoding: parameter, as: UTF8.self)) {
        case (UInt8(ascii: "A"), ""): .up
        case (UInt8(ascii: "B"), ""): .down
        case (UInt8(ascii: "H"), ""), (UInt8(ascii: "~"), "1"), (UInt8(ascii: "~"), "7"): .home
        case (UInt8(ascii: "F"), ""), (UInt8(ascii: "~"), "4"), (UInt8(ascii: "~"), "8"): .end
        case (UInt8(ascii: "~"), "5"): .pageUp
        case (UInt8(ascii: "~"), "6"): .pageDown
        default: nil
        }
    }
}
