// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// A bind mount that the parent prepares.
struct BindMount: Equatable, Sendable {
    /// The index in `mounts`.
    var index: Int
    /// The source, a path of the host.
    var source: String
    /// Whether the mounts below the source are bound too.
    var recursive: Bool
    /// Whether a link at the end of the source is followed; otherwise the link itself is bound.
    var followsLink = true
    /// Attribute and propagation changes, in order.
    var changes: [MountChange]
    /// The ID mapping of its files; nil for none.
    var idMap: MountIDMap?
    /// The destination, for error messages.
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
#endif
