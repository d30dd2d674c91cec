// SPDX-License-Identifier: Apache-2.0

public import ContainerKit

/// The container of a scope, while it is there.
public final class RunningContainer: Sendable {
    private let run: ContainerRun
    let options: LaunchOptions

    init(_ run: ContainerRun, _ options: LaunchOptions) {
        self.run = run
        self.options = options
    }

    /// The container, for what blocks.
    public var container: Container { run.container }
    /// Its process.
    public var process: ContainerProcess { run.process }
    /// The end of its process.
    ///
    /// - Throws: as of `ContainerProcess`.
    public var termination: Termination {
        get async throws { try await process.termination }
    }

    /// What its process reads; nil unless the input is a `writer`.
    ///
    /// It is closed once the body has returned.
    public var standardInput: InputWriter? { run.streams.bodyInput }
    /// What its process writes; nil unless the output is a `sequence`.
    public var standardOutput: OutputSequence? { run.streams.bodyOutput }
    /// What its process writes as errors; nil unless they are a `sequence`.
    public var standardError: OutputSequence? { run.streams.bodyError }

    /// Sends a signal to the container's init, or to all its processes.
    ///
    /// - Throws: as `Container.kill`.
    public func signal(_ signal: Signal, all: Bool = false) async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.kill(signal, all: all)
        }
    }

    /// Stops every process until `resume`.
    ///
    /// - Throws: as `Container.pause`.
    public func pause() async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.pause()
        }
    }

    /// Lets the processes run again.
    ///
    /// - Throws: as `Container.resume`.
    public func resume() async throws(ContainerError) {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.resume()
        }
    }

    /// What the container uses.
    ///
    /// - Throws: as `Container.statistics`.
    public func statistics() async throws(ContainerError) -> Statistics {
        try await BlockingPool.ending.run { [container] () throws(ContainerError) in
            try container.statistics()
        }
    }

    /// What happens in the container, from its beginning.
    public func events(every interval: Duration? = nil) -> ContainerEvents {
        container.events(every: interval)
    }

    /// Ends the container: the steps of the teardown, then KILL; returns when its process has ended.
    public func tearDown() async {
        await run.beginTeardown().value
        _ = try? await process.terminationInAnyCase()
    }
}
