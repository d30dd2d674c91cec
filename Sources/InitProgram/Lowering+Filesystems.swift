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
        func configure(
            _ command: Int, _ name: String, _ key: Operand, _ value: Operand, note: String? = nil
        ) {
            call(
                .fsconfig,
                [.cell(context), .named(command, name), key, value, .literal(0)], note: note)
        }
        configure(1, "FSCONFIG_SET_STRING", text("source"), text(source))
        for option in options {
            if let sign = option.utf8.firstIndex(of: UInt8(ascii: "=")) {
                let key = String(option[..<sign])
                let value = String(option[option.utf8.index(after: sign)...])
                configure(
                    1, "FSCONFIG_SET_STRING", text(key), text(value),
                    // context, fscontext, defcontext, rootcontext
                    note: key.ends(with: "context") ? Self.labelNote : nil)
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

    /// What fails in no other way than by a label that the policy does not know.
    static let labelNote = "unable to set a label of SELinux"

    /// procfs and sysfs go onto a real directory only: through a symbolic link an image could send
    /// them elsewhere and leave /proc to itself (CVE-2023-27561).
    mutating func mountFilesystem(
        _ mount: FilesystemMount, in root: Cell, instead: Cell? = nil
    ) -> Cell {
        // MS_REMOUNT: a link of the image could send it to a mount that is not meant.
        let isRemount = (mount.mountFlags ?? 0) & 32 != 0
        let isKernelTree = !isRemount && (mount.type == "proc" || mount.type == "sysfs")
        let linked = isKernelTree || isRemount ? nil : cell("linked")
        let target = resolveMaking(
            mount.destination, below: root, kind: .directory, source: nil,
            resolution: Resolution.noLinks,
            note: isKernelTree
                ? "filesystem \"\(mount.type)\" must be mounted on ordinary directory" : nil,
            linked: linked)
        if let flags = mount.mountFlags {
            let tree = mountInPlace(mount, flags, on: target, below: root)
            if let linked { refuseCoveredRoot(root, mount.destination, linked) }
            return tree
        }
        let tree = newFilesystem(
            mount.type, source: mount.source, options: mount.options, attributes: mount.attributes,
            instead: instead)
        for change in mount.changes { setAttributes(tree, change) }
        if let label = mount.rootLabel { setLabel(label, ofRootOf: tree) }
        moveMount(tree, onto: target)
        close(target)
        if let linked { refuseCoveredRoot(root, mount.destination, linked) }
        return tree
    }

    /// Mounts by mount(2), whose path is the working directory: the resolved mount point itself.
    ///
    /// It gives no descriptor. The mount is looked up again, as the root that it must be; whoever moves
    /// things about meanwhile gets attributes onto another mount of the container at most.
    private mutating func mountInPlace(
        _ mount: FilesystemMount, _ flags: UInt64, on target: Cell, below root: Cell
    ) -> Cell {
        call(.fchdir, [.cell(target)])
        close(target)
        let options = mount.options.joined(separator: ",")
        call(
            .mount,
            [
                text(mount.source), text("."), text(mount.type), Self.mountFlags(flags),
                options.isEmpty ? .literal(0) : text(options),
            ])
        let tree = cell("mount")
        let inner = mount.destination.rootedComponents.relativePath
        resolve(inner.isEmpty ? "." : inner, below: root, into: tree)
        let status = scratch()
        statx(.cell(tree), into: status)
        // stx_attributes, STATX_ATTR_MOUNT_ROOT
        let isRoot = skip(when: .memory(status + 8, mask: 0x2000, value: 0x2000))
        refuse("the new mount is not on \(mount.destination) any more")
        place(isRoot)
        for change in mount.changes { setAttributes(tree, change) }
        if let label = mount.rootLabel { setLabel(label, ofRootOf: tree) }
        return tree
    }

    /// Source: linux/mount.h.
    private static func mountFlags(_ flags: UInt64) -> Operand {
        let names: [(flag: UInt64, name: String)] = [
            (0x1, "RDONLY"), (0x2, "NOSUID"), (0x4, "NODEV"), (0x8, "NOEXEC"),
            (0x10, "SYNCHRONOUS"), (0x20, "REMOUNT"), (0x40, "MANDLOCK"), (0x80, "DIRSYNC"),
            (0x100, "NOSYMFOLLOW"), (0x400, "NOATIME"), (0x800, "NODIRATIME"),
            (0x8000, "SILENT"), (0x80_0000, "I_VERSION"), (0x100_0000, "STRICTATIME"),
            (0x200_0000, "LAZYTIME"),
        ]
        let words = names.filter { flags & $0.flag != 0 }.map { "MS_\($0.name)" }
        return words.isEmpty
            ? .literal(Int(flags)) : .named(Int(flags), words.joined(separator: "|"))
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
            note: Self.labelNote)
        call(.close, [.cell(root)])
    }
}
