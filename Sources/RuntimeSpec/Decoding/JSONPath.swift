// SPDX-License-Identifier: Apache-2.0

/// A place in a JSON document, written as `linux.namespaces[2].type`.
///
/// The path of the whole document is empty. A name with characters other than letters, digits, `_`
/// and `-` is quoted: `annotations["a.b"]`.
public struct JSONPath: Hashable, Sendable, CustomStringConvertible,
    ExpressibleByStringInterpolation
{
    /// The written path.
    public let description: String

    /// The path of the whole document.
    public static let root: JSONPath = ""

    /// A path from its written form, which is not checked.
    public init(stringLiteral value: String) {
        description = value
    }

    /// The path of the member `key` of the object at this path.
    public func appending(key: String) -> JSONPath {
        guard Self.isPlain(key) else { return "\(description)[\(quoted(key))]" }
        return description.isEmpty ? "\(key)" : "\(description).\(key)"
    }

    /// The path of the element `index`, counted from 0, of the array at this path.
    public func appending(index: Int) -> JSONPath {
        "\(description)[\(index)]"
    }

    private static func isPlain(_ key: String) -> Bool {
        !key.isEmpty
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// `text` in double quotes, escaped as JSON, so that it never spans lines in a message.
func quoted(_ text: String) -> String {
    String(decoding: JSONValue.string(text).encoded(), as: UTF8.self)
}
