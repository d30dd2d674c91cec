// SPDX-License-Identifier: Apache-2.0

extension [PlannedStep] {
    /// Tells the steps that close descriptors what the steps behind them need: that is what a phase keeps open.
    package func keepingWhatIsNeeded() -> [PlannedStep] {
        var steps = self
        var needed: [InheritedDescriptor] = []
        var needsRoot = false
        for index in indices.reversed() {
            let step = self[index].step
            if case .process(.closeDescriptors(let phase, _, let preserved)) = step {
                var keeping = needed
                if needsRoot, let root = self[..<index].inheritedRoot, !keeping.contains(root) {
                    keeping.append(root)
                }
                steps[index] = PlannedStep(
                    self[index].origin,
                    .process(
                        .closeDescriptors(phase: phase, keeping: keeping, preserved: preserved)))
                continue
            }
            if step.opensRoot { needsRoot = false }
            if step.usesRoot { needsRoot = true }
            if let opened = step.opened { needed.removeAll { $0 == opened } }
            for input in step.inputs where !needed.contains(input) { needed.append(input) }
        }
        return steps
    }
}

extension ArraySlice<PlannedStep> {
    /// The descriptor of the root that these steps have made, where that was inherited.
    fileprivate var inheritedRoot: InheritedDescriptor? {
        last { $0.step.opensRoot }?.step.inputs.first
    }
}

extension InitStep {
    /// Whether paths are resolved below another root from here on.
    fileprivate var opensRoot: Bool {
        if case .root(let step) = self { step.opensRoot } else { false }
    }

    /// The descriptor that the child itself opens here, in place of an inherited one.
    package var opened: InheritedDescriptor? {
        if case .mount(let step) = self { step.opened } else { nil }
    }
}
