// SPDX-License-Identifier: Apache-2.0

extension Int {
    /// The number in decimal digits.
    package var decimalText: String {
        Digits(UInt64(magnitude), isNegative: self < 0).text
    }
}

extension UInt64 {
    /// The number in hexadecimal digits.
    package var hexadecimalText: String { Digits(self, radix: 16).text }
}

extension [UInt8] {
    /// Adds a number in decimal digits.
    package mutating func append(decimal number: Int) {
        let digits = Digits(UInt64(number.magnitude), isNegative: number < 0)
        for place in digits.used { append(digits.places[place]) }
    }
}

/// The digits of a number.
///
/// Every command formats numbers, and the standard library's way loads 128 KiB more of its code.
private struct Digits {
    // The largest number has 20 digits; one more place is for the sign.
    private(set) var places = InlineArray<21, UInt8>(repeating: UInt8(ascii: "-"))
    private var first = 21

    init(_ number: UInt64, radix: UInt64 = 10, isNegative: Bool = false) {
        var rest = number
        repeat {
            first -= 1
            let digit = UInt8(truncatingIfNeeded: rest % radix)
            places[first] =
                digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            rest /= radix
        } while rest > 0
        if isNegative { first -= 1 }
    }

    /// The places that hold digits or the sign.
    var used: Range<Int> { first..<places.count }

    var text: String {
        String(unsafeUninitializedCapacity: used.count) { bytes in
            for place in used { bytes[place - first] = places[place] }
            return used.count
        }
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
        appendLiteral(Digits(number).text)
    }
}
