// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import RuntimeSpec

extension CheckpointImage {
    /// Refuses a copy that would have something in common with others of its image, unless that is allowed.
    func checkSharing(_ spec: Spec, _ options: RestoreOptions) throws(ContainerError) {
        guard let allowed = options.sharing else { return }
        if !allowed.contains(.establishedTCP), !options.closesTCP,
            let name = try names().sorted().first(where: { $0.hasPrefix("tcp-stream-") })
        {
            throw Self.shared(
                "established TCP connections of the checkpoint (\(name))", "tcp",
                hint: "or --tcp-close, which restores them as closed")
        }
        if !allowed.contains(.externalSockets), options.connections.allowsExternalSockets {
            throw Self.shared("unix sockets connected to others than the container", "unix")
        }
        if !allowed.contains(.writableMounts) {
            for (index, mount) in (spec.mounts ?? []).enumerated() {
                let words = MountOptions(mount.options ?? [], type: mount.type)
                guard words.isBind, !words.bindAttributes.toSet.contains(.readOnly),
                    !words.recursiveAttributes.toSet.contains(.readOnly)
                else { continue }
                throw Self.shared(
                    "the bind mount on \(mount.destination), which can be written to", "mounts",
                    field: "mounts[\(index)]")
            }
        }
        guard !allowed.contains(.joinedNamespaces) else { return }
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated()
        where !(namespace.path ?? "").isEmpty {
            throw Self.shared(
                "the \(namespace.kind.rawValue) namespace that the config joins", "namespaces",
                field: "linux.namespaces[\(index)].path")
        }
    }

    private static func shared(
        _ what: String, _ name: String, field: String? = nil, hint: String? = nil
    ) -> ContainerError {
        ContainerError(
            .unsupported, "copies of one image would share \(what)", field: field,
            hint: ["--copy-shares \(name) allows it", hint].compactMap(\.self)
                .joined(separator: ", "))
    }
}
