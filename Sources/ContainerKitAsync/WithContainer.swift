// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// Runs a container and a body beside it, to the end of both; nothing of the container stays, however they end.
///
/// Once the body has returned, the container's process is waited for. A body that throws, a task that is
/// cancelled and a time that is over end the container: by the steps of the teardown, then by KILL. A body is
/// not cancelled when the time is over; what it waits for of the container comes to its end. The container is
/// deleted after its end, with its hooks of `poststop`.
/// - Parameters:
///   - bundle: the config, without a terminal.
///   - id: the id, unique in the store; nil for one that is made.
///   - store: where the container is remembered meanwhile.
///   - input: what its process reads.
///   - output: where it writes.
///   - error: where it writes errors.
///   - timeout: how long the process may run.
///   - teardown: how the container is asked to end before it is killed.
///   - options: what else the caller chooses; its streams are those given here.
///   - isolation: the actor of the caller, on which the body runs.
///   - body: runs while the container does.
/// - Returns: what the body returned, with the end of the process and what was collected.
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
        id ?? madeID(), bundle, store, options, ContainerStreams(input, output, error), teardown,
        timeout)
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

/// Runs a container to its end; nothing of it stays.
///
/// - Parameters: as with a body.
/// - Returns: the end of its process, and what was collected.
/// - Throws: as with a body.
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

/// An id that no other container has.
private func madeID() -> String {
    let number = UInt64.random(in: .min ... .max)
    let digits = String(number, radix: 16)
    return "container-" + String(repeating: "0", count: 16 - digits.count) + digits
}
