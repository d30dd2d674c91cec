// SPDX-License-Identifier: Apache-2.0

internal import InitProgram

/// What `create` would do, step by step; nothing of it has happened.
///
/// Plans can be compared and printed.
public struct ContainerPlan: Equatable, Sendable {
    /// The steps themselves.
    let launch: LaunchPlan

    /// The plan as text: two numbered columns, and under each step of the init process its calls when asked
    /// for.
    ///
    /// A line reads `number  config field  what is done`.
    public func explained(includingCalls: Bool = false) -> String {
        launch.explained(includingCalls: includingCalls)
    }

    /// The plan as JSON text, for programs.
    ///
    /// The shape is `{"runtime": [{"field", "step"}], "init": [{"field", "step", "calls"}]}`, the
    /// order that of execution; `calls` only with `includingCalls`, `later` only where `start` or
    /// `delete` have hooks to run.
    public func explainedJSON(includingCalls: Bool = false) -> String {
        launch.explainedJSON(includingCalls: includingCalls)
    }
}
