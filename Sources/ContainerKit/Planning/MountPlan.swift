// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// The plan for the entries of `mounts`: the parent's preparations and the child's steps.
struct MountPlan {
    /// The parent's preparations, in order.
    var parentSteps: [PlannedParentStep] = []
    /// The child's steps, in order.
    var childSteps = StepList()
    /// Mounts that become read-only once their contents are made.
    var readOnlyLater: [(path: String, field: Origin)] = []
    /// Whether /dev shows nodes shared with others, as a bind mount or the kernel's own devtmpfs.
    ///
    /// The user decides what the config does with such nodes.
    private(set) var sharesDev = false

    /// Entries of `mounts` whose tree the child clones and whose IDs the parent maps.
    private(set) var mappedLater: [(field: Origin, bind: BindMount, map: MountIDMap)] = []
    /// Settings of the config that have no effect.
    private(set) var warnings: [String] = []
    /// The destinations of the mounts so far.
    private(set) var destinations: [String] = []
    let root: RootPath

    private let bundlePath: String
    let base: MountChange
    let cgroups: CgroupLayout
    /// How a process of the container enters its cgroups.
    let entry: CgroupEntry
    let mountLabel: String?
    /// The option of mount(2) for the label.
    private let labelOption: String
    /// The texts of links that are sources, by the index in `mounts`.
    private let sourceLinks: MountFacts<String>
    /// The modes of directories that a tmpfs covers, by the index in `mounts`.
    private let coveredModes: MountFacts<UInt16>
    /// The attributes that a bind mount keeps from its source's mount, by the index in `mounts`.
    private let sourceAttributes: MountFacts<MountAttributes>
    let namespaces: NamespacePlan
    let userNamespace: UserNamespacePlan?
    let rights: RuntimeRights
    /// Whether the host has only cgroup v2.
    let hasUnifiedCgroups: Bool
    /// The index of the next prepared tree that is not an entry of `mounts`.
    var nextTree: Int

    // `first` is the index of the first mount in the list that errors name.
    init(
        _ mounts: [Mount], from first: Int = 0, rootPath: String, propagation: MountChange,
        cgroups: CgroupLayout,
        entry: CgroupEntry = CgroupEntry(), namespaces: NamespacePlan,
        userNamespace: UserNamespacePlan?, mountLabel: String? = nil,
        facts: CreateFacts, further: [Mount] = []
    ) throws(SpecError) {
        root = RootPath(rootPath)
        bundlePath = facts.bundlePath
        rights = facts.host.rights
        hasUnifiedCgroups = facts.host.hasUnifiedCgroups || cgroups.isUnified
        base = propagation
        self.cgroups = cgroups
        self.entry = entry
        labelOption = facts.labelOption
        self.mountLabel = mountLabel.flatMap { $0.isEmpty ? nil : $0 }
        self.namespaces = namespaces
        self.userNamespace = userNamespace
        nextTree = first + mounts.count + further.count
        sourceLinks = facts.sourceLinks
        sourceAttributes = facts.sourceAttributes
        coveredModes = facts.coveredModes
        for (index, mount) in zip(first..., mounts) { try add(mount, index, "mounts[\(index)]") }
        for (index, mount) in zip((first + mounts.count)..., further) {
            try add(mount, index, .runtime)
        }
    }

    private mutating func add(_ mount: Mount, _ index: Int, _ field: Origin) throws(SpecError) {
        let options = MountOptions(mount.options ?? [], type: mount.type)
        let destination = root.destination(mount.destination)
        try Self.checkRoot(mount, options, destination, field)
        try Self.checkProc(mount, options, destination, field)
        if destination == "/dev", options.isBind || mount.type == "devtmpfs" { sharesDev = true }
        if options.isRemount { return try addRemount(mount, options, destination, field) }
        let idMap = try idMap(mount, options, field)
        if options.isBind {
            try addBind(mount, options, idMap, index, destination, field)
        } else if mount.type == "cgroup" || mount.type == "cgroup2" {
            try addCgroup(options, index, destination, field)
        } else {
            try addFilesystem(mount, options, idMap, index, destination, field)
        }
        destinations.append(destination)
    }

    /// Refuses a mount over the root: init would keep the root below it, while a process that joins
    /// its mount namespace would get the mount on top.
    private static func checkRoot(
        _ mount: Mount, _ options: MountOptions, _ destination: String, _ field: Origin
    ) throws(SpecError) {
        guard destination == "/", !options.isRemount else { return }
        throw SpecError(
            "\(field).destination",
            "\"\(mount.destination)\" is the container's root, which nothing can be mounted over "
                + "(root.path says what it is, root.readonly makes it read-only)")
    }

    /// The files of procfs that may be covered, because emulations such as lxcfs provide them.
    private static let coverableProcFiles = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
        "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
        "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
    ]

    /// Refuses other mounts in /proc, which would redirect the writing of security labels and
    /// sysctls.
    private static func checkProc(
        _ mount: Mount, _ options: MountOptions, _ destination: String, _ field: Origin
    ) throws(SpecError) {
        let problem: String
        if destination == "/proc" {
            let isProc =
                options.isBind ? (mount.source ?? "").rootedPath == "/proc" : mount.type == "proc"
            if isProc { return }
            problem = "it is not of type proc"
        } else {
            guard destination.begins(with: "/proc/"), !coverableProcFiles.contains(destination)
            else { return }
            problem = "it is inside /proc"
        }
        throw SpecError(
            "\(field).destination", "\"\(destination)\" cannot be mounted because \(problem)")
    }

    // MARK: Kinds of mount

    private mutating func addBind(
        _ mount: Mount, _ options: MountOptions, _ idMap: MountIDMap?, _ index: Int,
        _ destination: String, _ field: Origin
    ) throws(SpecError) {
        if options.copiesLink, options.keepsSourceLink || options.coversLink {
            throw SpecError(
                "\(field).options",
                "copy-symlink excludes src-nofollow and dest-nofollow: it mounts nothing over a link"
            )
        }
        if let target = sourceLinks[index] {
            return try addLinkCopy(target, destination, field)
        }
        // Spec: config.md, Mounts: a relative source is resolved against the bundle.
        let source = (mount.source ?? "").path(from: bundlePath)
        let place = placeInContainer(source)
        var changes = [base]
        var attributes = options.bindAttributes
        if place.map({ !isInEarlierMount($0) }) ?? true, let kept = sourceAttributes[index] {
            let (change, withoutEffect) = options.bindAttributes(keeping: kept)
            attributes = change
            if !withoutEffect.isEmpty {
                let words = String.joined(withoutEffect, by: ", ")
                let reason =
                    "the mount of the source has it otherwise, which a container in a user namespace "
                    + "may not change"
                // runc does the same, except that an ordinary user's engine requests `rw` for any
                // source.
                guard isUnprivileged else {
                    throw SpecError(
                        "\(field).options", "\(words): \(reason): operation not permitted")
                }
                warnings.append(
                    "\(field).options: \(words) has no effect on \(destination): \(reason)")
            }
        }
        if !attributes.isEmpty {
            changes.append(
                MountChange(
                    set: attributes.toSet, clear: attributes.toClear))
        }
        changes += Self.furtherChanges(options)
        // The host's cgroups are mounted below, and `ro` alone applies to the top mount only
        // (CVE-2023-25809).
        if isUnprivileged, options.isRecursiveBind, source.rootedPath == "/sys",
            attributes.toSet.contains(.readOnly)
        {
            changes.append(MountChange(set: .readOnly, recursive: true))
        }
        var bind = BindMount(
            index: index, source: source, recursive: options.isRecursiveBind, changes: changes,
            idMap: idMap, destination: destination)
        bind.followsLink = !options.keepsSourceLink
        if let place {
            childSteps.add(
                .mount(.cloneContainerTree(bind.tree(at: place), for: index)), from: field)
            if let idMap {
                mappedLater.append((field, bind, idMap))
                childSteps.add(.mount(.sendMountTree(index)), from: field)
                childSteps.add(.exchange(.waitForParent(.mountMapped)), from: field)
            }
        } else {
            parentSteps.append(PlannedParentStep(field, .mount(.bind(bind))))
        }
        childSteps.add(
            .mount(
                .attachMount(
                    index, at: destination,
                    kind: options.coversLink ? .likeSourceOverLink : .likeSource)), from: field)
    }

    private mutating func addLinkCopy(
        _ target: String, _ destination: String, _ field: Origin
    ) throws(SpecError) {
        let parts = destination.split(separator: "/")
        guard let name = parts.last else {
            throw SpecError("\(field).destination", "\"/\" cannot be made a link")
        }
        let directory = "/" + parts.dropLast().joined(separator: "/")
        childSteps.add(
            .file(
                .copyLink(directory: directory, SymbolicLink(name: String(name), target: target))),
            from: field)
    }

    private mutating func addFilesystem(
        _ mount: Mount, _ options: MountOptions, _ idMap: MountIDMap?, _ index: Int,
        _ destination: String, _ field: Origin
    ) throws(SpecError) {
        let type = mount.type ?? ""
        var options = options
        if let mode = coveredModes[index] {
            options.filesystemOptions.insert("mode=" + String(mode, radix: 8), at: 0)
        }
        // Devices and mount points inside must be made while the mount is writable.
        if type == "tmpfs" || destination == "/dev", options.takeReadOnly() {
            readOnlyLater.append((destination, field))
        }
        var filesystem = FilesystemMount(
            type: type, source: mount.source ?? type, destination: destination,
            attributes: options.attributes.toSet, changes: Self.furtherChanges(options),
            rootLabel: type == "mqueue" ? mountLabel : nil)
        let parameters = Self.parameters(options, type: type)
        if options.superblockFlags.contains(.inodeVersion) || parameters.contains(where: \.isLong) {
            guard idMap == nil, !options.copiesUp else {
                throw SpecError(
                    "\(field).options",
                    "iversion, or an option of more than 255 bytes, excludes tmpcopyup and mapped ids"
                )
            }
            filesystem.mountFlags =
                options.superblockFlags.union(options.attributes.toSet.mountFlags)
            filesystem.options = try oldOptions(options, type: type, field)
            childSteps.add(.mount(.mountFilesystem(filesystem)), from: field)
            return
        }
        filesystem.options =
            options.superblockFlags.fsconfigNames + parameters + labelOptions(type)
        if let idMap {
            guard !options.copiesUp else {
                throw SpecError("\(field).options", "tmpcopyup and mapped ids exclude each other")
            }
            attachPrepared(
                index, .mappedFilesystem(index, filesystem, idMap), destination, field)
        } else if options.copiesUp, type == "tmpfs" {
            filesystem.options = try outsideIDs(filesystem.options, field)
            attachPrepared(
                index,
                .copyIntoTmpfs(index, filesystem, owner: userNamespace?.maps, entry), destination,
                field)
        } else if let source = hostTree(for: type) {
            let attributes = MountChange(set: filesystem.attributes)
            let bind = BindMount(
                index: index, source: source.path, recursive: source.recursive,
                changes: [base, attributes] + source.changes, destination: destination)
            // The host's tree keeps its label.
            filesystem.rootLabel = nil
            parentSteps.append(PlannedParentStep(field, .mount(.bind(bind))))
            childSteps.add(.mount(.mountFilesystemOrAttach(filesystem, index)), from: field)
        } else {
            childSteps.add(.mount(.mountFilesystem(filesystem)), from: field)
        }
    }

    /// Changes an existing mount: with bind only the mount, otherwise its file system.
    private mutating func addRemount(
        _ mount: Mount, _ options: MountOptions, _ destination: String, _ field: Origin
    ) throws(SpecError) {
        guard !options.isBind else {
            let attributes = options.bindAttributes
            let change = MountChange(
                set: attributes.toSet, clear: attributes.toClear)
            childSteps.add(
                .mount(
                    .changeMount(
                        at: destination,
                        (attributes.isEmpty ? [] : [change]) + Self.furtherChanges(options))),
                from: field)
            return
        }
        var filesystem = FilesystemMount(
            type: mount.type ?? "", source: mount.source ?? "", destination: destination,
            options: try oldOptions(options, type: nil, field),
            changes: Self.furtherChanges(options))
        filesystem.mountFlags = options.superblockFlags.union(
            .remount | options.attributes.toSet.mountFlags)
        childSteps.add(.mount(.mountFilesystem(filesystem)), from: field)
    }

    private mutating func attachPrepared(
        _ index: Int, _ preparation: ParentMountStep, _ destination: String, _ field: Origin
    ) {
        parentSteps.append(PlannedParentStep(field, .mount(preparation)))
        childSteps.add(.mount(.attachMount(index, at: destination, kind: .directory)), from: field)
    }

    /// The SELinux context for all files of a mount, as with runc.
    ///
    /// procfs and sysfs have labels of their own. The kernel has already mounted the queues of an
    /// ipc namespace, so only their root directory can be labelled.
    func labelOptions(_ type: String) -> [String] {
        guard let mountLabel, !["proc", "sysfs", "mqueue"].contains(type) else { return [] }
        return ["\(labelOption)=\(mountLabel)"]
    }

    static func parameters(_ options: MountOptions, type: String) -> [String] {
        options.filesystemParameters(type: type).map { parameter in
            parameter.value.map { "\(parameter.key)=\($0)" } ?? parameter.key
        }
    }

    /// The options for mount(2): one text, which the kernel splits.
    ///
    /// Without a type the file system exists already, and has its label.
    private func oldOptions(_ options: MountOptions, type: String?, _ field: Origin)
        throws(SpecError) -> [String]
    {
        let label = (type.map(labelOptions) ?? []).map { option in
            // A level such as s0:c1,c2 contains a comma, so the label is quoted.
            option.replacingFirstEquals(with: "=\"") + "\""
        }
        let options = options.filesystemOptions + label
        let length = options.reduce(-1) { $0 + $1.utf8.count + 1 }
        guard length < 4096 else {
            throw SpecError(
                "\(field).options",
                "together they have \(length) bytes, and mount(2) takes no more than 4095")
        }
        return options
    }

    static func furtherChanges(_ options: MountOptions) -> [MountChange] {
        var changes: [MountChange] = []
        let recursive = options.recursiveAttributes
        if !recursive.isEmpty {
            changes.append(
                MountChange(
                    set: recursive.toSet, clear: recursive.toClear,
                    recursive: true))
        }
        for propagation in options.propagation {
            changes.append(
                MountChange(
                    recursive: propagation.isRecursive, propagation: propagation.kernelValue))
        }
        return changes
    }

    /// The steps that make mounts read-only after their contents are made.
    var readOnlySteps: StepList {
        var steps = StepList()
        for (path, field) in readOnlyLater { steps.add(.mount(.makeReadOnly(path)), from: field) }
        return steps
    }
}

extension String {
    fileprivate func replacingFirstEquals(with text: String) -> String {
        let key = prefix { $0 != "=" }
        return key + text + dropFirst(key.count + 1)
    }

    /// Whether fsconfig(2) refuses this option as too long: a value may have 255 bytes.
    fileprivate var isLong: Bool { utf8.count > 255 }
}

extension MountOptions {
    /// Removes the options that make the mount read-only; returns whether there were any.
    mutating func takeReadOnly() -> Bool {
        let isReadOnly =
            attributes.toSet.contains(.readOnly) || recursiveAttributes.toSet.contains(.readOnly)
        attributes.toSet = attributes.toSet.subtracting(.readOnly)
        recursiveAttributes.toSet = recursiveAttributes.toSet.subtracting(.readOnly)
        superblockFlags = superblockFlags.subtracting(.readOnly)
        return isReadOnly
    }
}
#endif
