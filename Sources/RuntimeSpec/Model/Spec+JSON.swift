// SPDX-License-Identifier: Apache-2.0

extension Spec {
    /// Reads a config.json; only types and ranges are looked at, `check()` looks at the rules.
    ///
    /// Absent and `null` are the same; fields that the specification does not name are ignored.
    /// Throws every violation at once, each with its path. Spec: config.md.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: nil)
    }

    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: nil)
    }

    /// This configuration as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Process {
    /// Reads the process of `exec --process`; paths in errors begin with `process`.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: "process")
    }

    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "process")
    }

    /// This process as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Hooks {
    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "hooks")
    }

    /// These hooks as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Resources {
    /// Reads the resources of `update --resources`; paths in errors begin with `linux.resources`.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: "linux.resources")
    }

    /// Takes back what `encoded` gave.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "linux.resources")
    }

    /// These resources as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Linux {
    /// The namespace of `kind` that the configuration lists, if it does.
    public func namespace(_ kind: Namespace.Kind) -> Namespace? {
        namespaces?.first { $0.kind == kind }
    }
}
