// SPDX-License-Identifier: Apache-2.0

extension Int {
    /// The number in decimal digits.
    package var decimalText: String { magnitude.decimalDigits(isNegative: self < 0) }
}

extension UInt {
    /// The number in decimal digits.
    ///
    /// Every command formats numbers, and the standard library's way loads 128 KiB more of its
    /// code.
    fileprivate func decimalDigits(isNegative: Bool = false) -> String {
        var digits: [UInt8] = []
        var rest = self
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        if isNegative { digits.append(UInt8(ascii: "-")) }
        digits.reverse()
        return String(decoding: digits, as: UTF8.self)
    }
}

extension UInt64 {
    /// The number in hexadecimal digits, made without the standard library for the same reason.
    package var hexadecimalText: String {
        var digits: [UInt8] = []
        var rest = self
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            rest >>= 4
        } while rest > 0
        digits.reverse()
        return String(decoding: digits, as: UTF8.self)
    }
}

// One for each type that texts print: a generic one would not be specialized in other modules.
extension DefaultStringInterpolation {
    /// The number in decimal digits.
    package mutating func appendInterpolation(_ number: Int) {
        appendLiteral(number.decimalText)
    }

    /// The number of a process or a descriptor in decimal digits.
    package mutating func appendInterpolation(_ number: Int32) {
        appendInterpolation(Int(number))
    }

    /// A limit of the config in decimal digits.
    package mutating func appendInterpolation(_ number: Int64) {
        appendInterpolation(Int(number))
    }

    /// The number of a user or a device in decimal digits.
    package mutating func appendInterpolation(_ number: UInt32) {
        appendInterpolation(Int(number))
    }

    /// An inode or a size in decimal digits.
    package mutating func appendInterpolation(_ number: UInt64) {
        appendLiteral(UInt(number).decimalDigits())
    }
}
