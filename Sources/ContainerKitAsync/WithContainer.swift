// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

/// Runs a container, and a body beside it; the container is always deleted at the end.
///
/// After the body has returned, this waits for the container's process. If the body throws, the
/// task is cancelled or the timeout passes, the container is ended: by the teardown steps, then by
/// KILL. A timeout does not cancel the body, but whatever it awaits from the container then ends.
/// The deletion runs the `poststop` hooks.
/// - Parameters:
///   - bundle: the config, without a terminal.
///   - id: the ID, unique in the store; nil for a random one.
///   - store: where the state of the container is kept.
///   - input: the standard input of the container's process.
///   - output: its standard output.
///   - error: its standard error.
///   - timeout: how long the process may run.
///   - teardown: the steps to end the container before it is killed.
///   - options: other options of the launch; `io` is set from the streams given here.
///   - isolation: the actor of the caller, on which the body runs.
///   - body: runs while the container runs.
/// - Returns: the result of the body, how the process ended, and its collected output.
/// - Throws: what the body throws; `CancellationError`; as `Container.run`, `Container.delete`.
@discardableResult
public func withContainer<Value>(
    _ bundle: ContainerBundle, id: String? = nil, in store: ContainerStore,
    input: ContainerInput = .none, output: ContainerOutput = .discarded,
    error: ContainerOutput = .discarded, timeout: Duration? = nil,
    teardown: [TeardownStep] = [.send(.terminate, allowing: .seconds(2))],
    options: LaunchOptions = LaunchOptions(), isolation: isolated (any Actor)? = #isolation,
    _ body: (RunningContainer) async throws -> Value
) async throws -> ContainerResult<Value> {
    try Task.checkCancellation()
    let run = try await ContainerRun.launch(
        id ?? madeID(), bundle, store, options,
        StreamChoices(input: input, output: output, error: error), teardown, timeout)
    return try await withTaskCancellationHandler {
        do {
            let value = try await body(RunningContainer(run, options))
            let end = try await run.finish()
            try Task.checkCancellation()
            return ContainerResult(
                value: value, termination: end.termination, timedOut: end.timedOut,
                output: end.output, error: end.error, statistics: end.statistics)
        } catch {
            run.beginTeardown()
            _ = try? await run.finish()
            throw error
        }
    } onCancel: {
        run.beginTeardown()
    }
}

/// Runs a container to its end and deletes it.
///
/// - Parameters: as for the function with a body.
/// - Returns: how the process ended, and its collected output.
/// - Throws: as the function with a body.
@discardableResult
public func withContainer(
    _ bundle: ContainerBundle, id: String? = nil, in store: ContainerStore,
    input: ContainerInput = .none, output: ContainerOutput = .discarded,
    error: ContainerOutput = .discarded, timeout: Duration? = nil,
    teardown: [TeardownStep] = [.send(.terminate, allowing: .seconds(2))],
    options: LaunchOptions = LaunchOptions()
) async throws -> ContainerResult<Void> {
    try await withContainer(
        bundle, id: id, in: store, input: input, output: output, error: error, timeout: timeout,
        teardown: teardown, options: options, isolation: nil
    ) { _ in }
}

/// Makes a random ID.
private func madeID() -> String {
    let number = UInt64.random(in: .min ... .max)
    let digits = String(number, radix: 16)
    return "container-" + String(repeating: "0", count: 16 - digits.count) + digits
}
#endif
