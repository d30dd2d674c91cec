// SPDX-License-Identifier: Apache-2.0

extension JSONReader {
    /// Reads a number that starts at the current position.
    mutating func readNumber(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> JSONValue {
        let start = index
        let isNegative = bytes[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        let magnitude = try readInteger(bytes)
        guard index < bytes.count else { return try number(isNegative, magnitude, start, bytes) }
        var isInteger = true
        if bytes[index] == UInt8(ascii: ".") {
            isInteger = false
            index += 1
            try skipDigits(bytes)
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            index += 1
            if index < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[index]) {
                index += 1
            }
            try skipDigits(bytes)
        }
        return try number(isNegative, isInteger ? magnitude : nil, start, bytes)
    }

    /// The digits before a fraction; nil if they exceed 64 bits.
    private mutating func readInteger(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> UInt64? {
        let first = index
        var magnitude: UInt64 = 0
        var isExact = true
        while index < bytes.count, let digit = digit(bytes[index]) {
            let (shifted, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(UInt64(digit))
            isExact = isExact && !overflow && !carry
            magnitude = sum
            index += 1
        }
        guard index > first else { throw unexpected("a digit", bytes) }
        guard index == first + 1 || bytes[first] != UInt8(ascii: "0") else {
            index = first
            throw failure("a number must not start with 0", bytes)
        }
        return isExact ? magnitude : nil
    }

    private mutating func skipDigits(_ bytes: Span<UInt8>) throws(JSONSyntaxError) {
        let first = index
        while index < bytes.count, digit(bytes[index]) != nil { index += 1 }
        guard index > first else { throw unexpected("a digit", bytes) }
    }

    private func digit(_ byte: UInt8) -> UInt8? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? byte - UInt8(ascii: "0") : nil
    }

    /// The exact integer if there is one and it fits, else the nearest double.
    private func number(
        _ isNegative: Bool, _ magnitude: UInt64?, _ start: Int, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) -> JSONValue {
        if let magnitude {
            if !isNegative {
                return Int64(exactly: magnitude).map(JSONValue.integer) ?? .unsigned(magnitude)
            }
            if magnitude <= Int64.min.magnitude {
                return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
            }
        }
        var text = ""
        for position in start..<index {
            text.unicodeScalars.append(UnicodeScalar(bytes[position]))
        }
        guard let value = Double(text), value.isFinite else {
            throw JSONSyntaxError("the number \(text) is too large", at: start, in: bytes)
        }
        return .double(value)
    }

    /// Reads a string whose opening quote is at the current position.
    mutating func readString(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> String {
        let opening = index
        let start = index + 1
        let (end, isASCII) = Self.plainRun(from: start, bytes)
        index = end
        guard end < bytes.count else { throw unterminated(opening, bytes) }
        switch bytes[end] {
        case UInt8(ascii: "\""):
            index += 1
            let part = bytes.extracting(start..<end)
            if isASCII { return String(copying: UTF8Span(unchecked: part, isKnownASCII: true)) }
            return try validated(part, at: start, bytes)
        case UInt8(ascii: "\\"):
            return try readEscapedString(from: start, opening: opening, bytes)
        default: throw controlCharacter(bytes)
        }
    }

    /// The next quote, backslash or control character, or the end of the text; and whether all
    /// bytes before it are ASCII.
    private static func plainRun(
        from start: Int, _ bytes: Span<UInt8>
    ) -> (end: Int, isASCII: Bool) {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones << 7
        var seen: UInt64 = 0
        var end = start
        // Eight bytes at a time. In each term, the lowest of the top bits that are set is that of the
        // first such byte: a borrow only reaches the bytes above it.
        while end + 8 <= bytes.count {
            let word = UInt64(
                littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: end, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let control = (word &- (ones &* 0x20)) & ~word
            let found =
                (control | (quote &- ones) & ~quote | (backslash &- ones) & ~backslash) & tops
            if found != 0 {
                let count = found.trailingZeroBitCount / 8
                seen |= word & ~(UInt64.max << (8 * UInt64(count)))
                return (end + count, seen & tops == 0)
            }
            seen |= word
            end += 8
        }
        while end < bytes.count, bytes[end] >= 0x20, bytes[end] != UInt8(ascii: "\""),
            bytes[end] != UInt8(ascii: "\\")
        {
            seen |= UInt64(bytes[end])
            end += 1
        }
        return (end, seen & tops == 0)
    }

    /// Reads the rest of a string from its first escape on, and returns it unescaped.
    private mutating func readEscapedString(
        from start: Int, opening: Int, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) -> String {
        var text = Array(try validated(bytes.extracting(start..<index), at: start, bytes).utf8)
        var plain = index
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                text += try validated(bytes.extracting(plain..<index), at: plain, bytes).utf8
                index += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                text += try validated(bytes.extracting(plain..<index), at: plain, bytes).utf8
                text += try readEscape(bytes).utf8
                plain = index
            case 0..<0x20: throw controlCharacter(bytes)
            default: index += 1
            }
        }
        throw unterminated(opening, bytes)
    }

    private mutating func readEscape(
        _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) -> UnicodeScalar {
        let backslash = index
        guard index + 1 < bytes.count else {
            index += 1
            throw unexpected("an escaped character", bytes)
        }
        index += 2
        switch bytes[index - 1] {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try readUnicodeEscape(from: backslash, bytes)
        default:
            index = backslash + 1
            throw unexpected("one of \" \\ / b f n r t u after a backslash", bytes)
        }
    }

    /// Reads the digits of `\uXXXX`, and the second half of a surrogate pair.
    private mutating func readUnicodeEscape(
        from backslash: Int, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) -> UnicodeScalar {
        let first = try readFourDigits(bytes)
        if let scalar = UnicodeScalar(first) { return scalar }
        let lone = JSONSyntaxError(
            "the escape is half of a surrogate pair", at: backslash, in: bytes)
        guard first < 0xDC00, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        else { throw lone }
        index += 2
        let second = try readFourDigits(bytes)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = UnicodeScalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else { throw lone }
        return scalar
    }

    private mutating func readFourDigits(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard index < bytes.count,
                let digit = Character(UnicodeScalar(bytes[index])).hexDigitValue
            else { throw unexpected("four hexadecimal digits", bytes) }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    /// The text of `part`, which starts at byte `offset` of `bytes`.
    private func validated(
        _ part: Span<UInt8>, at offset: Int, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) -> String {
        do {
            return String(copying: try UTF8Span(validating: part))
        } catch {
            throw JSONSyntaxError(
                "found bytes that are not UTF-8", at: offset + error.byteOffsets.lowerBound,
                in: bytes)
        }
    }

    private func controlCharacter(_ bytes: Span<UInt8>) -> JSONSyntaxError {
        failure("found control character 0x\(hexadecimal(bytes[index])) in a string", bytes)
    }

    private func unterminated(_ opening: Int, _ bytes: Span<UInt8>) -> JSONSyntaxError {
        JSONSyntaxError("the string that starts here does not end", at: opening, in: bytes)
    }
}
