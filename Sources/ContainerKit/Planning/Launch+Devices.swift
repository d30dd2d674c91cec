// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

extension Launch {
    /// Plans to make a device node in a running container without a user namespace of its own.
    ///
    /// - Parameters:
    ///   - node: the node.
    ///   - index: its index in the caller's list, for errors.
    init(making node: DeviceNode, _ index: Int) {
        let field = Origin.config("linux.devices[\(index)]")
        let parts = node.path.parts(between: "/")
        let directory = "/" + parts.dropLast().joined(separator: "/")
        let device = Device(node, name: String(parts.last ?? ""))

        var child = StepList.joining([.mount], as: nil)
        child.add(.device(.makeDevices(directory: directory, [device])), from: field)

        var parent = ParentStepList()
        parent.add(.namespace(.openProcess))
        parent.add(.mount(.makeMountPoints(for: nil)))
        self.init(changingBy: child, after: parent)
    }
}

extension Launch {
    /// Plans a process that changes a running container and ends, after the runtime's own steps.
    init(changingBy steps: StepList, after earlier: ParentStepList) {
        var (child, parent) = (steps, earlier)
        child.add(.process(.end), from: .runtime)
        parent.add(.child(.start([], intoCgroup: false)))
        parent.add(.child(.take))
        parent.add(.child(.awaitEnd))
        self.init(
            plan: LaunchPlan(
                parentSteps: parent.steps, childSteps: child.steps.keepingWhatIsNeeded()),
            cgroups: nil)
    }
}

extension StepList {
    /// The first steps of a process that changes the files of a running container: it joins
    /// namespaces of the container and opens its root.
    static func joining(_ namespaces: NamespaceSet, as user: NamespaceUser?) -> StepList {
        var steps = StepList()
        steps.add(.process(.closeDescriptors(phase: 0, preserved: 0)), from: .runtime)
        steps.add(.process(.forbidPtrace), from: .runtime)
        steps.add(.identity(.setUmask(0)), from: .runtime)
        steps.add(.namespace(.joinProcess(namespaces)), from: .runtime)
        if let user { steps.add(.namespace(.becomeNamespaceUser(user)), from: .runtime) }
        steps.add(.root(.openRoot), from: .runtime)
        return steps
    }
}
#endif
