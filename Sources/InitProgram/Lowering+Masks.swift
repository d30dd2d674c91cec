// SPDX-License-Identifier: Apache-2.0

// Masked and read-only paths: what the container may see of them is attached over them.

extension Assembler {
    /// Files are hidden by the host's null device, directories by one empty tmpfs, both read-only.
    ///
    /// Both are attached in the old tree first, since only an attached mount can be cloned; the old
    /// tree goes away with `enterRoot`.
    mutating func maskPaths(_ paths: [String], _ label: String?, in root: Cell) {
        guard !paths.isEmpty else { return }
        let null = readOnlyNullDevice()
        // nr_inodes: one for the root directory, one to spare for kernels that count otherwise.
        let context = label.map { ["context=\($0)"] } ?? []
        let empty = newFilesystem(
            "tmpfs", source: "tmpfs",
            options: ["nr_blocks=1", "nr_inodes=2", "mode=755"] + context, attributes: 1)
        let oldProc = openDirectory("/proc", "old-proc")
        moveMount(empty, onto: oldProc)
        close(oldProc)
        let linked = cell("linked")
        for path in paths { maskPath(path, root, null: null, empty: empty, linked) }
        refuseCoveredRoot(root, "of a masked path", linked)
    }

    /// A mount of the host's null device, whose type and number are verified.
    ///
    /// No image can choose another node for it (CVE-2025-31133). It is read-only, or root in the
    /// container, who owns the host's node there without any capability, could change its mode for
    /// the host.
    private mutating func readOnlyNullDevice() -> Cell {
        let place = cell("null-device")
        call(
            .openat,
            [
                .named(-100, "AT_FDCWD"), text("/dev/null"),
                .named(Self.pathOnly | Self.noFollow, "O_PATH|O_NOFOLLOW|O_CLOEXEC"), .literal(0),
            ], into: place)
        let status = scratch()
        statx(.cell(place), into: status)
        for (offset, mask, value) in [(28, 0xf000, 0x2000), (128, -1, 1 | 3 << 32)] {
            let isNull = skip(when: .memory(status + offset, mask: mask, value: value))
            refuse("/dev/null of the host is not the null device (character device 1:3)")
            self.place(isNull)
        }
        let null = cloneTree(place)
        setAttributes(null, MountChange(set: 1))
        moveMount(null, onto: place)
        close(place)
        return null
    }

    /// Resolves a path, which may be missing; `linked` becomes other than 0 where it leads through a
    /// link.
    private mutating func resolveHidden(
        _ path: String, below root: Cell, into target: Cell, _ linked: Cell
    ) {
        let missing = [IgnoredErrno.noEntry, IgnoredErrno.notDirectory]
        resolve(
            path, below: root, into: target, resolution: Resolution.noLinks,
            ignoring: missing + [IgnoredErrno.loop])
        let isLinked = skip(when: .equals(target, -Int(IgnoredErrno.loop)))
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
        resolveHidden(path, below: root, into: target, linked)
        let missing = skip(when: .isNegative(target))
        statx(.cell(target), into: status)
        let isDirectory = skip(when: .memory(status + 28, mask: 0xf000, value: 0x4000))
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
            resolveHidden(path, below: root, into: target, linked)
            let missing = skip(when: .isNegative(target))
            let tree = cloneTree(target, recursive: true)
            setAttributes(tree, MountChange(set: 1))
            moveMount(tree, onto: target)
            close(tree)
            close(target)
            place(missing)
        }
        refuseCoveredRoot(root, "of a read-only path", linked)
    }
}
