// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary

// How long the steps take. Without a trace, none of this makes a system call.

extension Launcher {
    /// Performs a step, and records how long it took if the caller wants to know.
    func perform(_ planned: PlannedParentStep) throws(ContainerError) {
        guard let trace = options.trace else { return try performInTime(planned) }
        // Hooks are recorded one by one.
        if case .hooks = planned.step { return try performInTime(planned) }
        try trace.measure(
            planned.step.spanName, planned.step.action.sentence, field: planned.origin.path
        ) { () throws(ContainerError) in
            try performInTime(planned)
        }
        if case .child(.awaitExecution) = planned.step { executionTime = LaunchTrace.now }
    }

    /// Records the child's steps, by the times that it has noted: up to its wait for `start`, up to
    /// its program, or up to the step that failed.
    func recordChildSteps() {
        guard let trace = options.trace, trace.recordsSpans, let progress else { return }
        let hasFailed = progress.error != 0
        var steps = plan.timedSteps(image).begun { progress.time(ofMark: $0) }
        var end = executionTime ?? LaunchTrace.now
        if hasFailed, !steps.isEmpty, let step = image.step(of: progress.index) {
            // Not each step has a mark.
            let planned = plan.childSteps[step]
            steps[steps.count - 1].step.become(planned)
        } else if let index = image.startWaitIndex, let wait = image.step(of: index) {
            let before = steps.prefix { image.timedSteps[$0.step.mark] < wait }
            if before.count < steps.count { end = steps[before.count].start }
            steps = Array(before)
        }
        trace.add(steps, until: end, hasFailed: hasFailed)
    }
}

extension LaunchPlan {
    /// The child's steps that note when they begin.
    func timedSteps(_ image: ProgramImage) -> [TimedStep] {
        image.timedSteps.enumerated().map { mark, index in
            let planned = childSteps[index]
            let isLast = mark == image.timedSteps.count - 1
            let next = isLast ? childSteps.count : image.timedSteps[mark + 1]
            var step = TimedStep(mark: mark)
            step.become(planned)
            switch next - index - 1 {
            case 0: break
            case 1: step.sentence += ", and the step after it"
            case let more: step.sentence += ", and the \(more) steps after it"
            }
            return step
        }
    }

    /// The steps that follow the wait for `start`, which the record keeps.
    func timedStepsAfterWait(_ image: ProgramImage) -> [TimedStep] {
        guard let index = image.startWaitIndex, let wait = image.step(of: index) else {
            return []
        }
        return timedSteps(image).filter { image.timedSteps[$0.mark] > wait }
    }
}

extension TimedStep {
    fileprivate mutating func become(_ planned: PlannedStep) {
        name = "init.\(StepTheme(planned.step).rawValue)"
        sentence = planned.step.sentence
        field = planned.origin.path
    }
}

extension ParentStep {
    /// The name of the step's span, which later versions keep.
    fileprivate var spanName: String {
        switch self {
        case .record: "runtime.record"
        case .cgroup: "runtime.cgroup"
        case .resctrl: "runtime.resctrl"
        case .namespace: "runtime.namespace"
        case .mount: "runtime.mount"
        case .socket: "runtime.socket"
        case .listener: "runtime.listener"
        case .child: "runtime.child"
        case .userNamespace: "runtime.userNamespace"
        case .streams: "runtime.stream"
        case .hooks: "runtime.hook"
        }
    }
}
#endif
