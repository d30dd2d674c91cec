// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

/// The trees that the parent would prepare, as steps of a child whose runtime may not.
///
/// In its user and mount namespace the child may clone what its user can reach. It cannot map ids, nor
/// fill a tmpfs with a copy.
struct UnprivilegedMounts {
    private(set) var steps = StepList()

    init(_ mounts: MountPlan, _ cgroups: CgroupLayout) throws(SpecError) {
        if let mapped = mounts.mappedLater.first { throw Self.mapsNoIDs(mapped.field) }
        for planned in mounts.parentSteps {
            let (tree, descriptor) = try Self.tree(planned, cgroups)
            steps.add(.cloneHostTree(tree, for: descriptor), from: planned.origin)
        }
    }

    private static func tree(_ planned: PlannedParentStep, _ cgroups: CgroupLayout)
        throws(SpecError) -> (HostTree, InheritedDescriptor)
    {
        switch planned.step {
        case .prepareBindMount(let bind) where bind.idMap == nil:
            let tree = HostTree(
                path: bind.source, recursive: bind.recursive, followsLink: bind.followsLink,
                changes: bind.changes)
            return (tree, .mountTree(bind.index))
        case .prepareDevice(let index, let path, let device):
            let tree = HostTree(
                path: path, kind: .device(device), changes: [MountChange.ofAttached(device)])
            return (tree, .mountTree(index))
        case .prepareCgroupMount(let index, let name, let readOnly):
            guard
                let directory = cgroups.directories.first(where: {
                    MountPlan.hierarchyName($0) == name
                })
            else { break }
            let tree = HostTree(
                path: directory.path,
                changes: [MountChange.ofCgroupMount(readOnly: readOnly)])
            return (tree, .cgroupTree(index, name))
        case .prepareTmpfsCopy:
            throw SpecError(
                JSONPath(stringLiteral: "\(planned.origin).options"),
                "tmpcopyup is not possible for a runtime that has no rights over mounts")
        default: break
        }
        throw mapsNoIDs(planned.origin)
    }

    private static func mapsNoIDs(_ field: Origin) -> SpecError {
        SpecError(
            JSONPath(stringLiteral: "\(field).options"),
            "a runtime that has no rights over mounts cannot map the ids of a mount")
    }
}

extension MountChange {
    /// How the directories of a container's own cgroups are mounted in it.
    ///
    /// nosuid, nodev and noexec, as runc mounts hierarchies; bit 1 is read-only.
    static func ofCgroupMount(readOnly: Bool) -> MountChange {
        MountChange(set: 0x2 | 0x4 | 0x8 | (readOnly ? 1 : 0), propagation: 0x40000)
    }
}
