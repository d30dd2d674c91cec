// SPDX-License-Identifier: Apache-2.0

/// The state of a container, as `state` prints it and hooks read it.
///
/// runc adds the fields that are marked as additions; they are left out if nil. Spec: runtime.md,
/// State.
public struct State: Hashable, Sendable {
    /// The version of the specification that the state follows.
    public var ociVersion: String
    /// The container's ID.
    public var id: String
    /// The process ID of the container's process; 0 if there is none.
    public var pid: Int
    /// Where the container is in its lifecycle.
    public var status: Status
    /// The absolute path of the bundle.
    public var bundle: String
    /// The absolute path of the root filesystem.
    ///
    /// An addition of runc.
    public var rootfs: String?
    /// When the container was created, as RFC 3339 text.
    ///
    /// An addition of runc.
    public var created: String?
    /// The annotations of the configuration.
    public var annotations: [String: String]?
    /// The name of the user who owns the container.
    ///
    /// An addition of runc.
    public var owner: String?

    /// A value of the given fields.
    public init(
        ociVersion: String, id: String, pid: Int, status: Status, bundle: String,
        rootfs: String? = nil, created: String? = nil, annotations: [String: String]? = nil,
        owner: String? = nil
    ) {
        self.ociVersion = ociVersion
        self.id = id
        self.pid = pid
        self.status = status
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.annotations = annotations
        self.owner = owner
    }
}

extension State: SpecObject {
    static var blank: State { State(ociVersion: "", id: "", pid: 0, status: .creating, bundle: "") }
    static var section: String { "runtime.md, State" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("ociVersion", &ociVersion)
        visitor.required("id", &id)
        visitor.required("pid", &pid)
        visitor.required("status", &status)
        visitor.required("bundle", &bundle)
        visitor.optional("rootfs", &rootfs)
        visitor.optional("created", &created)
        visitor.optional("annotations", &annotations)
        visitor.optional("owner", &owner)
    }
}

extension State {
    /// Where a container is in its lifecycle.
    public enum Status: String, CaseIterable, Equatable, Sendable {
        /// The container is being created.
        case creating
        /// The container waits for start.
        case created
        /// The process runs.
        case running
        /// The processes are frozen.
        ///
        /// An addition of runc.
        case paused
        /// The process exited.
        case stopped
    }
}

extension State.Status: Vocabulary {
    static var noun: String { "a container status" }
}

/// The message that a seccomp listener gets together with the notify descriptor.
///
/// Spec: config-linux.md, The Container Process State.
public struct ContainerProcessState: Hashable, Sendable {
    /// The version of the specification that the message follows.
    public var ociVersion: String
    /// The names of the descriptors sent along, in order.
    public var fds: [String]?
    /// The process ID of the filtered process, as the runtime sees it.
    public var pid: Int
    /// The configuration's `listenerMetadata`.
    public var metadata: String?
    /// The state of the container.
    public var state: State

    /// A value of the given fields.
    public init(
        ociVersion: String, fds: [String]? = nil, pid: Int, metadata: String? = nil, state: State
    ) {
        self.ociVersion = ociVersion
        self.fds = fds
        self.pid = pid
        self.metadata = metadata
        self.state = state
    }
}

extension ContainerProcessState: SpecObject {
    static var blank: ContainerProcessState {
        ContainerProcessState(ociVersion: "", pid: 0, state: .blank)
    }
    static var section: String { "config-linux.md, The Container Process State" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("ociVersion", &ociVersion)
        visitor.optional("fds", &fds)
        visitor.required("pid", &pid)
        visitor.optional("metadata", &metadata)
        visitor.required("state", &state)
    }
}
