// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// The plan of a `create`, step by step; nothing of it has been done.
///
/// Plans can be compared and printed.
public struct ContainerPlan: Equatable, Sendable {
    /// The steps themselves.
    let launch: LaunchPlan

    /// The plan as text: two numbered columns, optionally with the system calls of each init step.
    ///
    /// Each line has the form `number  config field  sentence`.
    public func explained(includingCalls: Bool = false) -> String {
        launch.explained(includingCalls: includingCalls)
    }

    /// The plan as JSON text, for programs.
    ///
    /// The shape is `{"runtime": [{"field", "step"}], "init": [{"field", "step", "calls"}]}`, in
    /// the order of execution; `calls` and a sentence `unlistedCalls` only with `includingCalls`,
    /// and an array `later` only if `start` or `delete` run hooks.
    public func explainedJSON(includingCalls: Bool = false) -> String {
        launch.explainedJSON(includingCalls: includingCalls)
    }
}
#endif
