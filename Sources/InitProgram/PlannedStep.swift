// SPDX-License-Identifier: Apache-2.0

/// A step with what asks for it.
public struct PlannedStep: Equatable, Sendable {
    /// What asks for it.
    public let origin: Origin
    /// What is done.
    public let step: InitStep

    /// A step and where it comes from.
    public init(_ origin: Origin, _ step: InitStep) {
        self.origin = origin
        self.step = step
    }
}

/// Collects the steps of one part of the plan.
public struct StepList {
    /// The steps so far.
    public private(set) var steps: [PlannedStep] = []

    /// An empty list.
    public init() {
        steps.reserveCapacity(64)
    }

    /// Adds a step.
    public mutating func add(_ step: InitStep, from origin: Origin) {
        steps.append(PlannedStep(origin, step))
    }
}

extension StepList {
    /// Adds all steps of another list.
    public mutating func append(_ other: StepList) {
        for planned in other.steps { add(planned.step, from: planned.origin) }
    }
}
