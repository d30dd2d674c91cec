// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

/// The result of `withContainer`.
public struct ContainerResult<Value> {
    /// What the body returned.
    public var value: Value
    /// How the container's process ended.
    public var termination: Termination
    /// Whether it was ended because of the timeout.
    public var timedOut: Bool
    /// The standard output, if it was to be collected.
    public var output: CollectedOutput?
    /// The standard error, if it was to be collected.
    public var error: CollectedOutput?
    /// The resources that the container used in total; nil if its cgroup vanished with its last
    /// process.
    public var statistics: Statistics?
}

extension ContainerResult: Sendable where Value: Sendable {}

/// The result of another process in a container.
public struct ExecutionResult: Sendable {
    /// How the process ended.
    public var termination: Termination
    /// Whether it was killed because of the timeout.
    public var timedOut: Bool
    /// The standard output, if it was to be collected.
    public var output: CollectedOutput?
    /// The standard error, if it was to be collected.
    public var error: CollectedOutput?
}

/// A step to end a container before it is killed.
public struct TeardownStep: Sendable, Hashable {
    let signal: Signal
    let time: Duration

    /// Sends a signal to the container's init, and waits for its end for at most `time`.
    public static func send(_ signal: Signal, allowing time: Duration) -> TeardownStep {
        TeardownStep(signal: signal, time: time)
    }
}
#endif
