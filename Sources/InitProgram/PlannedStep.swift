// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// A step and its origin.
package struct PlannedStep: Equatable, Sendable {
    /// What asks for the step.
    package let origin: Origin
    /// What the step does.
    package let step: InitStep

    /// A step and where it comes from.
    package init(_ origin: Origin, _ step: InitStep) {
        self.origin = origin
        self.step = step
    }
}

/// Collects the steps of one part of the plan.
package struct StepList {
    /// The steps so far.
    package private(set) var steps: [PlannedStep] = []

    /// An empty list.
    package init() {
        steps.reserveCapacity(64)
    }

    /// Adds a step.
    package mutating func add(_ step: InitStep, from origin: Origin) {
        steps.append(PlannedStep(origin, step))
    }
}

extension StepList {
    /// Adds all steps of another list.
    package mutating func append(_ other: StepList) {
        for planned in other.steps { add(planned.step, from: planned.origin) }
    }
}
#endif
