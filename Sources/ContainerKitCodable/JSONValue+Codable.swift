// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

extension JSONValue: Codable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) {
            self.stringValue = stringValue
        }

        init?(intValue: Int) {
            return nil
        }
    }

    /// Decodes any JSON value; integers stay exact, and members are sorted by name.
    public init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Name.self) {
            var object = JSONObject()
            // Decoders do not report the order of the members.
            for name in members.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) {
                object.append(
                    name.stringValue, try members.decode(JSONValue.self, forKey: name))
            }
            self = .object(object)
            return
        }
        if var elements = try? decoder.unkeyedContainer() {
            var list: [JSONValue] = []
            while !elements.isAtEnd { list.append(try elements.decode(JSONValue.self)) }
            self = .array(list)
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .bool(flag)
        } else if let number = try? value.decode(Int64.self) {
            self = .integer(number)
        } else if let number = try? value.decode(UInt64.self) {
            self = .unsigned(number)
        } else if let number = try? value.decode(Double.self) {
            self = .double(number)
        } else {
            self = .string(try value.decode(String.self))
        }
    }

    /// Encodes the value.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let object):
            var members = encoder.container(keyedBy: Name.self)
            for member in object.members {
                try members.encode(member.value, forKey: Name(stringValue: member.key))
            }
        case .array(let list):
            var elements = encoder.unkeyedContainer()
            for element in list { try elements.encode(element) }
        case .null: try encode(to: encoder) { try $0.encodeNil() }
        case .bool(let flag): try encode(to: encoder) { try $0.encode(flag) }
        case .integer(let number): try encode(to: encoder) { try $0.encode(number) }
        case .unsigned(let number): try encode(to: encoder) { try $0.encode(number) }
        case .double(let number): try encode(to: encoder) { try $0.encode(number) }
        case .string(let text): try encode(to: encoder) { try $0.encode(text) }
        }
    }

    private func encode(
        to encoder: any Encoder, _ body: (inout any SingleValueEncodingContainer) throws -> Void
    ) throws {
        var value = encoder.singleValueContainer()
        try body(&value)
    }
}
