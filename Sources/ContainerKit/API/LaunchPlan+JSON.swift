// SPDX-License-Identifier: Apache-2.0

public import InitProgram
internal import RuntimeSpec

extension LaunchPlan {
    /// The plan as JSON text, for programs.
    ///
    /// The shape is `{"runtime": [{"field", "step"}], "init": [{"field", "step", "calls"}]}`, the
    /// order that of execution; `calls` only with `includingCalls`.
    public func explainedJSON(includingCalls: Bool = false) -> String {
        let image = includingCalls ? lowered() : nil
        let parent = parentSteps.map { planned in
            JSONValue.object([
                "field": .string(planned.field), "step": .string(planned.step.summary),
            ])
        }
        let child = childSteps.enumerated().map { index, planned in
            var step: JSONObject = [
                "field": .string(planned.field), "step": .string(planned.step.summary),
            ]
            if let image {
                let calls = image.instructionsOfStep(index).map {
                    JSONValue.string(image.rendered($0))
                }
                step.append("calls", .array(calls))
            }
            return JSONValue.object(step)
        }
        let whole = JSONValue.object(["runtime": .array(parent), "init": .array(child)])
        return String(decoding: whole.encoded(pretty: true), as: UTF8.self)
    }
}
