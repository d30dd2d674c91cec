// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// Decodes a document with `read`, which takes JSON.
private func decoded<Document>(
    _ decoder: any Decoder, _ read: (JSONValue) throws(SpecDecodingError) -> Document
) throws -> Document {
    let value = try JSONValue(from: decoder)
    do throws(SpecDecodingError) {
        return try read(value)
    } catch {
        throw DecodingError.dataCorrupted(
            DecodingError.Context(
                codingPath: decoder.codingPath, debugDescription: "\(error)",
                underlyingError: error))
    }
}

extension Spec: Codable {
    /// Decodes a config in the form of config.json; `Bundle` checks the rules of the spec.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (value) throws(SpecDecodingError) in
            try Spec(encoded: value)
        }
    }

    /// Encodes the config in the form of config.json.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

extension State: Codable {
    /// Decodes a state in the form of runtime-spec.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (value) throws(SpecDecodingError) in
            try State(encoded: value)
        }
    }

    /// Encodes the state in the form of runtime-spec.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

extension Features: Codable {
    /// Decodes features in the form of runtime-spec.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (value) throws(SpecDecodingError) in
            try Features(encoded: value)
        }
    }

    /// Encodes the features in the form of runtime-spec.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

#if os(Linux)
extension Statistics: Codable {
    /// Decodes statistics with runc's keys.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (value) throws(SpecDecodingError) in
            try Statistics(encoded: value)
        }
    }

    /// Encodes the statistics with runc's keys.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}
#endif
