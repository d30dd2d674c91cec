// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// Everything that a launch will do, as plain values: the runtime's column and the child's.
///
/// Plans can be compared and printed; nothing has happened yet.
struct LaunchPlan: Equatable, Sendable {
    /// The steps of the runtime, in order; some of them wait for the child.
    let parentSteps: [PlannedParentStep]
    /// The steps of the init process, in order.
    let childSteps: [PlannedStep]
    /// The steps left for `start` and `delete`, in addition to the child's own last steps.
    let laterSteps: [PlannedParentStep]

    init(
        parentSteps: [PlannedParentStep], childSteps: [PlannedStep],
        laterSteps: [PlannedParentStep] = []
    ) {
        self.parentSteps = parentSteps
        self.childSteps = childSteps
        self.laterSteps = laterSteps
    }

    /// The child's steps as a program of the machine; a timed one notes when its steps begin.
    func lowered(isTimed: Bool = false) -> ProgramImage {
        ProgramImage(lowering: childSteps.map(\.step), isTimed: isTimed)
    }
}

/// Collects the runtime's steps of one part of a plan.
struct ParentStepList {
    /// The steps so far.
    private(set) var steps: [PlannedParentStep] = []

    mutating func add(_ step: ParentStep, from origin: Origin = .runtime) {
        steps.append(PlannedParentStep(origin, step))
    }

    mutating func append(_ others: [PlannedParentStep]) {
        steps += others
    }
}
#endif
