// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// A point in time of the wall clock, in UTC.
public struct Timestamp: Equatable, Sendable, CustomStringConvertible {
    /// Seconds since 1970-01-01.
    public let seconds: Int64
    /// Nanoseconds, 0 to 999,999,999.
    public let nanoseconds: Int64

    /// A point in time.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The present time.
    ///
    /// Kernel: clock_gettime(2), CLOCK_REALTIME.
    public static var now: Timestamp {
        let time = ClockTime.wall
        return Timestamp(
            seconds: Int64(time.seconds), nanoseconds: Int64(time.nanoseconds))
    }

    /// RFC 3339 text with nanoseconds: `2024-02-29T23:59:59.123456789Z`.
    public var description: String {
        text(fractionDigits: 9)
    }

    /// RFC 3339 text without a fraction: `2024-02-29T23:59:59Z`.
    public var wholeSeconds: String {
        text(fractionDigits: 0)
    }

    private func text(fractionDigits: Int) -> String {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = Int(seconds - days * 86_400)
        let (year, month, day) = Self.date(ofDay: Int(days))
        var result = Self.padded(year, 4) + "-" + Self.padded(month, 2) + "-" + Self.padded(day, 2)
        result += "T" + Self.padded(rest / 3600, 2) + ":" + Self.padded(rest / 60 % 60, 2)
        result += ":" + Self.padded(rest % 60, 2)
        if fractionDigits > 0 { result += "." + Self.padded(Int(nanoseconds), fractionDigits) }
        return result + "Z"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        var digits = "\(number)"
        while digits.utf8.count < width { digits = "0" + digits }
        return digits
    }

    /// The Gregorian date of a day counted from 1970-01-01.
    ///
    /// Years are counted from March, so that a leap day is the last day of its year; an era has 400
    /// years or 146,097 days.
    private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}
#endif
