// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// How init enters its root file system.
enum RootEntry: Equatable, Sendable {
    /// By pivot_root(2): nothing of the host's tree stays in the mount namespace.
    case pivot
    /// By moving the root over the host's, which stays below it; `--no-pivot`.
    case move(kernelTrees: [String])
    /// By chroot(2) alone: without a mount namespace, all mounts are made among the host's.
    case change

    /// Refuses a config that is impossible, or would change the host.
    static func check(
        _ linux: Linux, _ namespaces: NamespacePlan, movesRoot: Bool
    ) throws(SpecError) {
        guard namespaces.isolates(.mount) else {
            if movesRoot {
                throw SpecError(
                    "linux.namespaces",
                    "unable to use no-pivot without a private MNT namespace")
            }
            if namespaces.isolates(.user) {
                throw SpecError(
                    "linux.namespaces",
                    "a user namespace has no rights over the host's mounts: it needs a mount "
                        + "namespace beside it")
            }
            return
        }
        guard movesRoot else { return }
        if namespaces.joins(.mount) {
            throw SpecError(
                "\(namespaces.field(of: .mount))",
                "--no-pivot is not possible in a mount namespace that is joined")
        }
        switch linux.rootfsPropagation {
        case .private, .recursivelyPrivate:
            throw SpecError(
                "linux.rootfsPropagation",
                "rootfsPropagation of [r]private is not safe without pivot_root")
        default: break
        }
    }

    /// Attaches the root tree at a path of the host.
    func addAttachment(
        to steps: inout StepList, rootPath: String, _ propagation: Linux.Propagation?
    ) {
        let isPrivate = propagation == .private || propagation == .recursivelyPrivate
        switch self {
        case .pivot:
            steps.add(.root(.isolateMounts(private: isPrivate)), from: "linux.rootfsPropagation")
            steps.add(.root(.attachRootfs(hostPath: rootPath)), from: "root.path")
        case .move(let trees):
            steps.add(.root(.isolateMounts(private: isPrivate)), from: "linux.rootfsPropagation")
            // Trees below the rootfs's path are dropped before the mount on it covers them; its
            // path then leads to the clone.
            let root = rootPath.rootedPath
            let covered = trees.filter { $0.isPath(within: root) }
            if !covered.isEmpty {
                steps.add(.root(.dropKernelTrees(covered.reversed())), from: .runtime)
            }
            steps.add(.root(.attachRootfs(hostPath: rootPath)), from: "root.path")
        case .change:
            steps.add(.root(.attachRootfs(hostPath: rootPath)), from: "root.path")
            // If the host's mount is shared, attaching the tree has made it shared, too.
            steps.add(
                .root(
                    .setRootPropagation(
                        MountPropagation(
                            flag: .private, recursive: true,
                            name: Linux.Propagation.recursivelyPrivate.rawValue))),
                from: "linux.rootfsPropagation")
        }
    }

    /// Changes the root, after all steps that use paths of the host.
    ///
    /// - Parameters:
    ///   - steps: the child's steps so far.
    ///   - rootPath: the rootfs, a path of the host.
    ///   - masksPaths: whether there are masks, whose empty tmpfs is attached to the host's /proc.
    func addEntry(to steps: inout StepList, rootPath: String, masksPaths: Bool) {
        switch self {
        case .pivot: steps.add(.root(.enterRoot), from: "root.path")
        case .move(let trees):
            let root = rootPath.rootedPath
            var others = trees.filter { !$0.isPath(within: root) }
            if masksPaths { others.append("/proc") }
            if !others.isEmpty {
                steps.add(.root(.dropKernelTrees(others.reversed())), from: .runtime)
            }
            steps.add(.root(.moveRoot), from: "root.path")
        case .change: steps.add(.root(.changeRoot), from: "root.path")
        }
    }
}
#endif
