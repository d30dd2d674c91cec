// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

extension Timestamp {
    /// Reads a time as states have it: RFC 3339 in UTC, from 1970 on; nil for other texts.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        let pattern = Array("0000-00-00T00:00:00".utf8)
        guard bytes.count > pattern.count, bytes.last == UInt8(ascii: "Z") else { return nil }
        for (byte, expected) in zip(bytes, pattern) {
            let isRight =
                expected == UInt8(ascii: "0")
                ? (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) : byte == expected
            guard isRight else { return nil }
        }
        func number(_ range: Range<Int>) -> Int {
            bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        guard year >= 1970, (1...12).contains(month), (1...31).contains(day) else { return nil }
        // Days of the civil calendar with years that begin in March.
        let shifted = month > 2 ? year : year - 1
        let (era, ofEra) = (shifted / 400, shifted % 400)
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
        let time = number(11..<13) * 3600 + number(14..<16) * 60 + number(17..<19)
        var nanoseconds: Int64 = 0
        let fraction = bytes[pattern.count..<(bytes.count - 1)]
        if !fraction.isEmpty {
            guard fraction.first == UInt8(ascii: "."), (2...10).contains(fraction.count) else {
                return nil
            }
            let digits =
                String(decoding: fraction.dropFirst(), as: UTF8.self)
                + String(repeating: "0", count: 10 - fraction.count)
            guard let value = UInt32(digits) else { return nil }
            nanoseconds = Int64(value)
        }
        self.init(seconds: Int64(days * 86_400 + time), nanoseconds: nanoseconds)
    }
}
#endif
