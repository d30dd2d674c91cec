// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

/// Text in the exposition format of OpenMetrics 1.0, family by family.
///
/// Bytes, not a string: a node with a thousand containers has some megabytes of it.
struct OpenMetricsText {
    /// The types of families that are used here.
    enum Kind: String, Sendable {
        case counter, gauge, info, stateset

        /// What the names of samples have after the name of the family.
        fileprivate var suffix: String {
            switch self {
            case .counter: "_total"
            case .info: "_info"
            case .gauge, .stateset: ""
            }
        }
    }

    /// The name, the meaning and the unit of a family.
    struct Family: Sendable {
        let name: String
        let kind: Kind
        /// The unit, which the name must end with; nil for numbers of things.
        let unit: String?
        let help: String

        init(_ name: String, _ kind: Kind, unit: String? = nil, _ help: String) {
            self.name = name
            self.kind = kind
            self.unit = unit
            self.help = help
        }
    }

    private(set) var bytes: [UInt8] = []
    private var sampleName: [UInt8] = []

    /// Writes the head of a family.
    mutating func begin(_ family: Family) {
        add("# TYPE \(family.name) \(family.kind.rawValue)\n")
        if let unit = family.unit { add("# UNIT \(family.name) \(unit)\n") }
        add("# HELP \(family.name) \(Self.escaped(family.help))\n")
        sampleName = Array((family.name + family.kind.suffix).utf8)
    }

    /// Writes a sample of the family that has begun.
    ///
    /// - Parameters:
    ///   - labels: labels as `label` makes them, with commas between; may be empty.
    ///   - value: the number as text.
    mutating func add(_ labels: [UInt8], _ value: String) {
        bytes += sampleName
        if !labels.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            bytes += labels
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
        add(value)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Writes the end, without which a reader takes the text for cut off.
    mutating func end() { add("# EOF\n") }

    private mutating func add(_ text: String) { bytes += text.utf8 }

    /// A label with its value escaped.
    static func label(_ name: String, _ value: String) -> [UInt8] {
        Array("\(name)=\"\(escaped(value))\"".utf8)
    }

    /// The text with backslash, quote and newline escaped; every other character may stand.
    ///
    /// Spec: OpenMetrics, ABNF, escaped-char.
    static func escaped(_ text: String) -> String {
        func isSpecial(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n")
        }
        guard text.utf8.contains(where: isSpecial) else { return text }
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isSpecial(byte) { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte == UInt8(ascii: "\n") ? UInt8(ascii: "n") : byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The label name for a key of an annotation: what a name may not have becomes `_`.
    static func labelName(forAnnotation key: String) -> String {
        let bytes = key.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                byte
            default: UInt8(ascii: "_")
            }
        }
        return "annotation_" + String(decoding: bytes, as: UTF8.self)
    }

    /// A number of nanoseconds as seconds, exact: `1500000000` is `1.5`.
    static func seconds(ofNanoseconds count: UInt64) -> String {
        decimal(count / 1_000_000_000, fraction: count % 1_000_000_000, digits: 9)
    }

    /// A number of microseconds as seconds.
    static func seconds(ofMicroseconds count: UInt64) -> String {
        decimal(count / 1_000_000, fraction: count % 1_000_000, digits: 6)
    }

    private static func decimal(_ whole: UInt64, fraction: UInt64, digits: Int) -> String {
        guard fraction != 0 else { return "\(whole)" }
        let text = "\(fraction)"
        var padded = String(repeating: "0", count: digits - text.utf8.count) + text
        while padded.utf8.last == UInt8(ascii: "0") { padded.removeLast() }
        return "\(whole).\(padded)"
    }

    /// A time as seconds since 1970.
    static func seconds(of time: Timestamp) -> String {
        decimal(UInt64(time.seconds), fraction: UInt64(time.nanoseconds), digits: 9)
    }
}
#endif
