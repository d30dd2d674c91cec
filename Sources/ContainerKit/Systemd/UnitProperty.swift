// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// One property of a unit.
///
/// Source: org.freedesktop.systemd1(5), systemd.resource-control(5).
struct UnitProperty: Equatable, Sendable, CustomStringConvertible {
    var name: String
    var value: DBusValue

    init(_ name: String, _ value: DBusValue) {
        self.name = name
        self.value = value
    }

    /// The property as text: `CPUWeight = 100`.
    var description: String { "\(name) = \(value.words)" }

    /// The property as an argument of a call.
    var argument: DBusValue { .structure([.string(name), .variant(value)]) }

    /// Several properties as an argument of a call.
    static func arguments(_ properties: [UnitProperty]) -> DBusValue {
        .array(of: "(sv)", properties.map(\.argument))
    }
}

extension DBusValue {
    /// The value as text; the highest number is systemd's infinity.
    fileprivate var words: String {
        switch self {
        case .byte(let number): "\(number)"
        case .boolean(let flag): flag ? "yes" : "no"
        case .int16(let number): "\(number)"
        case .uint16(let number): "\(number)"
        case .int32(let number): "\(number)"
        case .uint32(let number): "\(number)"
        case .int64(let number): "\(number)"
        case .uint64(let number): number == .max ? "infinity" : "\(number)"
        case .double(let number): "\(number)"
        case .string(let text), .objectPath(let text), .signature(let text): text
        case .array(_, let values): "[" + values.map(\.words).joined(separator: ", ") + "]"
        case .structure(let members): members.map(\.words).joined(separator: " ")
        case .entry(let key, let value): "\(key.words): \(value.words)"
        case .variant(let value): value.words
        }
    }
}
#endif
