// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// New instances of file systems: fsopen(2), fsconfig(2), fsmount(2).

extension Assembler {
    /// Opens, configures and creates a file system; returns the detached mount.
    ///
    /// If `instead` is given and the kernel refuses the file system (EPERM), that tree is used
    /// instead.
    mutating func newFilesystem(
        _ type: String, source: String, options: [String], attributes: MountAttributes,
        instead: Cell? = nil
    ) -> Cell {
        let context = cell("filesystem")
        let mount = cell("mount")
        let ignored: [Errno] = instead == nil ? [] : [.notPermitted]
        var refused: [Label] = []
        // Which of these calls is refused depends on the file system.
        func mayRefuse(_ result: Cell) {
            if instead != nil { refused.append(skip(when: .isNegative(result))) }
        }
        call(
            .fsopen, [text(type), .named(FilesystemOpenFlags.closeOnExec)], into: context,
            ignoring: ignored)
        mayRefuse(context)
        func configure(
            _ command: FilesystemCommand, _ key: Operand, _ value: Operand, note: String? = nil
        ) {
            call(
                .fsconfig, [.cell(context), .named(command), key, value, .literal(0)], note: note)
        }
        configure(.setString, text("source"), text(source))
        for option in options {
            if let sign = option.utf8.firstIndex(of: UInt8(ascii: "=")) {
                let key = String(option[..<sign])
                let value = String(option[option.utf8.index(after: sign)...])
                configure(
                    .setString, text(key), text(value),
                    // context, fscontext, defcontext, rootcontext
                    note: key.ends(with: "context") ? Self.labelNote : nil)
            } else {
                configure(.setFlag, text(option), .literal(0))
            }
        }
        let created = instead == nil ? nil : cell("created")
        call(
            .fsconfig,
            [
                .cell(context), .named(FilesystemCommand.create), .literal(0), .literal(0),
                .literal(0),
            ], into: created, ignoring: ignored)
        if let created { mayRefuse(created) }
        call(
            .fsmount,
            [.cell(context), .named(FilesystemMountFlags.closeOnExec), .named(attributes)],
            into: mount, ignoring: ignored)
        mayRefuse(mount)
        call(.close, [.cell(context)])
        guard let instead else { return mount }
        let made = skip(when: .always)
        for label in refused { place(label) }
        call(
            .fcntl, [.cell(instead), .named(FileCommand.duplicate), .literal(3)], into: mount)
        place(made)
        return mount
    }

    /// The note for calls that fail only if the policy does not know the label.
    static let labelNote = "unable to set a label of SELinux"

    /// Mounts a file system at its destination.
    ///
    /// procfs and sysfs are mounted on a real directory only: through a symbolic link, an image
    /// could move them elsewhere and keep a /proc of its own (CVE-2023-27561).
    mutating func mountFilesystem(
        _ mount: FilesystemMount, in root: Cell, instead: Cell? = nil
    ) -> Cell {
        // Through a link of the image, a remount could change another mount than the one meant.
        let isRemount = mount.mountFlags?.contains(.remount) ?? false
        let isKernelTree = !isRemount && (mount.type == "proc" || mount.type == "sysfs")
        let linked = isKernelTree || isRemount ? nil : cell("linked")
        let target = resolveMaking(
            mount.destination, below: root, kind: .directory, source: nil,
            resolution: .noLinks,
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

    /// Mounts by mount(2) on ".", after changing to the resolved mount point.
    ///
    /// mount(2) returns no descriptor, so the mount is looked up by its path again and must be the
    /// root of a mount. If a process moves mounts meanwhile, the attributes can at worst end up on
    /// another mount of the container.
    private mutating func mountInPlace(
        _ mount: FilesystemMount, _ flags: MountFlags, on target: Cell, below root: Cell
    ) -> Cell {
        call(.fchdir, [.cell(target)])
        close(target)
        let options = mount.options.joined(separator: ",")
        call(
            .mount,
            [
                text(mount.source), text("."), text(mount.type), .named(flags),
                options.isEmpty ? .literal(0) : text(options),
            ])
        let tree = cell("mount")
        let inner = mount.destination.rootedComponents.relativePath
        resolve(inner.isEmpty ? "." : inner, below: root, into: tree)
        let status = scratch()
        statx(.cell(tree), into: status)
        let isRoot = skip(when: .isMountRoot(status))
        refuse("the new mount is not on \(mount.destination) any more")
        place(isRoot)
        for change in mount.changes { setAttributes(tree, change) }
        if let label = mount.rootLabel { setLabel(label, ofRootOf: tree) }
        return tree
    }

    /// Kernel: xattr(7), security.selinux.
    private mutating func setLabel(_ label: String, ofRootOf tree: Cell) {
        let root = cell("mount-root")
        open(text("."), at: .cell(tree), .directory, into: root)
        let name = text("security.selinux")
        call(
            .fsetxattr,
            [.cell(root), name, text(label), .literal(label.utf8.count), .literal(0)],
            note: Self.labelNote)
        call(.close, [.cell(root)])
    }
}
#endif
