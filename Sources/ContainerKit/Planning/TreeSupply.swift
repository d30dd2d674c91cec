// SPDX-License-Identifier: Apache-2.0

internal import InitProgram

/// How the trees that are prepared for mounts reach the child.
///
/// It inherits a few. Of many it gets each just before it attaches it, so that neither process ever
/// holds more of them than it may have descriptors.
struct TreeSupply {
    /// More than most containers have, and few enough for a process that may have two dozen descriptors.
    static let mostInherited = 4
    /// How many are sent in a row: for each the child would otherwise wait its turn of the processor.
    static let batch = 8

    /// What the parent does before the clone.
    private(set) var earlyParentSteps: [PlannedParentStep] = []
    /// What the parent does when the child is about to make its mounts, in the child's order.
    private(set) var lateParentSteps: [PlannedParentStep] = []
    /// What a child that prepares trees itself does before its first mount.
    private(set) var earlyChildSteps = StepList()
    /// The child's mounts, with what it does to get the trees.
    private(set) var mountSteps = StepList()

    /// - Parameters:
    ///   - mounts: the mounts and their preparations.
    ///   - unprivileged: the preparations as the child's own, where the runtime may not do them.
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
                PlannedParentStep(.runtime, .child(.release(.idsMapped))))
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

    /// In the child's order, and before it waits for anything else.
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

/// Preparations that wait for their turn.
private struct LateTrees {
    var parent: [InheritedDescriptor: PlannedParentStep] = [:]
    var child: [InheritedDescriptor: PlannedStep] = [:]
}

extension ParentStep {
    /// The descriptor that this step makes for a mount.
    fileprivate var preparedTree: InheritedDescriptor? {
        guard case .mount(let step) = self else { return nil }
        return step.provides.first
    }

    /// The tree, if the step may also be done once the child makes its mounts.
    ///
    /// A copy is one of what the image has, before anything is mounted there.
    fileprivate var lateTree: InheritedDescriptor? {
        if case .mount(.copyIntoTmpfs) = self { return nil }
        return preparedTree
    }
}

extension InitStep {
    /// The tree, if the step may also be done once the root is in its place.
    ///
    /// Below the rootfs the same path leads elsewhere by then.
    fileprivate func lateTree(_ root: RootPath) -> InheritedDescriptor? {
        guard case .mount(.cloneHostTree(let tree, let descriptor)) = self,
            !tree.path.parts(between: "/").contains(".."), root.inside(tree.path) == nil
        else { return nil }
        return descriptor
    }
}
