// SPDX-License-Identifier: Apache-2.0

extension State {
    /// Reads a state, such as one that `state` printed.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: nil)
    }

    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: nil)
    }

    /// This state as JSON, in the order in which runc prints it.
    public var encoded: JSONValue { encode() }
}

extension ContainerProcessState {
    /// This message as JSON.
    public var encoded: JSONValue { encode() }
}

extension Features {
    /// Reads features, such as those that `features` printed.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: nil)
    }

    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: nil)
    }

    /// These features as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}
