// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

extension LaunchPlan {
    /// The plan as `ContainerPlan.explainedJSON` has it.
    func explainedJSON(includingCalls: Bool = false) -> String {
        let image = includingCalls ? lowered() : nil
        let parent = parentSteps.map { planned in
            JSONValue.object([
                "field": .string(planned.origin.description),
                "step": .string(planned.step.action.sentence),
            ])
        }
        let child = childSteps.enumerated().map { index, planned in
            var step: JSONObject = [
                "field": .string(planned.origin.description),
                "step": .string(planned.step.sentence),
            ]
            if let image {
                let calls = image.instructionsOfStep(index).map {
                    JSONValue.string(image.rendered($0))
                }
                step.append("calls", .array(calls))
            }
            return JSONValue.object(step)
        }
        var object: JSONObject = ["runtime": .array(parent), "init": .array(child)]
        if !laterSteps.isEmpty {
            let later = laterSteps.map { planned in
                JSONValue.object([
                    "field": .string(planned.origin.description),
                    "step": .string(planned.step.action.sentence),
                ])
            }
            object.append("later", .array(later))
        }
        let whole = JSONValue.object(object)
        return String(decoding: whole.encoded(pretty: true), as: UTF8.self)
    }
}
