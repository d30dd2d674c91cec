// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

/// The container while the body of `withContainer` runs.
public final class RunningContainer: Sendable {
    private let run: ContainerRun
    let options: LaunchOptions

    init(_ run: ContainerRun, _ options: LaunchOptions) {
        self.run = run
        self.options = options
    }

    /// The container, for calls that block.
    public var container: Container { run.container }
    /// The container's own process.
    public var process: ContainerProcess { run.process }
    /// How its process ended; waits for the end.
    ///
    /// - Throws: as `ContainerProcess.termination`.
    public var termination: Termination {
        get async throws { try await process.termination }
    }

    /// Writes the standard input of the process; nil unless the input is `writer`.
    ///
    /// It is closed when the body returns.
    public var standardInput: InputWriter? { run.streams.bodyInput }
    /// The standard output of the process; nil unless it is a `sequence`.
    public var standardOutput: OutputSequence? { run.streams.bodyOutput }
    /// The standard error of the process; nil unless it is a `sequence`.
    public var standardError: OutputSequence? { run.streams.bodyError }

    /// Sends a signal to the container's init, or to all its processes.
    ///
    /// - Throws: as `Container.kill`.
    public func signal(_ signal: Signal, all: Bool = false) async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.kill(signal, all: all)
        }
    }

    /// Freezes all processes until `resume`.
    ///
    /// - Throws: as `Container.pause`.
    public func pause() async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.pause()
        }
    }

    /// Thaws the processes.
    ///
    /// - Throws: as `Container.resume`.
    public func resume() async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.resume()
        }
    }

    /// The resource usage of the container.
    ///
    /// - Throws: as `Container.statistics`.
    public func statistics() async throws(ContainerError) -> Statistics {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.statistics()
        }
    }

    /// The events of the container since its creation, and its statistics at every `interval`.
    public func events(every interval: Duration? = nil) -> ContainerEvents {
        container.events(every: interval)
    }

    /// Runs the teardown steps, then sends KILL; returns when the process has ended.
    public func tearDown() async {
        await run.beginTeardown().value
        _ = try? await process.terminationInAnyCase()
    }
}
#endif
