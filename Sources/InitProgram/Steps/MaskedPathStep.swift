// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// Steps that hide or protect paths by mounts attached over them.
package enum MaskedPathStep: ChildStep {
    /// Masks paths; `label` is the SELinux context of the tmpfs that covers directories.
    ///
    /// A missing path is passed over (`resolveMasked`). Spec: config-linux.md, Masked Paths.
    case maskPaths([String], label: String?)
    /// Makes paths read-only.
    ///
    /// A missing path is passed over (`resolveMasked`). Spec: config-linux.md, Readonly Paths.
    case protectPaths([String])
}

extension MaskedPathStep {
    package var sentence: String {
        switch self {
        case .maskPaths(let paths, _): "mask \(paths.joined(separator: ", "))"
        case .protectPaths(let paths): "make read-only \(paths.joined(separator: ", "))"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .maskPaths, .protectPaths: []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool { true }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .maskPaths(let paths, let label):
            code.maskPaths(paths, label, in: state.root)
        case .protectPaths(let paths): code.protectPaths(paths, in: state.root)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    /// Hides files by the host's null device and directories by one empty tmpfs, both read-only.
    ///
    /// Both are attached in the old tree first, since only an attached mount can be cloned; the old
    /// tree is dropped by `enterRoot`.
    mutating func maskPaths(_ paths: [String], _ label: String?, in root: Cell) {
        guard !paths.isEmpty else { return }
        let null = readOnlyNullDevice()
        // nr_inodes: one for the root directory, one spare for kernels that count differently.
        let context = label.map { ["context=\($0)"] } ?? []
        let empty = newFilesystem(
            "tmpfs", source: "tmpfs",
            options: ["nr_blocks=1", "nr_inodes=2", "mode=755"] + context, attributes: .readOnly)
        let oldProc = openDirectory("/proc", "old-proc")
        moveMount(empty, onto: oldProc)
        close(oldProc)
        let linked = cell("linked")
        for path in paths { maskPath(path, root, null: null, empty: empty, linked) }
        refuseCoveredRoot(root, "of a masked path", linked)
    }

    /// A mount of the host's null device, whose type and number are verified.
    ///
    /// A device node of the image cannot take its place (CVE-2025-31133). It is read-only, because
    /// root in the container owns the host's node and could otherwise change its mode for the host.
    private mutating func readOnlyNullDevice() -> Cell {
        let place = cell("null-device")
        open(text("/dev/null"), .pathOnly | .noFollow, into: place)
        let status = scratch()
        statx(.cell(place), into: status)
        let conditions = Condition.ofMemoryDevice(status, 3)
        for index in conditions.indices {
            let isNull = skip(when: conditions[index])
            refuse("/dev/null of the host is not the null device (character device 1:3)")
            self.place(isNull)
        }
        let null = cloneTree(place)
        setAttributes(null, MountChange(set: .readOnly))
        moveMount(null, onto: place)
        close(place)
        return null
    }

    /// Resolves a path, which may be missing; `linked` becomes nonzero if it leads through a link.
    private mutating func resolveMasked(
        _ path: String, below root: Cell, into target: Cell, _ linked: Cell
    ) {
        let missing: [Errno] = [.noSuchFileOrDirectory, .notDirectory]
        resolve(
            path, below: root, into: target, resolution: .noLinks,
            ignoring: missing + [.tooManySymbolicLinkLevels])
        let isLinked = skip(when: .isError(target, .tooManySymbolicLinkLevels))
        let isDirect = skip(when: .always)
        place(isLinked)
        call(.getpid, [], into: linked)
        resolve(path, below: root, into: target, ignoring: missing)
        place(isDirect)
    }

    private mutating func maskPath(
        _ path: String, _ root: Cell, null: Cell, empty: Cell, _ linked: Cell
    ) {
        let target = cell("masked")
        let status = scratch()
        resolveMasked(path, below: root, into: target, linked)
        let missing = skip(when: .isNegative(target))
        statx(.cell(target), into: status)
        let isDirectory = skip(when: .isFile(status, .directory))
        let hidden = cell("mask")
        cloneTree(null, into: hidden)
        let isCloned = skip(when: .always)
        place(isDirectory)
        cloneTree(empty, into: hidden)
        place(isCloned)
        moveMount(hidden, onto: target)
        close(hidden)
        close(target)
        place(missing)
    }

    mutating func protectPaths(_ paths: [String], in root: Cell) {
        let linked = cell("linked")
        for path in paths {
            let target = cell("protected")
            resolveMasked(path, below: root, into: target, linked)
            let missing = skip(when: .isNegative(target))
            let tree = cloneTree(target, recursive: true)
            setAttributes(tree, MountChange(set: .readOnly))
            moveMount(tree, onto: target)
            close(tree)
            close(target)
            place(missing)
        }
        refuseCoveredRoot(root, "of a read-only path", linked)
    }
}
#endif
