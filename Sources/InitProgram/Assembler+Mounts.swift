// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// The rule of these files: the kernel never follows a path string inside the rootfs on its own. A
// path is resolved once, by openat2 with RESOLVE_IN_ROOT below the root tree's descriptor; from
// then on only descriptors are used. CVE-2019-19921, CVE-2021-30465, CVE-2025-31133 and similar
// ones all came from resolving a path twice.

extension Assembler {
    mutating func moveMount(
        _ tree: Cell, onto target: Cell, into result: Cell? = nil, ignoring: [Errno] = []
    ) {
        call(
            .moveMount,
            [
                .cell(tree), text(""), .cell(target), text(""),
                .named(.fromDescriptor | .toDescriptor as MoveMountFlags),
            ], into: result, ignoring: ignoring)
    }

    /// A detached copy of the mount (or subtree) at a descriptor.
    mutating func cloneTree(_ source: Cell, recursive: Bool = false) -> Cell {
        let tree = cell("clone")
        cloneTree(source, recursive: recursive, into: tree)
        return tree
    }

    mutating func cloneTree(_ source: Cell, recursive: Bool = false, into tree: Cell) {
        var flags: PathFlags = .cloneTree | .treeCloseOnExec | .emptyPath
        if recursive { flags |= .recursive }
        call(.openTree, [.cell(source), text(""), .named(flags)], into: tree)
    }

    mutating func setAttributes(_ tree: Cell, _ change: MountChange) {
        let attributes = words([
            UInt64(change.set.rawValue), UInt64(change.clear.rawValue),
            UInt64(change.propagation.rawValue), 0,
        ])
        let flags: PathFlags = change.recursive ? .emptyPath | .recursive : .emptyPath
        call(
            .mountSetattr,
            [
                .cell(tree), text(""), .named(flags), .address(attributes),
                .literal(StructureSize.mountAttributes),
            ])
    }
}
#endif
