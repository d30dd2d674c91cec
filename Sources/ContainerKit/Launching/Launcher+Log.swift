// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import Logging

/// What the log is told at level debug.
///
/// The child cannot write to the log. Its lines come from the progress page: they tell what it did, but
/// stand where the parent learnt of it, which is when the child reported or had ended.
extension Launcher {
    /// A step of the parent that begins.
    func log(_ planned: PlannedParentStep) {
        options.logger.debug(
            "\(planned.step.action.sentence)", metadata: ["field": "\(planned.origin)"])
        guard case .child(.start) = planned.step else { return }
        options.logger.debug(
            """
            the child's program has \(image.instructions.count) instructions for \
            \(plan.childSteps.count) steps
            """)
    }

    /// In which of the two ways the child was started.
    func logStart(_ child: ChildProcess) {
        guard loggedChildStepCount != nil else { return }
        guard let refused = child.refused else {
            options.logger.debug("init is born empty", metadata: ["pid": "\(child.pid)"])
            return
        }
        options.logger.debug(
            "init is a copy of the runtime: \(refused)", metadata: ["pid": "\(child.pid)"])
    }

    /// The child's steps since the last time, as far as it has come, or all.
    func logChildSteps(untilEnd: Bool = false) {
        let steps = plan.childSteps
        guard let logged = loggedChildStepCount, let progress else { return }
        let done = untilEnd ? steps.count : image.stepOfInstruction[safely: progress.index] ?? 0
        guard done > logged else { return }
        for planned in steps[logged..<done] { log(planned, "done") }
        loggedChildStepCount = done
    }

    /// The launch has failed: how far the child came.
    func logStop() {
        guard pid > 0, let progress else { return }
        logChildSteps()
        let steps = plan.childSteps
        guard let current = image.stepOfInstruction[safely: progress.index],
            steps.indices.contains(current)
        else { return }
        log(steps[current], progress.error == 0 ? "not done" : "failed")
    }

    private func log(_ planned: PlannedStep, _ outcome: String) {
        options.logger.debug(
            "init: \(planned.step.sentence)",
            metadata: ["field": "\(planned.origin)", "pid": "\(pid)", "outcome": "\(outcome)"])
    }
}

extension [Int] {
    /// The element at an index that comes from elsewhere.
    fileprivate subscript(safely index: Int) -> Int? {
        indices.contains(index) ? self[index] : nil
    }
}
