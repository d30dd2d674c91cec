// SPDX-License-Identifier: Apache-2.0

/// A value of RFC 8259 text.
///
/// Integers stay exact: `integer` holds all that fit an `Int64`, `unsigned` only those above it. A
/// number with a fraction or an exponent, or an integer beyond `UInt64`, is a `double`.
public enum JSONValue: Hashable, Sendable {
    /// The literal `null`.
    case null
    /// The literals `true` and `false`.
    case bool(Bool)
    /// An integer that fits an `Int64`.
    case integer(Int64)
    /// An integer above `Int64.max` that fits a `UInt64`.
    case unsigned(UInt64)
    /// Any other number; always finite when read from text.
    case double(Double)
    /// A string of valid Unicode.
    case string(String)
    /// An ordered list.
    case array([JSONValue])
    /// Named members in the order of the text.
    case object(JSONObject)

    /// Reads one JSON text; anything but white space after the value is an error.
    ///
    /// A name that an object repeats keeps its last value, as Go does. Arrays and objects may be
    /// nested 128 deep. Source: RFC 8259.
    public init(json: [UInt8]) throws(JSONSyntaxError) {
        self = try JSONReader.read(json.span)
    }

    /// Reads one JSON text, of an object only the members before the one with this name: of the
    /// rest only the last bracket is looked at.
    package init(json: [UInt8], upTo name: String) throws(JSONSyntaxError) {
        self = try JSONReader.read(json.span, upTo: name)
    }

    /// This value as compact or pretty UTF-8 text, without a newline at the end.
    ///
    /// Pretty text has the shape of Go's `json.MarshalIndent` with two spaces; neither form escapes
    /// more than RFC 8259 demands. A `double` that is not finite is written as `null`.
    public func encoded(pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.write(self)
        return writer.bytes
    }

    /// What this value is, for messages: `a string`, `an array`.
    var noun: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .unsigned, .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
