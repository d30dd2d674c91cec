// SPDX-License-Identifier: Apache-2.0

/// The commands that run at points of a container's lifecycle, each list in order.
///
/// Spec: config.md, POSIX-platform Hooks.
public struct Hooks: Hashable, Sendable {
    /// Before the process starts, in the runtime's namespaces.
    ///
    /// Deprecated.
    public var prestart: [Hook]?
    /// In create, before the root changes, in the runtime's namespaces.
    public var createRuntime: [Hook]?
    /// In create, before the root changes, in the container's namespaces.
    public var createContainer: [Hook]?
    /// In start, before the process is executed, in the container's namespaces.
    public var startContainer: [Hook]?
    /// After the process started, in the runtime's namespaces.
    public var poststart: [Hook]?
    /// After the container was deleted, in the runtime's namespaces.
    public var poststop: [Hook]?

    /// A value of the given fields.
    public init(
        prestart: [Hook]? = nil, createRuntime: [Hook]? = nil, createContainer: [Hook]? = nil,
        startContainer: [Hook]? = nil, poststart: [Hook]? = nil, poststop: [Hook]? = nil
    ) {
        self.prestart = prestart
        self.createRuntime = createRuntime
        self.createContainer = createContainer
        self.startContainer = startContainer
        self.poststart = poststart
        self.poststop = poststop
    }
}

extension Hooks: SpecObject {
    static var blank: Hooks { Hooks() }
    static var section: String { "config.md, POSIX-platform Hooks" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("prestart", &prestart)
        visitor.optional("createRuntime", &createRuntime)
        visitor.optional("createContainer", &createContainer)
        visitor.optional("startContainer", &startContainer)
        visitor.optional("poststart", &poststart)
        visitor.optional("poststop", &poststop)
    }
}

/// A command that gets the state of the container on its standard input.
public struct Hook: Hashable, Sendable {
    /// The program, an absolute path.
    public var path: String
    /// The arguments, the program's name first; nil means the path alone.
    public var args: [String]?
    /// The environment, each entry as `NAME=value`; nil means the runtime's own, or for
    /// startContainer the one of the container's process.
    public var env: [String]?
    /// The number of seconds after which the hook is killed; nil means never.
    public var timeout: Int?

    /// A value of the given fields.
    public init(path: String, args: [String]? = nil, env: [String]? = nil, timeout: Int? = nil) {
        self.path = path
        self.args = args
        self.env = env
        self.timeout = timeout
    }
}

extension Hook: SpecObject {
    static var blank: Hook { Hook(path: "") }
    static var section: String { "config.md, POSIX-platform Hooks" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("path", &path)
        visitor.optional("args", &args)
        visitor.optional("env", &env)
        visitor.optional("timeout", &timeout)
    }
}
