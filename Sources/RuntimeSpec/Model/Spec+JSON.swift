// SPDX-License-Identifier: Apache-2.0

extension Spec {
    /// Reads a config.json; checks types and ranges only, `check()` checks the rules.
    ///
    /// Absent and `null` mean the same; fields that the specification does not name are ignored.
    /// Throws all violations at once, each with its path. Spec: config.md.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: nil)
    }

    /// Decodes the result of `encoded`.
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

    /// Decodes the result of `encoded`.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "process")
    }

    /// This process as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Hooks {
    /// Decodes the result of `encoded`.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "hooks")
    }

    /// These hooks as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Mount {
    /// Reads a list of mounts, or a single one; paths in errors begin with `mounts`.
    public static func list(json: [UInt8]) throws(SpecDecodingError) -> [Mount] {
        try decodeList(json, at: "mounts")
    }

    /// Decodes the result of `encoded`.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "mounts")
    }

    /// This mount as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension DeviceNode {
    /// Reads a list of devices, or a single one; paths in errors begin with `linux.devices`.
    public static func list(json: [UInt8]) throws(SpecDecodingError) -> [DeviceNode] {
        try decodeList(json, at: "linux.devices")
    }

    /// Decodes the result of `encoded`.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "linux.devices")
    }

    /// This device as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension SpecObject {
    /// Reads a list, or a single one of its elements; paths in errors begin with `path`.
    fileprivate static func decodeList(
        _ json: [UInt8], at path: String
    ) throws(SpecDecodingError) -> [Self] {
        var value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(json: json)
        } catch {
            throw .syntax(error)
        }
        if case .object = value { value = .array([value]) }
        var context = DecodingContext(section: section, startingAt: path)
        let elements = [Self].decode(value, &context)
        if let errors = SpecErrors(context.violations) {
            throw .fields(errors.naming(value, in: "\(path)"))
        }
        return elements ?? []
    }
}

extension Resources {
    /// Reads the resources of `update --resources`; paths in errors begin with `linux.resources`.
    public init(json: [UInt8]) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: "linux.resources")
    }

    /// Decodes the result of `encoded`.
    public init(encoded value: JSONValue) throws(SpecDecodingError) {
        self = try Self.decodeDocument(value, at: "linux.resources")
    }

    /// These resources as JSON; nil fields are left out, empty ones are kept.
    public var encoded: JSONValue { encode() }
}

extension Linux {
    /// The first namespace of `kind` that the configuration lists; nil if there is none.
    public func namespace(_ kind: Namespace.Kind) -> Namespace? {
        namespaces?.first { $0.kind == kind }
    }
}
