// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

extension LaunchPlan {
    /// The plan as JSON, in the form of `ContainerPlan.explainedJSON`.
    func explainedJSON(includingCalls: Bool = false) -> String {
        let whole = JSONValue.object(columns(includingCalls: includingCalls))
        return String(decoding: whole.encoded(pretty: true), as: UTF8.self)
    }

    /// The columns by name; the step that the child has reached gets `"here": true`.
    func columns(includingCalls: Bool, mark: PlanMark? = nil) -> JSONObject {
        let image = includingCalls ? lowered(isTimed: mark?.isTimed == true) : nil
        let child = childSteps.enumerated().map { index, planned in
            var step = Self.json(planned.origin, planned.step.sentence)
            if index == mark?.step { step.append("here", .bool(true)) }
            if let image {
                let calls = image.instructions(ofStep: index).map {
                    JSONValue.string(image.rendered($0))
                }
                step.append("calls", .array(calls))
            }
            return JSONValue.object(step)
        }
        var object: JSONObject = [:]
        if includingCalls { object.append("unlistedCalls", .string(Self.unlistedCalls)) }
        object.append("runtime", Self.json(parentSteps))
        object.append("init", .array(child))
        if !laterSteps.isEmpty { object.append("later", Self.json(laterSteps)) }
        return object
    }

    private static func json(_ steps: [PlannedParentStep]) -> JSONValue {
        .array(steps.map { .object(json($0.origin, $0.step.action.sentence)) })
    }

    private static func json(_ origin: Origin, _ sentence: String) -> JSONObject {
        ["field": .string(origin.description), "step": .string(sentence)]
    }
}
#endif
