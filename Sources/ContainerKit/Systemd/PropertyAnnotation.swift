// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// Annotations `org.systemd.property.NAME`, whose values are in GVariant's text format.
enum PropertyAnnotation {
    private static let prefix = ConfigAnnotation.systemdProperty

    /// The properties in the annotations, in the order of their names.
    static func properties(_ annotations: [String: String]) throws(SpecError) -> [UnitProperty] {
        var properties: [UnitProperty] = []
        for (key, text) in annotations.sorted(by: { $0.key < $1.key })
        where key.begins(with: prefix) {
            let field = JSONPath("annotations").appending(key: key)
            let name = String(key.dropFirst(prefix.count))
            guard name.utf8.count > 2, name.utf8.allSatisfy(isLetter) else {
                throw SpecError(field, "\"\(name)\" is not the name of a unit's property")
            }
            let value: DBusValue
            do throws(VariantTextError) {
                value = try VariantText.value(of: text)
            } catch {
                throw SpecError(field, "\"\(text)\" is not a value: \(error)")
            }
            properties.append(try converted(name, value, field))
        }
        return properties
    }

    /// Converts time spans, which are documented in seconds (`TimeoutStopSec`) but set in
    /// microseconds (`...USec`).
    private static func converted(_ name: String, _ value: DBusValue, _ field: JSONPath)
        throws(SpecError) -> UnitProperty
    {
        let stem = name.dropLast(3)
        guard name.ends(with: "Sec"), let last = stem.utf8.last,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(last)
        else { return UnitProperty(name, value) }
        guard let microseconds = microseconds(value) else {
            throw SpecError(field, "the value of \"\(name)\" must be a number of seconds")
        }
        return UnitProperty("\(stem)USec", .uint64(microseconds))
    }

    private static func microseconds(_ seconds: DBusValue) -> UInt64? {
        let whole: UInt64?
        switch seconds {
        case .byte(let number): whole = UInt64(number)
        case .int16(let number): whole = UInt64(exactly: number)
        case .uint16(let number): whole = UInt64(number)
        case .int32(let number): whole = UInt64(exactly: number)
        case .uint32(let number): whole = UInt64(number)
        case .int64(let number): whole = UInt64(exactly: number)
        case .uint64(let number): whole = number
        case .double(let number): return UInt64(exactly: (number * 1_000_000).rounded(.down))
        default: return nil
        }
        guard let whole else { return nil }
        let (product, overflows) = whole.multipliedReportingOverflow(by: 1_000_000)
        return overflows ? nil : product
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: false
        }
    }
}
#endif
