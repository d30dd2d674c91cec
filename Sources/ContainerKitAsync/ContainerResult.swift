// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// What became of a container in a scope.
public struct ContainerResult<Value> {
    /// What the body returned.
    public var value: Value
    /// How its process ended.
    public var termination: Termination
    /// Whether that was since its time was over.
    public var timedOut: Bool
    /// What it wrote, if that was to be collected.
    public var output: CollectedOutput?
    /// What it wrote to standard error, if that was to be collected.
    public var error: CollectedOutput?
    /// What the container has used in all; nil where its cgroup went with its last process.
    public var statistics: Statistics?
}

extension ContainerResult: Sendable where Value: Sendable {}

/// What became of a further process in a container.
public struct ExecutionResult: Sendable {
    /// How it ended.
    public var termination: Termination
    /// Whether that was since its time was over.
    public var timedOut: Bool
    /// What it wrote, if that was to be collected.
    public var output: CollectedOutput?
    /// What it wrote to standard error, if that was to be collected.
    public var error: CollectedOutput?
}

/// A step on the way to a container's end, before it is killed.
public struct TeardownStep: Sendable, Hashable {
    let signal: Signal
    let time: Duration

    /// Sends a signal to the container's init, and goes on after the time, unless it has ended by then.
    public static func send(_ signal: Signal, allowing time: Duration) -> TeardownStep {
        TeardownStep(signal: signal, time: time)
    }
}
