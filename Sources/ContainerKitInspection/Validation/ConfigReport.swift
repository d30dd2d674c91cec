// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit
public import RuntimeSpec
public import SystemPackage

/// Everything that is wrong with a config, in one go.
///
/// `create` and `run` stop at the first kind of error. A report goes on: fields of the wrong type,
/// the rules of the specification, what this runtime refuses, what this host cannot do, and fields
/// that have no effect.
public struct ConfigReport: Hashable, Sendable {
    /// One thing that is wrong, or probably not meant.
    public struct Finding: Hashable, Sendable {
        /// Who says so.
        public enum Kind: String, CaseIterable, Hashable, Sendable {
            /// The specification forbids it.
            case specification
            /// This runtime refuses it on every host.
            case runtime
            /// This host, or the rights of this process on it, do not allow it.
            case host
            /// The specification has no such field.
            case unknownField = "unknown-field"
            /// The specification advises against it.
            case deprecated
            /// It has no effect.
            case ignored
        }

        /// Whether the container can be created.
        public enum Severity: String, Hashable, Sendable {
            /// It cannot.
            case error
            /// It can, but probably not as it was meant.
            case warning
        }

        /// Who says so.
        public var kind: Kind
        /// Whether the container can be created.
        public var severity: Severity
        /// The field; the root path if it is the whole config, or the host as such.
        public var path: JSONPath
        /// The name of the list element that `path` leads into, such as the destination of a mount.
        public var subject: String?
        /// What is wrong.
        public var message: String
        /// The section of the specification on the field.
        public var section: SpecSection
        /// What to do about it.
        public var hint: String
    }

    /// The host that a config is checked for: this one, and how containers are made on it.
    public struct Host: Hashable, Sendable {
        /// Who makes the cgroups of containers.
        public var cgroupDriver: CgroupDriver
        /// Whether containers may be without a cgroup; nil decides by the user.
        public var rootless: Bool?

        /// This host.
        public init(cgroupDriver: CgroupDriver = .cgroupfs, rootless: Bool? = nil) {
            self.cgroupDriver = cgroupDriver
            self.rootless = rootless
        }
    }

    /// What was found, by kind, each kind in the order of the document and the rules.
    public let findings: [Finding]

    /// The findings that keep the container from being created.
    public var errors: [Finding] { findings.filter { $0.severity == .error } }
    /// The other findings.
    public var warnings: [Finding] { findings.filter { $0.severity == .warning } }

    /// Checks a config.
    ///
    /// - Parameters:
    ///   - json: the text of the config.
    ///   - bundle: the directory that relative paths of the config start from; nil leaves out what is
    ///     at such paths.
    ///   - host: the host to check it for; nil checks what holds on every host.
    /// - Throws: the first place where the text is not JSON.
    public init(
        json: [UInt8], bundle: FilePath? = nil, host: Host? = Host()
    ) throws(JSONSyntaxError) {
        self.init(document: try JSONValue(json: json), bundle: bundle, host: host)
    }

    /// Checks a config that has been read as JSON.
    public init(document: JSONValue, bundle: FilePath? = nil, host: Host? = Host()) {
        var collection = FindingCollection(document, bundle, host)
        collection.collect()
        findings = Finding.Kind.allCases.flatMap { kind in
            collection.findings.filter { $0.kind == kind }
        }
    }

    /// Whether there is no error; with `strict`, no finding at all.
    public func isClean(strict: Bool = false) -> Bool {
        strict ? findings.isEmpty : !findings.contains { $0.severity == .error }
    }

    /// The report with its warnings as errors.
    public var strict: ConfigReport {
        ConfigReport(
            findings: findings.map { finding in
                var finding = finding
                finding.severity = .error
                return finding
            })
    }

    private init(findings: [Finding]) {
        self.findings = findings
    }
}

/// The file of a config that a person has named.
public enum ConfigFile {
    /// The bytes of a regular file of at most 16 MiB.
    ///
    /// - Throws: `invalidArgument` for a directory, pipe, socket or device, which is never opened;
    ///   `systemCall` for a file that cannot be read.
    public static func bytes(at path: FilePath) throws(ContainerError) -> [UInt8] {
        try HostLook.config(at: path.string)
    }
}
#endif
