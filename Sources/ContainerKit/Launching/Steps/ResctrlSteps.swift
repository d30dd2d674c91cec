// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// Steps for the groups of resctrl, which allocate cache and memory bandwidth.
enum ResctrlStep: ParentAction {
    /// Makes the container's groups, or finds the one that must exist.
    case make(ResctrlPlan)
    /// Writes the child's pid to the `tasks` files of these groups.
    case enter([String])

    var sentence: String {
        switch self {
        case .make(let plan):
            (plan.mustExist ? "use" : "make") + " the resctrl group \(plan.directory)"
                + (plan.schemata.isEmpty
                    ? "" : "; write schemata \(plan.schemata.joined(separator: " "))")
                + (plan.monitoringDirectory.map { "; make \($0)" } ?? "")
        case .enter(let directories): "move the child into \(directories.joined(separator: ", "))"
        }
    }

    var exchanges: [Exchange] { [] }
    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .make(let plan): try launcher.makeGroup(plan)
        case .enter(let directories): try ResctrlGroup.enter(directories, launcher.pid)
        }
    }
}

extension Launcher {
    fileprivate func makeGroup(_ plan: ResctrlPlan) throws(ContainerError) {
        var group = ResctrlGroup(plan)
        defer {
            let made = group.made
            takeBackOnFailure { _ in try? ResctrlGroup.remove(made) }
        }
        try group.make()
    }
}
#endif
