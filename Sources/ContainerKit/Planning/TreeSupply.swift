// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// How the trees prepared for mounts reach the child.
///
/// A few are inherited. If there are more, each is sent just before it is attached, so that neither
/// process needs many descriptors at a time.
struct TreeSupply {
    /// More than most containers have, but few enough for a process limited to two dozen
    /// descriptors.
    static let mostInherited = 4
    /// How many are sent in a row; otherwise the child would wait to be scheduled for each.
    static let batch = 8

    /// The parent's steps before the clone.
    private(set) var earlyParentSteps: [PlannedParentStep] = []
    /// The parent's steps when the child is about to mount, in the child's order.
    private(set) var lateParentSteps: [PlannedParentStep] = []
    /// The child's steps before its first mount, if the child prepares mount trees itself.
    private(set) var earlyChildSteps = StepList()
    /// The child's mounts, with the steps that obtain the trees.
    private(set) var mountSteps = StepList()

    /// - Parameters:
    ///   - mounts: the mounts and their preparations.
    ///   - unprivileged: the preparations as steps of the child, if the runtime may not do them.
    init(_ mounts: MountPlan, _ unprivileged: UnprivilegedMounts?) {
        var late = LateTrees()
        let preparations = unprivileged?.steps.steps.count ?? mounts.parentSteps.count
        let isMany = preparations > Self.mostInherited
        if let unprivileged {
            for planned in unprivileged.steps.steps {
                guard isMany, let tree = planned.step.lateTree(mounts.root) else {
                    earlyChildSteps.add(planned.step, from: planned.origin)
                    continue
                }
                late.child[tree] = planned
            }
        } else {
            for planned in mounts.parentSteps {
                guard isMany, let tree = planned.step.lateTree else {
                    earlyParentSteps.append(planned)
                    continue
                }
                late.parent[tree] = planned
            }
        }
        var pending: [(tree: InheritedDescriptor, planned: PlannedParentStep)] = []
        var mapped = mounts.mappedLater.makeIterator()
        for planned in mounts.childSteps.steps {
            for tree in planned.step.inputs {
                add(tree, late, &pending)
                if pending.count == Self.batch { send(&pending) }
            }
            mountSteps.add(planned.step, from: planned.origin)
            guard case .mount(.sendMountTree) = planned.step, let next = mapped.next() else {
                continue
            }
            send(&pending)
            lateParentSteps.append(
                PlannedParentStep(
                    next.field,
                    .mount(
                        .mapClonedTree(
                            next.bind.index, next.map, destination: next.bind.destination))))
            lateParentSteps.append(
                PlannedParentStep(.runtime, .child(.release(.mountMapped))))
        }
        send(&pending)
    }

    private mutating func add(
        _ tree: InheritedDescriptor, _ late: LateTrees,
        _ pending: inout [(tree: InheritedDescriptor, planned: PlannedParentStep)]
    ) {
        if let planned = late.child[tree] {
            mountSteps.add(planned.step, from: planned.origin)
        } else if let planned = late.parent[tree] {
            pending.append((tree, planned))
            mountSteps.add(.mount(.receiveMountTree(tree)), from: planned.origin)
        }
    }

    /// Sends the trees in the child's order, before the child waits for anything else.
    private mutating func send(
        _ pending: inout [(tree: InheritedDescriptor, planned: PlannedParentStep)]
    ) {
        lateParentSteps += pending.map(\.planned)
        lateParentSteps += pending.map {
            PlannedParentStep($0.planned.origin, .mount(.send($0.tree)))
        }
        pending.removeAll(keepingCapacity: true)
    }
}

/// Preparations that are done later.
private struct LateTrees {
    var parent = DescriptorTable<PlannedParentStep>()
    var child = DescriptorTable<PlannedStep>()
}

extension ParentStep {
    /// The descriptor of the tree that this step prepares for a mount.
    fileprivate var preparedTree: InheritedDescriptor? {
        guard case .mount(let step) = self else { return nil }
        return step.provides.first
    }

    /// The tree, if this step may also be done when the child makes its mounts.
    ///
    /// A tmpfs copy may not: it must read the image before anything is mounted.
    fileprivate var lateTree: InheritedDescriptor? {
        if case .mount(.copyIntoTmpfs) = self { return nil }
        return preparedTree
    }
}

extension InitStep {
    /// The tree, if this step may also be done after the root is attached.
    ///
    /// A path below the rootfs may not: it would then lead elsewhere.
    fileprivate func lateTree(_ root: RootPath) -> InheritedDescriptor? {
        guard case .mount(.cloneHostTree(let tree, let descriptor)) = self,
            !tree.path.parts(between: "/").contains(".."), root.inside(tree.path) == nil
        else { return nil }
        return descriptor
    }
}
#endif
