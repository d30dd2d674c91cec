// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The new and the joined namespaces of a container; all others are shared with the host.
struct NamespacePlan: Equatable, Sendable {
    /// The new namespaces.
    var new: NamespaceSet = []
    /// The joined namespaces with their paths, in the order in which setns must be called.
    var joined: [(kind: NamespaceKind, path: String, field: Origin)] = []
    /// The index of each kind in `linux.namespaces`.
    private var fields: [(kind: NamespaceKind, field: Origin)] = []

    /// The order of setns calls.
    ///
    /// The user namespace comes first, since it grants the rights for the others; the mount
    /// namespace comes last, since it changes the meaning of paths. Kernel: namespaces(7).
    private static let joinOrder: [NamespaceKind] = [
        .user, .ipc, .uts, .network, .pid, .cgroup, .time, .mount,
    ]

    /// - Parameters:
    ///   - namespaces: the namespaces of the config.
    ///   - own: a kind that the config joins although the runtime is already in that namespace.
    init(_ namespaces: [Namespace], alreadyIn own: NamespaceKind? = nil) {
        for (index, namespace) in namespaces.enumerated() {
            guard let kind = NamespaceKind(rawValue: namespace.kind.rawValue), kind != own else {
                continue
            }
            let field = Origin.config("linux.namespaces[\(index)]")
            fields.append((kind, field))
            if let path = namespace.path, !path.isEmpty {
                joined.append((kind, path, field))
            } else {
                new.insert(kind)
            }
        }
        joined.sort { one, other in
            Self.rank(one.kind) < Self.rank(other.kind)
        }
    }

    private static func rank(_ kind: NamespaceKind) -> Int {
        joinOrder.firstIndex(of: kind) ?? joinOrder.count
    }

    /// The field of the config that names `kind`.
    func field(of kind: NamespaceKind) -> Origin {
        fields.last { $0.kind == kind }?.field ?? "linux.namespaces"
    }

    /// Whether the container has a namespace of this kind apart from the host's.
    func isolates(_ kind: NamespaceKind) -> Bool {
        new.contains(kind) || joined.contains { $0.kind == kind }
    }

    func joins(_ kind: NamespaceKind) -> Bool {
        joined.contains { $0.kind == kind }
    }

    static func == (one: NamespacePlan, other: NamespacePlan) -> Bool {
        one.new == other.new && one.fields.elementsEqual(other.fields, by: ==)
            && one.joined.map(\.path) == other.joined.map(\.path)
    }
}
#endif
