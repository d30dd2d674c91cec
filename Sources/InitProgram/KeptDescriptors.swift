// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
extension [PlannedStep] {
    /// Makes each step that closes descriptors keep those that later steps need.
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
    /// The inherited descriptor of the root that these steps have set; nil if it was not inherited.
    fileprivate var inheritedRoot: InheritedDescriptor? {
        last { $0.step.opensRoot }?.step.inputs.first
    }
}

extension InitStep {
    /// Whether the root for resolving paths changes here.
    fileprivate var opensRoot: Bool {
        if case .root(let step) = self { step.opensRoot } else { false }
    }

    /// The descriptor that the child opens here instead of inheriting it.
    package var opened: InheritedDescriptor? {
        if case .mount(let step) = self { step.opened } else { nil }
    }
}
#endif
