// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

// The caller's limit for the time of a launch. Without one, none of this makes a system call.

extension Launcher {
    /// Performs a step in the caller's time, if that is limited.
    func performInTime(_ planned: PlannedParentStep) throws(ContainerError) {
        guard let limit = options.timeLimit else {
            return try planned.step.action.perform(on: self, for: planned.origin)
        }
        try perform(planned, within: limit)
    }

    /// Performs a step, and names it if the time is over then.
    ///
    /// A step that waits ends in time by itself; another, such as the preparation of a mount, is
    /// not broken off, so `PathLook` has made sure that its file system answers. Once the program
    /// runs, its time does not count.
    private func perform(_ planned: PlannedParentStep, within limit: TimeLimit)
        throws(ContainerError)
    {
        let action = planned.step.action
        do throws(ContainerError) {
            try action.perform(on: self, for: planned.origin)
        } catch  where error.failure?.errno == .timedOut && limit.isOver {
            throw limit.passed(
                "the runtime is at the step: \(action.sentence)",
                field: planned.origin.path ?? error.field, failure: error.failure)
        }
        if case .child(.awaitExecution) = planned.step { hasStarted = true }
        guard !hasStarted, limit.isOver else { return }
        throw limit.passed(
            "the runtime was at the step: \(action.sentence)", field: planned.origin.path)
    }

    /// Waits until the child has sent something or has ended; fails when the time is over.
    func awaitChild() throws(ContainerError) {
        guard let limit = options.timeLimit else { return }
        let socket = rendezvous
        let isReady = try reporting { () throws(SystemCallError) in
            var entries = [PollEntry(socket, .readable)]
            return try poll(
                &entries, timeoutMilliseconds: limit.deadline.remainingMilliseconds) > 0
        }
        if !isReady { throw overdue(limit) }
    }

    /// The error of a child that is not done in time, with the step that it is at.
    func overdue(_ limit: TimeLimit) -> ContainerError {
        let index = progress?.index ?? -1
        guard let step = image.step(of: index) else {
            return limit.passed("init does not begin")
        }
        let planned = plan.childSteps[step]
        if case .hook(.runHook(let hook, _, _, _)) = planned.step { return hook.overdue(limit) }
        return limit.passed(
            "init is at the step: \(planned.step.sentence)", field: planned.origin.path)
    }
}
#endif
