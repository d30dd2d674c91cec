// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

extension RunningContainer {
    /// Runs a further process in the container to its end, with all else as the container's own process has it.
    ///
    /// - Parameters:
    ///   - arguments: the program and its arguments.
    ///   - input: what it reads; a body that would write is not there.
    ///   - output: where it writes.
    ///   - error: where it writes errors.
    ///   - timeout: how long it may run.
    /// - Returns: its end, and what was collected.
    /// - Throws: as for a process.
    public func exec(
        _ arguments: [String], input: ContainerInput = .none, output: ContainerOutput = .discarded,
        error: ContainerOutput = .discarded, timeout: Duration? = nil
    ) async throws -> ExecutionResult {
        var process = try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.template()
        }
        process.args = arguments
        process.terminal = false
        return try await exec(
            process, input: input, output: output, error: error, timeout: timeout)
    }

    /// Runs a further process in the container to its end.
    ///
    /// A task that is cancelled, and a time that is over, kill the process; what it has started meanwhile ends
    /// with the container. The memory is counted from here on.
    /// - Parameters:
    ///   - process: what to run.
    ///   - input: what it reads; a body that would write is not there.
    ///   - output: where it writes.
    ///   - error: where it writes errors.
    ///   - timeout: how long it may run.
    /// - Returns: its end, and what was collected.
    /// - Throws: as `Container.exec`, and `CancellationError`.
    public func exec(
        _ process: Spec.Process, input: ContainerInput = .none,
        output: ContainerOutput = .discarded, error: ContainerOutput = .discarded,
        timeout: Duration? = nil
    ) async throws -> ExecutionResult {
        var streams = try ContainerStreams(input, output, error)
        guard streams.bodyInput == nil, streams.bodyOutput == nil, streams.bodyError == nil else {
            throw ContainerError(
                .invalidArgument, "exec has no body that could write or read a stream",
                hint: "give bytes, and collect the output; or use Container.exec")
        }
        var options = LaunchOptions()
        options.io = streams.io
        options.logger = self.options.logger
        options.reapedStatus = self.options.reapedStatus
        options.countsOutOfMemoryAnew = true
        let launched = try await BlockingPool.starting.run {
            [container, options] () throws(ContainerError) in
            try container.exec(process, options: options)
        }
        streams.closeEndsOfProcess()
        return try await Self.finish(launched, streams.begin(), timeout)
    }

    private static func finish(
        _ process: ContainerProcess, _ tasks: StreamTasks, _ timeout: Duration?
    ) async throws -> ExecutionResult {
        let timedOut = CancellationMark()
        let timer = timeout.map { timeout in
            Task.detached {
                guard (try? await Task.sleep(for: timeout)) != nil,
                    process.keptTermination == nil
                else { return }
                timedOut.set()
                try? process.signal(.kill)
            }
        }
        defer { timer?.cancel() }
        let termination = try await withTaskCancellationHandler {
            try await process.terminationInAnyCase()
        } onCancel: {
            try? process.signal(.kill)
        }
        // What a killed process has started may keep its streams for as long as it likes.
        if timedOut.isSet || Task.isCancelled { tasks.cancel() }
        await tasks.input?.value
        let result = ExecutionResult(
            termination: termination, timedOut: timedOut.isSet, output: await tasks.output?.value,
            error: await tasks.error?.value)
        try Task.checkCancellation()
        return result
    }
}
