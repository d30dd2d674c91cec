// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Resolves paths of the container to descriptors, and makes what is missing. Assembler+Mounts has
// the rule.

extension Assembler {
    // MARK: Resolving

    /// Resolves `path` below `root`.
    ///
    /// A resolution that raced with a rename (EAGAIN) is repeated.
    mutating func resolve(
        _ path: String, below root: Cell, into result: Cell, flags: OpenFlags = .pathOnly,
        resolution: Resolution = .inRoot, ignoring: [Errno] = [], note: String? = nil
    ) {
        let how = words([
            UInt64(flags.union(.closeOnExec).rawValue), 0, UInt64(resolution.rawValue),
        ])
        call(
            .openat2,
            [.cell(root), text(path), .address(how), .literal(StructureSize.openHow)],
            into: result, ignoring: ignoring, retries: 128, note: note)
    }

    /// Opens a path, or a name in the directory of a descriptor; always close-on-exec.
    mutating func open(
        _ path: Operand, at directory: Operand = .named(DirectoryDescriptor.current),
        _ flags: OpenFlags, into result: Cell?, ignoring: [Errno] = [], note: String? = nil
    ) {
        call(
            .openat, [directory, path, .named(flags.union(.closeOnExec)), .literal(0)],
            into: result, ignoring: ignoring, note: note)
    }

    /// Opens a directory by its path on the host, or in a joined mount namespace.
    mutating func openDirectory(_ path: String, _ name: String) -> Cell {
        let cell = cell(name)
        open(text(path), .pathOnly | .directory, into: cell)
        return cell
    }

    /// Resolves `path` and makes what is missing: directories, and last a directory or an empty
    /// file, as `kind` and the source tree say.
    ///
    /// If the path cannot be resolved even then, it leads through a dangling link.
    ///
    /// `linked`, if given, becomes nonzero if the path leads through a link; the target is then
    /// checked. A path without links costs no further call.
    mutating func resolveMaking(
        _ path: String, below root: Cell, kind: MountPointKind, source: Cell?,
        resolution: Resolution = .inRoot, note: String? = nil, linked: Cell? = nil
    ) -> Cell {
        let parts = path.rootedComponents
        let target = cell("target")
        guard let last = parts.last else {
            resolve(".", below: root, into: target)
            return target
        }
        let whole = parts.relativePath
        let flags: OpenFlags =
            kind == .likeSourceOverLink ? .pathOnly | .noFollow : .pathOnly
        let direct = linked == nil ? resolution : .noLinks
        let missing: [Errno] =
            linked == nil
            ? [.noSuchFileOrDirectory] : [.noSuchFileOrDirectory, .tooManySymbolicLinkLevels]
        resolve(
            whole, below: root, into: target, flags: flags, resolution: direct,
            ignoring: missing, note: note)
        let exists = skip(when: .isNotNegative(target))
        var parent = root
        var prefix = ""
        var dangling: [Label] = []
        for part in parts.dropLast() {
            if !prefix.isEmpty { prefix += "/" }
            prefix += String(part)
            let directory = cell("directory")
            resolve(
                prefix, below: root, into: directory, flags: .pathOnly | .directory,
                ignoring: [.noSuchFileOrDirectory])
            let present = skip(when: .isNotNegative(directory))
            call(
                .mkdirat, [.cell(parent), text(String(part)), .named(FileMode(0o755))],
                ignoring: [.fileExists])
            resolve(
                prefix, below: root, into: directory, flags: .pathOnly | .directory,
                ignoring: [.noSuchFileOrDirectory])
            place(present)
            if parent != root { close(parent) }
            dangling.append(skip(when: .isNegative(directory)))
            parent = directory
        }
        makeMountPoint(String(last), in: parent, kind: kind, source: source)
        if parent != root { close(parent) }
        resolve(
            whole, below: root, into: target, flags: flags, resolution: direct,
            ignoring: missing, note: note)
        let made = skip(when: .isNotNegative(target))
        for label in dangling { place(label) }
        var isThere: Label?
        if let linked {
            call(.getpid, [], into: linked)
            resolve(
                whole, below: root, into: target, flags: flags, ignoring: [.noSuchFileOrDirectory],
                note: note)
            isThere = skip(when: .isNotNegative(target))
        }
        askForMountPoint(whole, below: root, kind: kind, source: source)
        resolve(
            whole, below: root, into: target, flags: flags,
            resolution: linked == nil ? resolution : .inRoot, note: note)
        if let isThere {
            place(isThere)
            refuseKernelTree(target, path)
        }
        place(made)
        place(exists)
        return target
    }

    /// Refuses a mount whose destination leads through a link into procfs or sysfs.
    ///
    /// Security labels and sysctls are written through procfs, and the plan judges destinations by
    /// their text, so no link of the image may lead a mount there. A path written as below /proc is
    /// exempt: it was checked as one of the files that may be covered (/proc/net is a link).
    private mutating func refuseKernelTree(_ target: Cell, _ path: String) {
        guard !path.begins(with: "/proc/") else { return }
        let statistics = scratch()
        call(.fstatfs, [.cell(target), .address(statistics)])
        let isProc = skip(when: .isFilesystem(statistics, .proc))
        let isBelowSys = path.begins(with: "/sys/")
        let isSysfs = isBelowSys ? nil : skip(when: .isFilesystem(statistics, .sysfs))
        let isOther = skip(when: .always)
        place(isProc)
        if let isSysfs { place(isSysfs) }
        refuse("the destination \(path) leads into procfs or sysfs through a link")
        place(isOther)
    }

    /// Refuses a mount that has covered the root itself.
    ///
    /// Init would keep the root below it, while a process that joins the mount namespace gets the
    /// mount on top. The check: `..` of the root is the root itself, unless another mount covers
    /// it.
    mutating func refuseCoveredRoot(_ root: Cell, _ path: String, _ linked: Cell) {
        let isDirect = skip(when: .equals(linked, 0))
        let top = cell("root-again")
        let note = "the destination \(path) leads to the container's root through a link"
        let onlyRoot: Resolution = .inRoot | .noCrossing
        guard mountsAmongTheHosts else {
            resolve("..", below: root, into: top, resolution: onlyRoot, note: note)
            close(top)
            return place(isDirect)
        }
        // In the host's mount namespace nobody else would unmount it.
        resolve(
            "..", below: root, into: top, resolution: onlyRoot, ignoring: [.improperLink])
        let isFree = skip(when: .isNotNegative(top))
        resolve("..", below: root, into: top)
        call(.fchdir, [.cell(top)])
        call(.umount2, [text("."), .named(UnmountFlags.detach)])
        refuse(note)
        place(isFree)
        close(top)
        place(isDirect)
    }

    /// Asks the runtime to make a mount point behind a dangling link.
    ///
    /// A program of the machine cannot parse the text of a link.
    private mutating func askForMountPoint(
        _ path: String, below root: Cell, kind: MountPointKind, source: Cell?
    ) {
        let head = bytes([
            ChildEvent.mountPointMissing.rawValue, kind == .likeSourceOverLink ? 0 : 1,
        ])
        let directory = UInt16(FileKind.directory.rawValue)
        var mode = bytes([UInt8(truncatingIfNeeded: directory), UInt8(directory >> 8)])
        if kind != .directory, let source {
            let status = scratch()
            statx(.cell(source), into: status)
            mode = status + StatusLayout.mode
        }
        let answer = cell("answer")
        call(.eventfd2, [.literal(0), .named(EventCounterFlags.closeOnExec)], into: answer)
        sendDescriptors(
            [root, answer],
            with: [
                (head, 2), (mode, MountPointRequest.pathOffset - 2),
                (textOffset(path), path.utf8.count),
            ], over: input(.rendezvous))
        waitForAnswer(answer)
        close(answer)
    }

    /// Waits for the runtime's answer.
    ///
    /// The rendezvous may hold trees that were sent earlier, so the answer comes by an eventfd; the
    /// rendezvous only shows if the runtime has ended.
    private mutating func waitForAnswer(_ answer: Cell) {
        // poll(2) always reports that the other end is closed.
        let polled = pollEntries(answer, .readable, input(.rendezvous), .empty)
        poll(polled)
        let isAnswered = skip(when: .isReadable(polled))
        call(.exitGroup, [.literal(0)])
        place(isAnswered)
    }

    private mutating func makeMountPoint(
        _ name: String, in parent: Cell, kind: MountPointKind, source: Cell?
    ) {
        var wasDirectory: Label?
        if kind != .directory, let source {
            let status = scratch()
            statx(.cell(source), into: status)
            let isDirectory = skip(when: .isFile(status, .directory))
            call(
                .mknodat,
                [
                    .cell(parent), text(name), .named(FileMode(.regular, 0o644)), .literal(0),
                ],
                ignoring: [.fileExists])
            wasDirectory = skip(when: .always)
            place(isDirectory)
        }
        call(
            .mkdirat, [.cell(parent), text(name), .named(FileMode(0o755))],
            ignoring: [.fileExists])
        if let wasDirectory { place(wasDirectory) }
    }
}
#endif
