// SPDX-License-Identifier: Apache-2.0

extension DefaultStringInterpolation {
    /// The number in decimal digits.
    ///
    /// Every command writes some; the standard library's own way takes 128 KiB of its code into memory.
    package mutating func appendInterpolation(_ number: Int) {
        var digits: [UInt8] = []
        var rest = number.magnitude
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        if number < 0 { digits.append(UInt8(ascii: "-")) }
        digits.reverse()
        appendLiteral(String(decoding: digits, as: UTF8.self))
    }

    /// The number of a process or a descriptor in decimal digits.
    package mutating func appendInterpolation(_ number: Int32) {
        appendInterpolation(Int(number))
    }
}
