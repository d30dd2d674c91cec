// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
public import RuntimeSpec

/// The plan of a container that exists, and how far its init has come in it.
///
/// It tells what the container's record and the page of its init tell, and says what they do not.
public struct ContainerProgress: Sendable {
    /// How init stands.
    public enum Standing: String, Sendable {
        /// Create has not come to init yet, or broke off before.
        case unborn
        /// Init does the plan's steps up to the wait for start.
        case preparing
        /// Init waits for start.
        case waiting
        /// Init was told to start, and has not executed its program yet.
        case starting
        /// Init has handed over to its program, which runs.
        case running
        /// Init stopped at a step with an error.
        case failed
        /// Init ended before its program, without an error: something killed it.
        case ended
        /// Init had come to its program, and the process has ended.
        case finished
        /// Whether init runs cannot be told.
        case unknown
    }

    /// The container's id.
    public let id: String
    /// Its state; nil when that cannot be told.
    public internal(set) var status: State.Status?
    /// When it was created, in RFC 3339.
    public let created: String
    /// Its init, if there is one.
    public let pid: Int32?
    /// How init stands.
    public let standing: Standing
    /// The plan, made anew; nil when it cannot be made.
    public let plan: ContainerPlan?
    /// The step that init is at, or stopped at, counted from 0 in its column of create's plan; nil when that is
    /// not known.
    public internal(set) var step: Int?
    /// Whether the plan is the one that init follows, so that its step can be shown there.
    public internal(set) var isMarked = false
    /// The config field behind the step, if one is known.
    public internal(set) var field: String?
    /// The system call that init is at, or was at last.
    public internal(set) var call: String?
    /// What stopped init.
    public internal(set) var error: ContainerError?
    /// Since when it is there, in RFC 3339; it came there after that, unless `isTimeExact`.
    public internal(set) var time = ""
    /// Whether `time` is when init came there.
    public internal(set) var isTimeExact = false
    /// What is to be known of all this: what it was made from, and what could not be told.
    public internal(set) var remarks: [String] = []

    /// The instruction that init came to.
    var instruction: Int?
}

extension ContainerProgress {
    /// The plan as text, as `ContainerPlan.explained` has it, behind a few lines on how init stands; init's step
    /// has the mark `=>`.
    public func explained(includingCalls: Bool = false) -> String {
        let status = status.map { "is \($0.rawValue)" } ?? "is in a state that cannot be told"
        var lines = [
            "Container \(id) \(status); its creation began at \(created).", "- \(sentence)",
        ]
        lines += remarks.map { "- \($0)" }
        let head = lines.joined(separator: "\n") + "\n"
        guard let plan else { return head }
        return head + "\n" + plan.launch.explained(includingCalls: includingCalls, mark: mark)
    }

    /// The same as JSON text, for programs.
    ///
    /// The shape is that of `ContainerPlan.explainedJSON`, with `"here": true` at init's step, behind a member
    /// `container`: `{"id", "created", "status", "pid", "standing", "step", "field", "call", "error", "time",
    /// "isTimeExact", "remarks"}`; what is not known is left out, and `step` counts from 1, as people do.
    public func explainedJSON(includingCalls: Bool = false) -> String {
        var object: JSONObject = ["id": .string(id), "created": .string(created)]
        if let status { object.append("status", .string(status.rawValue)) }
        if let pid { object.append("pid", .integer(Int64(pid))) }
        object.append("standing", .string(standing.rawValue))
        if let step { object.append("step", .integer(Int64(step + 1))) }
        if let field { object.append("field", .string(field)) }
        if let call { object.append("call", .string(call)) }
        if let error { object.append("error", .string(error.description)) }
        object.append("time", .string(time))
        object.append("isTimeExact", .bool(isTimeExact))
        object.append("remarks", .array(remarks.map { .string($0) }))
        var whole: JSONObject = ["container": .object(object)]
        for member in plan?.launch.columns(includingCalls: includingCalls, mark: mark).members ?? []
        {
            whole.append(member.key, member.value)
        }
        return String(decoding: JSONValue.object(whole).encoded(pretty: true), as: UTF8.self)
    }

    private var mark: PlanMark? {
        guard isMarked, let step, let instruction else { return nil }
        return PlanMark(step: step, instruction: instruction)
    }

    /// How init stands, in one line.
    private var sentence: String {
        let process = "init, process \(pid ?? 0),"
        return switch standing {
        case .unborn: "there is no init yet"
        case .preparing: "\(process) is at \(place); it came there after \(time)"
        case .waiting: "\(process) waits for start since \(time), at \(place)"
        case .starting:
            "\(process) was told to start, and is at \(place); it came there after \(time)"
        case .running: "\(process) has handed over to its program, after \(time)"
        case .failed:
            "init stopped, after \(time), at \(place): \(error?.description ?? "the errno is not known")"
        case .ended:
            "init ended, after \(time), at \(place), without an error of its own: something killed it"
        case .finished:
            "init has ended, after \(time); it had come to its program, and a kill at that very moment "
                + "would look as if that had run"
        case .unknown: "the last that init told is that it came to \(place), after \(time)"
        }
    }

    /// Where in its column.
    private var place: String {
        guard let step else {
            return instruction == nil ? "what precedes its first step" : "a step that is not known"
        }
        var text = "step \(step + 1)"
        // At the first instruction of all it may as well be that it did nothing yet.
        if instruction == 0 { text += ", or before" }
        guard !isMarked else { return text }
        let known = [field, call].compactMap(\.self)
        return known.isEmpty ? text : text + " (\(known.joined(separator: ": ")))"
    }
}
