// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// Reads a document that `read` takes as text.
private func decoded<Document>(
    _ decoder: any Decoder, _ read: ([UInt8]) throws(SpecDecodingError) -> Document
) throws -> Document {
    let text = try JSONValue(from: decoder).encoded()
    do throws(SpecDecodingError) {
        return try read(text)
    } catch {
        throw DecodingError.dataCorrupted(
            DecodingError.Context(
                codingPath: decoder.codingPath, debugDescription: "\(error)",
                underlyingError: error))
    }
}

extension Spec: Codable {
    /// Reads a config, as config.json has it; the rules of the spec are checked by `Bundle`.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (text) throws(SpecDecodingError) in try Spec(json: text) }
    }

    /// Writes the config, as config.json has it.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

extension State: Codable {
    /// Reads a state, as the spec has it.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (text) throws(SpecDecodingError) in try State(json: text) }
    }

    /// Writes the state, as the spec has it.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

extension Features: Codable {
    /// Reads features, as the spec has them.
    public init(from decoder: any Decoder) throws {
        self = try decoded(decoder) { (text) throws(SpecDecodingError) in try Features(json: text) }
    }

    /// Writes the features, as the spec has them.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}

extension Statistics: Encodable {
    /// Writes the statistics, with runc's keys.
    public func encode(to encoder: any Encoder) throws { try encoded.encode(to: encoder) }
}
