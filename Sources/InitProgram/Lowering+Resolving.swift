// SPDX-License-Identifier: Apache-2.0

// Paths of the container become descriptors, and what is missing is made: see Lowering+Mounts for the rule.

/// How openat2 resolves.
///
/// Source: linux/openat2.h.
enum Resolution {
    /// RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS.
    static let inRoot = 0x12
    /// RESOLVE_NO_SYMLINKS besides.
    static let noLinks = 0x16
    /// RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_XDEV.
    static let beneath = 0x0f
    /// RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_XDEV: `self` of a procfs is a link.
    static let beneathThroughLinks = 0x0b
    /// The same without RESOLVE_NO_XDEV: a name of a directory, also one that is mounted over.
    static let name = 0x0e
}

extension Assembler {
    // MARK: Resolving

    static var pathOnly: Int { 0o12_000_000 }
    static var directory: Int {
        #if arch(arm64)
            0o40000
        #else
            0o200000
        #endif
    }
    static var noFollow: Int {
        #if arch(arm64)
            0o100000
        #else
            0o400000
        #endif
    }

    /// Resolves `path` below `root`.
    ///
    /// A walk that raced with a rename (EAGAIN) is tried again.
    mutating func resolve(
        _ path: String, below root: Cell, into result: Cell, flags: Int = pathOnly,
        resolution: Int = Resolution.inRoot, ignoring: [Int16] = [], note: String? = nil
    ) {
        let how = words([UInt64(flags), 0, UInt64(resolution)])
        call(
            .openat2, [.cell(root), text(path), .address(how), .literal(24)], into: result,
            ignoring: ignoring, retries: 128, note: note)
    }

    /// Opens a directory of the host (or of a joined mount namespace) by path.
    mutating func openDirectory(_ path: String, _ name: String) -> Cell {
        let cell = cell(name)
        call(
            .openat,
            [
                .named(-100, "AT_FDCWD"), text(path),
                .named(Self.pathOnly | Self.directory, "O_PATH|O_DIRECTORY|O_CLOEXEC"), .literal(0),
            ], into: cell)
        return cell
    }

    /// Resolves `path`, making what is missing: directories, and at the end a directory or an empty file,
    /// as `kind` and the source tree say.
    ///
    /// What is there still not to be found then is behind a link that leads to nothing.
    ///
    /// With `linked`, which becomes other than 0 where the path leads through a link, what such a path
    /// leads to is looked at. One that leads through none costs no call more.
    mutating func resolveMaking(
        _ path: String, below root: Cell, kind: MountPointKind, source: Cell?,
        resolution: Int = Resolution.inRoot, note: String? = nil, linked: Cell? = nil
    ) -> Cell {
        let parts = path.rootedComponents
        let target = cell("target")
        guard let last = parts.last else {
            resolve(".", below: root, into: target)
            return target
        }
        let whole = parts.relativePath
        let flags =
            kind == .likeSourceOverLink ? Self.pathOnly | Self.noFollow : Self.pathOnly
        let direct = linked == nil ? resolution : Resolution.noLinks
        let missing = [IgnoredErrno.noEntry] + (linked == nil ? [] : [IgnoredErrno.loop])
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
                prefix, below: root, into: directory, flags: Self.pathOnly | Self.directory,
                ignoring: [IgnoredErrno.noEntry])
            let present = skip(when: .isNotNegative(directory))
            call(
                .mkdirat, [.cell(parent), text(String(part)), .named(0o755, "0755")],
                ignoring: [IgnoredErrno.exists])
            resolve(
                prefix, below: root, into: directory, flags: Self.pathOnly | Self.directory,
                ignoring: [IgnoredErrno.noEntry])
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
                whole, below: root, into: target, flags: flags, ignoring: [IgnoredErrno.noEntry],
                note: note)
            isThere = skip(when: .isNotNegative(target))
        }
        askForMountPoint(whole, below: root, kind: kind, source: source)
        resolve(
            whole, below: root, into: target, flags: flags,
            resolution: linked == nil ? resolution : Resolution.inRoot, note: note)
        if let isThere {
            place(isThere)
            refuseKernelTree(target, path)
        }
        place(made)
        place(exists)
        return target
    }

    /// Security labels and sysctls are written through procfs, and the plan judges by the spelling: no
    /// link of the image takes a mount there.
    ///
    /// What is spelled as inside /proc is one of the files that may be covered (/proc/net is a link).
    private mutating func refuseKernelTree(_ target: Cell, _ path: String) {
        guard !path.begins(with: "/proc/") else { return }
        let statistics = scratch()
        call(.fstatfs, [.cell(target), .address(statistics)])
        // PROC_SUPER_MAGIC, SYSFS_MAGIC
        let kinds = path.begins(with: "/sys/") ? [0x9fa0] : [0x9fa0, 0x6265_6572]
        let refused = kinds.map {
            skip(when: .memory(statistics, mask: 0xffff_ffff, value: $0))
        }
        let isOther = skip(when: .always)
        for label in refused { place(label) }
        refuse("the destination \(path) leads into procfs or sysfs through a link")
        place(isOther)
    }

    /// Nothing is to be on the root, which init keeps while who joins its mount namespace gets what is
    /// on top: `..` of a root stays there, but for what is mounted on it.
    mutating func refuseCoveredRoot(_ root: Cell, _ path: String, _ linked: Cell) {
        let isDirect = skip(when: .equals(linked, 0))
        let top = cell("root-again")
        let note = "the destination \(path) leads to the container's root through a link"
        // RESOLVE_NO_XDEV, whose error is EXDEV.
        let onlyRoot = Resolution.inRoot | 1
        guard mountsAmongTheHosts else {
            resolve("..", below: root, into: top, resolution: onlyRoot, note: note)
            close(top)
            return place(isDirect)
        }
        // Nothing else would take it off again.
        let crossing = [IgnoredErrno.crossing]
        resolve("..", below: root, into: top, resolution: onlyRoot, ignoring: crossing)
        let isFree = skip(when: .isNotNegative(top))
        resolve("..", below: root, into: top)
        call(.fchdir, [.cell(top)])
        call(.umount2, [text("."), .named(2, "MNT_DETACH")])
        refuse(note)
        place(isFree)
        close(top)
        place(isDirect)
    }

    /// Lets the runtime make a mount point behind a link that leads to what is not there: nothing here
    /// can take apart what a link says.
    private mutating func askForMountPoint(
        _ path: String, below root: Cell, kind: MountPointKind, source: Cell?
    ) {
        let head = bytes([
            ChildEvent.mountPointMissing.rawValue, kind == .likeSourceOverLink ? 0 : 1,
        ])
        var mode = bytes([0x00, 0x40])
        if kind != .directory, let source {
            let status = scratch()
            statx(.cell(source), into: status)
            mode = status + 28
        }
        let answer = cell("answer")
        call(.eventfd2, [.literal(0), .named(0o2_000_000, "EFD_CLOEXEC")], into: answer)
        sendDescriptors(
            [root, answer],
            with: [
                (head, 2), (mode, MountPointRequest.pathOffset - 2),
                (textOffset(path), path.utf8.count),
            ], over: input(.rendezvous))
        waitForAnswer(answer)
        close(answer)
    }

    /// The rendezvous may have trees in it that come first, so the answer has a way of its own; that the
    /// runtime is gone is seen there.
    private mutating func waitForAnswer(_ answer: Cell) {
        // Two of struct pollfd: descriptor, POLLIN or nothing but POLLHUP, and what was found.
        let polled = words32([0, 1, 0, 0])
        copy(answer, to: polled, width: 4)
        copy(input(.rendezvous), to: polled + 8, width: 4)
        call(
            .ppoll,
            [.address(polled), .literal(2), .literal(0), .literal(0), .literal(8)], retries: 1000)
        let isAnswered = skip(when: .memory(polled, mask: 1 << 48, value: 1 << 48))
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
            let isDirectory = skip(when: .memory(status + 28, mask: 0xf000, value: 0x4000))
            call(
                .mknodat,
                [.cell(parent), text(name), .named(0o100644, "S_IFREG|0644"), .literal(0)],
                ignoring: [IgnoredErrno.exists])
            wasDirectory = skip(when: .always)
            place(isDirectory)
        }
        call(
            .mkdirat, [.cell(parent), text(name), .named(0o755, "0755")],
            ignoring: [IgnoredErrno.exists])
        if let wasDirectory { place(wasDirectory) }
    }
}
