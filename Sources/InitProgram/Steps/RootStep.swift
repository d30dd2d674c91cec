// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Steps that attach the root file system and enter it.
package enum RootStep: ChildStep {
    /// Cuts the new mount namespace off from the host's, so that no mount leaks out.
    case isolateMounts(private: Bool)
    /// Attaches the prepared root tree to the rootfs directory, a path of the host.
    case attachRootfs(hostPath: String)
    /// Checks that this process, root of a user namespace, has search permission on the root
    /// directory.
    case searchRootfs(hostUser: UInt32?)
    /// Uses "/" of the joined mount namespace as the root.
    case openRoot
    /// Changes the root to the prepared tree and drops the host's.
    ///
    /// Kernel: pivot_root(2).
    case enterRoot
    /// Unmounts the host's instances of procfs and sysfs at these mount points.
    ///
    /// If the host's tree stays hidden under the new root, the kernel would take them as a reason
    /// to let the container mount new instances without masks.
    case dropKernelTrees([String])
    /// Moves the root mount over `/`, on top of the host's tree, and changes the root.
    ///
    /// Kernel: mount(2) with MS_MOVE, chroot(2).
    case moveRoot
    /// Changes only the root directory; the mount namespace is the host's.
    ///
    /// Kernel: chroot(2).
    case changeRoot
    /// Changes the root directory to the one of the container's init, which the parent opened.
    ///
    /// Kernel: chroot(2).
    case enterRootOfInit
    /// Sets the propagation of the root mount.
    case setRootPropagation(MountPropagation)
}

extension RootStep {
    package var sentence: String {
        switch self {
        case .isolateMounts(let isPrivate):
            "make all mounts \(isPrivate ? "private" : "slaves of the host's"), recursively"
        case .attachRootfs(let path): "put the root tree onto \(path)"
        case .searchRootfs: "check that the container's root may search the root directory"
        case .openRoot: "use the root of the mount namespace"
        case .enterRoot: "enter the root and drop the host's"
        case .dropKernelTrees(let paths):
            "unmount the host's \(paths.joined(separator: ", "))"
        case .moveRoot: "move the root over the host's and enter it"
        case .changeRoot: "change the root directory"
        case .enterRootOfInit: "change the root directory to that of the container"
        case .setRootPropagation(let propagation): "make the root mount \(propagation.name)"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .attachRootfs: [.rootfsTree]
        case .enterRootOfInit: [.rootOfInit]
        case .isolateMounts, .searchRootfs, .openRoot, .enterRoot, .dropKernelTrees, .moveRoot,
            .changeRoot, .setRootPropagation:
            []
        }
    }

    /// Whether the root for resolving paths changes here.
    var opensRoot: Bool {
        switch self {
        case .attachRootfs, .openRoot, .enterRootOfInit: true
        case .isolateMounts, .searchRootfs, .enterRoot, .dropKernelTrees, .moveRoot, .changeRoot,
            .setRootPropagation:
            false
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool {
        switch self {
        case .searchRootfs, .enterRoot, .moveRoot, .changeRoot, .setRootPropagation: true
        case .isolateMounts, .attachRootfs, .openRoot, .dropKernelTrees, .enterRootOfInit: false
        }
    }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .isolateMounts(let isPrivate):
            code.isolateMounts(isPrivate)
            code.mountsAmongTheHosts = false
        case .attachRootfs(let path): state.openedRoot = code.attachRootfs(path)
        case .searchRootfs(let user): code.searchRootfs(state.root, user)
        case .openRoot: state.openedRoot = code.openDirectory("/", "root")
        case .enterRoot: code.enterRoot(state.root)
        case .dropKernelTrees(let paths): code.dropKernelTrees(paths)
        case .moveRoot: code.moveRoot(state.root)
        case .changeRoot: code.changeRoot(state.root)
        case .enterRootOfInit:
            let root = code.input(.rootOfInit)
            code.changeRoot(root)
            state.openedRoot = root
        case .setRootPropagation(let propagation):
            code.setAttributes(
                state.root,
                MountChange(
                    recursive: propagation.recursive, propagation: propagation.flag))
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("faccessat2", .permissionDenied):
            "give it to that user (chown), or let others search it (chmod o+x)"
        case ("openat", .permissionDenied): Refusal.searchHint
        case ("pivot_root", .invalidArgument):
            "if the runtime runs on the initial ramfs, --no-pivot is the way"
        default: refusal.mountHint
        }
    }
}

extension Assembler {
    fileprivate mutating func isolateMounts(_ isPrivate: Bool) {
        let none = Operand.literal(0)
        let flags: MountFlags = isPrivate ? .recursive | .private : .recursive | .slave
        call(.mount, [none, text("/"), none, .named(flags), none])
    }

    fileprivate mutating func attachRootfs(_ path: String) -> Cell {
        let root = input(.rootfsTree)
        let place = openDirectory(path, "rootfs-directory")
        moveMount(root, onto: place)
        return root
    }

    /// Without this check the first mount would fail with an error about its mount point.
    fileprivate mutating func searchRootfs(_ root: Cell, _ user: UInt32?) {
        let host = user.map { ", user \(Int($0).decimalText) of the host," } ?? ""
        call(
            .faccessat2, [.cell(root), text("."), .literal(0), .literal(0)],
            note: "the container's root\(host) may not search the root directory")
    }

    /// The old root ends up stacked on the new one, from where it is unmounted.
    ///
    /// Kernel: pivot_root(2).
    fileprivate mutating func enterRoot(_ root: Cell) {
        call(.fchdir, [.cell(root)])
        call(.pivotRoot, [text("."), text(".")])
        call(.umount2, [text("."), .named(UnmountFlags.detach)])
    }

    /// Only the root directory changes.
    fileprivate mutating func changeRoot(_ root: Cell) {
        call(.fchdir, [.cell(root)])
        call(.chroot, [text(".")])
    }

    /// Works like switch_root(8), for the initial ramfs, which pivot_root(2) cannot replace.
    fileprivate mutating func moveRoot(_ root: Cell) {
        let place = openDirectory("/", "old-root")
        moveMount(root, onto: place)
        changeRoot(root)
        call(.close, [.cell(place)])
    }

    /// Covers a mount that may not be unmounted (EINVAL if locked, EPERM).
    ///
    /// ENOENT: it was unmounted together with the mount around it.
    fileprivate mutating func dropKernelTrees(_ paths: [String]) {
        for path in paths {
            let result = cell("unmounted")
            call(
                .umount2,
                [text(path), .named(.detach | .noFollow as UnmountFlags)], into: result,
                ignoring: [
                    .invalidArgument, .notPermitted, .noSuchFileOrDirectory, .notDirectory,
                ])
            let isGone = skip(when: .isNotNegative(result))
            let place = cell("covered")
            open(
                text(path), .pathOnly | .noFollow, into: place,
                ignoring: [.noSuchFileOrDirectory, .notDirectory])
            let isMissing = skip(when: .isNegative(place))
            let empty = newFilesystem(
                "tmpfs", source: "tmpfs", options: ["nr_blocks=1", "nr_inodes=2", "mode=755"],
                attributes: .readOnly)
            moveMount(empty, onto: place)
            call(.close, [.cell(empty)])
            call(.close, [.cell(place)])
            self.place(isMissing)
            self.place(isGone)
        }
    }
}

extension SystemCall {
    static var chroot: SystemCall { SystemCall("chroot", __NR_chroot) }
    static var pivotRoot: SystemCall { SystemCall("pivot_root", __NR_pivot_root) }
}
#endif
