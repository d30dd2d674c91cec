// SPDX-License-Identifier: Apache-2.0

// New instances of file systems: fsopen(2), fsconfig(2), fsmount(2).

extension Assembler {
    /// Opens, configures and creates a file system; returns the detached mount.
    ///
    /// With `instead`, another tree takes its place where the kernel refuses the file system (EPERM).
    mutating func newFilesystem(
        _ type: String, source: String, options: [String], attributes: UInt64,
        instead: Cell? = nil
    ) -> Cell {
        let context = cell("filesystem")
        let mount = cell("mount")
        let ignored = instead == nil ? [] : [IgnoredErrno.permission]
        var refused: [Label] = []
        // Which of the calls refuses is each file system's own.
        func mayRefuse(_ result: Cell) {
            if instead != nil { refused.append(skip(when: .isNegative(result))) }
        }
        call(
            .fsopen, [text(type), .named(1, "FSOPEN_CLOEXEC")], into: context, ignoring: ignored)
        mayRefuse(context)
        func configure(_ command: Int, _ name: String, _ key: Operand, _ value: Operand) {
            call(
                .fsconfig,
                [.cell(context), .named(command, name), key, value, .literal(0)])
        }
        configure(1, "FSCONFIG_SET_STRING", text("source"), text(source))
        for option in options {
            let parts = option.split(separator: "=", maxSplits: 1)
            if parts.count == 2 {
                configure(1, "FSCONFIG_SET_STRING", text(String(parts[0])), text(String(parts[1])))
            } else {
                configure(0, "FSCONFIG_SET_FLAG", text(option), .literal(0))
            }
        }
        let created = instead == nil ? nil : cell("created")
        call(
            .fsconfig,
            [
                .cell(context), .named(6, "FSCONFIG_CMD_CREATE"), .literal(0), .literal(0),
                .literal(0),
            ], into: created, ignoring: ignored)
        if let created { mayRefuse(created) }
        call(
            .fsmount,
            [.cell(context), .named(1, "FSMOUNT_CLOEXEC"), .literal(Int(attributes))],
            into: mount, ignoring: ignored)
        mayRefuse(mount)
        call(.close, [.cell(context)])
        guard let instead else { return mount }
        let made = skip(when: .always)
        for label in refused { place(label) }
        call(
            .fcntl, [.cell(instead), .named(1030, "F_DUPFD_CLOEXEC"), .literal(3)], into: mount)
        place(made)
        return mount
    }

    /// procfs and sysfs go onto a real directory only: through a symbolic link an image could send
    /// them elsewhere and leave /proc to itself (CVE-2023-27561).
    mutating func mountFilesystem(
        _ mount: FilesystemMount, in root: Cell, instead: Cell? = nil
    ) -> Cell {
        let isKernelTree = mount.type == "proc" || mount.type == "sysfs"
        let target = resolveMaking(
            mount.destination, below: root, kind: .directory, source: nil,
            resolution: isKernelTree ? Resolution.noLinks : Resolution.inRoot,
            note: isKernelTree
                ? "filesystem \"\(mount.type)\" must be mounted on ordinary directory" : nil)
        let tree = newFilesystem(
            mount.type, source: mount.source, options: mount.options, attributes: mount.attributes,
            instead: instead)
        for change in mount.changes { setAttributes(tree, change) }
        if let label = mount.rootLabel { setLabel(label, ofRootOf: tree) }
        moveMount(tree, onto: target)
        return tree
    }

    /// Kernel: xattr(7), security.selinux.
    private mutating func setLabel(_ label: String, ofRootOf tree: Cell) {
        let root = cell("mount-root")
        call(
            .openat,
            [
                .cell(tree), text("."),
                .named(0o2_000_000 | Self.directory, "O_DIRECTORY|O_CLOEXEC"), .literal(0),
            ], into: root)
        let name = text("security.selinux")
        call(
            .fsetxattr,
            [.cell(root), name, text(label), .literal(label.utf8.count), .literal(0)],
            note: "unable to set the label \"\(label)\"")
        call(.close, [.cell(root)])
    }
}
