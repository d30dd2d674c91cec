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

/// Everything that a launch will do, as plain values: the parent's column and the child's.
///
/// Plans can be compared and printed; nothing has happened yet.
public struct LaunchPlan: Equatable, Sendable {
    /// What the runtime does, in order; it waits for the child where a step says so.
    public var parentSteps: [PlannedParentStep]
    /// What the init process does, in order.
    public var childSteps: [PlannedStep]
    /// What is left for `start` and `delete`, beside the child's own last steps.
    public var laterSteps: [PlannedParentStep]

    /// A plan of two columns.
    public init(
        parentSteps: [PlannedParentStep], childSteps: [PlannedStep],
        laterSteps: [PlannedParentStep] = []
    ) {
        self.parentSteps = parentSteps
        self.childSteps = childSteps
        self.laterSteps = laterSteps
    }

    /// The id maps of the child's user namespace, where the plan knows them.
    public var idMaps: IDMaps? {
        for planned in parentSteps {
            switch planned.step {
            case .writeIDMaps(let maps, _), .checkIDMaps(let maps): return maps
            default: continue
            }
        }
        return nil
    }

    /// The child's column as a program of the machine.
    public func lowered() -> ProgramImage {
        ProgramImage(lowering: childSteps.map(\.step))
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
