// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

extension Launcher {
    // MARK: The clone

    func startChild(_ kinds: NamespaceSet, intoCgroup: Bool, _ state: inout StateDirectory?)
        throws(ContainerError)
    {
        try openRendezvous()
        try openStandardStreams()
        inputs.fillGaps(between: launch.plan.childSteps.map(\.step))
        let page = try makeProgressPage(&state)
        progress = page
        var start = ChildStart(image, inputs: inputs, page)
        start.kinds = kinds
        start.rendezvous = rendezvous
        start.cgroup = intoCgroup ? cgroupForClone : nil
        start.preservedDescriptorCount = options.preservedDescriptorCount
        do throws(SystemCallError) {
            let child: ChildProcess
            switch try start.bear() {
            case .child(let born): child = born
            case .refused(let refusal):
                let isSealed = try SealedExecutable.isSealed()
                isToBeSealed = options.startsAgainSealed && !isSealed
                if isToBeSealed { throw refusal }
                child = try start.copy(refusal)
            }
            pid = child.pid
            pidfd = own(OwnedDescriptor(taking: child.pidfd))
            logStart(child)
        } catch {
            throw startFailure(error, kinds, intoCgroup: intoCgroup)
        }
        page.closeFile()
        close(childRendezvous)
        childRendezvous = -1
        // The child's: few descriptors may be left for the mounts that are to be prepared.
        for (descriptor, number) in inputs.entries {
            if case .cgroupTasks = descriptor { close(number) }
        }
        try noteChild()
        // A start that connects to an init that ends meanwhile must see the end.
        if let socket = inputs[.startSocket] { close(socket) }
    }

    /// Before anybody outside hears of this launch: whether this program has to start itself again first.
    ///
    /// Who listens for a terminal takes one connection, and an end of that for the end.
    func settleBirth() throws(ContainerError) {
        guard options.startsAgainSealed, let refusal = ChildStart.expectedRefusal() else { return }
        isToBeSealed = try reporting { () throws(SystemCallError) in
            try !SealedExecutable.isSealed()
        }
        if isToBeSealed { throw ContainerError(refusal, "unable to start the init process") }
    }

    private func startFailure(
        _ failure: SystemCallError, _ kinds: NamespaceSet, intoCgroup: Bool
    ) -> ContainerError {
        // Namespaces are refused with EPERM, EINVAL and ENOSPC.
        if intoCgroup, cgroupForClone != nil, let hint = Self.cgroupHint(failure) {
            return ContainerError(
                failure, "unable to start a process in the container's cgroup",
                field: "linux.cgroupsPath", hint: hint)
        }
        return ContainerError(
            failure, "unable to start the init process",
            field: failure.call == "clone3" ? "linux.namespaces" : nil,
            hint: failure.call == "clone3"
                ? InitHint.newNamespaces(kinds.kinds, failure.errno) : nil)
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

    /// Copies of the caller's streams at numbers of their own, so that none covers another.
    private func openStandardStreams() throws(ContainerError) {
        guard case .descriptors(let input, let output, let error) = options.io else { return }
        for (stream, number) in [input, output, error].enumerated() {
            let copy = try reporting("unable to take over stream \(stream)") {
                () throws(SystemCallError) in
                // F_DUPFD_CLOEXEC
                try systemCall(
                    "fcntl", __NR_fcntl, Int(number), 1030, 3 + options.preservedDescriptorCount,
                    describing: "\(number), F_DUPFD_CLOEXEC")
            }
            inputs[.standardStream(stream)] = own(OwnedDescriptor(taking: CInt(copy)))
        }
    }

    private func makeProgressPage(_ state: inout StateDirectory?) throws(ContainerError)
        -> ProgressPage
    {
        let place = state?.path ?? "memory"
        let file = try state?.makeProgressFile().release()
        return try reporting("unable to make the progress page in \(place)") {
            () throws(SystemCallError) in
            guard let file else { return try ProgressPage.inMemory() }
            return try ProgressPage(OwnedDescriptor(taking: file))
        }
    }

    // MARK: The rendezvous

    /// One byte: go on.
    func release() throws(ContainerError) {
        let socket = rendezvous
        do throws(SystemCallError) {
            // MSG_NOSIGNAL: a child that is gone must not kill the host with SIGPIPE.
            var byte: UInt8 = 1
            try withAddress(of: &byte) { (address) throws(SystemCallError) in
                _ = try systemCall(
                    "sendto", __NR_sendto, Int(socket), address, 1, 0x4000, 0, 0,
                    describing: "rendezvous")
            }
        } catch {
            throw childFailure()
        }
    }

    /// Sends the child a tree and closes it here.
    func sendPreparedTree(_ descriptor: InheritedDescriptor, _ field: String?)
        throws(ContainerError)
    {
        guard let tree = inputs[descriptor] else { return }
        inputs[descriptor] = nil
        while try !offer(tree, field) { try waitForRoom() }
        close(tree)
    }

    /// False where the socket is full.
    private func offer(_ tree: CInt, _ field: String?) throws(ContainerError) -> Bool {
        let socket = rendezvous
        do throws(SystemCallError) {
            // The child reads one byte with each.
            try sendDescriptor(tree, text: "m", over: socket, waits: false)
            return true
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            return false
        } catch  where error.errno == .brokenPipe {
            throw childFailure()
        } catch {
            throw ContainerError(
                error, "unable to hand a mount to the init process", field: field)
        }
    }

    /// Reads the child's next byte; nil when it ended without one.
    private func receiveByte() throws(ContainerError) -> UInt8? {
        let socket = rendezvous
        var byte: UInt8 = 0
        let count = try? withAddress(of: &byte) { (address) throws(SystemCallError) in
            try systemCall("read", __NR_read, Int(socket), address, 1, describing: "rendezvous")
        }
        return count == 1 ? byte : nil
    }

    func awaitEvent(_ event: ChildEvent) throws(ContainerError) {
        try answerRequests()
        guard try receiveByte() == event.rawValue else { throw childFailure() }
    }

    /// The process cannot have ended and been waited for meanwhile: it is this launcher's child.
    func sendPidfd(to path: String, named name: String) throws(ContainerError) {
        let process = pidfd
        try reporting("unable to send the pidfd") { () throws(SystemCallError) in
            let socket = try connectUnixSocket(path: path)
            try sendDescriptor(process, text: name, over: socket.number)
        }
    }

    // MARK: Hooks

    /// Runs hooks in the runtime's namespaces; before the child's program runs, it is being created.
    func runHooks(_ hooks: [PlannedHook]) throws(ContainerError) {
        guard let record else { return }
        let status: State.Status = hooks.first?.point == .poststart ? .running : .creating
        try HookRun(record, status, pid: pid).run(
            hooks, initProcess: status == .creating ? pidfd : -1)
    }

    func superviseHooks(_ hooks: [PlannedHook]) throws(ContainerError) {
        guard let record else { return }
        let status: State.Status = hooks.first?.point == .startContainer ? .created : .creating
        let run = HookRun(record, status, pid: try record.pidInside())
        guard try run.supervise(hooks, over: rendezvous) else { throw childFailure() }
    }

    /// The end of the rendezvous means execve, or the child's end; the progress page tells which.
    func awaitExecution() throws(ContainerError) {
        _ = try receiveByte()
        guard let progress, progress.error == 0 else { throw childFailure() }
        guard progress.index >= executionIndex else { throw childFailure() }
    }

    /// The first instruction of the last step, `execute`.
    private var executionIndex: Int {
        image.instructionsOfStep(launch.plan.childSteps.count - 1).first ?? 0
    }

    /// The first process ends as soon as the second is there.
    func adoptSecondChild() throws(ContainerError) {
        let (first, socket) = (pidfd, rendezvous)
        guard let progress, let second = try? progress.receive(.second, of: first, from: socket)
        else { throw childFailure() }
        pid = second.pid
        pidfd = own(OwnedDescriptor(taking: second.pidfd))
        // It has nothing left to do, and may be stopped; another thread of the host may have taken its status.
        try? sendSignal(first, Signal.kill.rawValue)
        _ = try? waitProcess(first)
        close(first)
        guard progress.error == 0 else { throw childFailure() }
        try noteChild()
    }

    /// Takes a descriptor that the child sends; it is the caller's to close.
    func receiveFromChild() throws(ContainerError) -> CInt {
        try answerRequests()
        let socket = rendezvous
        do throws(SystemCallError) {
            return try receiveDescriptor(from: socket).release()
        } catch {
            throw childFailure()
        }
    }

    func receiveTerminal() throws(ContainerError) {
        try answerRequests()
        let socket = rendezvous
        do throws(SystemCallError) {
            let master = own(try receiveDescriptor(from: socket))
            // Before the program runs, so that it never sees another size.
            ForegroundRelay.prepare(terminal: master)
            terminalMaster = master
        } catch {
            throw childFailure()
        }
    }

    // MARK: Failure

    /// Why the child ended: from the progress page, else from its exit status.
    func childFailure(reaped: ExitStatus? = nil) -> ContainerError {
        var status = reaped
        if status == nil, pidfd >= 0 {
            // The child is at its end or already gone; a child that hangs here is ended first.
            try? sendSignal(pidfd, Signal.kill.rawValue)
            status = try? waitProcess(pidfd)
        }
        if reaped != nil || status != nil, pidfd >= 0 {
            close(pidfd)
            pidfd = -1
        }
        guard let progress else {
            return ContainerError(.initFailed, "init did not start")
        }
        if progress.error != 0 {
            let instruction = launch.recordedInstructions(image, from: progress.index).first
            return ContainerError(instruction, errno: progress.error, in: imageView)
        }
        if case .signaled(let number) = status, (cgroup?.oomKillCount ?? 0) > 0 {
            // An exec shares the cgroup with others, of which one may have been killed before.
            guard record != nil else {
                return ContainerError(
                    .initFailed,
                    "the process ended before its program ran, signal \(number) "
                        + "(possibly OOM-killed)")
            }
            return ContainerError(
                .initFailed,
                "container init was OOM-killed (memory limit too low?), signal \(number)",
                field: "linux.resources.memory.limit")
        }
        let step = launch.recordedInstructions(image, from: progress.index).first
        return ContainerError(
            .initFailed, "init ended unexpectedly (\(status.map(Self.words) ?? "gone"))",
            field: step?.origin.path)
    }

    /// Where the program's file is: in the rootfs, under mounts of the config, or in a running container.
    private var imageView: ImageView? {
        guard let record else { return ImageView(path: "/proc/\(targetPid)/root") }
        return ImageView(path: record.rootfs, mounts: launch.plan.mountPoints)
    }

    private static func words(_ status: ExitStatus) -> String {
        switch status {
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal \(number)"
        }
    }
}
