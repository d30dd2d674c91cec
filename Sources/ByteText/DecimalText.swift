// SPDX-License-Identifier: Apache-2.0

extension Int {
    /// The number in decimal digits.
    ///
    /// Every command formats numbers, and the standard library's way loads 128 KiB more of its
    /// code.
    package var decimalText: String {
        var digits: [UInt8] = []
        var rest = magnitude
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        if self < 0 { digits.append(UInt8(ascii: "-")) }
        digits.reverse()
        return String(decoding: digits, as: UTF8.self)
    }
}

extension DefaultStringInterpolation {
    /// The number in decimal digits.
    package mutating func appendInterpolation(_ number: Int) {
        appendLiteral(number.decimalText)
    }

    /// The number of a process or a descriptor in decimal digits.
    package mutating func appendInterpolation(_ number: Int32) {
        appendInterpolation(Int(number))
    }
}
