// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

extension RunningContainer {
    /// Runs another program in the container to its end, with the settings of the container's own
    /// process.
    ///
    /// - Parameters:
    ///   - arguments: the program and its arguments.
    ///   - input: the standard input; not `writer`, as there is no body.
    ///   - output: the standard output; not `sequence`.
    ///   - error: the standard error; not `sequence`.
    ///   - timeout: how long it may run.
    /// - Returns: how it ended, and its collected output.
    /// - Throws: as `exec` for a process.
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

    /// Runs another process in the container to its end.
    ///
    /// A timeout and cancellation of the task kill the process; its children live until the
    /// container ends. OOM kills are counted from the start of this process.
    /// - Parameters:
    ///   - process: the process to run.
    ///   - input: the standard input; not `writer`, as there is no body.
    ///   - output: the standard output; not `sequence`.
    ///   - error: the standard error; not `sequence`.
    ///   - timeout: how long it may run.
    /// - Returns: how it ended, and its collected output.
    /// - Throws: as `Container.exec`, and `CancellationError`.
    public func exec(
        _ process: Spec.Process, input: ContainerInput = .none,
        output: ContainerOutput = .discarded, error: ContainerOutput = .discarded,
        timeout: Duration? = nil
    ) async throws -> ExecutionResult {
        let choices = StreamChoices(input: input, output: output, error: error)
        guard !choices.needBody else {
            throw ContainerError(
                .invalidArgument, "exec has no body that could write or read a stream",
                hint: "give bytes, and collect the output; or use Container.exec")
        }
        var options = LaunchOptions()
        options.logger = self.options.logger
        options.reapedStatus = self.options.reapedStatus
        options.countsOutOfMemoryAnew = true
        let launched = try await choices.launch {
            [container, options] (io) throws(ContainerError) in
            var options = options
            options.io = io
            return try container.exec(process, options: options)
        }
        guard let started = launched.process else { throw CancellationError() }
        return try await Self.finish(started, launched.streams.begin(), timeout)
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
        // Children of a killed process may keep its streams open for any time.
        if timedOut.isSet || Task.isCancelled { tasks.cancel() }
        await tasks.input?.value
        let result = ExecutionResult(
            termination: termination, timedOut: timedOut.isSet, output: await tasks.output?.value,
            error: await tasks.error?.value)
        try Task.checkCancellation()
        return result
    }
}
#endif
