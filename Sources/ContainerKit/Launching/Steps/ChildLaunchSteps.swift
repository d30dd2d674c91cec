// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

/// Steps that start the child and exchange messages with it over the rendezvous.
enum ChildLaunchStep: ParentAction {
    /// Begins to clone the child, which waits until `take`.
    case start(NamespaceSet, intoCgroup: Bool)
    /// Takes the child over and lets it go on.
    case take
    /// Waits for the first child to end and takes over the second.
    case adoptSecond
    /// Lets the child go on.
    case release(ParentEvent)
    /// Waits for the child's report, or its end.
    case expect(ChildEvent)
    /// Waits until the child has become the user's process.
    case awaitExecution
    /// Waits until a child without a program has ended.
    case awaitEnd

    var sentence: String {
        switch self {
        case .start(let kinds, let intoCgroup):
            "clone the child"
                + (intoCgroup ? " into the container's cgroup" : "")
                + (kinds.isEmpty
                    ? ""
                    : " with new namespaces: "
                        + kinds.kinds.map(\.rawValue).joined(separator: ", "))
        case .take: "take the child over and let it go on"
        case .adoptSecond: "wait for the first process and adopt the second"
        case .release(let event): "release the child: \(event.rawValue)"
        case .expect(.ready): "wait until the child is prepared"
        case .expect(let event): "wait until \(event.words)"
        case .awaitExecution: "wait until the program runs"
        case .awaitEnd: "wait until the child has ended"
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .start, .take: []
        case .adoptSecond: [.receives(.secondProcess)]
        case .release(let event): [.sends(.release(event))]
        case .expect(let event): [.receives(.report(event))]
        case .awaitExecution: [.receives(.execution)]
        case .awaitEnd: [.receives(.end)]
        }
    }

    var provides: [InheritedDescriptor] {
        switch self {
        case .start: [.rendezvous]
        case .take, .adoptSecond, .release, .expect, .awaitExecution, .awaitEnd: []
        }
    }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .start(let kinds, let intoCgroup):
            try launcher.startChild(kinds, intoCgroup: intoCgroup)
        case .take: try launcher.takeChild()
        case .adoptSecond: try launcher.adoptSecondChild()
        case .release(let event):
            try launcher.release()
            if event == .start { launcher.progress?.note(.ordered) }
        case .expect(let event):
            try launcher.awaitEvent(event)
            if event == .ready {
                launcher.progress?.note(.reported)
                launcher.logChildSteps()
            }
        case .awaitExecution:
            try launcher.awaitLastStep()
            launcher.logChildSteps(untilEnd: true)
        case .awaitEnd:
            try launcher.answerRequests()
            try launcher.awaitLastStep()
            launcher.logChildSteps(untilEnd: true)
            launcher.reapChild()
        }
    }
}

// MARK: - The clone

extension Launcher {
    fileprivate func startChild(_ kinds: NamespaceSet, intoCgroup: Bool) throws(ContainerError) {
        try openRendezvous()
        try openStandardStreams()
        inputs.fillGaps(between: plan.childSteps.map(\.step))
        let page = try makeProgressPage()
        progress = page
        var start = ChildStart(inputs: inputs, page)
        start.kinds = kinds
        start.rendezvous = rendezvous
        start.cgroup = intoCgroup ? cgroupForClone : nil
        start.deadline = options.timeLimit?.deadline
        start.preservedDescriptorCount = options.preservedDescriptorCount
        takeBackOnFailure(whileOpen: true) { $0.killChild() }
        let begun: ChildStart.Begun
        do throws(SystemCallError) {
            begun = try start.begin()
        } catch {
            throw startFailure(error, start)
        }
        startingChild = (start, begun)
        // The kernel makes the child meanwhile.
        try checkImage()
        do throws(SystemCallError) {
            try start.load(image, for: begun)
        } catch {
            throw startFailure(error, start)
        }
    }

    fileprivate func takeChild() throws(ContainerError) {
        guard let (start, begun) = startingChild else { return }
        startingChild = nil
        do throws(SystemCallError) {
            let child: ChildProcess
            switch try start.finish(begun, image) {
            case .child(let born): child = born
            case .refused(let refusal):
                let isSealed = try SealedExecutable.isSealed()
                isToBeSealed = options.startsAgainSealed && !isSealed
                if isToBeSealed { throw refusal }
                child = try start.copy(image, refusal)
            }
            pid = child.pid
            pidfd = own(OwnedDescriptor(taking: child.pidfd))
            logStart(child)
        } catch {
            throw startFailure(error, start)
        }
        start.page.closeFile()
        close(childRendezvous)
        childRendezvous = -1
        // The child has inherited these; closing them frees descriptors for the mounts still to be
        // prepared.
        for (descriptor, number) in inputs.entries {
            if case .cgroupTasks = descriptor { close(number) }
        }
        try noteChild()
        // Only init may have the start socket open, so that a `start` that connects notices if init
        // ends.
        if let socket = inputs[.startSocket] { close(socket) }
    }

    private func startFailure(_ failure: SystemCallError, _ start: ChildStart) -> ContainerError {
        // Refused namespaces cause EPERM, EINVAL and ENOSPC.
        if start.cgroup != nil, let hint = Self.cgroupHint(failure) {
            return ContainerError(
                failure, "unable to start a process in the container's cgroup",
                field: "linux.cgroupsPath", hint: hint)
        }
        return ContainerError(
            failure, "unable to start the init process",
            field: failure.call == "clone3" ? "linux.namespaces" : nil,
            hint: failure.call == "clone3"
                ? newNamespacesHint(start.kinds.kinds, failure.errno) : nil)
    }

    private static func cgroupHint(_ failure: SystemCallError) -> String? {
        guard failure.call == "clone3" else { return nil }
        return switch failure.errno {
        case .permissionDenied:
            "the runtime may only move a process from a cgroup that has one above it in "
                + "common with the container's which it may write to"
        case .resourceBusy:
            "a cgroup with controllers for those below it (cgroup.subtree_control) takes no processes"
        case .notSupportedOnSocket:
            "a cgroup in or above a threaded one (cgroup.type) takes no processes"
        default: nil
        }
    }

    private func openRendezvous() throws(ContainerError) {
        let pair = try reporting { () throws(SystemCallError) in try socketPair() }
        let (first, second) = pair.numbers()
        rendezvous = own(OwnedDescriptor(taking: first))
        childRendezvous = own(OwnedDescriptor(taking: second))
        inputs[.rendezvous] = childRendezvous
    }

    /// Duplicates the caller's streams to new numbers, so that no stream overwrites another.
    private func openStandardStreams() throws(ContainerError) {
        guard case .descriptors(let input, let output, let error) = options.io else { return }
        for (stream, number) in [input, output, error].enumerated() {
            let copy = try reporting("unable to take over stream \(stream)") {
                () throws(SystemCallError) in
                try duplicate(number, from: 3 + options.preservedDescriptorCount).release()
            }
            inputs[.standardStream(stream)] = own(OwnedDescriptor(taking: copy))
        }
    }

    private func makeProgressPage() throws(ContainerError) -> ProgressPage {
        let place = state?.path ?? "memory"
        let file = try state?.makeProgressFile().release()
        return try reporting("unable to make the progress page in \(place)") {
            () throws(SystemCallError) in
            guard let file else { return try ProgressPage.inMemory() }
            return try ProgressPage(OwnedDescriptor(taking: file))
        }
    }

    /// Writes pid and start time into the progress page, from which `delete --force` finds the
    /// child.
    private func noteChild() throws(ContainerError) {
        guard record != nil else { return }
        let number = pid
        let started: UInt64?
        do throws(SystemCallError) {
            started = try ContainerKit.startTime(of: number)
        } catch {
            throw ContainerError(
                error, "unable to tell the container's process from others",
                hint: ContainerError.hiddenProcessHint(error))
        }
        guard let started else { throw childFailure() }
        startTime = started
        progress?.note(pid: pid, startTime: started)
    }

    /// Takes over the second process; the first ends once it has cloned it.
    fileprivate func adoptSecondChild() throws(ContainerError) {
        let (first, socket) = (pidfd, rendezvous)
        let limit = options.timeLimit
        guard let progress,
            let second = try? progress.receive(
                .second, of: first, from: socket, before: limit?.deadline)
        else {
            if let limit, limit.isOver { throw overdue(limit) }
            throw childFailure()
        }
        pid = second.pid
        pidfd = own(OwnedDescriptor(taking: second.pidfd))
        // The first process has nothing left to do, and may be stopped. Another thread of the host
        // program may have taken its status.
        try? sendSignal(first, Signal.kill.rawValue)
        _ = try? waitProcess(first)
        close(first)
        guard progress.error == 0 else { throw childFailure() }
        try noteChild()
    }

    /// Waits for the rendezvous to close, by execve or by the child's end; the progress page shows
    /// which.
    fileprivate func awaitLastStep() throws(ContainerError) {
        try awaitChild()
        _ = receiveByte()
        guard let progress, progress.error == 0 else { throw childFailure() }
        // The first instruction of the last step.
        let last = image.instructions(ofStep: plan.childSteps.count - 1).first ?? 0
        guard progress.index >= last else { throw childFailure() }
    }

    /// Waits for the end of a child without a program.
    ///
    /// The host program may have taken its status; nothing depends on it.
    fileprivate func reapChild() {
        _ = try? waitProcess(pidfd)
    }
}
#endif
