// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import Logging
public import RuntimeSpec
internal import SystemPackage

extension Container {
    /// The process of the config as it was at create: a starting point for processes of `exec`.
    ///
    /// - Throws: `notFound`, `state`.
    public func template() throws(ContainerError) -> Process {
        let found = try find(locking: false)
        try Self.checkThatItIsMade(found)
        guard let process = try Self.recordedSpec(found.state).process else {
            throw ContainerError(.state, "the container's config has no process")
        }
        return process
    }

    /// Runs another process in the container, and returns once it runs.
    ///
    /// - Parameters:
    ///   - process: what to run. If it leaves out capabilities, limits, OOM score, scheduler, I/O
    ///     priority, CPU affinity, AppArmor profile or SELinux label, those of the container's own
    ///     process are used, as with runc; all else is taken as given.
    ///   - options: streams, terminal, pid file.
    /// - Returns: The process, a child of the caller.
    /// - Throws: `wrongState` if the container is stopped or paused; `notRunning` if it is still
    ///   being created, or ends before the process runs; `invalidSpec`, `unsupported`,
    ///   `initFailed`, `executableNotFound`; `timedOut` after `options.timeout`.
    public func exec(_ process: Process, options: LaunchOptions = LaunchOptions())
        throws(ContainerError) -> ContainerProcess
    {
        try options.checkPreservedDescriptors()
        let options = try options.beginning()
        let found = try options.trace.measure("runtime.state", "read the container's state") {
            () throws(ContainerError) in
            try find(locking: false)
        }
        try Self.checkThatItIsMade(found)
        switch found.status {
        case .created, .running: break
        case .paused where options.ignoresPause: break
        case .paused:
            throw ContainerError(
                .wrongState,
                "cannot exec in a paused container (use --ignore-paused to override)")
        default: throw ContainerError(.wrongState, "cannot exec in a stopped container")
        }
        guard let record = found.record else {
            throw ContainerError(.wrongState, "cannot exec in a stopped container")
        }
        let spec = try Self.recordedSpec(found.state)
        let process = Self.completed(process, from: spec.process)
        if let limit = options.timeLimit {
            try PathLook(process, rootOf: record.pid, options).check(within: limit)
        }
        do {
            try process.check()
            try process.checkMapping(in: spec)
        } catch {
            throw ContainerError(error)
        }
        for warning in process.warnings { options.logger.warning("\(warning)") }
        try SecurityModules.check(process)
        try Creation.checkTerminal(process.terminal, options, startsAtOnce: true)

        let cgroup = try record.openCgroup()
        let killsBefore =
            options.countsOutOfMemoryAnew
            ? cgroup.outOfMemoryKills ?? 0 : record.outOfMemoryKillsBefore
        let initProcess = try record.openInit()
        do throws(ContainerError) {
            let launcher = try options.trace.measure("runtime.plan", Creation.planning) {
                () throws(ContainerError) in
                try Execution(process, in: record, of: spec, store, options)
                    .launcher(joining: initProcess.number)
            }
            try launcher.run()
            return ContainerProcess(taking: launcher, in: cgroup, killsBefore: killsBefore)
        } catch {
            // If init is gone, each call fails in a different way, but the reason is the same. If
            // init may have just been killed with the container, wait a moment to see its end.
            let mayBeKilled =
                error.failure.map { $0.errno == .noMemory } ?? (error.code == .initFailed)
            guard record.isEnding(initProcess, within: mayBeKilled ? 100 : 0) else {
                throw error
            }
            throw ContainerError(.notRunning, "container not running")
        }
    }

    private static func completed(_ process: Process, from own: Process?) -> Process {
        var process = process
        process.capabilities = process.capabilities ?? own?.capabilities
        if (process.rlimits ?? []).isEmpty { process.rlimits = own?.rlimits }
        process.oomScoreAdj = process.oomScoreAdj ?? own?.oomScoreAdj
        if (process.apparmorProfile ?? "").isEmpty {
            process.apparmorProfile = own?.apparmorProfile
        }
        if (process.selinuxLabel ?? "").isEmpty { process.selinuxLabel = own?.selinuxLabel }
        process.scheduler = process.scheduler ?? own?.scheduler
        process.ioPriority = process.ioPriority ?? own?.ioPriority
        process.execCPUAffinity = process.execCPUAffinity ?? own?.execCPUAffinity
        return process
    }

    /// Refuses a container that is still being created or whose creation failed: it has no config
    /// yet.
    private static func checkThatItIsMade(_ found: borrowing FoundContainer) throws(ContainerError)
    {
        guard found.status == .creating else { return }
        throw ContainerError(.notRunning, "container not running: it is being created")
    }

    /// The config as it was at create; later changes of the bundle have no effect.
    static func recordedSpec(_ state: borrowing StateDirectory) throws(ContainerError) -> Spec {
        guard let bytes = try state.read(StateDirectory.configName),
            let spec = try? Spec(json: bytes)
        else {
            // A delete changes the directory's mode before it removes files.
            if try state.isBeingRemoved() {
                throw ContainerError(
                    .notFound, "container does not exist: it is being deleted")
            }
            throw state.damage(to: StateDirectory.configName)
        }
        return try spec.followingAnnotations()
    }
}
#endif
