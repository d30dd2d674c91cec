// SPDX-License-Identifier: Apache-2.0

internal import InitProgram

/// A bind mount as the parent prepares it.
struct BindMount: Equatable, Sendable {
    /// The index in `mounts`.
    var index: Int
    /// The source, a path of the host.
    var source: String
    /// Whether the mounts below the source come along.
    var recursive: Bool
    /// Whether a link at the end of the source is followed, or is itself what is bound.
    var followsLink = true
    /// Attribute and propagation changes, in order.
    var changes: [MountChange]
    /// How the ids of its files are mapped, if they are.
    var idMap: MountIDMap?
    /// Where it will go (for the error's text).
    var destination: String

    /// A bind mount to prepare.
    init(
        index: Int, source: String, recursive: Bool, changes: [MountChange],
        idMap: MountIDMap? = nil, destination: String
    ) {
        self.index = index
        self.source = source
        self.recursive = recursive
        self.changes = changes
        self.idMap = idMap
        self.destination = destination
    }
}
