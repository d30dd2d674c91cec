// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// The parent's preparation of trees as steps of the child, for a runtime without the rights.
///
/// In its user and mount namespace the child may clone what its user can reach. It cannot map IDs,
/// nor fill a tmpfs with a copy.
struct UnprivilegedMounts {
    private(set) var steps = StepList()

    init(_ mounts: MountPlan) throws(SpecError) {
        if let mapped = mounts.mappedLater.first { throw Self.mapsNoIDs(mapped.field) }
        for planned in mounts.parentSteps {
            guard case .mount(let step) = planned.step else { continue }
            let tree = try Self.tree(step, planned.origin)
            for descriptor in step.provides {
                steps.add(.mount(.cloneHostTree(tree, for: descriptor)), from: planned.origin)
            }
        }
    }

    private static func tree(_ step: ParentMountStep, _ origin: Origin) throws(SpecError)
        -> HostTree
    {
        switch step {
        case .bind(let bind) where bind.idMap == nil:
            return HostTree(
                path: bind.source, recursive: bind.recursive, followsLink: bind.followsLink,
                changes: bind.changes)
        case .hostDevice(_, let path, let device):
            return HostTree(
                path: path, kind: .device(device), changes: [MountChange.ofAttached(device)])
        case .cgroupDirectory(_, _, let path, let readOnly):
            return HostTree(
                path: path, changes: [MountChange.ofCgroupMount(readOnly: readOnly)])
        case .copyIntoTmpfs:
            throw SpecError(
                JSONPath(stringLiteral: "\(origin).options"),
                "tmpcopyup is not possible for a runtime that has no rights over mounts")
        case .bind, .mappedFilesystem, .makeDevice, .cloneRootfs, .openRootfs, .mapClonedTree,
            .send, .makeMountPoints, .receiveAttached, .openAttached:
            throw mapsNoIDs(origin)
        }
    }

    private static func mapsNoIDs(_ field: Origin) -> SpecError {
        SpecError(
            JSONPath(stringLiteral: "\(field).options"),
            "a runtime that has no rights over mounts cannot map the ids of a mount")
    }
}

extension MountChange {
    /// The change of a mount of the container's own cgroup directories.
    ///
    /// nosuid, nodev and noexec, as runc mounts hierarchies.
    static func ofCgroupMount(readOnly: Bool) -> MountChange {
        var change = MountChange(
            set: .noSetUserID | .noDevices | .noExecution, propagation: .private)
        if readOnly { change.set |= .readOnly }
        return change
    }
}
#endif
