// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitMachine
internal import InitProgram
internal import SystemPackage

extension Launcher {
    /// The reason why the child ended: from the progress page, or from its exit status.
    func childFailure(reaped: ExitStatus? = nil) -> ContainerError {
        var status = reaped
        if status == nil, pidfd >= 0 {
            // The child is ending or has ended; one that hangs is killed first.
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
            // Before the plan's program there is no step and no config field.
            guard progress.index >= 0 else {
                let errno = Errno(rawValue: progress.error)
                return progress.hasNoImage
                    ? ContainerError(
                        SystemCallError("mmap", "init's image", errno: errno),
                        "unable to start the init process")
                    : ContainerError(
                        .initFailed,
                        "unable to start the init process: a call before its program: \(errno)")
            }
            let instruction = plan.recordedInstructions(image, from: progress.index).first
            return ContainerError(instruction, errno: progress.error, in: imageView)
        }
        if case .signaled(let number) = status, (cgroup?.oomKillCount ?? 0) > 0 {
            // A process of exec shares the cgroup with others, one of which may have been killed
            // before.
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
        // Without a failed call, this status is that of an init whose wait for the runtime ran out.
        if status == .exited(Int32(machine_failure_status)) {
            return ContainerError(
                .initFailed,
                "init waited a minute for the runtime, which was stopped or got no CPU time; "
                    + "try again")
        }
        let step = plan.recordedInstructions(image, from: progress.index).first
        return ContainerError(
            .initFailed, "init ended unexpectedly (\(status.map(Self.words) ?? "gone"))",
            field: step?.origin.path,
            hint: cgroup?.layout.adopted == nil
                ? nil
                : "from Linux 6.14 on, a cgroup whose cgroup.kill was ever written kills what is "
                    + "started in it: make another cgroup")
    }

    /// The file system of the program's file: the rootfs with the config's mounts, or a running
    /// container.
    private var imageView: ImageView? {
        guard let record else { return ImageView(path: "/proc/\(joinedPid)/root") }
        return ImageView(path: record.rootfs, mounts: plan.mountPoints)
    }

    private static func words(_ status: ExitStatus) -> String {
        switch status {
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal \(number)"
        case .unknown: "gone"
        }
    }
}

extension LaunchPlan {
    /// The destinations of the child's mounts.
    var mountPoints: [String] {
        childSteps.compactMap { planned in
            if case .mount(let step) = planned.step { step.mountPoint } else { nil }
        }
    }
}
#endif
