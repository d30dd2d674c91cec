// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec

/// A resource that copies of one image would share.
struct SharedThing {
    let what: String
    /// The name for `--copy-shares`.
    let name: String
    let isAllowed: Bool
    var field: String?
    var hint: String?

    fileprivate var refusal: ContainerError {
        ContainerError(
            .unsupported, "copies of one image would share \(what)", field: field,
            hint: ["--copy-shares \(name) allows it", hint].compactMap(\.self)
                .joined(separator: ", "))
    }
}

extension CheckpointImage {
    /// Refuses a copy that would share resources with other copies of its image, unless that is
    /// allowed.
    func checkSharing(_ spec: Spec, _ options: RestoreOptions) throws(ContainerError) {
        if let thing = try sharedThings(spec, options).first(where: { !$0.isAllowed }) {
            throw thing.refusal
        }
    }

    /// The resources that a copy would share with others; empty if the restore is not a copy.
    func sharedThings(_ spec: Spec, _ options: RestoreOptions) throws(ContainerError)
        -> [SharedThing]
    {
        guard let allowed = options.sharing else { return [] }
        var found: [SharedThing] = []
        if !options.closesTCP,
            let name = try names().sorted().first(where: { $0.hasPrefix("tcp-stream-") })
        {
            found.append(
                SharedThing(
                    what: "established TCP connections of the checkpoint (\(name))", name: "tcp",
                    isAllowed: allowed.contains(.establishedTCP),
                    hint: "or --tcp-close, which restores them as closed"))
        }
        if options.connections.allowsExternalSockets {
            found.append(
                SharedThing(
                    what: "unix sockets connected to others than the container", name: "unix",
                    isAllowed: allowed.contains(.externalSockets)))
        }
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            let words = MountOptions(mount.options ?? [], type: mount.type)
            guard words.isBind, !words.bindAttributes.toSet.contains(.readOnly),
                !words.recursiveAttributes.toSet.contains(.readOnly)
            else { continue }
            found.append(
                SharedThing(
                    what: "the bind mount on \(mount.destination), which can be written to",
                    name: "mounts", isAllowed: allowed.contains(.writableMounts),
                    field: "mounts[\(index)]"))
        }
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated()
        where !(namespace.path ?? "").isEmpty {
            found.append(
                SharedThing(
                    what: "the \(namespace.kind.rawValue) namespace that the config joins",
                    name: "namespaces", isAllowed: allowed.contains(.joinedNamespaces),
                    field: "linux.namespaces[\(index)].path"))
        }
        return found
    }
}
#endif
