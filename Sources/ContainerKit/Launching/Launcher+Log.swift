// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import Logging

/// Logs the steps at level debug.
///
/// The child cannot write to the log. Its lines are made from the progress page when the child has
/// reported or ended, so they appear later than the steps themselves.
extension Launcher {
    /// Logs a step of the parent that begins.
    func log(_ planned: PlannedParentStep) {
        options.logger.debug(
            "\(planned.step.action.sentence)", metadata: ["field": "\(planned.origin)"])
        guard case .child(.start) = planned.step else { return }
        options.logger.debug(
            """
            the child's program has \(image.packed.count) instructions for \
            \(plan.childSteps.count) steps
            """)
    }

    /// Logs in which of the two ways the child was started.
    func logStart(_ child: ChildProcess) {
        guard loggedChildStepCount != nil else { return }
        guard let refused = child.refused else {
            options.logger.debug("init is born empty", metadata: ["pid": "\(child.pid)"])
            return
        }
        options.logger.debug(
            "init is a copy of the runtime: \(refused)", metadata: ["pid": "\(child.pid)"])
    }

    /// Logs the child's steps since the last time, as far as it has come, or all of them.
    func logChildSteps(untilEnd: Bool = false) {
        let steps = plan.childSteps
        guard let logged = loggedChildStepCount, let progress else { return }
        let done = untilEnd ? steps.count : image.step(of: progress.index) ?? 0
        guard done > logged else { return }
        for planned in steps[logged..<done] { log(planned, "done") }
        loggedChildStepCount = done
    }

    /// Logs how far the child came in a failed launch.
    func logStop() {
        guard pid > 0, let progress else { return }
        logChildSteps()
        let steps = plan.childSteps
        guard let current = image.step(of: progress.index),
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
#endif
