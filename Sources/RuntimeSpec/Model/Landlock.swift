// SPDX-License-Identifier: Apache-2.0

/// Rules by which a container's processes give up access themselves.
///
/// The specification has no field for them yet: they stand as JSON text in an annotation, in the
/// shape that is proposed for the specification (opencontainers/runtime-spec, pull request 1241),
/// with ports and scopes in addition. A member that is none of these fields is refused, since a
/// misspelt one would leave access open.
///
/// Kernel: landlock(7).
public struct Landlock: Hashable, Sendable {
    /// What is denied unless a rule allows it.
    public var ruleset: Ruleset
    /// What is allowed of that.
    public var rules: Rules?
    /// Whether a kernel that lacks Landlock, or one of the rights, is an error; otherwise what it
    /// lacks is left out.
    public var disableBestEffort: Bool

    /// A value of the given fields.
    public init(ruleset: Ruleset, rules: Rules? = nil, disableBestEffort: Bool = false) {
        self.ruleset = ruleset
        self.rules = rules
        self.disableBestEffort = disableBestEffort
    }
}

extension Landlock: StrictSpecObject {
    static var blank: Landlock { Landlock(ruleset: .blank) }
    static var section: String { "landlock(7)" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("ruleset", &ruleset)
        visitor.optional("rules", &rules)
        visitor.defaulted("disableBestEffort", &disableBestEffort, absent: false)
    }
}

extension Landlock {
    /// What is denied unless a rule allows it.
    public struct Ruleset: Hashable, Sendable {
        /// Access to files.
        public var handledAccessFS: [FileAccess]?
        /// Use of TCP ports.
        public var handledAccessNet: [NetworkAccess]?
        /// What ends at the processes that are under the same rules; no rule allows it.
        public var scoped: [Scope]?

        /// A value of the given fields.
        public init(
            handledAccessFS: [FileAccess]? = nil, handledAccessNet: [NetworkAccess]? = nil,
            scoped: [Scope]? = nil
        ) {
            self.handledAccessFS = handledAccessFS
            self.handledAccessNet = handledAccessNet
            self.scoped = scoped
        }
    }

    /// What is allowed.
    public struct Rules: Hashable, Sendable {
        /// Access to files and to what is beneath directories.
        public var pathBeneath: [PathRule]?
        /// Use of ports.
        public var netPort: [PortRule]?

        /// A value of the given fields.
        public init(pathBeneath: [PathRule]? = nil, netPort: [PortRule]? = nil) {
            self.pathBeneath = pathBeneath
            self.netPort = netPort
        }
    }

    /// Access that is allowed to files, and beneath directories.
    public struct PathRule: Hashable, Sendable {
        /// What is allowed; a file gets those of these rights that files have.
        public var allowedAccess: [FileAccess]
        /// Absolute paths inside the container.
        public var paths: [String]
        /// Whether a path may be missing; it is then passed over.
        public var optional: Bool

        /// A value of the given fields.
        public init(allowedAccess: [FileAccess], paths: [String], optional: Bool = false) {
            self.allowedAccess = allowedAccess
            self.paths = paths
            self.optional = optional
        }
    }

    /// Use that is allowed of TCP ports.
    public struct PortRule: Hashable, Sendable {
        /// What is allowed.
        public var allowedAccess: [NetworkAccess]
        /// The ports; bound to port 0, a socket gets any free one.
        public var ports: [UInt16]

        /// A value of the given fields.
        public init(allowedAccess: [NetworkAccess], ports: [UInt16]) {
            self.allowedAccess = allowedAccess
            self.ports = ports
        }
    }
}

extension Landlock.Ruleset: StrictSpecObject {
    static var blank: Self { Self() }
    static var section: String { Landlock.section }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("handledAccessFS", &handledAccessFS)
        visitor.optional("handledAccessNet", &handledAccessNet)
        visitor.optional("scoped", &scoped)
    }
}

extension Landlock.Rules: StrictSpecObject {
    static var blank: Self { Self() }
    static var section: String { Landlock.section }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("pathBeneath", &pathBeneath)
        visitor.optional("netPort", &netPort)
    }
}

extension Landlock.PathRule: StrictSpecObject {
    static var blank: Self { Self(allowedAccess: [], paths: []) }
    static var section: String { Landlock.section }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("allowedAccess", &allowedAccess)
        visitor.required("paths", &paths)
        visitor.defaulted("optional", &optional, absent: false)
    }
}

extension Landlock.PortRule: StrictSpecObject {
    static var blank: Self { Self(allowedAccess: [], ports: []) }
    static var section: String { Landlock.section }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("allowedAccess", &allowedAccess)
        visitor.required("ports", &ports)
    }
}

// MARK: Words

extension Landlock {
    /// A kind of access to files.
    ///
    /// The words are those of the kernel's names: `LANDLOCK_ACCESS_FS_EXECUTE` is `execute`. To
    /// execute a file takes `read_file`, too.
    public enum FileAccess: String, CaseIterable, Equatable, Sendable {
        /// Executing a file.
        case execute
        /// Opening a file for writing.
        case writeFile = "write_file"
        /// Opening a file for reading.
        case readFile = "read_file"
        /// Opening a directory, or listing it.
        case readDirectory = "read_dir"
        /// Removing an empty directory, or renaming one.
        case removeDirectory = "remove_dir"
        /// Unlinking a file, or renaming one.
        case removeFile = "remove_file"
        /// Making a character device.
        case makeCharacterDevice = "make_char"
        /// Making a directory.
        case makeDirectory = "make_dir"
        /// Making a regular file.
        case makeRegularFile = "make_reg"
        /// Making a unix socket.
        case makeSocket = "make_sock"
        /// Making a named pipe.
        case makePipe = "make_fifo"
        /// Making a block device.
        case makeBlockDevice = "make_block"
        /// Making a symbolic link.
        case makeSymbolicLink = "make_sym"
        /// Linking or renaming a file from one directory to another.
        case refer
        /// Truncating a file.
        case truncate
        /// Commands to devices, by ioctl(2).
        case deviceCommand = "ioctl_dev"
    }

    /// A kind of use of a TCP port.
    public enum NetworkAccess: String, CaseIterable, Equatable, Sendable {
        /// Binding a socket to a local port.
        case bind = "bind_tcp"
        /// Connecting a socket to a remote port.
        case connect = "connect_tcp"
    }

    /// What ends at the processes under the same rules.
    public enum Scope: String, CaseIterable, Equatable, Sendable {
        /// Connecting to an abstract unix socket of others.
        case abstractSocket = "abstract_unix_socket"
        /// Sending a signal to others.
        case signal
    }
}

extension Landlock.FileAccess: Vocabulary {
    static var noun: String { "a right of Landlock to files" }
}

extension Landlock.NetworkAccess: Vocabulary {
    static var noun: String { "a right of Landlock to ports" }
}

extension Landlock.Scope: Vocabulary {
    static var noun: String { "a scope of Landlock" }
}

// MARK: Documents

extension Landlock {
    /// Reads rules and checks them.
    ///
    /// - Parameters:
    ///   - json: their JSON text.
    ///   - path: where the text stands, for errors: `annotations["org.swrunc.landlock"]`.
    /// - Throws: every violation.
    public init(json: [UInt8], at path: JSONPath = .root) throws(SpecDecodingError) {
        self = try Self.decodeDocument(json, at: path.description)
        var found: [SpecError] = []
        for rule in landlockRules { rule(self, path, &found) }
        if let errors = SpecErrors(found) { throw .fields(errors) }
    }

    /// These rules as JSON.
    public var encoded: JSONValue { encode() }
}
